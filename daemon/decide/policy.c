// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The controller: pressure first, then bounds, then the law's goal.
 *
 * One decision a sample. In order of precedence:
 *   1. a critical shortage gives everything back; a confirmed one half, and
 *      everything if it repeats or little is available (shortage.c)
 *   2. memory that the module gave back by itself stays given back until that is paid for
 *   3. bounds: floor, limits, what the host allows (bounds.c, goal.c), and where a
 *      larger balloon has made tasks wait for their cache (thrash.c)
 *   4. the operator's hold: nothing else moves (follow.c)
 *   5. the law's goal (goal.c). An order (host, operator) is followed as it
 *      stands; an estimate passes the gates (gate.c), and takes at most half of
 *      the slack at a time
 * Here is the order in which the parts are asked, and what one tells the other.
 *
 * Invariants: no step without data or without a device; never a step up beyond
 * the bounds; never a step up while a hold-off runs or a shortage is seen.
 * Leaves out: how a step is carried out, and everything that needs a clock.
 */
#include <string.h>

#include "decide/follow.h"
#include "decide/goal.h"
#include "decide/policy.h"
#include "decide/round.h"

void policy_init(struct policy_state *st)
{
	memset(st, 0, sizeof(*st));
	ratelimit_init(&st->rate);
}

void policy_peaks_export(const struct policy_state *st, struct peaks_memory *ret)
{
	peaks_export(&st->peaks, ret);
}

void policy_peaks_import(struct policy_state *st, const struct peaks_memory *m)
{
	peaks_import(&st->peaks, m);
}

uint32_t policy_peaks_stamp(const struct policy_state *st)
{
	return st->peaks.memory.hours;
}

static void numbers(const struct round *r, struct policy_decision *d)
{
	const struct policy_state *st = r->st;
	const struct policy_config *c = r->c;
	const struct view *v = r->v;
	bool estimates = c->mode == MODE_AUTO || c->mode == MODE_OBSERVE;
	uint64_t wait_us = 0;

	if (st->turn.alarm || estimates)
		wait_us = turn_wait(c, &st->turn, v, sub_sat(d->goal, v->size));
	if (d->reason == REASON_PRICE)
		wait_us = max_u64(wait_us, thrash_wait(c, &st->thrash, v));
	if (d->reason == REASON_HOLD_OFF)
		wait_us = max_u64(wait_us, r->s->balloon.holdoff_us);
	d->n = (struct policy_numbers){
		.ram = v->ram,
		.usable = v->usable,
		.available = v->available,
		.need = v->need,
		.headroom = law_adaptive_headroom(&st->adaptive, v),
		.floor = v->floor,
		.hold_off_left_us = wait_us,
		.mem_some_permille = v->mem_some,
		.mem_full_permille = v->mem_full,
		.io_some_permille = v->io_some,
		.refault_rate = v->refaults,
	};
	peaks_forecast(c, &st->peaks, v, &d->n.forecast);
}

/* A move that was begun in another mode, or for another law, is nobody's. */
static void note_mode(const struct policy_config *c, struct policy_state *st)
{
	if (st->mode == c->mode && st->law == c->law)
		return;
	st->mode = c->mode;
	st->law = c->law;
	move_drop(&st->move);
	settle_end(&st->settle);
	evict_forget(&st->evict);
}

static void note_size(const struct round *r)
{
	struct policy_state *st = r->st;
	struct turn_cause cause = {
		.deflating = move_is_down(&st->move),
		.ordered = st->move.valid && st->move.order,
		.claim = r->s->balloon.claim,
		.none = !r->s->balloon.valid,
	};
	uint64_t lapsed = turn_note(&st->turn, r->v, &cause);

	if (lapsed)
		law_adaptive_lapse(r->c, &st->adaptive, r->v, lapsed);
}

