/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journal.h - what a tick gives to say, for the log and for the notes of the history
 */
#pragma once

#include <stdint.h>

#include "basic/problem.h"
#include "serve/keep.h"
#include "serve/tick.h"

struct journal {
	struct problems *problems;
	struct keep *keep;

	struct sample_balloon seen;	/* whose counters have been told of */
	int said_sign;			/* direction and reason of the move that was logged last */
	enum policy_reason said_reason;
	uint64_t said_us;
};

/* Both are kept but not owned; PROBLEM_STUCK, PROBLEM_HOST and PROBLEM_NOT_TAKEN are its own. */
void journal_init(struct journal *j, struct problems *problems, struct keep *keep);

/* A transport is there, and its balloon is like this: what was counted before is not told of. */
void journal_attached(struct journal *j, const struct sample_balloon *b);
/* Once a tick. */
void journal_tick(struct journal *j, const struct tick *t);
