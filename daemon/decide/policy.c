// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The controller: pressure first, then bounds, then the law's goal.
 *
 * One decision a sample. In order of precedence:
 *   1. a critical shortage gives everything back; a confirmed one half, and
 *      everything if it repeats or little is available
 *   2. memory that the module gave back by itself stays given back for a while
 *   3. bounds: floor, limits, what the host allows
 *   4. the operator's hold: nothing else moves
 *   5. the law's goal. An order (host, operator) is followed as it stands; an
 *      estimate passes the gates: dead band, settling, hold-off, dwell, and at
 *      most half of the slack at a time
 * A move is remembered until it has arrived: an estimate is not made anew while
 * the last one is being carried out.
 *
 * Invariants: no step without data or without a device; never a step up beyond
 * the bounds; never a step up while a hold-off runs or a shortage is seen.
 * Leaves out: how a step is carried out, and everything that needs a clock.
 */
#include <string.h>

#include "decide/backoff.h"
#include "decide/bounds.h"
#include "decide/law.h"
#include "decide/move.h"
#include "decide/policy.h"
#include "decide/pressure.h"
#include "decide/progress.h"
#include "decide/relief.h"
#include "decide/settle.h"
#include "decide/turn.h"

#define SEC 1000000ULL

#define FAST_INTERVAL_US (SEC / 10)
/* How long to look closer after a trigger or a shortage. */
#define FAST_WINDOW_US (3 * SEC)
/* ... and after a sample that shows a burst. */
#define BURST_WINDOW_US SEC
/* A second shortage within this means that the first answer was too small ... */
#define PRESSURE_EPISODE_US (30 * SEC)

/* The fixed part of the hold-off after a shortage doubles once, where shortages repeat. */
#define HOLD_OFF_GROWTH 2

/* A relief that met the demand has cost nobody anything: the hold-off after it is half of the plain one. */
#define RELIEF_HOLD_OFF_DIVISOR 2

void policy_init(struct policy_state *st)
{
	memset(st, 0, sizeof(*st));
	ratelimit_init(&st->rate);
}

/* --- gates --- */

/* Why nothing may be inflated now, not even by order; _REASON_MAX if it may. */
static enum policy_reason bar(const struct policy_state *st, const struct sample *s,
			      const struct view *v, enum pressure level)
{
	if (level >= PRESSURE_SHORT)
		return REASON_PRESSURE;
	if (v->now_us < st->alarm.until_us || s->balloon.holdoff_us)
		return REASON_HOLD_OFF;
	return _REASON_MAX;
}

/* Why an estimate may not be followed now; _REASON_MAX if it may. */
static enum policy_reason gate(const struct policy_config *c, const struct policy_state *st,
			       const struct view *v, const struct law_goal *g)
{
	bool up = g->goal > v->size;
	uint64_t distance = up ? g->goal - v->size : v->size - g->goal;

	if (distance < (up ? max_u64(v->worthwhile, v->dead_band) : v->dead_band))
		return REASON_DEAD_BAND;
	if (up && (v->now_us < st->hold.until_us || turn_wait(c, &st->turn, v, distance)))
		return REASON_HOLD_OFF;
	if (up && st->settle.active)
		return REASON_SETTLING;
	/* A shortage does not wait. */
	if ((up || g->reason == REASON_COMMITTED) && st->move.since_us &&
	    v->now_us - st->move.since_us < c->dwell_us)
		return REASON_DWELL;
	if (up && !g->at_once)
		return REASON_DWELL;
	return _REASON_MAX;
}

/* --- the parts of a decision --- */

/* What one decision is made from. */
struct round {
	const struct policy_config *c;
	struct policy_state *st;
	const struct sample *s;
	const struct view *v;
	struct bounds b;
	enum pressure level;
	uint64_t headroom;
	struct relief relief; /* what the module gave back since the last sample */
};

/* What the law gives back ahead of the relief line, which would have given it a moment later. */
static bool deflates_cheaply(const struct policy_state *st, const struct view *v)
{
	return v->relief && move_is_down(&st->move) &&
	       st->move.reason == REASON_HEADROOM;
}

static void hold_cheaply(const struct round *r, struct backoff *b)
{
	backoff_extend(b, r->v->now_us, r->c->hold_off_us / RELIEF_HOLD_OFF_DIVISOR);
}

