// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The gates between a goal and a move.
 *
 * All but an answer to a shortage passes the bar, which lets nothing up while
 * memory is short, or was and that is not paid for. An estimate passes the wait
 * for a start, the dead band, the price of turning round, and settling.
 *
 * Leaves out: what is done behind the gates (follow.c).
 */
#include "decide/gate.h"

enum policy_reason gate_bar(const struct round *r, uint64_t goal)
{
	const struct turn *t = &r->st->turn;

	if (r->level >= PRESSURE_SHORT)
		return REASON_PRESSURE;
	if (r->s->balloon.holdoff_us)
		return REASON_HOLD_OFF;
	if (t->alarm && turn_wait(r->c, t, r->v, sub_sat(goal, r->v->size)))
		return REASON_PRICE;
	return _REASON_MAX;
}

static enum policy_reason gate_up(const struct round *r, const struct law_goal *g)
{
	const struct policy_state *st = r->st;
	const struct view *v = r->v;
	uint64_t distance = g->goal - v->size;

	if (start_waits(r->c, &st->start))
		return REASON_START_WAIT;
	if (distance < v->dead_band)
		return REASON_DEAD_BAND;
	if (turn_wait(r->c, &st->turn, v, distance))
		return REASON_PRICE;
	if (st->settle.active || !g->at_once)
		return REASON_SETTLING;
	return _REASON_MAX;
}

static enum policy_reason gate_down(const struct round *r, const struct law_goal *g)
{
	if (r->v->size - g->goal < r->v->dead_band)
		return REASON_DEAD_BAND;
	return _REASON_MAX;
}

enum policy_reason gate_estimate(const struct round *r, const struct law_goal *g)
{
	return g->goal > r->v->size ? gate_up(r, g) : gate_down(r, g);
}
