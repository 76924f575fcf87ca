// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The price of turning round.
 *
 * Memory that was given back was needed, and may be needed again: to take it at
 * once chases every load that comes and goes, to wait for a fixed time gives
 * away most where there is most to have. So turning round has a price, all of
 * RAM for the hold-off time, and the wait ends when the memory left alone, times
 * the time it was left, has cost as much (the rule for renting skis: never more
 * than twice the cost of knowing the future). As nobody can have more than RAM,
 * that is never less than the hold-off.
 *
 * When the load comes back meanwhile, the wait was right and begins anew. The
 * price doubles with every turn beyond some in the last hours, so that a load
 * that comes and goes all day is followed less and less, to once or twice an hour.
 *
 * Where it was the relief line that gave, which serves programs in no time, the price is a quarter,
 * for what was given only, and it counts as no turn: there is nothing to be afraid of.
 *
 * Leaves out: emergencies, whose hold-off is fixed (backoff.c), and orders.
 */
#include "decide/turn.h"

/* Turns are forgotten to 1/e in so long ... */
#define TURNS_TAU_US (4 * 3600000000ULL)
#define TURNS_STEP_US 60000000ULL
/* ... so many of them cost the plain price, each beyond twice that of the one before ... */
#define TURNS_FREE 6
/* ... up to here. */
#define DOUBLINGS_MAX 5
/* What was given by relief costs so much less. */
#define CHEAP_DIVISOR 4
/* What a sample shows is taken to have been so for this long before it at most. */
#define DT_MAX_US 60000000ULL

/* Bytes x milliseconds. */
static uint64_t area(const struct view *v, uint64_t bytes)
{
	return scale(bytes, min_u64(v->dt_us, DT_MAX_US) / 1000, 1);
}

static uint64_t price(const struct policy_config *c, const struct policy_state *st,
		      const struct view *v)
{
	uint64_t plain = scale(v->ram, min_u64(c->hold_off_us / 1000, UINT32_MAX), 1);

	/* What the relief line gave cost nobody a stall. */
	if (st->came_down_cheaply)
		return scale(st->cheap_bytes, min_u64(c->hold_off_us / 1000, UINT32_MAX),
			     CHEAP_DIVISOR);
	return scale(plain, 1ULL << min_u64(sub_sat(st->turns_milli / 1000, TURNS_FREE),
					    DOUBLINGS_MAX), 1);
}

static void forget(struct policy_state *st, uint64_t now_us)
{
	uint64_t dt_us = sub_sat(now_us, st->turns_us);

	if (dt_us < TURNS_STEP_US)
		return;
	st->turns_milli -= scale(st->turns_milli, min_u64(dt_us, TURNS_TAU_US) / 1000,
				 TURNS_TAU_US / 1000);
	st->turns_us = now_us;
}

void turn_note(struct policy_state *st, const struct view *v, bool cheap)
{
	bool asked = st->target_valid && st->target_sign < 0;

	forget(st, v->now_us);
	if (v->size > st->size_seen) {
		st->came_down = false;
	} else if (v->size < st->size_seen) {
		/* Reclaim nibbles at the balloon: that counts when it has become something. */
		if (!asked && st->size_seen - v->size <= v->dead_band)
			return;
		if (!st->target_valid || !st->target_order) {
			if (!st->came_down && !cheap)
				st->turns_milli = min_u64(st->turns_milli + 1000, 1000000);
			/* A deflate on top of relief is one of the dear kind, not the other way round. */
			cheap &= !st->came_down || st->came_down_cheaply;
			st->cheap_bytes = cheap && st->came_down ? st->cheap_bytes : 0;
			st->cheap_bytes += st->size_seen - v->size;
			st->came_down = true;
			st->came_down_cheaply = cheap;
			st->foregone = 0;
		}
	}
	st->size_seen = v->size;
}

void turn_forgo(struct policy_state *st, const struct view *v, uint64_t bytes)
{
	if (bytes < v->worthwhile)
		st->foregone = 0;
	else
		st->foregone = add_sat(st->foregone, area(v, bytes));
}

uint64_t turn_wait(const struct policy_config *c, const struct policy_state *st,
		   const struct view *v, uint64_t bytes)
{
	uint64_t cost = price(c, st, v);

	if (!st->came_down || st->foregone >= cost || !bytes)
		return 0;
	return max_u64(scale((cost - st->foregone) / bytes, 1000, 1), 1);
}