static enum policy_reason give_back(const struct round *r, uint64_t target,
				    enum policy_reason reason)
{
	const struct policy_config *c = r->c;

	if (reason == REASON_EMERGENCY || r->relief.rescued)
		backoff_trip(&r->st->alarm, r->v->now_us, c->emergency_hold_off_us,
			     c->emergency_hold_off_max_us);
	else if (reason == REASON_RELIEF)
		hold_cheaply(r, &r->st->alarm);
	else
		backoff_trip(&r->st->alarm, r->v->now_us, c->hold_off_us,
			     scale(c->hold_off_us, HOLD_OFF_GROWTH, 1));
	if (target < r->v->size) {
		move_to(&r->st->move, r->v, target, reason, NULL);
		r->st->fast_until_us = add_sat(r->v->now_us, FAST_WINDOW_US);
	}
	return reason;
}

/* Shortage and relief; _REASON_MAX if there is neither, else it has decided. */
static enum policy_reason decide_relief(const struct round *r, const struct law_goal *g)
{
	struct policy_state *st = r->st;
	const struct view *v = r->v;
	bool low = v->available < pressure_low_level(v), again, answered;

	/* The module's last resort is a witness: with little left it is an emergency. */
	if (v->size > r->b.lo && (r->level == PRESSURE_CRITICAL || (r->relief.rescued && low)))
		return give_back(r, r->b.lo, REASON_EMERGENCY);

	if (v->size > r->b.lo && r->level == PRESSURE_SHORT) {
		again = st->answered_us && v->now_us - st->answered_us < PRESSURE_EPISODE_US;
		/* Stalls from before the last answer are still in the window. */
		answered = again && v->now_us - st->answered_us < PRESSURE_EFFECT_US;
		if (!low && move_is_urgent(&st->move) && (answered || !again))
			return st->move.reason;
		if (!low && answered)
			return _REASON_MAX;
		st->answered_us = v->now_us;
		if (low || again)
			return give_back(r, r->b.lo, REASON_PRESSURE);
		/* Never less than what would be given back without the stalls. */
		return give_back(r, min_u64(r->b.lo + (v->size - r->b.lo) / 2, g->goal),
				 REASON_PRESSURE);
	}
	if (move_is_urgent(&st->move)) {
		/* The hold-off counts from the end of it, however slow the transport is. */
		backoff_extend(&st->alarm, v->now_us, st->alarm.length_us);
		return st->move.reason;
	}
	if (r->level >= PRESSURE_SHORT && v->size && v->size <= r->b.lo) {
		/* Not below the host's target, whatever happens: that is the protocol. */
		move_drop(&st->move);
		return REASON_HOST;
	}
	/* What the law is about to give back for a reason of its own is not taken off it. */
	if (r->relief.given && !r->relief.rescued && move_is_down(&st->move) &&
	    !deflates_cheaply(st, v))
		return _REASON_MAX;
	if (r->relief.given) {
		move_drop(&st->move);
		return give_back(r, v->size, r->relief.rescued ? REASON_RESCUE : REASON_RELIEF);
	}
	if (r->s->balloon.valid && r->s->balloon.draining) {
		move_drop(&st->move);
		return REASON_RESCUE;
	}
	return _REASON_MAX;
}

static void run_law(const struct round *r, struct law_goal *ret)
{
	const struct sample_balloon *b = &r->s->balloon;

	switch (r->c->mode) {
	case MODE_MANUAL:
		law_manual(r->c, r->v, ret);
		return;
	case MODE_HOST:
		law_host(&r->st->rate, r->v, r->s, ret);
		return;
	case MODE_AUTO:
	case MODE_OBSERVE:
	case _MODE_MAX:
		break;
	}
	switch (r->c->law) {
	case LAW_COMMITTED:
		law_committed(r->c, &r->st->committed, r->v, r->s, r->headroom, ret);
		break;
	case LAW_ADAPTIVE:
	case _LAW_MAX:
		law_adaptive(r->c, &r->st->adaptive, r->v, ret);
		break;
	}
	/* The one rule between host and law: at least what the host asks for. */
	if (!b->valid || !b->host_target_valid)
		return;
	if (b->host_target > r->v->size)
		law_host(&r->st->rate, r->v, r->s, ret);
	else if (ret->goal < b->host_target)
		ret->goal = b->host_target;
}

