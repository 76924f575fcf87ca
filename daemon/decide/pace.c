// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How soon the next look is due.
 *
 * Seldom while nothing moves and something else would wake the daemon: that is
 * what an idle guest pays for it. Often while something moves or may be needed
 * at once, and ten times as often for moments after a burst, a trigger or a
 * shortage.
 *
 * Leaves out: what wakes it earlier (PSI triggers and the module, loop.c).
 */
#include "decide/pace.h"
#include "decide/round.h"

#define SEC 1000000ULL

#define FAST_INTERVAL_US (SEC / 10)
/* How long to look closer after a trigger or a shortage. */
#define FAST_WINDOW_US (3 * SEC)
/* ... and after a sample that shows a burst. */
#define BURST_WINDOW_US SEC

/*
 * The need grows so fast that a quarter of what is left is gone within a second; it may have begun
 * to at any time since the last sample.
 */
static bool bursting(const struct pace *p, const struct view *v)
{
	uint64_t growth = p->need_seen ? sub_sat(v->need, p->need_seen) : 0;
	uint64_t dt_us = clamp_u64(v->dt_us, FAST_INTERVAL_US, SEC);

	return v->dt_us && scale(growth, SEC, dt_us) > v->available / 4;
}

static void look_closer_for(struct pace *p, uint64_t now_us, uint64_t length_us)
{
	p->fast_until_us = max_u64(p->fast_until_us, add_sat(now_us, length_us));
}

void pace_note(struct pace *p, const struct view *v)
{
	if (v->size && bursting(p, v))
		look_closer_for(p, v->now_us, BURST_WINDOW_US);
	p->need_seen = v->need;
}

void pace_interrupt(struct pace *p)
{
	p->need_seen = 0;
}

void pace_look_closer(struct pace *p, uint64_t now_us)
{
	look_closer_for(p, now_us, FAST_WINDOW_US);
}

/* There is more to come within seconds. */
static bool goes_on_soon(enum policy_reason reason)
{
	return reason == REASON_STARTING || reason == REASON_NO_DATA || reason == REASON_CACHE ||
	       reason == REASON_SETTLING || reason == REASON_FREE;
}

static bool is_calm(const struct round *r, enum policy_reason reason)
{
	const struct policy_state *st = r->st;
	const struct view *v = r->v;

	if (st->move.valid || st->settle.active || st->thrash.lost_us)
		return false;
	/* Nothing else would wake the loop when the guest runs short. */
	if ((!r->s->psi_armed && v->size) || v->available < r->headroom)
		return false;
	/* Bursts have been larger than what is kept for them. */
	if (v->size && add_sat(st->adaptive.burst, st->adaptive.burst) > v->available)
		return false;
	return !goes_on_soon(reason);
}

uint64_t pace_next_us(const struct round *r, enum policy_reason reason)
{
	const struct policy_state *st = r->st;
	uint64_t now_us = r->v->now_us, idle_us = r->c->idle_interval_us;

	if (now_us < st->pace.fast_until_us)
		return min_u64(FAST_INTERVAL_US, r->c->interval_us);
	if (!is_calm(r, reason))
		return r->c->interval_us;
	return idle_us;
}
