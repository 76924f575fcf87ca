// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The move under way: where to, how fast, and whether it has arrived.
 *
 * Leaves out: whether to move (shortage.c, follow.c), what an inflate leaves
 * behind (settle.c), and whether the transport makes progress (progress.c).
 */
#include "decide/move.h"

#define SEC 1000000ULL

/* An inflate below this share of A cannot explain that A is low. */
#define MASK_DIVISOR 8

/* Rates are applied to at least the shortest time between two looks ... */
#define RATE_DT_MIN_US (SEC / 10)
/* ... and to at most so long, or a pause would become a jump. */
#define RATE_DT_MAX_US (2 * SEC)

int move_direction(uint64_t from, uint64_t to)
{
	return (to > from) - (to < from);
}

void move_to(struct move *m, const struct view *v, uint64_t target, enum policy_reason reason,
	     const struct law_goal *g)
{
	if (m->valid && m->target == target && m->reason == reason)
		return;
	*m = (struct move){
		.valid = true,
		.sign = move_direction(v->size, target),
		.order = g && g->order,
		.may_reclaim = g && g->may_reclaim,
		.masks = sub_sat(target, v->size) > v->available / MASK_DIVISOR,
		.target = target,
		.reason = reason,
		.since_us = v->now_us,
	};
}

bool move_is_up(const struct move *m)
{
	return m->valid && m->sign > 0;
}

bool move_is_down(const struct move *m)
{
	return m->valid && m->sign < 0;
}

bool move_is_urgent(const struct move *m)
{
	return move_is_down(m) && (m->reason == REASON_PRESSURE || m->reason == REASON_EMERGENCY);
}

bool move_is_cheap(const struct move *m, const struct view *v)
{
	return v->relief && move_is_down(m) && m->reason == REASON_HEADROOM;
}

bool move_masks(const struct move *m)
{
	return move_is_up(m) && m->masks;
}

void move_lower(struct move *m, uint64_t target)
{
	m->target = min_u64(m->target, target);
}

void move_bound(struct move *m, const struct view *v, uint64_t lo, uint64_t hi)
{
	if (m->sign < 0)
		m->target = max_u64(m->target, lo);
	else
		m->target = min_u64(m->target, max_u64(hi, v->size));
}

bool move_arrive(struct move *m, const struct view *v)
{
	bool up = move_is_up(m), arrived;

	if (!m->valid)
		return false;
	/* Steps are whole pages. */
	if (up)
		arrived = add_sat(v->size, m->order ? MOVE_PAGE - 1 : MOVE_GRAIN) >= m->target;
	else
		arrived = sub_sat(v->size, m->target) < MOVE_PAGE;
	m->valid = !arrived;
	return up && arrived;
}

bool move_give_up(struct move *m)
{
	bool up = move_is_up(m);

	if (!move_is_urgent(m))
		m->valid = false;
	return up;
}

void move_drop(struct move *m)
{
	m->valid = false;
}

void move_undo(struct move *m)
{
	m->valid = false;
	m->since_us = 0;
}

static uint64_t slower(uint64_t a, uint64_t b)
{
	return !a ? b : !b ? a : min_u64(a, b);
}

int64_t move_step(const struct policy_config *c, const struct move *m, const struct view *v,
		  const struct law_goal *g)
{
	bool up = m->target > v->size;
	uint64_t distance = up ? m->target - v->size : v->size - m->target;
	uint64_t rate = up ? slower(c->inflate_rate, g->inflate_rate)
			   : slower(c->deflate_rate, g->deflate_rate);
	uint64_t dt_us = clamp_u64(v->dt_us, RATE_DT_MIN_US, RATE_DT_MAX_US);

	if (rate && !move_is_urgent(m))
		distance = min_u64(distance, scale(rate, dt_us, SEC));
	distance -= distance % MOVE_PAGE;
	return up ? (int64_t)distance : -(int64_t)distance;
}