/* Follow what somebody asked for. */
static enum policy_reason decide_order(const struct round *r, const struct law_goal *g)
{
	struct policy_state *st = r->st;
	enum policy_reason why;

	if (g->goal == r->v->size) {
		move_drop(&st->move);
		return g->reason == r->b.hi_reason || g->reason == REASON_NO_DATA ? g->reason
										  : REASON_STEADY;
	}
	if (g->goal > r->v->size) {
		why = bar(st, r->s, r->v, r->level);
		if (why != _REASON_MAX) {
			move_drop(&st->move);
			return why;
		}
		backoff_inflated(&st->alarm, r->v->now_us);
	}
	move_to(&st->move, r->v, g->goal, g->reason, g);
	return g->reason;
}

/* Follow what a law has worked out. */
static enum policy_reason decide_estimate(const struct round *r, const struct law_goal *g)
{
	struct policy_state *st = r->st;
	const struct view *v = r->v;
	uint64_t amount;
	enum policy_reason why;

	/* A move under way goes on as long as the law still wants to go that way. */
	turn_forgo(&st->turn, v, sub_sat(g->goal, v->size));
	if (move_is_up(&st->move) && g->goal > v->size && !st->turn.came_down &&
	    bar(st, r->s, v, r->level) == _REASON_MAX) {
		move_lower(&st->move, g->goal);
		/* If something else takes memory meanwhile, half of what is left is less. */
		move_lower(&st->move, v->size + sub_sat(v->available, r->headroom) / 2);
		return st->move.reason;
	}
	if (move_is_down(&st->move) && g->goal < v->size) {
		move_lower(&st->move, g->goal);
		/* The hold-off counts from the end of it. */
		if (!deflates_cheaply(st, v))
			backoff_extend(&st->hold, v->now_us, st->hold.length_us);
		return st->move.reason;
	}
	move_drop(&st->move);

	if (g->goal == v->size) {
		if (g->reason == REASON_NO_DATA || g->reason == REASON_NO_SWAP ||
		    g->reason == r->b.hi_reason)
			return g->reason;
		return v->settling ? REASON_SETTLING : REASON_STEADY;
	}
	why = gate(r->c, st, v, g);
	if (why != _REASON_MAX)
		return why;
	if (g->goal < v->size) {
		/* A working set that does not fit will not fit in ten minutes either. */
		if (v->relief && g->reason == REASON_HEADROOM)
			hold_cheaply(r, &st->hold);
		else
			backoff_trip(&st->hold, v->now_us,
			     g->reason == REASON_WORKING_SET ? r->c->emergency_hold_off_max_us
							     : r->c->hold_off_us,
			     scale(r->c->hold_off_us, HOLD_OFF_GROWTH, 1));
		move_to(&st->move, v, g->goal, g->reason, g);
		return g->reason;
	}

	why = bar(st, r->s, v, r->level);
	if (why != _REASON_MAX)
		return why;
	amount = min_u64(g->goal - v->size, g->at_once);
	amount = min_u64(amount, sub_sat(v->available, r->headroom) / 2);
	amount -= amount % (amount >= MOVE_GRAIN ? MOVE_GRAIN : MOVE_PAGE);
	if (!amount)
		return REASON_DEAD_BAND;
	backoff_inflated(&st->hold, v->now_us);
	backoff_inflated(&st->alarm, v->now_us);
	turn_upward(&st->turn);
	if (g->reason == REASON_CACHE)
		law_adaptive_next_probe(&st->adaptive,
					add_sat(v->now_us, r->c->probe_interval_us));
	move_to(&st->move, v, v->size + amount, g->reason, g);
	return g->reason;
}

/* A bound that came down is an order; only the floor wavers with every allocation. */
static uint64_t cap_make(const struct round *r)
{
	const struct view *v = r->v;

	if (r->b.hi_reason == REASON_FLOOR && v->size > r->b.hi &&
	    v->size - r->b.hi <= v->dead_band)
		return v->size;
	return r->b.hi;
}

