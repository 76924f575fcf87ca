// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How a goal is followed.
 *
 * An order (host, operator, bound) is followed as it stands, in steps where it
 * pushes something out (evict.c); an estimate passes the gates and takes at
 * most half of the slack at a time. A move is remembered
 * until it has arrived: an estimate is not made anew while the last one is being
 * carried out. While the operator holds the balloon, only its bounds move it.
 *
 * Leaves out: shortage and relief, which come first (shortage.c).
 */
#include "decide/follow.h"
#include "decide/gate.h"
#include "decide/goal.h"

/* Where nothing is to be moved; but who waits for memory is not told that all is well. */
static enum policy_reason steady(const struct round *r)
{
	if (r->v->has_psi && r->v->mem_some >= r->c->pressure_permille)
		return REASON_STALLS;
	return REASON_STEADY;
}

/* Follow what somebody asked for. */
static enum policy_reason follow_order(const struct round *r, const struct law_goal *g)
{
	struct policy_state *st = r->st;
	enum policy_reason bar = g->goal > r->v->size ? gate_bar(r, g->goal) : _REASON_MAX;
	bool telling = g->reason == r->b.hi_reason || g->reason == REASON_NO_DATA;
	bool lost = thrash_is_part(r->c, &st->thrash, r->v);
	uint64_t target = evict_towards(r->c, &st->evict, r->v, g->goal, lost);

	if (g->goal == r->v->size) {
		move_drop(&st->move);
		return telling ? g->reason : steady(r);
	}
	turn_forgo(&st->turn, r->v, sub_sat(g->goal, r->v->size));
	if (bar != _REASON_MAX) {
		move_drop(&st->move);
		return bar;
	}
	if (target == r->v->size) {
		move_drop(&st->move);
		return steady(r) == REASON_STEADY ? REASON_SETTLING : REASON_STALLS;
	}
	if (g->goal > r->v->size)
		turn_upward(&st->turn);
	move_to(&st->move, r->v, target, g->reason, g);
	return g->reason;
}

/* As much as an estimate takes at a time. If something else takes memory meanwhile, it is less. */
static uint64_t half_of_slack(const struct round *r)
{
	return sub_sat(r->v->available, r->headroom) / 2;
}

static bool goes_on_up(const struct round *r, const struct law_goal *g)
{
	return move_is_up(&r->st->move) && g->goal > r->v->size && !r->st->turn.came_down &&
	       !start_waits(r->c, &r->st->start) && gate_bar(r, g->goal) == _REASON_MAX;
}

static enum policy_reason go_on_up(const struct round *r, const struct law_goal *g)
{
	struct move *m = &r->st->move;

	move_lower(m, min_u64(g->goal, r->v->size + half_of_slack(r)));
	return m->reason;
}

static bool goes_on_down(const struct round *r, const struct law_goal *g)
{
	return move_is_down(&r->st->move) && g->goal < r->v->size;
}

static enum policy_reason go_on_down(const struct round *r, const struct law_goal *g)
{
	move_lower(&r->st->move, g->goal);
	return r->st->move.reason;
}

static enum policy_reason rest(const struct round *r, const struct law_goal *g)
{
	if (g->reason == REASON_NO_DATA || g->reason == REASON_NO_SWAP ||
	    g->reason == r->b.hi_reason)
		return g->reason;
	return r->v->settling ? REASON_SETTLING : steady(r);
}

static enum policy_reason begin_down(const struct round *r, const struct law_goal *g)
{
	move_to(&r->st->move, r->v, g->goal, g->reason, g);
	return g->reason;
}

static enum policy_reason begin_up(const struct round *r, const struct law_goal *g)
{
	struct policy_state *st = r->st;
	const struct view *v = r->v;
	enum policy_reason bar = gate_bar(r, g->goal);
	uint64_t amount;

	if (bar != _REASON_MAX)
		return bar;
	amount = min_u64(min_u64(g->goal - v->size, g->at_once), half_of_slack(r));
	amount -= amount % (amount >= MOVE_GRAIN ? MOVE_GRAIN : MOVE_PAGE);
	if (!amount)
		return REASON_DEAD_BAND;
	turn_upward(&st->turn);
	if (g->reason == REASON_CACHE)
		law_adaptive_next_probe(&st->adaptive, add_sat(v->now_us, r->c->probe_interval_us));
	move_to(&st->move, v, v->size + amount, g->reason, g);
	return g->reason;
}

/* What is left alone: all beyond the headroom, as far as the bounds allow a balloon. */
static uint64_t could_have(const struct round *r)
{
	return min_u64(sub_sat(r->v->available, r->headroom), sub_sat(r->b.hi, r->v->size));
}

/* Follow what a law has worked out. */
static enum policy_reason follow_estimate(const struct round *r, const struct law_goal *g)
{
	struct policy_state *st = r->st;
	enum policy_reason why;

	turn_forgo(&st->turn, r->v, could_have(r));
	/* A move under way goes on as long as the law still wants to go that way. */
	if (goes_on_up(r, g))
		return go_on_up(r, g);
	if (goes_on_down(r, g))
		return go_on_down(r, g);
	move_drop(&st->move);
	if (g->goal == r->v->size)
		return rest(r, g);
	why = gate_estimate(r, g);
	if (why != _REASON_MAX)
		return why;
	return g->goal < r->v->size ? begin_down(r, g) : begin_up(r, g);
}

enum policy_reason follow_goal(const struct round *r, const struct law_goal *g)
{
	struct policy_state *st = r->st;
	struct law_goal bound = goal_of_bound(r);

	/* A balloon over its bounds comes down to them, held or not, and no further. */
	if (r->c->hold) {
		if (bound.goal >= r->v->size) {
			move_drop(&st->move);
			return REASON_HELD;
		}
		g = &bound;
	}
	if (progress_is_stuck(&st->progress, move_direction(r->v->size, g->goal))) {
		move_drop(&st->move);
		return st->progress.stuck_reason;
	}
	if (g->order)
		return follow_order(r, g);
	evict_forget(&st->evict);
	return follow_estimate(r, g);
}
