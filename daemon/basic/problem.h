/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * problem.h - what is wrong now, said once when it begins and once when it ends
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* In the order in which they matter: problem_first() shows the first one. */
enum problem {
	PROBLEM_DEVICE,		/* not there, busy, no permission, does not answer */
	PROBLEM_STUCK,		/* there, but makes no progress */
	PROBLEM_NOT_TAKEN,	/* the host takes nothing */
	PROBLEM_HOST,		/* asks for more than the guest has, and does not let go */
	PROBLEM_DATA,		/* numbers that the policy needs are missing */
	PROBLEM_PSI,		/* no pressure information, or no triggers */
	PROBLEM_CONFIG,		/* the file is wrong; the old configuration is in force */
	PROBLEM_HOLD,		/* the operator's hold does not survive a restart */
	PROBLEM_PEAKS,		/* when memory was needed is not kept over a restart */
	PROBLEM_HISTORY,	/* the history is not written */
	PROBLEM_SWAP,		/* what was swapped out is not brought back */
	PROBLEM_METRICS,	/* the metrics file is not written */
	PROBLEM_BUS,		/* nobody can ask */
	_PROBLEM_MAX,
};

struct problems {
	char text[_PROBLEM_MAX][256];	/* "" = none */
};

/*
 * Log text with this priority if it is not what was said last about this
 * problem. Says what is wrong and what to do, without numbers that change.
 */
__attribute__((format(printf, 4, 5)))
void problem_set(struct problems *p, enum problem which, int priority, const char *format, ...);

/* Log `gone` if there was such a problem. Returns whether there was. */
bool problem_clear(struct problems *p, enum problem which, const char *gone);

/* "" if there is none. Valid until the next change. */
const char *problem_first(const struct problems *p);
