/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mover.h - one step in many small moves
 *
 * Keeps what was asked for and what came of it since the last report, so that
 * the policy sees the whole step however many calls it took.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "act/transport.h"

struct mover {
	int64_t left;		/* bytes still to move, > 0 inflates; 0 = idle */
	bool may_reclaim;

	/* Since the last mover_report(). */
	int64_t asked;
	int64_t moved;
	uint64_t took_us;
	uint32_t stop;
};

/* Go for step from now on; what was left of the one before is dropped. 0 = stop. */
void mover_start(struct mover *m, int64_t step, bool may_reclaim);

/*
 * One move within budget_us. Returns 1 if there is more to do, 0 if the step
 * is over (done, or the transport said why not: m->stop), or the transport's
 * error, which ends the step as well.
 */
int mover_run(struct mover *m, struct transport *t, uint64_t budget_us,
	      struct transport_result *ret);

/* Write the result of the step into *b and begin a new account. */
void mover_report(struct mover *m, struct sample_balloon *b);
