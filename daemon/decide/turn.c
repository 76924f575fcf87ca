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
#define TURNS_TAU_US  (4 * 3600000000ULL)
#define TURNS_STEP_US 60000000ULL
/* ... so many of them cost the plain price, each beyond twice that of the one before ... */
#define TURNS_FREE 6
/* ... up to here. */
#define DOUBLINGS_MAX 5
/* Enough to count, in thousandths. */
#define TURNS_MAX_MILLI 1000000
/* What was given by relief costs so much less. */
#define CHEAP_DIVISOR 4
/* What a sample shows is taken to have been so for this long before it at most. */
#define DT_MAX_US 60000000ULL

/* Bytes x milliseconds. */
static uint64_t area(const struct view *v, uint64_t bytes)
{
	return scale(bytes, min_u64(v->dt_us, DT_MAX_US) / 1000, 1);
}

static uint64_t price(const struct policy_config *c, const struct turn *t, const struct view *v)
{
	uint64_t hold_off_ms = min_u64(c->hold_off_us / 1000, UINT32_MAX), beyond;

	/* What the relief line gave cost nobody a stall. */
	if (t->came_down_cheaply)
		return scale(t->cheap_bytes, hold_off_ms, CHEAP_DIVISOR);
	beyond = min_u64(sub_sat(t->times_milli / 1000, TURNS_FREE), DOUBLINGS_MAX);
	return scale(scale(v->ram, hold_off_ms, 1), 1ULL << beyond, 1);
}

static void forget(struct turn *t, uint64_t now_us)
{
	uint64_t dt_us = sub_sat(now_us, t->times_us);

	if (dt_us < TURNS_STEP_US)
		return;
	t->times_milli -=
		scale(t->times_milli, min_u64(dt_us, TURNS_TAU_US) / 1000, TURNS_TAU_US / 1000);
	t->times_us = now_us;
}

static void turn_downward(struct turn *t, uint64_t bytes, bool cheap)
{
	if (!t->came_down && !cheap)
		t->times_milli = min_u64(t->times_milli + 1000, TURNS_MAX_MILLI);
	/* A deflate on top of relief is one of the dear kind, not the other way round. */
	cheap &= !t->came_down || t->came_down_cheaply;
	t->cheap_bytes = cheap && t->came_down ? t->cheap_bytes : 0;
	t->cheap_bytes += bytes;
	t->came_down = true;
	t->came_down_cheaply = cheap;
	t->foregone = 0;
}

void turn_upward(struct turn *t)
{
	t->came_down = false;
}

void turn_note(struct turn *t, const struct view *v, const struct turn_cause *cause)
{
	uint64_t fell = sub_sat(t->size_seen, v->size);

	forget(t, v->now_us);
	/* Reclaim nibbles at the balloon: that counts when it has become something. */
	if (fell && !cause->deflating && fell <= v->dead_band)
		return;
	if (fell && !cause->ordered)
		turn_downward(t, fell, cause->cheap);
	if (v->size > t->size_seen)
		turn_upward(t);
	t->size_seen = v->size;
}

void turn_forgo(struct turn *t, const struct view *v, uint64_t bytes)
{
	if (bytes < v->worthwhile)
		t->foregone = 0;
	else
		t->foregone = add_sat(t->foregone, area(v, bytes));
}

uint64_t turn_wait(const struct policy_config *c, const struct turn *t, const struct view *v,
		   uint64_t bytes)
{
	uint64_t cost = price(c, t, v);

	if (!t->came_down || t->foregone >= cost || !bytes)
		return 0;
	return max_u64(scale((cost - t->foregone) / bytes, 1000, 1), 1);
}
