// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does the host take what it is given?
 *
 * The transport proves it with a page, now and then. One that was not taken is a doubt: nothing
 * more is given, and it is asked again sooner, with more patience. A doubt is cheap and no
 * accusation, for a host may keep pages for a while and for a good reason (while the guest arrives
 * by post-copy migration). So many in a row, spread over half of the interval, are a denial: the
 * host takes nothing. Then what the balloon holds is given back, too: what the host keeps it has
 * whether the guest uses it or not, so that holding it costs the guest and helps nobody.
 * It is asked on, rarely, and one page that is taken ends it all. What the host does not let go of
 * (no deflate-on-oom) stays with it all the same.
 *
 * The operator's own order (mode manual, hold) is followed whatever the host does: who gives it
 * is told, and may know better.
 *
 * Invariants: an answer that tells nothing changes no verdict, but many in a row let go of what is
 * not a denial; a new device is not blamed for the one before, nor is one that is not asked.
 * Leaves out: how it is proven (kmod/prove.c).
 */
#include <string.h>

#include "decide/proof.h"

/* A balloon that is worth to be proven: less is soon given for nothing. */
#define WORTH (32ULL << 20)
/* In doubt, so many times in an interval. */
#define AGAIN 10
/* So many in a row are a denial; at that pace they span half of the interval. */
#define ENOUGH 6
/* What a host that is in doubt gets to take the page. */
#define PATIENCE_US 100000

void proof_note(const struct policy_config *c, struct proof *p, const struct sample *s)
{
	if (!s->balloon.valid || !c->proof_interval_us) {
		memset(p, 0, sizeof(*p));
		return;
	}
	switch (s->balloon.proof) {
	case SAMPLE_PROOF_NONE:
		return;
	case SAMPLE_PROOF_UNKNOWN:
		p->wait_us = c->proof_interval_us / AGAIN;
		if (++p->untold >= AGAIN && !p->denied) {
			p->kept = 0;
			p->taken = false;
			p->wait_us = c->proof_interval_us;
		}
		return;
	case SAMPLE_PROOF_TAKEN:
		p->untold = 0;
		p->kept = 0;
		p->taken = true;
		p->denied = false;
		p->wait_us = c->proof_interval_us;
		return;
	case SAMPLE_PROOF_KEPT:
		p->untold = 0;
		if (p->kept < ENOUGH)
			p->kept++;
		p->taken = false;
		p->denied |= p->kept == ENOUGH;
		p->wait_us = c->proof_interval_us / (p->denied ? 1 : AGAIN);
		return;
	}
}

void proof_bound(const struct policy_config *c, const struct proof *p, const struct view *v,
		 struct bounds *b)
{
	if (!p->kept || c->mode == MODE_MANUAL)
		return;
	bounds_cap(b, p->denied && !c->hold ? 0 : v->size, REASON_NOT_TAKEN);
}

bool proof_is_due(const struct policy_config *c, struct proof *p, const struct sample *s, bool calm,
		  uint64_t *ret_hold_us)
{
	const struct sample_balloon *b = &s->balloon;

	if (!c->proof_interval_us || !b->valid || b->draining || b->holdoff_us || !calm)
		return false;
	if (!p->kept && b->size < WORTH)
		return false;
	/* The interval may have been made shorter meanwhile. */
	if (p->asked_us && s->time_us - p->asked_us < min_u64(p->wait_us, c->proof_interval_us))
		return false;
	p->asked_us = s->time_us;
	/* Until the answer says better. */
	p->wait_us = c->proof_interval_us;
	*ret_hold_us = p->kept ? PATIENCE_US : 0;
	return true;
}

enum policy_taken proof_verdict(const struct proof *p)
{
	if (p->kept)
		return p->denied ? TAKEN_NOTHING : TAKEN_IN_DOUBT;
	return p->taken ? TAKEN_PROVEN : TAKEN_UNKNOWN;
}
