// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The relief line: where bursts begin to be the mechanism's business.
 *
 * A program that takes memory meets reclaim long before the daemon looks. So
 * the module is told how much must stay available, and while less is, gives reclaim from
 * the balloon what is missing. That costs the program what touching the
 * memory costs, and the policy has nothing to be afraid of: a relief that met the
 * demand is ordinary. One by the OOM notifier or the lease was the last
 * resort, and is none.
 *
 * The line is the headroom that was learned, for that is what the guest's
 * bursts need; at least half of what LOCK leaves alone, so that programs that grow
 * do not throw out page cache of a guest that had enough; and at most three
 * quarters of that, so that with the module's step of a quarter of the line a balloon
 * at rest is not touched. Where programs have been seen to wait for cache that was pushed out, the
 * line is three quarters of what was available when they did not.
 *
 * Leaves out: how it is given (kmod/reclaim.c).
 */
#include "decide/relief.h"

bool relief_has_rescued(const struct relief_seen *seen, const struct sample *s)
{
	return seen->valid && s->balloon.valid && s->balloon.rescue_events > seen->rescues;
}

void relief_note(struct relief_seen *seen, const struct sample *s, const struct view *v,
		 struct relief *ret)
{
	const struct sample_balloon *b = &s->balloon;
	uint64_t bytes = sub_sat(b->relieved, seen->relieved);
	struct relief r = {};

	if (b->valid && seen->valid) {
		r.rescued = relief_has_rescued(seen, s);
		/* Nibbles are an event when they have become something. */
		r.given = r.rescued || bytes > v->dead_band;
		r.bytes = r.given ? bytes : 0;
	}
	if (!b->valid || !seen->valid || r.given || b->relieved < seen->relieved)
		seen->relieved = b->relieved;
	seen->valid = b->valid;
	seen->rescues = b->rescue_events;
	*ret = r;
}

uint64_t relief_line(const struct sample *s, const struct view *v, uint64_t headroom,
		     uint64_t keeps)
{
	uint64_t floor = s->balloon.floor;

	/* Reclaim does not wait for another driver: there is no line. */
	if (s->balloon.books_elsewhere)
		return 0;
	if (!floor)
		return v->headroom_min;
	return max_u64(min_u64(max_u64(headroom, floor / 2), floor / 4 * 3), keeps / 4 * 3);
}