/* What is known about the world but needs no data: the transport, the clock, the mode. */
static void keep_house(const struct round *r)
{
	const struct policy_config *c = r->c;
	struct policy_state *st = r->st;
	const struct view *v = r->v;

	note_mode(c, st);
	start_note(c, &st->start, r->s);
	proof_note(c, &st->proof, r->s);
	if (st->move.valid && st->move.reason == REASON_HOST)
		law_host_feedback(&st->rate, &r->s->balloon);
	note_size(r);
	if (progress_note(c, &st->progress, r->s, v) && move_give_up(&st->move))
		settle_start(c, &st->settle, v, st->move.masks);
	if (move_arrive(&st->move, v))
		settle_start(c, &st->settle, v, st->move.masks);
}

/* What this hour has been like before. */
static void expect(const struct round *r, struct view *v)
{
	struct peaks_forecast f;

	peaks_note(r->c, &r->st->peaks, v);
	peaks_forecast(r->c, &r->st->peaks, v, &f);
	v->expected = peaks_keep(r->c, &r->st->peaks, v);
	v->peak_ahead = f.worth && f.ahead;
}

/* How the guest is, what is learned from that, and whether to look closer. */
static void judge(struct round *r, struct view *v)
{
	const struct policy_config *c = r->c;
	struct policy_state *st = r->st;
	enum sample_trigger trigger = standstill_trigger(&st->standstill, r->s);

	r->headroom = law_adaptive_headroom(&st->adaptive, v);
	settle_note(c, &st->settle, v, r->headroom);
	v->settling = settle_masks(&st->settle) || move_masks(&st->move);
	v->growing = law_adaptive_growth(&st->adaptive, v) > v->available / 4;
	r->level = pressure_judge(c, &st->pressure, v, trigger, r->headroom);

	/* A balloon that is not seen has not come down. */
	if (r->s->balloon.valid && thrash_note(c, &st->thrash, v) && v->size > r->b.lo) {
		thrash_answer(c, &st->thrash, v, 0, r->b.lo);
		law_adaptive_disprove(&st->adaptive);
	}
	law_adaptive_learn(c, &st->adaptive, v, !v->settling || r->level >= PRESSURE_SHORT);
	r->headroom = law_adaptive_headroom(&st->adaptive, v);
	pace_note(&st->pace, v);
	expect(r, v);
	if (r->level == PRESSURE_WATCH && trigger && v->size > r->b.lo)
		pace_look_closer(&st->pace, v->now_us);
}

static enum policy_reason decide(struct round *r, struct view *v, struct law_goal *g)
{
	struct policy_state *st = r->st;
	enum policy_reason reason;

	bounds_make(r->c, r->s, v, &r->b);
	proof_bound(r->c, &r->st->proof, v, &r->b);
	judge(r, v);
	/* Rates and growth need two samples. */
	if (!v->dt_us)
		return REASON_STARTING;
	move_bound(&st->move, v, r->b.lo, r->b.hi);
	v->pending = st->move.valid ? sub_sat(v->size, st->move.target) : 0;
	v->pending_reason = st->move.reason;
	goal_make(r, g);
	reason = shortage_decide(r, g->goal);
	return reason == _REASON_MAX ? follow_goal(r, g) : reason;
}

/* A number is missing without which nothing can be decided. */
static void lose_sight(struct policy_state *st)
{
	move_drop(&st->move);
	law_adaptive_interrupt(&st->adaptive);
	pace_interrupt(&st->pace);
}

/* Nothing of before a standstill is compared with what is found after it. */
static void begin_afresh(struct policy_state *st, uint64_t now_us)
{
	lose_sight(st);
	insist_resume(&st->insist, now_us);
	progress_interrupt(&st->progress);
	view_forget(&st->past);
}

