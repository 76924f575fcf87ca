// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Law committed: the removed Xen selfballoon.
 *
 * Every interval it compares what the guest has with what programs have
 * committed to (Committed_AS), and gives up 1/down of a surplus or takes back
 * 1/up of what is missing. Committed_AS ignores the page cache, so whatever
 * does not fit ends in swap: without any it does not run unless told to.
 *
 * Self-shrink, if it is on: when swap use has not grown for some intervals, a
 * share of what was swapped out comes back each interval, as long as there is room for it beyond
 * the headroom; the goal leaves that room. Each swapped page is asked for once: a
 * slot stays in use until its page is written to, so that swap use does not say what came back.
 *
 * Leaves out: whose pages come back (act/swap.c).
 */
#include "decide/law-committed.h"

#define MIB (1ULL << 20)

/* More than this is growth: a guest with idle pages in swap touches and evicts some all the time. */
#define SWAP_GROWTH (1 * MIB)
/* At most so much at once: reading it must not hold up the next look. */
#define SWAP_IN_MAX (32 * MIB)
#define SWAP_IN_MIN (1 * MIB)

/* Once an interval. Bytes to bring back now. */
static uint64_t shrink(const struct policy_config *c, struct committed *m, const struct view *v,
		       const struct sample *s, uint64_t headroom)
{
	uint64_t used, amount, room;

	if (!c->self_shrink || !sample_has_mem(s, MEM_SWAP_TOTAL) ||
	    !sample_has_mem(s, MEM_SWAP_FREE)) {
		m->swap_known = false;
		m->swap_left = 0;
		return 0;
	}
	used = sub_sat(s->mem[MEM_SWAP_TOTAL], s->mem[MEM_SWAP_FREE]);
	if (!m->swap_known || used > add_sat(m->swap_used, SWAP_GROWTH)) {
		m->swap_left = used;
		m->swap_quiet = 0;
	} else {
		m->swap_quiet = min_u64(m->swap_quiet + 1ULL, UINT32_MAX);
		m->swap_left = min_u64(m->swap_left, used);
	}
	m->swap_known = true;
	m->swap_used = used;
	if (m->swap_quiet < c->shrink_inertia)
		return 0;
	amount = used / (c->shrink_hysteresis ? c->shrink_hysteresis : 1);
	amount = min_u64(clamp_u64(amount, SWAP_IN_MIN, SWAP_IN_MAX), m->swap_left);
	room = sub_sat(v->available, headroom);
	if (amount > room)
		return 0;
	m->swap_left -= amount;
	return amount;
}

void law_committed(const struct policy_config *c, struct committed *m, const struct view *v,
		   const struct sample *s, uint64_t headroom, struct law_goal *ret)
{
	uint64_t need, next;

	*ret = (struct law_goal){
		.goal = v->size,
		.reason = REASON_COMMITTED,
		.may_reclaim = true,
		.at_once = UINT64_MAX,
	};
	if (!sample_has_mem(s, MEM_COMMITTED_AS) ||
	    (!c->committed_without_swap && !sample_has_mem(s, MEM_SWAP_TOTAL))) {
		ret->reason = REASON_NO_DATA;
		return;
	}
	if (!c->committed_without_swap && !s->mem[MEM_SWAP_TOTAL]) {
		ret->reason = REASON_NO_SWAP;
		return;
	}
	if (m->last_us && v->now_us - m->last_us < c->committed_interval_us) {
		ret->goal = m->goal;
		return;
	}
	ret->swap_in = shrink(c, m, v, s, headroom);
	/* Room for what may come back. */
	need = min_u64(add_sat(add_sat(s->mem[MEM_COMMITTED_AS], c->reserve), m->swap_left),
		       v->ram);
	next = v->usable > need
		       ? v->usable -
				 (v->usable - need) / (c->committed_down ? c->committed_down : 1)
		       : v->usable + (need - v->usable) / (c->committed_up ? c->committed_up : 1);
	m->last_us = v->now_us;
	m->goal = v->ram - min_u64(next, v->ram);
	ret->goal = m->goal;
}
