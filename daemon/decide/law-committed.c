// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Law committed: the removed Xen selfballoon.
 *
 * Every interval it compares what the guest has with what programs have
 * committed to (Committed_AS), and gives up 1/down of a surplus or takes back
 * 1/up of what is missing. Committed_AS ignores the page cache, so whatever
 * does not fit ends in swap: without any it does not run unless told to.
 *
 * Leaves out: bringing swapped pages back (the frontswap half).
 */
#include "decide/law.h"

void law_committed(const struct policy_config *c, struct policy_state *st, const struct view *v,
		   const struct sample *s, struct law_goal *ret)
{
	uint64_t need, next;

	*ret = (struct law_goal){
		.goal = v->size,
		.reason = REASON_COMMITTED,
		.may_reclaim = true,
		.at_once = UINT64_MAX,
	};
	if (!sample_has_mem(s, MEM_COMMITTED_AS) ||
	    (!c->committed_without_swap &&
	     (!sample_has_mem(s, MEM_SWAP_TOTAL) || !s->mem[MEM_SWAP_TOTAL]))) {
		ret->reason = REASON_NO_DATA;
		return;
	}
	if (st->committed_us && v->now_us - st->committed_us < c->committed_interval_us) {
		ret->goal = st->committed_goal;
		return;
	}
	need = min_u64(add_sat(s->mem[MEM_COMMITTED_AS], c->reserve), v->ram);
	next = v->usable > need
		       ? v->usable -
				 (v->usable - need) / (c->committed_down ? c->committed_down : 1)
		       : v->usable + (need - v->usable) / (c->committed_up ? c->committed_up : 1);
	st->committed_us = v->now_us;
	st->committed_goal = v->ram - min_u64(next, v->ram);
	ret->goal = st->committed_goal;
}
