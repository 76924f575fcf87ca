// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The price of turning round.
 *
 * Memory that was given back was needed, and may be needed again: to take it at
 * once chases every load that comes and goes, to wait for a fixed time gives
 * away most where there is most to have. So turning round has a price in memory
 * x time, which was paid once so much has been left alone for so long (the rule
 * for renting skis: never more than twice the cost of knowing the future).
 *
 * The price is what all tasks lost of their time since the balloon was last made
 * larger, at the operator's price of a second (stall_price), where they were short of
 * memory; relief that met the demand is ordinary. At least it is what was
 * given back, for the hold-off time, for that was work for guest and host even if
 * nobody stalled; or all of RAM, where no relief line would serve programs that come
 * back before the daemon has seen them. When the load does come back meanwhile, the
 * wait was right and begins anew.
 *
 * A balloon that is a claim on free memory loses some to page cache, too, which nobody
 * needed: that is no way down. And what the host answers late, a proof among it, joins the
 * balloon whichever way that goes: only a move up is a way up.
 *
 * Leaves out: where the balloon may go then (thrash.c), and what the module
 * itself holds off for (gate.c).
 */
#include "decide/turn.h"

/* What a sample shows is taken to have been so for this long before it at most. */
#define DT_MAX_US 60000000ULL
/* What was lost without a turn has had other causes, and is forgotten to 1/e in so long. */
#define LOST_TAU_US 60000000ULL

static uint64_t dt_us(const struct view *v)
{
	return min_u64(v->dt_us, DT_MAX_US);
}

/* Bytes x milliseconds. */
static uint64_t price(const struct policy_config *c, const struct turn *t, const struct view *v)
{
	uint64_t least = v->relief ? t->given : v->ram;

	return max_u64(t->hurt ? policy_price_of_stall(c, t->lost_us) : 0,
		       scale(least, min_u64(c->hold_off_us / 1000, UINT32_MAX), 1));
}

static void turn_downward(struct turn *t, uint64_t bytes)
{
	t->came_down = true;
	t->given = add_sat(t->given, bytes);
}

void turn_upward(struct turn *t)
{
	*t = (struct turn){
		.size_seen = t->size_seen,
		.need_seen = t->need_seen,
		.claim_seen = t->claim_seen,
	};
}

static void note_loss(struct turn *t, const struct view *v)
{
	if (!t->came_down)
		t->lost_us -= scale(t->lost_us, dt_us(v), LOST_TAU_US);
	/* What the balloon's own reclaim makes of an idle guest's stalls says nothing. */
	if (!v->own_reclaim)
		t->lost_us = add_sat(t->lost_us, scale(v->lost, dt_us(v), 1000));
}

uint64_t turn_note(struct turn *t, const struct view *v, const struct turn_cause *cause)
{
	uint64_t fell, lapsed = 0;

	/* No device, or another one in the place of the claim: nothing has been given back. */
	if (cause->none || (t->claim_seen && !cause->claim))
		t->size_seen = v->size;
	t->claim_seen = cause->claim;
	fell = sub_sat(t->size_seen, v->size);
	if (cause->claim && !cause->deflating)
		lapsed = sub_sat(fell, sub_sat(v->need, t->need_seen));
	t->size_seen -= lapsed;
	fell -= lapsed;

	if (v->inflating && v->size > t->size_seen)
		turn_upward(t);
	note_loss(t, v);
	/* Reclaim nibbles at the balloon: that counts when it has become something. */
	if (fell && !cause->deflating && fell <= v->dead_band)
		return lapsed;
	if (fell && !cause->ordered)
		turn_downward(t, fell);
	t->size_seen = v->size;
	t->need_seen = v->need;
	return lapsed;
}

void turn_alarm(struct turn *t, bool met)
{
	t->came_down = true;
	t->alarm = true;
	t->hurt |= !met;
}

void turn_forgo(struct turn *t, const struct view *v, uint64_t bytes)
{
	if (!t->came_down || bytes < v->worthwhile)
		t->foregone = 0;
	else
		t->foregone = add_sat(t->foregone, scale(bytes, dt_us(v) / 1000, 1));
}

uint64_t turn_wait(const struct policy_config *c, const struct turn *t, const struct view *v,
		   uint64_t bytes)
{
	uint64_t cost = price(c, t, v);

	if (!t->came_down || t->foregone >= cost || !bytes)
		return 0;
	return max_u64(scale((cost - t->foregone) / bytes, 1000, 1), 1);
}
