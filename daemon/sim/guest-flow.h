/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest-flow.h - what the parts of the guest model share
 *
 * Private to guest*.c. Amounts flow at rates for a time; a disk serves whoever
 * comes, one request after the other, until the step is over.
 */
#pragma once

#include "basic/arith.h"
#include "sim/guest.h"

#define PAGE 4096ULL
#define SECOND_US 1000000ULL

/* part of whole, with 64 bits each */
static inline uint64_t share(uint64_t amount, uint64_t part, uint64_t whole)
{
	return (unsigned __int128)amount * part / whole;
}

static inline uint64_t flow(uint64_t rate, uint64_t dt_us)
{
	return share(rate, dt_us, SECOND_US);
}

/* Time that so many bytes take at that rate. */
static inline uint64_t cost_us(uint64_t bytes, uint64_t rate)
{
	return share(bytes, SECOND_US, rate);
}

/* The balloon moves in whole pages. */
static inline uint64_t whole_pages(uint64_t bytes)
{
	return bytes / PAGE * PAGE;
}

/* Requests of that size all over the disk: its requests a second bound them, or its bandwidth. */
static inline uint64_t random_rate(const struct guest *g, uint64_t request)
{
	return min_u64(g->c.speed.iops * request, g->c.speed.disk_rate);
}

/* The disk is busy with that, as far as the step goes. */
static inline uint64_t use_disk(struct guest *g, uint64_t bytes, uint64_t rate)
{
	uint64_t us = min_u64(cost_us(bytes, rate), g->disk_left_us);

	g->disk_left_us -= us;
	return us;
}

/* Stalls of one step: who waited how long, each at most dt. */
struct stalls {
	uint64_t grow_us;	/* tasks that allocate, for memory */
	uint64_t work_us;	/* tasks that touch what they have, for memory */
	uint64_t read_us;	/* the same tasks, for the disk */
	uint64_t stream_us;	/* tasks that read what nobody will miss, for the disk */
	uint64_t balloon_us;	/* the daemon, reclaiming for the balloon */
	uint64_t touch_us;	/* nobody waited here: new memory was touched */
};

/* guest-stream.c: what goes through the page cache, where that is known. */
void guest_stream(struct guest *g, uint64_t dt_us, struct stalls *st);

/*
 * guest-stream.c: hot cache grows by what is in the cache already; what had been evicted where it
 * was recorded is missing here as well, as far as something has been evicted at all.
 */
void guest_promote(struct guest *g);

/* guest-stream.c: of `want` from the inactive list, the part that was hot. */
uint64_t guest_inactive_hot(const struct guest *g, uint64_t want);

/* guest-reclaim.c: who makes room */

/* Free swap. */
uint64_t guest_swap_free(const struct guest *g);

/* What LOCK leaves alone, and relief restores: the relief line and its step. */
uint64_t guest_relief_aim(const struct guest *g);

/* kswapd beside a task that takes `ask` in dt_us: from below the low watermark up to the high one. */
void guest_kswapd(struct guest *g, uint64_t ask, uint64_t dt_us);

/* A task reclaims for itself. Returns how long it was at it. */
uint64_t guest_reclaim_direct(struct guest *g, uint64_t want, uint64_t dt_us);

/*
 * Takes free memory for a task that wants `ask` in dt_us: kswapd works beside it, then it reclaims
 * for itself, which is added to *task_us. Returns what there was.
 */
uint64_t guest_take_free(struct guest *g, uint64_t ask, uint64_t dt_us, uint64_t *task_us);

/* The balloon does so for a LOCK, which leaves the balloon alone. Returns how long it waited. */
uint64_t guest_reclaim_lock(struct guest *g, uint64_t want, uint64_t dt_us);

/* The part of `bytes` of hot cache, now read again, that the kernel takes for working set. */
uint64_t guest_workingset(struct guest *g, uint64_t bytes);

/* A step begins. */
void guest_reclaim_begin(struct guest *g, uint64_t dt_us);
