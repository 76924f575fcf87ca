// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The gates between a goal and a move.
 *
 * All but an answer to a shortage passes the bar, which lets nothing up while
 * memory is short or was a moment ago. An estimate passes the wait for a start,
 * the dead band, the hold-off after a deflate and the price of turning round,
 * settling and dwell.
 *
 * Leaves out: what is done behind the gates (follow.c), and the hold-off after
 * an emergency, which is the configuration's (shortage.c).
 */
#include "decide/gate.h"

/* The fixed part of the hold-off after a shortage doubles once, where shortages repeat. */
#define HOLD_OFF_GROWTH 2

/* A relief that met the demand has cost nobody anything: the hold-off is half of the plain one. */
#define RELIEF_HOLD_OFF_DIVISOR 2

enum policy_reason gate_bar(const struct round *r)
{
	if (r->level >= PRESSURE_SHORT)
		return REASON_PRESSURE;
	if (r->v->now_us < r->st->alarm.until_us || r->s->balloon.holdoff_us)
		return REASON_HOLD_OFF;
	return _REASON_MAX;
}

static bool dwells(const struct round *r)
{
	const struct move *m = &r->st->move;

	return m->since_us && r->v->now_us - m->since_us < r->c->dwell_us;
}

static enum policy_reason gate_up(const struct round *r, const struct law_goal *g)
{
	const struct policy_state *st = r->st;
	const struct view *v = r->v;
	uint64_t distance = g->goal - v->size;

	if (start_waits(r->c, &st->start))
		return REASON_START_WAIT;
	if (distance < max_u64(v->worthwhile, v->dead_band))
		return REASON_DEAD_BAND;
	if (v->now_us < st->hold.until_us || turn_wait(r->c, &st->turn, v, distance))
		return REASON_HOLD_OFF;
	if (st->settle.active)
		return REASON_SETTLING;
	if (dwells(r) || !g->at_once)
		return REASON_DWELL;
	return _REASON_MAX;
}

static enum policy_reason gate_down(const struct round *r, const struct law_goal *g)
{
	if (r->v->size - g->goal < r->v->dead_band)
		return REASON_DEAD_BAND;
	/* A shortage does not wait. */
	if (g->reason == REASON_COMMITTED && dwells(r))
		return REASON_DWELL;
	return _REASON_MAX;
}

enum policy_reason gate_estimate(const struct round *r, const struct law_goal *g)
{
	return g->goal > r->v->size ? gate_up(r, g) : gate_down(r, g);
}

void gate_hold_off(const struct round *r, struct backoff *b, uint64_t base_us)
{
	backoff_trip(b, r->v->now_us, base_us, scale(r->c->hold_off_us, HOLD_OFF_GROWTH, 1));
}

void gate_hold_off_cheaply(const struct round *r, struct backoff *b)
{
	backoff_extend(b, r->v->now_us, r->c->hold_off_us / RELIEF_HOLD_OFF_DIVISOR);
}
