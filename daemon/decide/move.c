// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The move under way: where to, whether it has arrived, what it leaves behind,
 * and whether the transport makes progress at all.
 *
 * A large inflate distorts what is seen for a while: MemAvailable dips and the
 * cache that was pushed out is missed. So it is followed by settling, until
 * three samples in a row are healthy, and a low A is not judged meanwhile
 * (masks). A small one cannot explain a low A and masks nothing.
 *
 * Leaves out: whether to move (policy.c).
 */
#include "decide/move.h"

#define SEC 1000000ULL

#define SETTLE_SAMPLES	  3
#define SETTLE_SPACING_US (SEC * 9 / 10)
/* An inflate below this share of A cannot explain that A is low. */
#define SETTLE_MASK_DIVISOR 8

/* Slower than this the transport is stuck: a tenth of the slowest that works, bytes a second. */
#define STUCK_RATE 15000000ULL
/* ... and is asked again after this. */
#define STUCK_RETRY_US (60 * SEC)

void move_to(struct policy_state *st, const struct view *v, uint64_t target,
	     enum policy_reason reason, const struct law_goal *g)
{
	if (st->target_valid && st->target == target && st->target_reason == (int)reason)
		return;
	st->target_valid = true;
	st->target = target;
	st->target_sign = (target > v->size) - (target < v->size);
	st->target_reason = reason;
	st->target_order = g && g->order;
	st->target_reclaim = g && g->may_reclaim;
	st->target_masks = sub_sat(target, v->size) > v->available / SETTLE_MASK_DIVISOR;
	st->target_since_us = v->now_us;
}

bool move_is_urgent(const struct policy_state *st)
{
	return st->target_valid && st->target_sign < 0 &&
	       (st->target_reason == REASON_PRESSURE || st->target_reason == REASON_EMERGENCY);
}

static void settle_start(const struct policy_config *c, struct policy_state *st,
			 const struct view *v)
{
	if (!c->settle_us)
		return;
	st->settling = true;
	st->settle_masks = st->target_masks;
	st->settle_since_us = v->now_us;
	st->settle_last_us = v->now_us;
	st->settle_healthy = 0;
}

/* Has the move arrived? An inflate that has is followed by settling. */
void move_arrive(const struct policy_config *c, struct policy_state *st, const struct view *v)
{
	/* Steps are whole pages. */
	uint64_t tolerance = st->target_order ? MOVE_PAGE - 1 : MOVE_GRAIN;

	if (!st->target_valid)
		return;
	if (st->target_sign > 0) {
		if (add_sat(v->size, tolerance) < st->target)
			return;
		settle_start(c, st, v);
	} else if (sub_sat(v->size, st->target) >= MOVE_PAGE) {
		return;
	}
	st->target_valid = false;
}

void move_settle(const struct policy_config *c, struct policy_state *st, const struct view *v,
		 uint64_t headroom)
{
	if (!st->settling)
		return;
	if (v->available < headroom / 2 || v->mem_some >= c->pressure_permille || v->paying) {
		st->settle_healthy = 0;
		st->settle_last_us = v->now_us;
	} else if (v->now_us - st->settle_last_us >= SETTLE_SPACING_US) {
		st->settle_healthy++;
		st->settle_last_us = v->now_us;
	}
	if (st->settle_healthy >= SETTLE_SAMPLES || v->now_us - st->settle_since_us >= c->settle_us)
		st->settling = false;
}

bool move_masks(const struct policy_state *st)
{
	return (st->settling && st->settle_masks) ||
	       (st->target_valid && st->target_sign > 0 && st->target_masks);
}

void move_progress(const struct policy_config *c, struct policy_state *st, const struct sample *s,
		   const struct view *v)
{
	const struct sample_balloon *b = &s->balloon;
	uint64_t asked, moved, took_us;
	bool floored;
	int sign = (b->asked > 0) - (b->asked < 0);

	if (v->now_us >= st->stuck_until_us)
		st->stuck_sign = 0;
	/* The module's floor is no obstacle any more once there is more to take. */
	if (st->stuck_sign > 0 && st->stuck_reason == REASON_FLOOR && b->floor &&
	    sub_sat(v->available, b->floor) >= v->worthwhile)
		st->stuck_sign = 0;
	if (!b->valid || !sign) {
		st->progress_us = v->now_us;
		return;
	}
	asked = sign > 0 ? (uint64_t)b->asked : -(uint64_t)b->asked;
	moved = (b->moved > 0) - (b->moved < 0) != sign ? 0
		: sign > 0				? (uint64_t)b->moved
							: -(uint64_t)b->moved;
	took_us = clamp_u64(b->took_us ? b->took_us : v->dt_us, 1, UINT32_MAX);
	/* The module has a floor of its own, below which it will not go however often it is asked. */
	floored = sign > 0 && moved < asked && b->stop == POLICY_STOP_FLOOR;
	if (!floored &&
	    (!st->progress_us || moved >= asked || scale(moved, SEC, took_us) >= STUCK_RATE)) {
		st->progress_us = v->now_us;
		return;
	}
	if (!floored && v->now_us - st->progress_us < c->stuck_us)
		return;
	st->stuck_sign = sign;
	st->stuck_reason = floored ? REASON_FLOOR : REASON_STUCK;
	st->stuck_until_us = v->now_us + STUCK_RETRY_US;
	st->progress_us = v->now_us;
	if (!st->target_valid || move_is_urgent(st))
		return;
	if (st->target_sign > 0)
		settle_start(c, st, v);
	st->target_valid = false;
}
