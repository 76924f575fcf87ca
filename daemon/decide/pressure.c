// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether the guest is short of memory, from at least two witnesses.
 *
 * Stall time (PSI) alone has misled others: it stuck at 99 % on some kernels,
 * zram shows it with most of the memory free, and a group that reclaims at its
 * own limit shows it, too. So a stall counts only together with tasks that
 * reclaim for themselves or wait for swap (what kswapd puts there nobody waits
 * for), or little memory available; and none of that counts while the kernel has
 * free memory to hand out, for a deflate could only add more of the same.
 *
 * Leaves out: what is done about it (shortage.c), and the slower judgement of
 * headroom and working set (law-adaptive.c).
 */
#include "decide/pressure.h"

/* Shares of the least headroom below which A is critical, and low. */
#define CRITICAL_DIVISOR 4
#define LOW_DIVISOR	 2
/*
 * Swapping that confirms a stall: 1 MiB/s. A guest with idle pages in swap touches some of
 * them now and then.
 */
#define SWAPPING_PAGES_PER_S 256
/* A working set that is read again, not just a file that had fallen out: the same. */
#define RESTORING_PAGES_PER_S 256
/* Where neither stalls nor events can be read, A has to say it this often. */
#define CRITICAL_ALONE_SAMPLES 2

/* Stalls that are no shortage by themselves are one if they do not end. */
#define STALLS_LAST_US 5000000ULL

/* The witnesses. */
struct signals {
	bool some, full; /* tasks stall; all of them do */
	bool low, critical; /* little is available; next to nothing is */
	bool swapping; /* more comes from swap than idle pages that are touched now and then */
	bool working; /* tasks reclaim for themselves, or wait for swap */
	bool wanted; /* what was evicted comes back */
};

uint64_t pressure_low_level(const struct view *v)
{
	return v->headroom_min / LOW_DIVISOR;
}

void pressure_expect_own(struct pressure_past *past, uint64_t now_us, uint64_t length_us)
{
	past->own_until_us = add_sat(now_us, length_us + PRESSURE_EFFECT_US);
}

bool pressure_is_own(const struct pressure_past *past, uint64_t now_us)
{
	return now_us < past->own_until_us;
}

/* Whether tasks have been stalling, without a pause, for longer than a program takes to start. */
static bool stalls_last(const struct policy_config *c, struct pressure_past *past,
			const struct view *v, enum sample_trigger trigger)
{
	if (v->now_us - past->stall_last_us > PRESSURE_EFFECT_US || v->own_reclaim)
		past->stall_since_us = 0;
	if (trigger == TRIGGER_NONE && v->mem_some < c->pressure_permille)
		return false;
	if (!past->stall_since_us)
		past->stall_since_us = v->now_us;
	past->stall_last_us = v->now_us;
	return v->now_us - past->stall_since_us >= STALLS_LAST_US;
}

static struct signals signals_read(const struct policy_config *c, struct pressure_past *past,
				   const struct view *v, enum sample_trigger trigger)
{
	bool lasting = stalls_last(c, past, v, trigger);
	struct signals g = {
		.low = v->available < pressure_low_level(v),
		.critical = v->available < v->headroom_min / CRITICAL_DIVISOR,
		.swapping = v->swapped_in >= SWAPPING_PAGES_PER_S,
	};

	g.working = v->paying || g.swapping;
	/* At once it is the working set that comes back, after a while whatever it is. */
	g.wanted = g.swapping || v->restores >= RESTORING_PAGES_PER_S ||
		   (lasting && v->refaults >= RESTORING_PAGES_PER_S);
	/* The kernel has measured what the trigger says, whatever the window here shows. */
	g.some = trigger != TRIGGER_NONE || (v->has_psi && v->mem_some >= c->pressure_permille);
	g.full =
		trigger == TRIGGER_EMERGENCY || (v->has_psi && v->mem_full >= c->critical_permille);
	past->critical_samples = g.critical ? past->critical_samples + 1 : 0;
	return g;
}

/* Whatever stalls, it is not for want of memory that a deflate could give. */
static bool is_excused(const struct view *v, const struct signals *g, uint64_t headroom)
{
	bool enough = v->available >= v->headroom_min || (!g->low && !v->growing);

	if (v->has_free && v->free > headroom / 2)
		return true;
	/*
	 * Reclaim of clean cache that nobody wants back is no shortage, however much it stalls: not
	 * while a program grows into it (measured: a sixth of the time, 900 MiB into the cache of a
	 * 2 GiB guest), and not while a fast reader pushes its own pages out, which would fill
	 * whatever is given back just so.
	 */
	if (v->has_vm && enough && !g->wanted)
		return true;
	/*
	 * An inflate that reclaims stalls, too, and is all that stalls in an idle guest: "full". It
	 * is no witness as long as enough is left. That hot cache goes is for the law to see.
	 */
	return v->own_reclaim && !g->low && !g->swapping;
}

static bool is_critical(const struct view *v, const struct signals *g, uint32_t samples)
{
	if (g->full && (g->working || g->low))
		return true;
	if (!g->critical)
		return false;
	if (g->some && g->working)
		return true;
	/* From here on A is the main witness. */
	if (v->settling)
		return false;
	if (g->some || (g->working && !v->has_psi))
		return true;
	return !v->has_psi && !v->has_vm && samples >= CRITICAL_ALONE_SAMPLES;
}

static bool is_short(const struct view *v, const struct signals *g)
{
	/* A burst has eaten everything, and hurt nobody yet. */
	if (g->critical && g->working && !v->settling)
		return true;
	if (v->settling)
		return g->some && g->working && g->low;
	return g->some && (g->working || g->low);
}

enum pressure pressure_judge(const struct policy_config *c, struct pressure_past *past,
			     const struct view *v, enum sample_trigger trigger, uint64_t headroom)
{
	struct signals g = signals_read(c, past, v, trigger);

	if (is_excused(v, &g, headroom))
		return g.some || g.full ? PRESSURE_WATCH : PRESSURE_NONE;
	if (is_critical(v, &g, past->critical_samples))
		return PRESSURE_CRITICAL;
	if (is_short(v, &g))
		return PRESSURE_SHORT;
	return g.some || g.full || g.critical ? PRESSURE_WATCH : PRESSURE_NONE;
}
