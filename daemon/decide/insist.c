// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A host that asks for more than the guest can spare, and does not let go.
 *
 * Without deflate-on-oom what the host asks for is gone, whatever happens in the
 * guest. If that is more than the floor leaves, or programs run short while nothing
 * else is left to give back, nobody in the guest can mend it: programs will be
 * killed. Whoever set the host's target has to know, also while something else keeps
 * the balloon smaller: that may end at any time.
 *
 * Hosts ask for too much for a moment, and the next order is smaller. So it is said
 * after a while, and taken back later still.
 *
 * Leaves out: who is told (serve/journal.c), and that the floor is kept (bounds.c).
 */
#include "decide/insist.h"

#define SEC 1000000ULL

/* Said when it has lasted for so long ... */
#define SAY_AFTER_US (10 * SEC)
/* ... with no longer gap than that, for a shortage comes and goes while it lasts ... */
#define GAP_US (5 * SEC)
/* ... and until it has been over for so long. */
#define OVER_AFTER_US (60 * SEC)

static uint64_t excess_now(const struct sample *s, const struct view *v, const struct bounds *b,
			   enum pressure level, uint64_t headroom)
{
	const struct sample_balloon *balloon = &s->balloon;
	uint64_t beyond;

	if (!balloon->valid || !balloon->host_target_valid || balloon->may_undercut_host)
		return 0;
	/* All that is left of the balloon is the host's, and programs need it. */
	if (level >= PRESSURE_SHORT && v->size && v->size <= b->lo)
		return max_u64(sub_sat(headroom, v->available), v->page);
	beyond = sub_sat(balloon->host_target, max_u64(b->spare, v->size));
	return beyond > v->dead_band ? beyond : 0;
}

uint64_t insist_note(struct insist *i, const struct sample *s, const struct view *v,
		     const struct bounds *b, enum pressure level, uint64_t headroom)
{
	uint64_t now = excess_now(s, v, b, level, headroom);

	if (now) {
		if (!i->since_us)
			i->since_us = v->now_us;
		i->last_us = v->now_us;
		if (v->now_us - i->since_us >= SAY_AFTER_US)
			i->excess = now;
	} else if (v->now_us - i->last_us >= (i->excess ? OVER_AFTER_US : GAP_US)) {
		*i = (struct insist){};
	}
	return i->excess;
}

void insist_resume(struct insist *i, uint64_t now_us)
{
	if (i->excess)
		i->last_us = now_us;
	else
		*i = (struct insist){};
}
