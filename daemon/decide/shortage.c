// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The answer to a shortage, and to what the module gave back by itself.
 *
 * A critical shortage gives everything back; a confirmed one half, and
 * everything if it repeats or little is available. Memory that the module gave
 * back by itself stays given back for a while. Each is followed by a hold-off
 * that keeps orders away, too.
 *
 * Invariant: nothing here inflates. Leaves out: whether there is a shortage
 * (pressure.c).
 */
#include <stddef.h>

#include "decide/gate.h"
#include "decide/shortage.h"

#define SEC 1000000ULL

/* A second shortage within this means that the first answer was too small. */
#define EPISODE_US (30 * SEC)

static enum policy_reason give_back(const struct round *r, uint64_t target,
				    enum policy_reason reason)
{
	turn_alarm(&r->st->turn, reason == REASON_RELIEF);
	if (target < r->v->size) {
		move_to(&r->st->move, r->v, target, reason, NULL);
		pace_look_closer(&r->st->pace, r->v->now_us);
	}
	return reason;
}

static bool available_is_low(const struct round *r)
{
	return r->v->available < pressure_low_level(r->v);
}

/* Confirmed stalls: half, then everything. */
static enum policy_reason answer_stalls(const struct round *r, uint64_t goal)
{
	struct shortage *h = &r->st->shortage;
	const struct view *v = r->v;
	uint64_t ago_us = v->now_us - h->answered_us;
	bool again = h->answered_us && ago_us < EPISODE_US;
	/* Stalls from before the last answer are still in the window. */
	bool answered = again && ago_us < PRESSURE_EFFECT_US;
	bool low = available_is_low(r);

	if (!low && move_is_urgent(&r->st->move) && (answered || !again))
		return r->st->move.reason;
	if (!low && answered)
		return _REASON_MAX;
	h->answered_us = v->now_us;
	if (low || again)
		return give_back(r, r->b.lo, REASON_PRESSURE);
	/* Never less than what would be given back without the stalls. */
	if (thrash_is_part(r->c, &r->st->thrash, v)) {
		thrash_answer(r->c, &r->st->thrash, v, sub_sat(v->size, goal), r->b.lo);
		goal = min_u64(goal, r->st->thrash.cap);
	} else {
		goal = min_u64(r->b.lo + (v->size - r->b.lo) / 2, goal);
	}
	return give_back(r, goal, REASON_PRESSURE);
}

/* What the module gave back by itself stays given back. */
static enum policy_reason accept_relief(const struct round *r)
{
	struct move *m = &r->st->move;

	if (r->relief.rescued) {
		move_drop(m);
		return give_back(r, r->v->size, REASON_RESCUE);
	}
	/* What the law is about to give back for a reason of its own is not taken off it. */
	if (move_is_down(m) && !move_is_cheap(m, r->v))
		return _REASON_MAX;
	move_drop(m);
	return give_back(r, r->v->size, REASON_RELIEF);
}

/*
 * It is the working set that is waited for, in swap or in files, while there is enough to evict:
 * then what comes back mends that, and more does no more (thrash.c).
 */
static bool is_thrash(const struct round *r)
{
	return !available_is_low(r) && thrash_is_most(r->c, &r->st->thrash, r->v);
}

/* Everything has to come back. */
static bool is_emergency(const struct round *r)
{
	/* The module's last resort is a witness: with little left it is an emergency. */
	if (r->relief.rescued && available_is_low(r))
		return true;
	return r->level == PRESSURE_CRITICAL;
}

enum policy_reason shortage_decide(const struct round *r, uint64_t goal)
{
	struct policy_state *st = r->st;
	const struct view *v = r->v;
	bool ours = v->size > r->b.lo && !is_thrash(r);

	if (ours && is_emergency(r))
		return give_back(r, r->b.lo, REASON_EMERGENCY);
	if (ours && r->level >= PRESSURE_SHORT)
		return answer_stalls(r, goal);
	if (move_is_urgent(&st->move))
		return r->st->move.reason;
	if (r->level >= PRESSURE_SHORT && v->size && v->size <= r->b.lo) {
		/* Not below the host's target, whatever happens: that is the protocol. */
		move_drop(&st->move);
		return REASON_HOST;
	}
	if (r->relief.given)
		return accept_relief(r);
	if (r->s->balloon.valid && r->s->balloon.draining) {
		move_drop(&st->move);
		return REASON_RESCUE;
	}
	return _REASON_MAX;
}
