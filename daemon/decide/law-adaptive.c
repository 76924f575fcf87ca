// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Law adaptive: leave the guest what it needs plus what it may suddenly want.
 *
 * Three zones, from plenty to want:
 *   free      MemFree beyond watermarks and headroom: taking it evicts nothing
 *   cache     page cache that seems cold is pushed out by small probes, while
 *             nothing stalls and nothing comes back
 *   shortage  MemAvailable below half of the headroom: give back up to the full
 *             headroom, and, where no relief line would help a program meanwhile,
 *             as much again as the need has just risen
 *
 * The headroom is learned: twice the largest growth of the need within the time
 * that noticing and deflating take, slowly forgotten, less what the relief line
 * gives without either. A burst as large as the largest so far thus ends where
 * deflating begins.
 *
 * Minutes before an hour that is known for its peak (peaks.c) the balloon makes room for it, and
 * does not grow into it while the hour lasts.
 *
 * Invariant: without MemFree there is no free zone; without stall figures or
 * events there is no cache zone. Leaves out: stalls (pressure.c), a working set
 * that is read again (thrash.c), and when and how fast a goal is followed
 * (gate.c, follow.c, move.c).
 */
#include <string.h>

#include "decide/law-adaptive.h"

#define SEC	   1000000ULL
#define PAGE_BYTES 4096ULL

/* Growth is measured over this: the longest time between two samples, or a deflate by 1 GiB/s. */
#define GROWTH_WINDOW_US  (5 * SEC)
#define GROWTH_SPACING_US (GROWTH_WINDOW_US / ADAPTIVE_GROWTH_SLOTS)
/* The envelope falls to 1/e in so long: an hourly job is remembered, last week's is not. */
#define BURST_TAU_US	    (3600 * SEC)
#define BURST_DECAY_STEP_US (60 * SEC)

/* Two shortages within this are one: the next deflate is twice as large, not the same again. */
#define SHORTFALL_EPISODE_US (10 * SEC)
/* The probe was too much if this share of it comes back before the next one. */
#define PROBE_RETURN_DIVISOR 8

/* A guest that was content with so little for so long ... */
#define LEAN_PROOF_US (60 * SEC)
/* ... within the last day ... */
#define LEAN_FORGET_US (24 * 3600 * SEC)
/* ... is taken there again, not by probes, but by steps that leave it to be judged meanwhile ... */
#define LEAN_STEP_DIVISOR 2
/* ... and no faster than all of its memory in this many seconds. */
#define LEAN_SECONDS 8

static uint64_t probe_size(const struct policy_config *c, const struct view *v)
{
	return scale(v->usable, c->probe_permille, 1000);
}

/* Pages a second that amount to 1/divisor of a probe by the time of the next one. */
static uint64_t probe_rate(const struct policy_config *c, const struct view *v, uint64_t divisor)
{
	uint64_t interval_ms = clamp_u64(c->probe_interval_us / 1000, 1, UINT32_MAX);

	return scale(probe_size(c, v) / PAGE_BYTES / divisor, 1000, interval_ms);
}

/* Nothing that was evicted is wanted back. */
static bool unmissed(const struct policy_config *c, const struct view *v)
{
	return v->has_vm && !v->swapping && v->refaults <= probe_rate(c, v, PROBE_RETURN_DIVISOR);
}

/* ... and nobody but the balloon itself stalls. */
static bool content(const struct policy_config *c, const struct view *v)
{
	return v->has_psi && unmissed(c, v) &&
	       (v->own_reclaim || (v->mem_some < c->probe_pressure_permille && !v->paying));
}

/*
 * The least A after which nothing was wanted back for a minute: what had been evicted by then was
 * cold. That programs stalled while they grew says nothing of the cache.
 */
