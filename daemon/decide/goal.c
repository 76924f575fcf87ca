// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which law is asked, and what the bounds make of its answer.
 *
 * A bound that came down is an order, which replaces an estimate that would
 * wait with what the bound demands.
 *
 * Leaves out: the bounds themselves (bounds.c), and whether and how the goal is
 * followed (follow.c).
 */
#include "decide/gate.h"
#include "decide/goal.h"

/* The law of mode auto. */
static void run_configured_law(const struct round *r, struct law_goal *ret)
{
	switch (r->c->law) {
	case LAW_COMMITTED:
		law_committed(r->c, &r->st->committed, r->v, r->s, r->headroom, ret);
		return;
	case LAW_ADAPTIVE:
	case _LAW_MAX:
		break;
	}
	law_adaptive(r->c, &r->st->adaptive, r->v, ret);
}

/* The one rule between host and law: at least what the host asks for. */
static void heed_host(const struct round *r, struct law_goal *g)
{
	const struct sample_balloon *b = &r->s->balloon;

	if (!b->valid || !b->host_target_valid)
		return;
	if (b->host_target > r->v->size)
		law_host(&r->st->rate, r->v, r->s, g);
	else
		g->goal = max_u64(g->goal, b->host_target);
}

/* No goal goes beyond where the balloon is known to hurt. */
static void mind_the_price(struct round *r, const struct law_goal *g)
{
	struct thrash *t = &r->st->thrash;
	uint64_t cap;

	/* Of a balloon that is not seen nothing is forgone. */
	if (r->s->balloon.valid)
		thrash_forgo(r->c, t, r->v, min_u64(g->goal, r->b.hi));
	cap = thrash_cap(t, r->v, r->headroom);
	bounds_cap(&r->b, cap, cap < r->v->size ? REASON_WORKING_SET : REASON_PRICE);
}

static void run_law(const struct round *r, struct law_goal *ret)
{
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
	run_configured_law(r, ret);
	heed_host(r, ret);
}

struct law_goal goal_of_bound(const struct round *r)
{
	const struct view *v = r->v;
	struct law_goal g = {.goal = r->b.hi, .order = true, .reason = r->b.hi_reason};

	/* Only the floor wavers with every allocation. */
	if (r->b.hi_reason == REASON_FLOOR && v->size > r->b.hi &&
	    v->size - r->b.hi <= v->dead_band)
		g.goal = v->size;
	return g;
}

static void keep_below(struct law_goal *g, const struct law_goal *bound, uint64_t size)
{
	uint64_t step = g->order ? MOVE_PAGE : MOVE_GRAIN;

	if (bound->goal < size) {
		*g = *bound;
		return;
	}
	/* On the way up the law's reason says more than the bound's. */
	if (bound->goal - size < step)
		g->reason = bound->reason;
	g->goal = bound->goal;
}

/* The law wants less of a balloon, but not just now. */
static bool would_wait(const struct round *r, const struct law_goal *g)
{
	bool under_way = move_is_down(&r->st->move) && g->goal < r->v->size;

	return !g->order && !under_way && gate_estimate(r, g) != _REASON_MAX;
}

void goal_make(struct round *r, struct law_goal *ret)
{
	struct law_goal g, bound;
	bool demanded;

	run_law(r, &g);
	mind_the_price(r, &g);
	bound = goal_of_bound(r);
	demanded = bound.goal < r->v->size;
	if (g.goal > bound.goal)
		keep_below(&g, &bound, r->v->size);
	else if (demanded && would_wait(r, &g))
		/* The law would wait with what the bound demands. */
		g = bound;
	g.goal = max_u64(g.goal, r->b.lo);
	/* Nobody takes a part of a page; what is given back is made a whole one. */
	if (r->v->page > MOVE_PAGE && g.goal > r->v->size)
		g.goal -= (g.goal - r->v->size) % r->v->page;
	*ret = g;
}
