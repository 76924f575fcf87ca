// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mover.c - one step in many small moves
 *
 * A move ends the step unless it says that only its time was up: every other
 * reason (no memory, the floor, a refusal) would be met again at once, and what
 * to do about it is the policy's business. A move that used up its time without
 * a single page ends it as well; the policy asks again, and counts.
 */
#include "act/mover.h"

#include "uballoon.h"

void mover_start(struct mover *m, int64_t step, bool may_reclaim)
{
	m->left = step;
	m->may_reclaim = may_reclaim;
	m->asked = step;
	m->moved = 0;
	m->took_us = 0;
	m->stop = UBALLOON_STOP_NONE;
}

int mover_run(struct mover *m, struct transport *t, uint64_t budget_us,
	      struct transport_result *ret)
{
	struct transport_result result = {};
	int r;

	if (m->left == 0) {
		*ret = result;
		return 0;
	}
	r = t->ops->move(t, m->left, m->may_reclaim, budget_us, &result);
	if (r < 0) {
		m->left = 0;
		return r;
	}

	m->moved += result.moved;
	m->took_us += result.took_us;
	m->stop = result.stop;
	/* A transport that moved more than asked, or the wrong way, is not followed. */
	if (m->left > 0 ? result.moved >= m->left : result.moved <= m->left)
		m->left = 0;
	else if (result.moved == 0 || (result.stop != UBALLOON_STOP_BUDGET &&
				       result.stop != UBALLOON_STOP_INTERRUPTED))
		m->left = 0;
	else
		m->left -= result.moved;
	*ret = result;
	return m->left != 0;
}

void mover_report(struct mover *m, struct sample_balloon *b)
{
	b->asked = m->asked;
	b->moved = m->moved;
	b->took_us = m->took_us;
	b->stop = m->stop;
	m->asked = m->left;
	m->moved = 0;
	m->took_us = 0;
	m->stop = UBALLOON_STOP_NONE;
}
