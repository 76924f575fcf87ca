// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-stream.c - what goes through the page cache, where the trace knows it
 *
 * Without that cold cache fills what is free and then rests. With it every page
 * that was read or written comes in at its time, also where there is no room: then
 * kswapd recycles cold cache, and the active list, if that has become the larger
 * one (Linux mm/vmscan.c, inactive_is_low()).
 *
 * Invariants: as guest.c. Leaves out: that writers do not wait for the disk.
 */
#include "sim/guest-flow.h"

#define GIB (1ULL << 30)

/* More than any disk catches up with: sums stay far from overflow. */
#define OWED_MAX (1ULL << 50)

static uint64_t isqrt_small(uint64_t v)
{
	uint64_t r = 0;

	while ((r + 1) * (r + 1) <= v)
		r++;
	return r;
}

/* 1 / exp(part / whole) of amount, by the first terms of the series. */
static uint64_t decayed(uint64_t amount, uint64_t part, uint64_t whole)
{
	const uint64_t one = 1000;
	uint64_t x = min_u64(share(one, part, whole), 10 * one);

	return share(amount, one, one + x + x * x / 2 / one + x * x / one * x / 6 / one);
}

/*
 * The kernel keeps the active list at most `ratio` times as long as the inactive one. What of hot
 * cache is on the latter goes with the rest of it, but for what is looked at on the way to its end.
 */
uint64_t guest_inactive_hot(const struct guest *g, uint64_t want)
{
	uint64_t file = g->hot + g->cold;
	uint64_t ratio = file >= GIB ? isqrt_small(10 * (file / GIB)) : 1;
	uint64_t inactive = max_u64(file / (1 + ratio), 1), travel_us;

	if (!g->demand.stream || inactive <= g->cold)
		return 0;
	travel_us = share(inactive, SECOND_US, max_u64(g->evict_rate, 1));
	return decayed(share(want, inactive - g->cold, inactive), travel_us, g->c.speed.hot_period_us);
}

void guest_promote(struct guest *g)
{
	uint64_t missing = sub_sat(g->demand.hot, g->hot + g->hot_evicted), n;
	uint64_t back = sub_sat(g->demand.back, g->back_was);

	g->back_was = g->demand.back;
	if (!g->demand.stream)
		return;
	n = min_u64(min_u64(missing, back), g->cold_evicted);
	g->cold_evicted -= n;
	g->hot_evicted += n;
	n = min_u64(missing - n, g->cold);
	g->cold -= n;
	g->hot += n;
}

void guest_stream(struct guest *g, uint64_t dt_us, struct stalls *st)
{
	const struct guest_demand *d = &g->demand;
	uint64_t rate = g->c.speed.disk_rate, again, want, ask;

	/* What has not been evicted is found in the cache. */
	again = min_u64(flow(d->again, dt_us), g->cold_evicted);
	g->cold_evicted -= again;
	g->refault_cold_bytes += again;
	want = g->stream_owed + flow(sub_sat(d->stream, d->again), dt_us) + again;
	ask = min_u64(want, flow(rate, g->disk_left_us));
	ask = guest_take_free(g, ask, dt_us, &st->grow_us);
	g->cold += ask;
	g->stream_owed = min_u64(want - ask, OWED_MAX);
	/* Where the disk does not keep up, somebody waits for it all the time. */
	st->stream_us += use_disk(g, ask, rate);
}
