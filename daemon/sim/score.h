/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * score.h - how good a law was at a trace
 *
 * balloon-trace(5) describes every number. Demand below is need plus hot cache, at
 * most the guest's RAM: what a balloon must not take. Amounts are bytes, times
 * microseconds; integrals over time are doubles in byte seconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sim/guest.h"
#include "sim/trace.h"

struct score {
	uint64_t ram;
	uint64_t floor;		/* no law has to give more than RAM - floor */
	uint64_t duration_us;

	/* Memory x time. Memory that the guest needed at that time is no gain and not counted. */
	double reclaimed_bs;
	double bound_bs;	/* clairvoyant, see score_bound() */

	/* Demand above what the guest has, without what the workload has not come to touching yet. */
	uint64_t short_us;
	double short_bs;	/* depth x time */
	uint64_t depth_max;
	uint64_t relief_max_us;	/* the longest time without a break */
	uint64_t shortages;
	/* The same with all that the trace asks for, whether the workload has come to it or not. */
	uint64_t late_us;

	uint64_t oom_kills;
	uint64_t rescues;	/* the module's OOM notifier gave memory back */
	uint64_t reliefs;	/* the module's shrinker did */
	uint64_t relieved;	/* ... so much, bytes */
	uint64_t reversals;	/* of the balloon's direction */
	uint64_t inflated;
	uint64_t deflated;

	/* What the guest has above its demand when a deflation ends. */
	uint64_t overshoot_max;
	double overshoot_sum;
	uint64_t deflations;

	uint64_t mem_some_us;
	uint64_t mem_full_us;
	uint64_t tasks_full_us;	/* mem_full_us without what the balloon and kswapd added */
	uint64_t lost_us;	/* short, or all tasks stalled: what is either of them counts once */
	uint64_t own_us;	/* of mem_some_us: only because the balloon reclaimed */
	uint64_t kswapd_us;	/* of mem_some_us: only because kswapd worked */
	uint64_t io_some_us;
	uint64_t io_full_us;
	uint64_t stall_max_us;	/* longest time with PSI full above half, without a break */
	uint64_t swapin;
	uint64_t refault;	/* hot cache read back */
	uint64_t ticks;		/* of the law */
	uint64_t emergencies;	/* decisions to give everything back, begun */
};

/* One stretch of simulated time, over which everything is linear. */
struct score_stretch {
	uint64_t t_us;		/* its begin */
	uint64_t dt_us;
	uint64_t demand0, demand1;
	uint64_t wanted0, wanted1; /* of it: what the workload has, or has asked for in vain */
	uint64_t balloon0, balloon1;
	uint64_t gain0, gain1;	/* what the host has of it; the balloon, or free memory reported */
	uint64_t full_us;	/* PSI full within it */
	uint64_t tasks_full_us;	/* ... of tasks alone */
};

/* Running state between stretches. */
struct score_run {
	struct score *s;
	int direction;		/* of the last move, 0 before the first */
	uint64_t short_now_us;
	uint64_t stall_now_us;
	bool deflating;
	uint64_t still_us;	/* since the balloon last became smaller */
};

void score_init(struct score *s, struct score_run *r, uint64_t ram, uint64_t floor);
void score_add(struct score_run *r, const struct score_stretch *st);
void score_finish(struct score_run *r, uint64_t demand, uint64_t balloon);

/* need + hot cache, at most ram. */
uint64_t score_demand(const struct guest_demand *d, uint64_t ram);

/*
 * The clairvoyant bound in byte seconds: the largest balloon x time that any
 * law could have reached without ever taking what the guest needs. It knows
 * the whole trace; it keeps max(demand, floor) and nothing else; it starts
 * with the balloon that is there, and it cannot move faster than the guest's lock and
 * unlock rates (so it begins to deflate ahead of a step). Exact for the trace
 * as interpolated. Negative errno or 0.
 */
int score_bound(const struct trace *t, const struct guest_config *g, uint64_t floor, double *ret_bs);

/* The smallest fixed size that never hurts: the peak demand, at least the floor. */
uint64_t score_static_size(const struct trace *t, uint64_t ram, uint64_t floor);

static inline double score_share(const struct score *s)
{
	return s->bound_bs > 0 ? s->reclaimed_bs / s->bound_bs : 1;
}

/* What the guest has kept beyond the clairvoyant, GiB x h. Below zero where demand was taken. */
static inline double score_beyond_gib_h(const struct score *s)
{
	return (s->bound_bs - s->reclaimed_bs) / (1ULL << 30) / 3600;
}

static inline double score_short_share(const struct score *s)
{
	return s->duration_us ? (double)s->short_us / s->duration_us : 0;
}

static inline double score_reversals_per_hour(const struct score *s)
{
	return s->duration_us ? s->reversals * 3.6e9 / s->duration_us : 0;
}
