// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Law adaptive: leave the guest what it needs plus what it may suddenly want.
 *
 * Three zones, from plenty to want:
 *   free      MemFree beyond watermarks and headroom: taking it evicts nothing
 *   cache     page cache that seems cold is pushed out by small probes, while
 *             nothing stalls and nothing comes back
 *   shortage  MemAvailable below half of the headroom, or the working set is
 *             being read again: give back up to the full headroom
 *
 * The need is the largest of the last hold-off time, so that a load that comes
 * and goes is not chased. The headroom is learned: twice the largest growth of
 * the need within the time that noticing and deflating take, slowly forgotten.
 * A burst as large as the largest so far thus ends where deflating begins.
 *
 * Invariant: without MemFree there is no free zone; without stall figures or
 * events there is no cache zone. Leaves out: stalls (pressure.c), and when and
 * how fast a goal is followed (policy.c).
 */
#include <string.h>

#include "decide/law.h"

#define SEC	   1000000ULL
#define PAGE_BYTES 4096ULL

/* Growth is measured over this: the longest time between two samples, or a deflate by 1 GiB/s. */
#define GROWTH_WINDOW_US  (5 * SEC)
#define GROWTH_SPACING_US (GROWTH_WINDOW_US / POLICY_GROWTH_SLOTS)
/* The envelope falls to 1/e in so long: an hourly job is remembered, last week's is not. */
#define BURST_TAU_US	    (3600 * SEC)
#define BURST_DECAY_STEP_US (60 * SEC)

/* Two shortages within this are one: the next deflate is twice as large, not the same again. */
#define SHORTFALL_EPISODE_US (10 * SEC)
/* The probe was too much if this share of it comes back before the next one. */
#define PROBE_RETURN_DIVISOR 8
/* ... and the working set itself is going if this share of it is restored. */
#define PROBE_THRASH_DIVISOR 2
/* How many probes a deflate takes back then. */
#define PROBE_RETURN_FACTOR 4

static void learn_peak(const struct policy_config *c, struct policy_state *st, const struct view *v)
{
	uint64_t slot_us = max_u64(c->hold_off_us / POLICY_PEAK_SLOTS, SEC / POLICY_PEAK_SLOTS);
	uint64_t slot = v->now_us / slot_us;

	if (slot < st->peak_slot || slot - st->peak_slot >= POLICY_PEAK_SLOTS) {
		/* Long ago, or the length of a slot has changed. */
		memset(st->peak, 0, sizeof(st->peak));
		st->peak_slot = slot;
	}
	while (st->peak_slot < slot)
		st->peak[++st->peak_slot % POLICY_PEAK_SLOTS] = 0;
	st->peak[slot % POLICY_PEAK_SLOTS] = max_u64(st->peak[slot % POLICY_PEAK_SLOTS], v->need);
}

static uint64_t peak_need(const struct policy_state *st, const struct view *v)
{
	uint64_t need = v->need;

	for (int i = 0; i < POLICY_PEAK_SLOTS; i++)
		need = max_u64(need, st->peak[i]);
	return min_u64(need, v->usable);
}

static void learn_growth(struct policy_state *st, const struct view *v)
{
	uint64_t least = UINT64_MAX;
	uint32_t kept = 0;

	/* Always keep the newest: after a long gap it is all there is to compare with. */
	for (uint32_t i = 0; i < st->growth_n; i++)
		if (i + 1 == st->growth_n ||
		    v->now_us - st->growth_time_us[i] <= GROWTH_WINDOW_US) {
			st->growth_time_us[kept] = st->growth_time_us[i];
			st->growth_need[kept] = st->growth_need[i];
			least = min_u64(least, st->growth_need[kept]);
			kept++;
		}
	st->growth_n = kept;
	if (kept && v->need > least)
		st->burst = max_u64(st->burst, v->need - least);
	if (kept && v->now_us - st->growth_time_us[kept - 1] < GROWTH_SPACING_US)
		return;
	if (kept == POLICY_GROWTH_SLOTS) {
		memmove(st->growth_time_us, st->growth_time_us + 1,
			(kept - 1) * sizeof(st->growth_time_us[0]));
		memmove(st->growth_need, st->growth_need + 1,
			(kept - 1) * sizeof(st->growth_need[0]));
		kept--;
	}
	st->growth_time_us[kept] = v->now_us;
	st->growth_need[kept] = v->need;
	st->growth_n = kept + 1;
}