/* The law's goal within the bounds. */
static void goal_make(const struct round *r, struct law_goal *ret)
{
	const struct view *v = r->v;
	struct law_goal g;
	uint64_t cap;

	run_law(r, &g);
	cap = cap_make(r);
	if (g.goal > cap) {
		/* On the way up the law's reason says more than the bound's. */
		if (cap < v->size)
			g = (struct law_goal){.order = true, .reason = r->b.hi_reason};
		else if (cap - v->size < (g.order ? MOVE_PAGE : MOVE_GRAIN))
			g.reason = r->b.hi_reason;
		g.goal = cap;
	} else if (v->size > cap && !g.order && gate(r->c, r->st, v, &g) != _REASON_MAX) {
		/* The law would wait with what the bound demands. */
		g = (struct law_goal){.goal = cap, .order = true, .reason = r->b.hi_reason};
	}
	g.goal = max_u64(g.goal, r->b.lo);
	*ret = g;
}

static enum policy_reason decide_goal(const struct round *r, const struct law_goal *g)
{
	struct law_goal bound = {
		.goal = cap_make(r), .order = true, .reason = r->b.hi_reason};
	struct policy_state *st = r->st;

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
	return g->order ? decide_order(r, g) : decide_estimate(r, g);
}

static uint64_t look_again(const struct round *r, enum policy_reason reason)
{
	const struct policy_state *st = r->st;
	const struct view *v = r->v;
	uint64_t next = r->c->idle_interval_us;

	if (v->now_us < st->fast_until_us)
		return min_u64(FAST_INTERVAL_US, r->c->interval_us);
	/* Nothing else would wake the loop when the guest runs short. */
	if (st->move.valid || st->settle.active || (!r->s->psi_armed && v->size) ||
	    v->available < r->headroom || reason == REASON_STARTING || reason == REASON_NO_DATA)
		next = r->c->interval_us;
	else if (reason == REASON_DWELL || reason == REASON_CACHE || reason == REASON_FREE)
		next = r->c->interval_us;
	else if (v->size && add_sat(st->adaptive.burst, st->adaptive.burst) > v->available)
		/* Bursts have been larger than what is kept for them. */
		next = r->c->interval_us;
	else if (v->now_us < st->hold.until_us)
		next = min_u64(next, max_u64(st->hold.until_us - v->now_us, r->c->interval_us));
	return next;
}

static void numbers(const struct policy_state *st, const struct policy_config *c,
		    const struct view *v, uint64_t goal, struct policy_numbers *ret)
{
	uint64_t until_us = st->alarm.until_us;

	if (c->mode == MODE_AUTO || c->mode == MODE_OBSERVE)
		until_us = max_u64(max_u64(until_us, st->hold.until_us),
				   add_sat(v->now_us,
					   turn_wait(c, &st->turn, v, sub_sat(goal, v->size))));
	*ret = (struct policy_numbers){
		.ram = v->ram,
		.usable = v->usable,
		.available = v->available,
		.need = v->need,
		.headroom = law_adaptive_headroom(&st->adaptive, v),
		.floor = v->floor,
		.hold_off_left_us = sub_sat(until_us, v->now_us),
		.mem_some_permille = v->mem_some,
		.mem_full_permille = v->mem_full,
		.io_some_permille = v->io_some,
		.refault_rate = v->refaults,
	};
}

/* What is known about the world but needs no data: the transport, the clock, the mode. */
static void housekeeping(const struct policy_config *c, struct policy_state *st,
			 const struct sample *s, const struct view *v, const struct relief *relief)
{
	struct turn_cause cause;

	if (st->mode != (int)c->mode || st->law != (int)c->law) {
		st->mode = c->mode;
		st->law = c->law;
		move_drop(&st->move);
		settle_end(&st->settle);
	}
	if (st->move.valid && st->move.reason == REASON_HOST)
		law_host_feedback(&st->rate, &s->balloon);
	cause = (struct turn_cause){
		.deflating = move_is_down(&st->move),
		.ordered = st->move.valid && st->move.order,
		.cheap = relief->cheap || deflates_cheaply(st, v),
	};
	turn_note(&st->turn, v, &cause);
	if (progress_note(c, &st->progress, s, v) && move_give_up(&st->move))
		settle_start(c, &st->settle, v, st->move.masks);
	if (move_arrive(&st->move, v))
		settle_start(c, &st->settle, v, st->move.masks);
	backoff_prove(&st->hold, v->now_us);
	backoff_prove(&st->alarm, v->now_us);
}

/*
 * The need grows so fast that a quarter of what is left is gone within a second; it may have begun
 * to at any time since the last sample.
 */
