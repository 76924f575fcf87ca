// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a balloon may be at all, whatever the law wants.
 *
 * The largest that floor, configuration, module and host allow together, with
 * the one of them that decides; the smallest that relief may empty it to, where
 * the host insists.
 *
 * Leaves out: how a balloon beyond them comes back (policy.c).
 */
#include "decide/bounds.h"

void bounds_make(const struct policy_config *c, const struct sample *s, const struct view *v,
		 struct bounds *ret)
{
	const struct sample_balloon *b = &s->balloon;
	struct bounds r = {.hi = v->ram - v->floor, .hi_reason = REASON_FLOOR};

	if (c->limit < r.hi) {
		r.hi = c->limit;
		r.hi_reason = REASON_LIMIT;
	}
	if (b->valid) {
		/* What the module would not add is no reason to give something back. */
		if (max_u64(b->limit, v->size) < r.hi) {
			r.hi = max_u64(b->limit, v->size);
			r.hi_reason = REASON_LIMIT;
		}
		if (b->floor && v->size + sub_sat(v->available, b->floor) < r.hi) {
			r.hi = v->size + sub_sat(v->available, b->floor);
			r.hi_reason = REASON_FLOOR;
		}
		if (!b->may_exceed_host) {
			uint64_t most = b->host_target_valid ? b->host_target : v->size;

			if (most < r.hi) {
				r.hi = most;
				r.hi_reason = REASON_HOST;
			}
		}
		if (b->host_target_valid && !b->may_undercut_host)
			r.lo = min_u64(b->host_target, v->size);
	}
	r.hi = max_u64(r.hi, r.lo);
	*ret = r;
}
