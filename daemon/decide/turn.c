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
 * When the load comes back meanwhile, the wait was right and begins anew. When
 * the balloon goes up and has to come down before it gained the price, the
 * price doubles for the next time; a gain beyond it halves it again.
 *
 * Leaves out: emergencies, whose hold-off is fixed (backoff.c), and orders.
 */
#include "decide/turn.h"

/* The price doubles so often. */
#define RETURNS_MAX 3
/* What a sample shows is taken to have been so for this long before it at most. */
#define DT_MAX_US 60000000ULL

/* Bytes x milliseconds. */
static uint64_t area(const struct view *v, uint64_t bytes)
{
	return scale(bytes, min_u64(v->dt_us, DT_MAX_US) / 1000, 1);
}

static uint64_t price(const struct policy_config *c, const struct view *v)
{
	return scale(v->ram, min_u64(c->hold_off_us / 1000, UINT32_MAX), 1);
}

void turn_note(const struct policy_config *c, struct policy_state *st, const struct view *v)
{
	bool asked = st->target_valid && st->target_sign < 0;

	if (!st->came_down)
		st->gained = add_sat(st->gained, area(v, sub_sat(v->size, st->low_size)));
	if (v->size > st->size_seen) {
		st->came_down = false;
	} else if (v->size < st->size_seen) {
		/* Reclaim nibbles at the balloon: that counts when it has become something. */
		if (!asked && st->size_seen - v->size <= v->dead_band)
			return;
		if (!st->target_valid || !st->target_order) {
			if (!st->came_down && st->gained < price(c, v))
				st->returns = min_u64(st->returns + 1, RETURNS_MAX);
			else if (!st->came_down && st->returns)
				st->returns--;
			st->came_down = true;
			st->foregone = 0;
			st->low_size = v->size;
			st->gained = 0;
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
	uint64_t cost = scale(price(c, v), 1ULL << st->returns, 1);

	if (!st->came_down || st->foregone >= cost || !bytes)
		return 0;
	return max_u64(scale((cost - st->foregone) / bytes, 1000, 1), 1);
}