static void learn_lean(const struct policy_config *c, struct adaptive *a, const struct view *v)
{
	if (a->lean && v->now_us - a->lean_us > LEAN_FORGET_US)
		a->lean = 0;
	if (!unmissed(c, v)) {
		a->lean_since_us = 0;
		return;
	}
	if (!a->lean_since_us || v->available < a->lean_least) {
		a->lean_since_us = v->now_us;
		a->lean_least = v->available;
	}
	if (v->now_us - a->lean_since_us < LEAN_PROOF_US)
		return;
	if (!a->lean || a->lean_least <= a->lean) {
		a->lean = max_u64(a->lean_least, 1);
		a->lean_us = v->now_us;
	}
	a->lean_since_us = 0;
}

/* Always keep the newest: after a long gap it is all there is to compare with. */
static void forget_growth(struct adaptive *a, uint64_t now_us)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < a->growth_n; i++) {
		bool newest = i + 1 == a->growth_n;

		if (!newest && now_us - a->growth_time_us[i] > GROWTH_WINDOW_US)
			continue;
		a->growth_time_us[kept] = a->growth_time_us[i];
		a->growth_need[kept] = a->growth_need[i];
		kept++;
	}
	a->growth_n = kept;
}

static void push_growth(struct adaptive *a, const struct view *v)
{
	uint32_t last = ADAPTIVE_GROWTH_SLOTS - 1;

	if (a->growth_n > last) {
		memmove(a->growth_time_us, a->growth_time_us + 1,
			last * sizeof(a->growth_time_us[0]));
		memmove(a->growth_need, a->growth_need + 1, last * sizeof(a->growth_need[0]));
		a->growth_n = last;
	}
	a->growth_time_us[a->growth_n] = v->now_us;
	a->growth_need[a->growth_n] = v->need;
	a->growth_n++;
}

static void learn_growth(struct adaptive *a, const struct view *v)
{
	forget_growth(a, v->now_us);
	for (uint32_t i = 0; i < a->growth_n; i++)
		a->burst = max_u64(a->burst, sub_sat(v->need, a->growth_need[i]));
	if (!a->growth_n || v->now_us - a->growth_time_us[a->growth_n - 1] >= GROWTH_SPACING_US)
		push_growth(a, v);
}

static void decay_burst(struct adaptive *a, uint64_t now_us)
{
	uint64_t dt_ms;

	if (!a->burst_us)
		a->burst_us = now_us;
	if (now_us - a->burst_us < BURST_DECAY_STEP_US)
		return;
	dt_ms = min_u64(now_us - a->burst_us, BURST_TAU_US) / 1000;
	a->burst -= scale(a->burst, dt_ms, BURST_TAU_US / 1000);
	a->burst_us = now_us;
}

void law_adaptive_learn(const struct policy_config *c, struct adaptive *a, const struct view *v,
			bool trust)
{
	decay_burst(a, v->now_us);
	if (!trust) {
		law_adaptive_interrupt(a);
		return;
	}
	learn_growth(a, v);
	learn_lean(c, a, v);
}

void law_adaptive_interrupt(struct adaptive *a)
{
	a->growth_n = 0;
}

void law_adaptive_disprove(struct adaptive *a)
{
	a->lean = 0;
	a->lean_since_us = 0;
}

void law_adaptive_lapse(const struct policy_config *c, struct adaptive *a, const struct view *v,
			uint64_t bytes)
{
	uint64_t level = max_u64(sub_sat(v->available, bytes), 1);

	/* Cache that is read again after it was pushed out proves the opposite. */
	if (!unmissed(c, v) || (a->lean && a->lean <= level))
		return;
	a->lean = level;
	a->lean_us = v->now_us;
}

void law_adaptive_next_probe(struct adaptive *a, uint64_t time_us)
{
	a->next_probe_us = time_us;
}

uint64_t law_adaptive_headroom(const struct adaptive *a, const struct view *v)
{
	uint64_t bursts = add_sat(a->burst, a->burst);

	/* What the module gives by itself is there for them, too. */
	return clamp_u64(sub_sat(bursts, v->relievable), v->headroom_min, v->headroom_max);
}

