// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether the guest is short of memory, from at least two witnesses.
 *
 * Stall time (PSI) alone has misled others: it stuck at 99 % on some kernels,
 * zram shows it with most of the memory free, and a group that reclaims at its
 * own limit shows it, too. So a stall counts only together with tasks that
 * reclaim for themselves, swapping, or little memory available; and none of
 * that counts while the kernel has free memory to hand out, for a deflate
 * could only add more of the same.
 *
 * Leaves out: what is done about it (policy.c), and the slower judgement of
 * headroom and working set (law-adaptive.c).
 */
#include "decide/pressure.h"

/* Shares of the least headroom below which A is critical, and low. */
#define CRITICAL_DIVISOR 4
#define LOW_DIVISOR 2
/*
 * Swapping that confirms a stall: 1 MiB/s. A guest with idle pages in swap touches some of
 * them now and then.
 */
#define SWAPPING_PAGES_PER_S 256
/* A working set that is read again, not just a file that had fallen out: the same. */
#define RESTORING_PAGES_PER_S 256
/* Where neither stalls nor events can be read, A has to say it this often. */
#define CRITICAL_ALONE_SAMPLES 2

uint64_t pressure_critical_level(const struct view *v)
{
	return v->headroom_min / CRITICAL_DIVISOR;
}

uint64_t pressure_low_level(const struct view *v)
{
	return v->headroom_min / LOW_DIVISOR;
}

enum pressure pressure_judge(const struct policy_config *c, const struct view *v,
			     enum sample_trigger trigger, uint64_t headroom, uint32_t critical_seen)
{
	bool critical = v->available < pressure_critical_level(v);
	bool low = v->available < pressure_low_level(v);
	bool working = v->paying > 0 || v->swapping >= SWAPPING_PAGES_PER_S;
	bool some = v->has_psi && v->mem_some >= c->pressure_permille;
	bool full = v->has_psi && v->mem_full >= c->critical_permille;
	bool enough = v->available >= v->headroom_min || (!low && !v->growing);
	/* What was evicted comes back: at once the working set, after a while whatever it is. */
	bool wanted = v->swapping >= SWAPPING_PAGES_PER_S || v->restores >= RESTORING_PAGES_PER_S ||
		      (v->stalls_last && v->refaults >= RESTORING_PAGES_PER_S);

	/* The kernel has measured what the trigger says, whatever the window here shows. */
	some |= trigger != TRIGGER_NONE;
	full |= trigger == TRIGGER_EMERGENCY;

	if (v->has_free && v->free > headroom / 2)
		return some || full ? PRESSURE_WATCH : PRESSURE_NONE;

	/*
	 * Reclaim of clean cache that nobody wants back is no shortage, however much it stalls: not
	 * while a program grows into it (measured: a sixth of the time, 900 MiB into the cache of a
	 * 2 GiB guest), and not while a fast reader pushes its own pages out, which would fill
	 * whatever is given back just so.
	 */
	if (v->has_vm && enough && !wanted)
		return some || full ? PRESSURE_WATCH : PRESSURE_NONE;
	/*
	 * An inflate that reclaims stalls, too, and is all that stalls in an idle guest: "full". It
	 * is no witness as long as enough is left. That hot cache goes is for the law to see.
	 */
	if (v->own_reclaim && !low && v->swapping < SWAPPING_PAGES_PER_S)
		return some || full ? PRESSURE_WATCH : PRESSURE_NONE;
	if (full && (working || low))
		return PRESSURE_CRITICAL;
	if (critical && some && working)
		return PRESSURE_CRITICAL;
	if (critical && !v->settling) {
		if (some || (working && !v->has_psi))
			return PRESSURE_CRITICAL;
		/* A burst has eaten everything, and hurt nobody yet. */
		if (working)
			return PRESSURE_SHORT;
		if (!v->has_psi && !v->has_vm && critical_seen >= CRITICAL_ALONE_SAMPLES)
			return PRESSURE_CRITICAL;
	}
	if (some && (v->settling ? working && low : working || low))
		return PRESSURE_SHORT;
	if (some || full || critical)
		return PRESSURE_WATCH;
	return PRESSURE_NONE;
}
