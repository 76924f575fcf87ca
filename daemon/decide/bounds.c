// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a balloon may be at all, whatever the law wants.
 *
 * The largest that floor, configuration, module and host allow together, with
 * the one of them that decides; the smallest that relief may empty it to, where
 * the host insists.
 *
 * Leaves out: how a balloon beyond them comes back (goal.c).
 */
#include "decide/bounds.h"

#include "decide/move.h"

static void cap(struct bounds *b, uint64_t most, enum policy_reason reason)
{
	if (most >= b->hi)
		return;
	b->hi = most;
	b->hi_reason = reason;
}

void bounds_cap(struct bounds *b, uint64_t hi, enum policy_reason reason)
{
	cap(b, max_u64(hi, b->lo), reason);
}

/* The floor, and the one that the module keeps. */
static uint64_t spare(const struct sample_balloon *b, const struct view *v)
{
	uint64_t most = v->ram - v->floor;

	if (!b->valid || !b->floor)
		return most;
	return min_u64(most, v->size + sub_sat(v->available, b->floor));
}

static void cap_by_device(struct bounds *r, const struct sample_balloon *b, const struct view *v)
{
	/* What the module would not add is no reason to give something back. */
	cap(r, max_u64(b->limit, v->size), REASON_LIMIT);
	if (v->lock_floor)
		cap(r, v->size + sub_sat(v->available, v->lock_floor), REASON_FLOOR);
	if (!b->may_exceed_host)
		cap(r, b->host_target_valid ? b->host_target : v->size, REASON_HOST);
}

/* The least that it can be emptied to: of a large page that is in part the host's, nothing can go. */
static uint64_t least_for_host(const struct sample_balloon *b, const struct view *v)
{
	uint64_t excess = sub_sat(v->size, b->host_target);
	uint64_t whole = min_u64(b->large, excess - excess % MOVE_GRAIN);

	return v->size - whole - min_u64(sub_sat(v->size, b->large), excess - whole);
}

void bounds_make(const struct policy_config *c, const struct sample *s, const struct view *v,
		 struct bounds *ret)
{
	const struct sample_balloon *b = &s->balloon;
	struct bounds r = {
		.hi = v->ram - v->floor,
		.hi_reason = REASON_FLOOR,
		.spare = spare(b, v),
	};

	cap(&r, c->limit, REASON_LIMIT);
	if (b->valid)
		cap_by_device(&r, b, v);
	if (b->valid && b->host_target_valid && !b->may_undercut_host)
		r.lo = least_for_host(b, v);
	r.hi = max_u64(r.hi, r.lo);
	*ret = r;
}