/* The step of the move under way. */
static void make_step(const struct round *r, const struct law_goal *g, struct policy_decision *d)
{
	const struct move *m = &r->st->move;

	if (!m->valid)
		return;
	d->target = m->target;
	d->may_reclaim = move_is_up(m) && m->may_reclaim;
	d->urgent = move_is_urgent(m);
	d->step = move_step(r->c, m, r->v, g);
}

/* What is not carried out leaves nothing to wait for. */
static void withhold_step(const struct round *r, struct policy_decision *d)
{
	d->step = 0;
	move_undo(&r->st->move);
	law_adaptive_next_probe(&r->st->adaptive, 0);
	if (r->c->mode != MODE_OBSERVE)
		d->reason = REASON_NO_DEVICE;
}

/* A page that is away for a moment: nobody who waits for memory is to miss it. */
static void prove(const struct round *r, bool usable, struct policy_decision *d)
{
	struct proof *p = &r->st->proof;
	/* How the guest is takes two samples, too. */
	bool calm = usable && r->v->dt_us && r->level == PRESSURE_NONE &&
		    !move_is_urgent(&r->st->move);

	d->prove = r->c->mode != MODE_OBSERVE &&
		   proof_is_due(r->c, p, r->s, calm, &d->prove_hold_us);
	d->taken = proof_verdict(p);
}

/* Reading back takes memory: only a guest that is well has it to spare. */
static bool may_swap_in(const struct round *r)
{
	return r->c->mode == MODE_AUTO && !r->c->hold && r->s->balloon.valid &&
	       r->level == PRESSURE_NONE && !move_is_urgent(&r->st->move);
}

void policy_decide(const struct policy_config *c, struct policy_state *st, const struct sample *s,
		   struct policy_decision *ret)
{
	struct policy_decision d = {.reason = REASON_NO_DATA, .next_us = c->interval_us};
	bool stale = view_is_stale(&st->past, s), inflating = move_is_up(&st->move), usable;
	struct view v;
	struct round r = {.c = c, .st = st, .s = s, .v = &v};
	struct law_goal g;

	if (!stale)
		d.stood_still_us = standstill_note(&st->standstill, s->time_us,
						   relief_has_rescued(&st->relief, s));
	if (d.stood_still_us)
		begin_afresh(st, s->time_us);
	usable = view_make(c, &st->past, s, &v);
	g = (struct law_goal){.goal = v.size};
	v.own_reclaim = pressure_is_own(&st->pressure, v.now_us);
	/* Another driver follows the host, and leaves nothing behind that is late. */
	v.inflating = inflating || s->balloon.books_elsewhere;
	d.goal = d.target = v.size;
	d.taken = proof_verdict(&st->proof);
	d.host_excess = st->insist.excess;
	if (stale) {
		numbers(&r, &d);
		*ret = d;
		return;
	}
	/* What the module gave back meanwhile is answered with the next look. */
	if (!d.stood_still_us)
		relief_note(&st->relief, s, &v, &r.relief);
	keep_house(&r);
	if (usable) {
		d.reason = decide(&r, &v, &g);
		d.goal = move_is_urgent(&st->move) ? st->move.target : g.goal;
		d.host_excess = insist_note(&st->insist, s, &v, &r.b, r.level, r.headroom);
		d.relief_line = relief_line(s, &v, r.headroom, thrash_keeps(&st->thrash));
		d.relieved = r.relief.bytes;
	} else {
		lose_sight(st);
	}
	make_step(&r, &g, &d);
	d.next_us = pace_next_us(&r, d.reason);
	if (d.step > 0 && d.may_reclaim)
		pressure_expect_own(&st->pressure, v.now_us, d.next_us);
	numbers(&r, &d);
	if (c->mode == MODE_OBSERVE || !s->balloon.valid)
		withhold_step(&r, &d);
	if (may_swap_in(&r))
		d.swap_in = g.swap_in;
	prove(&r, usable, &d);
	view_remember(&st->past, s, &v);
	standstill_expect(&st->standstill, v.now_us, d.next_us);
	*ret = d;
}
