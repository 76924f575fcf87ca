// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace-stream.c - what went through a recorded guest's page cache, and how fast
 *
 * Between two rows, file pages that came in are those by which the lists have
 * grown, and those that reclaim has taken meanwhile; what reclaim took of
 * anonymous memory went to swap. Where the sum is below nothing files have been
 * deleted, or reclaimed from outside. How fast kswapd is can be told where it alone
 * has worked: its time counts as a stall (Linux mm/vmscan.c, balance_pgdat()).
 *
 * Leaves out: pages that come and go unseen between two rows.
 */
#include "basic/arith.h"
#include "sim/trace-parse.h"

#define PAGE 4096ULL
#define SECOND_US 1000000ULL

/* Less stall than this says little about the pace: a row's counters are not read all at once. */
#define PACE_STALL_MIN_US 100000ULL

static bool counted(const struct trace *t, uint32_t counters)
{
	return (t->counted & counters) == counters;
}

/* What a counter has grown by from row i to the next one. */
static uint64_t grown(const struct trace *t, enum trace_counter c, size_t i)
{
	return counted(t, 1U << c) ? t->seen[i + 1].count[c] - t->seen[i].count[c] : 0;
}

/* As a rate, until the next row. */
static uint64_t rate_of(const struct trace *t, size_t i, uint64_t bytes)
{
	uint64_t span_us = t->points[i + 1].t_us - t->points[i].t_us;

	return min_u64((unsigned __int128)bytes * SECOND_US / span_us, GUEST_RATE_MAX);
}

static uint64_t in_bytes(uint64_t pages)
{
	return min_u64(pages, GUEST_RATE_MAX / PAGE) * PAGE;
}

/* The kernel's own caches are no file pages, but what is neither in need nor free is cache. */
static void other_caches(const struct trace *t)
{
	struct guest_demand *d = &t->points[0].d;
	uint64_t rest = sub_sat(t->ram, t->seen[0].balloon + d->need - d->idle + d->hot);

	d->cold = max_u64(d->cold, sub_sat(rest, t->first_free));
}

void trace_recorded_stream(struct trace *t)
{
	if (!counted(t, 1U << TRACE_PGSTEAL_KSWAPD | 1U << TRACE_PGSTEAL_DIRECT))
		return;
	for (size_t i = 0; i + 1 < t->n_points; i++) {
		struct guest_demand *d = &t->points[i].d;
		const struct guest_demand *next = &t->points[i + 1].d;
		uint64_t taken = grown(t, TRACE_PGSTEAL_KSWAPD, i) + grown(t, TRACE_PGSTEAL_DIRECT, i);
		/* Hot cache that comes back is the workload's to read, as far as it is missing. */
		uint64_t hot = grown(t, trace_came_back_hot(t), i);
		uint64_t back = sub_sat(grown(t, TRACE_REFAULT_FILE, i), hot);
		uint64_t in = next->hot + next->cold + in_bytes(sub_sat(taken, grown(t, TRACE_PSWPOUT, i)));
		uint64_t out = d->hot + d->cold + in_bytes(hot);

		/* Known to be nothing is not unknown. */
		d->stream = max_u64(rate_of(t, i, sub_sat(in, out)), 1);
		d->again = min_u64(rate_of(t, i, in_bytes(back)), d->stream);
		d->drop = rate_of(t, i, sub_sat(out, in));
	}
	t->points[t->n_points - 1].d.stream = 1;
	other_caches(t);
}

void trace_recorded_pace(struct trace *t)
{
	const uint32_t others = 1U << TRACE_PGSCAN_DIRECT | 1U << TRACE_RESTORE_FILE;
	uint64_t pages = 0, stall_us = 0;

	if (t->speed.reclaim_rate || !counted(t, others | 1U << TRACE_PGSCAN_KSWAPD | 1U << TRACE_MEM_SOME))
		return;
	for (size_t i = 0; i + 1 < t->n_points; i++) {
		uint64_t scanned = grown(t, TRACE_PGSCAN_KSWAPD, i);

		if (!scanned || grown(t, TRACE_PGSCAN_DIRECT, i) || grown(t, TRACE_RESTORE_FILE, i) ||
		    grown(t, TRACE_RESTORE_ANON, i) || t->seen[i + 1].balloon > t->seen[i].balloon)
			continue;
		/* Swapping has the disk's pace. */
		if (grown(t, TRACE_PSWPOUT, i))
			continue;
		pages += scanned;
		stall_us += grown(t, TRACE_MEM_SOME, i);
	}
	if (stall_us < PACE_STALL_MIN_US || !pages)
		return;
	t->speed.reclaim_rate = min_u64(max_u64((unsigned __int128)in_bytes(pages) * SECOND_US / stall_us,
						GUEST_RATE_MIN), GUEST_RATE_MAX);
	t->pace_seen = true;
}