static bool bursting(const struct policy_state *st, const struct view *v)
{
	uint64_t growth = st->need_seen ? sub_sat(v->need, st->need_seen) : 0;

	return v->dt_us && scale(growth, SEC, clamp_u64(v->dt_us, FAST_INTERVAL_US, SEC)) >
				   v->available / 4;
}

static enum policy_reason decide(struct round *r, struct view *v, struct law_goal *g)
{
	const struct policy_config *c = r->c;
	struct policy_state *st = r->st;
	const struct sample *s = r->s;
	enum policy_reason reason;

	r->headroom = law_adaptive_headroom(&st->adaptive, v);
	settle_note(c, &st->settle, v, r->headroom);
	v->settling = settle_masks(&st->settle) || move_masks(&st->move);
	v->own_reclaim = pressure_is_own(&st->pressure, v->now_us);
	v->growing = law_adaptive_growth(&st->adaptive, v) > v->available / 4;
	r->level = pressure_judge(c, &st->pressure, v, s->trigger, r->headroom);

	law_adaptive_learn(c, &st->adaptive, v, !v->settling || r->level >= PRESSURE_SHORT);
	r->headroom = law_adaptive_headroom(&st->adaptive, v);
	if (v->size && bursting(st, v))
		st->fast_until_us = max_u64(st->fast_until_us, add_sat(v->now_us, BURST_WINDOW_US));
	if (r->level == PRESSURE_WATCH && s->trigger && v->size > r->b.lo)
		st->fast_until_us = add_sat(v->now_us, FAST_WINDOW_US);
	/* Rates and growth need two samples. */
	if (!v->dt_us)
		return REASON_STARTING;
	/* Bounds may have moved since the move began. */
	move_bound(&st->move, v, r->b.lo, r->b.hi);
	v->served = st->turn.came_down_cheaply;
	v->pending = st->move.valid ? sub_sat(v->size, st->move.target) : 0;
	v->pending_reason = st->move.reason;
	goal_make(r, g);
	reason = decide_relief(r, g);
	return reason == _REASON_MAX ? decide_goal(r, g) : reason;
}

void policy_decide(const struct policy_config *c, struct policy_state *st, const struct sample *s,
		   struct policy_decision *ret)
{
	struct policy_decision d = {.reason = REASON_NO_DATA, .next_us = c->interval_us};
	struct view v;
	bool usable = view_make(c, &st->past, s, &v);
	struct round r = {.c = c, .st = st, .s = s, .v = &v};
	struct law_goal g = {.goal = v.size};

	d.goal = d.target = v.size;
	if (view_is_stale(&st->past, s)) {
		numbers(st, c, &v, d.goal, &d.n);
		*ret = d;
		return;
	}
	relief_note(&st->relief, s, &v, &r.relief);
	housekeeping(c, st, s, &v, &r.relief);
	if (usable) {
		bounds_make(c, s, &v, &r.b);
		d.reason = decide(&r, &v, &g);
		d.goal = move_is_urgent(&st->move) ? st->move.target : g.goal;
		d.relief_line = relief_line(s, &v, r.headroom);
		d.relieved = r.relief.bytes;
	} else {
		move_drop(&st->move);
		law_adaptive_interrupt(&st->adaptive);
	}
	if (st->move.valid) {
		d.target = st->move.target;
		d.may_reclaim = st->move.sign > 0 && st->move.may_reclaim;
		d.urgent = move_is_urgent(&st->move);
		d.step = move_step(c, &st->move, &v, &g);
	}
	d.next_us = look_again(&r, d.reason);
	if (d.step > 0 && d.may_reclaim)
		pressure_expect_own(&st->pressure, v.now_us, d.next_us);
	numbers(st, c, &v, d.goal, &d.n);
	if (c->mode == MODE_OBSERVE || !s->balloon.valid) {
		/* What is not carried out leaves nothing to wait for. */
		d.step = 0;
		move_undo(&st->move);
		law_adaptive_next_probe(&st->adaptive, 0);
		if (c->mode != MODE_OBSERVE)
			d.reason = REASON_NO_DEVICE;
	}
	st->need_seen = usable ? v.need : 0;
	/* Reading back takes memory: only a guest that is well has it to spare. */
	if (c->mode == MODE_AUTO && !c->hold && s->balloon.valid && r.level == PRESSURE_NONE &&
	    !move_is_urgent(&st->move))
		d.swap_in = g.swap_in;
	view_remember(&st->past, s);
	*ret = d;
}