uint64_t law_adaptive_growth(const struct adaptive *a, const struct view *v)
{
	uint64_t least = v->need;

	for (uint32_t i = 0; i < a->growth_n; i++)
		if (v->now_us - a->growth_time_us[i] <= GROWTH_WINDOW_US)
			least = min_u64(least, a->growth_need[i]);
	return v->need - least;
}

static bool cache_zone_open(const struct policy_config *c, const struct view *v)
{
	/* Waiting for a disk is what programs do. It counts where evicted pages are read again. */
	return content(c, v) && v->has_io &&
	       (v->io_some < c->probe_pressure_permille || !v->refaults);
}

/* Give back at least `least`; twice the last time's if that was a moment ago. */
static void fall_short(struct adaptive *a, const struct view *v, uint64_t least,
		       struct law_goal *ret)
{
	uint64_t amount = least;

	if (a->shortfall_us && v->now_us - a->shortfall_us < SHORTFALL_EPISODE_US)
		amount = max_u64(amount, add_sat(a->shortfall, a->shortfall));
	amount = min_u64(amount, v->size);
	a->shortfall_us = v->now_us;
	a->shortfall = amount;
	ret->goal = v->size - amount;
	ret->reason = REASON_HEADROOM;
}

static void restore_headroom(struct adaptive *a, const struct view *v, uint64_t headroom,
			     struct law_goal *ret)
{
	uint64_t missing = headroom - v->available;

	if (v->relief) {
		ret->goal = v->size - min_u64(missing, v->size);
		ret->reason = REASON_HEADROOM;
		return;
	}
	/* The next seconds will be as the last ones were, and there is no relief line. */
	fall_short(a, v, add_sat(missing, law_adaptive_growth(a, v)), ret);
}

/* As much of the slack as is cache may go, a probe at a time. */
static void probe_cache(const struct policy_config *c, const struct adaptive *a,
			const struct view *v, uint64_t slack, struct law_goal *ret)
{
	uint64_t proven = a->lean ? sub_sat(v->available, a->lean) : 0;

	ret->goal = v->size + slack;
	ret->reason = REASON_CACHE;
	ret->may_reclaim = true;
	ret->at_once = 0;
	if (v->now_us >= a->next_probe_us)
		ret->at_once =
			scale(probe_size(c, v), sub_sat(c->probe_pressure_permille, v->mem_some),
			      c->probe_pressure_permille);
	/* What is there beyond that has come since, and has not been missed before. */
	if (proven > ret->at_once) {
		ret->at_once =
			max_u64(ret->at_once, min_u64(proven, v->available / LEAN_STEP_DIVISOR));
		ret->inflate_rate = v->usable / LEAN_SECONDS;
	}
}

void law_adaptive(const struct policy_config *c, struct adaptive *a, const struct view *v,
		  struct law_goal *ret)
{
	uint64_t headroom = law_adaptive_headroom(a, v);
	uint64_t kept = add_sat(max_u64(v->need, v->expected), headroom);
	uint64_t slack = sub_sat(v->usable, kept);
	uint64_t unused = v->has_free ? min_u64(slack, sub_sat(v->free, headroom)) : 0;

	*ret = (struct law_goal){
		.goal = v->size - v->pending,
		.reason = v->pending ? v->pending_reason : REASON_STEADY,
		.at_once = UINT64_MAX,
	};
	/* What a deflate under way is about to add counts as there. */
	if (!v->settling && add_sat(v->available, v->pending) < headroom / 2) {
		restore_headroom(a, v, headroom, ret);
		return;
	}
	/* What a peak is about to need is given back before it begins. */
	if (v->peak_ahead && add_sat(v->expected, headroom) > add_sat(v->usable, v->pending)) {
		ret->goal = sub_sat(v->ram, add_sat(v->expected, headroom));
		ret->reason = REASON_HEADROOM;
		return;
	}
	if (v->pending)
		return;
	if (unused >= v->worthwhile) {
		ret->goal = v->size + unused;
		ret->reason = REASON_FREE;
		return;
	}
	if (slack >= v->worthwhile && cache_zone_open(c, v))
		probe_cache(c, a, v, slack, ret);
}