void law_adaptive_learn(const struct policy_config *c, struct policy_state *st,
			const struct view *v, bool trust)
{
	if (!st->burst_us)
		st->burst_us = v->now_us;
	if (v->now_us - st->burst_us >= BURST_DECAY_STEP_US) {
		uint64_t dt_ms = min_u64(v->now_us - st->burst_us, BURST_TAU_US) / 1000;

		st->burst -= scale(st->burst, dt_ms, BURST_TAU_US / 1000);
		st->burst_us = v->now_us;
	}
	if (!trust) {
		st->growth_n = 0;
		return;
	}
	learn_growth(st, v);
	learn_peak(c, st, v);
}

uint64_t law_adaptive_headroom(const struct policy_state *st, const struct view *v)
{
	return clamp_u64(add_sat(st->burst, st->burst), v->headroom_min, v->headroom_max);
}

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

static bool cache_zone_open(const struct policy_config *c, const struct view *v)
{
	return v->has_psi && v->has_io && v->has_vm && v->mem_some < c->probe_pressure_permille &&
	       v->io_some < c->probe_pressure_permille && !v->paying && !v->swapping &&
	       v->refaults <= probe_rate(c, v, PROBE_RETURN_DIVISOR);
}

static bool thrashing(const struct policy_config *c, const struct view *v)
{
	return v->has_vm && v->restores > probe_rate(c, v, PROBE_THRASH_DIVISOR) &&
	       ((v->has_psi && v->mem_some >= c->probe_pressure_permille) ||
		(v->has_io && v->io_some >= c->probe_pressure_permille));
}

/* Give back at least `least`; twice the last time's if that was a moment ago. */
static void fall_short(struct policy_state *st, const struct view *v, uint64_t least,
		       enum policy_reason reason, struct law_goal *ret)
{
	uint64_t amount = least;

	if (st->shortfall_us && v->now_us - st->shortfall_us < SHORTFALL_EPISODE_US)
		amount = max_u64(amount, add_sat(st->shortfall, st->shortfall));
	amount = min_u64(amount, v->size);
	st->shortfall_us = v->now_us;
	st->shortfall = amount;
	ret->goal = v->size - amount;
	ret->reason = reason;
}

void law_adaptive(const struct policy_config *c, struct policy_state *st, const struct view *v,
		  struct law_goal *ret)
{
	uint64_t headroom = law_adaptive_headroom(st, v);
	/* What a deflate under way is about to add counts as there. */
	uint64_t pending = st->target_valid ? sub_sat(v->size, st->target) : 0;
	uint64_t slack;

	*ret = (struct law_goal){
		.goal = v->size - pending,
		.reason = pending ? (enum policy_reason)st->target_reason : REASON_STEADY,
		.at_once = UINT64_MAX,
	};
	if (!v->settling && add_sat(v->available, pending) < headroom / 2) {
		fall_short(st, v, headroom - v->available, REASON_HEADROOM, ret);
		return;
	}
	if (pending)
		return;
	if (!v->settling && thrashing(c, v) &&
	    !(st->shortfall_us && v->now_us - st->shortfall_us < c->probe_interval_us)) {
		fall_short(st, v, PROBE_RETURN_FACTOR * probe_size(c, v), REASON_WORKING_SET, ret);
		return;
	}

	slack = sub_sat(v->usable - peak_need(st, v), headroom);
	if (v->has_free && min_u64(slack, sub_sat(v->free, headroom)) >= v->worthwhile) {
		ret->goal = v->size + min_u64(slack, v->free - headroom);
		ret->reason = REASON_FREE;
		return;
	}
	if (slack < v->worthwhile || !cache_zone_open(c, v))
		return;
	ret->goal = v->size + slack;
	ret->reason = REASON_CACHE;
	ret->may_reclaim = true;
	ret->at_once = 0;
	if (v->now_us >= st->next_probe_us)
		/* The zone is open only below the threshold, so the factor is above 0. */
		ret->at_once = scale(probe_size(c, v), c->probe_pressure_permille - v->mem_some,
				     c->probe_pressure_permille);
}
