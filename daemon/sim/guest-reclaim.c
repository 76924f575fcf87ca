// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-reclaim.c - who makes room in the guest model, and what it costs whom
 *
 * kswapd works beside whoever allocates, from the low watermark to the high
 * one, and nobody waits for it; but the kernel counts its time as a stall. A
 * task that allocates faster than that falls below the min watermark, and
 * reclaims for itself: that is a stall as well. Both get from the balloon first,
 * while less than the relief line is available. The lists: cold cache, then hot
 * cache and (with swap) anonymous memory.
 *
 * Also here, since it is counted in evictions: whether what comes back was
 * working set (Linux mm/workingset.c).
 *
 * Invariants: as guest.c. Leaves out: kswapd's way to a CPU, high orders and
 * their compaction, several tasks that reclaim at once.
 */
#include "sim/guest-flow.h"
#include "uballoon.h"

#define MIB (1ULL << 20)

/* vm.swappiness 60: reclaim weighs file pages 140, anonymous pages 60. */
#define WEIGHT_FILE 140
#define WEIGHT_ANON 60

/*
 * A LOCK asks for pages of 2 MiB first, and for those the kernel has the caller make room. How
 * much of it kswapd has done meanwhile is an assumption: half.
 */
#define LOCK_SHARE_PERMILLE 500

/* By the relief line the module gives back in large pages (kmod/release.c) ... */
#define RELIEF_PAGE (2 * MIB)
/* ... until so much of the line, one part in this, is available beyond it. */
#define RELIEF_STEP 4

/* Swapping out takes at most this part of the disk's time: readers wait in the same queue. */
#define WRITE_DIVISOR 2

/* What reclaim took, for the caller to charge to whoever asked. */
struct reclaimed {
	uint64_t total;
	uint64_t swapped;	/* ... of it: anonymous memory */
	uint64_t slow_us;	/* time that the disk was busy with it */
};

/* What was evicted in the last step goes into the average of about a hot period. */
static uint64_t decaying_rate(const struct guest *g, uint64_t dt_us)
{
	uint64_t period_us = max_u64(g->c.speed.hot_period_us, dt_us);

	return g->evict_rate - share(g->evict_rate, dt_us, period_us) +
	       share(g->evicted, SECOND_US, period_us);
}

void guest_reclaim_begin(struct guest *g, uint64_t dt_us)
{
	g->evict_rate = decaying_rate(g, dt_us);
	g->evicted = 0;
	g->kswapd_us = 0;
	g->kswapd_left = flow(g->c.speed.reclaim_rate, dt_us);
	g->shrink_left = max_u64(flow(g->c.unlock_rate, dt_us), RELIEF_PAGE);
	g->disk_left_us = dt_us;
	g->write_left_us = dt_us / WRITE_DIVISOR;
	if (!g->hot_evicted)
		g->aged = 0;
}

uint64_t guest_swap_free(const struct guest *g)
{
	return g->c.swap - g->swapped_anon - g->swapped_idle;
}

uint64_t guest_relief_aim(const struct guest *g)
{
	return g->relief_line + g->relief_line / RELIEF_STEP;
}

static void swap_out(uint64_t *resident, uint64_t *swapped, uint64_t bytes)
{
	*resident -= bytes;
	*swapped += bytes;
}

/*
 * Make up to `want` bytes free: cold cache, then hot cache and anonymous memory
 * by their weights. Takes less where there is no more, or no time left in this step.
 */
static struct reclaimed reclaim_lists(struct guest *g, uint64_t want, uint64_t *left)
{
	uint64_t cold, file, anon, weight, n;
	struct reclaimed r = {};

	n = min_u64(min_u64(guest_inactive_hot(g, min_u64(want, *left)), g->hot), *left);
	g->hot -= n;
	g->hot_evicted += n;
	cold = min_u64(min_u64(want - n, g->cold), *left - n);
	g->cold -= cold;
	g->cold_evicted += cold;
	want -= n + cold;
	*left -= n + cold;
	r.total = n + cold;
	if (!want || !*left || g->cold)
		goto out;

	anon = min_u64(g->idle + g->anon, guest_swap_free(g));
	weight = share(g->hot, WEIGHT_FILE, 200) + share(anon, WEIGHT_ANON, 200);
	file = weight ? share(want, share(g->hot, WEIGHT_FILE, 200), weight) : 0;
	if (!anon)
		file = want;
	file = min_u64(min_u64(file, g->hot), *left);
	/* Swapped out page after page, in clusters that the disk writes as one. */
	anon = min_u64(min_u64(want - file, anon),
		       flow(g->c.speed.disk_rate, min_u64(g->write_left_us, g->disk_left_us)));
	/* What swapping is too slow for, the cache has to give. */
	file = min_u64(min_u64(want - anon, g->hot), *left);
	*left -= file;

	g->hot -= file;
	g->hot_evicted += file;
	n = min_u64(anon, g->idle);
	swap_out(&g->idle, &g->swapped_idle, n);
	swap_out(&g->anon, &g->swapped_anon, anon - n);
	g->swapout_bytes += anon;
	r.swapped = anon;
	r.slow_us = use_disk(g, anon, g->c.speed.disk_rate);
	g->write_left_us = sub_sat(g->write_left_us, r.slow_us);
	r.total += file + anon;
out:
	g->evicted += r.total - r.swapped;
	if (g->hot_evicted)
		g->aged += r.total;
	g->free += r.total;
	return r;
}

/* While less than the line is available, whoever reclaims gets what is missing from the balloon. */
static uint64_t relieve(struct guest *g)
{
	uint64_t available = guest_available(g), n;

	if (available >= g->relief_line)
		return 0;
	n = guest_relief_aim(g) - available;
	n = (n + RELIEF_PAGE - 1) / RELIEF_PAGE * RELIEF_PAGE;
	n = whole_pages(min_u64(min_u64(n, g->shrink_left), g->balloon));
	if (!n)
		return 0;
	g->shrink_left -= n;
	g->balloon -= n;
	g->free += n;
	g->shrinks++;
	g->relieved_bytes += n;
	if (guest_moving(g) && !g->balloon && g->asked < 0)
		g->stop = UBALLOON_STOP_TARGET;
	return n;
}

void guest_kswapd(struct guest *g, uint64_t ask, uint64_t dt_us)
{
	uint64_t above = sub_sat(g->free, g->watermark_low), want, budget, left;
	struct reclaimed r;

	if (g->free >= g->watermark_low && ask <= above && !g->kswapd_runs)
		return;
	/* It is woken when the task has come down to the low watermark. */
	if (!g->kswapd_runs && ask > above)
		dt_us = share(dt_us, ask - above, ask);
	g->kswapd_runs = true;
	want = sub_sat(g->watermark_high + ask, g->free);
	want = sub_sat(want, relieve(g));
	budget = left = min_u64(g->kswapd_left, flow(g->c.speed.reclaim_rate, dt_us));
	r = reclaim_lists(g, want, &left);
	g->kswapd_bytes += r.total;
	/* What is swapped out is found twice: to be written, and to be freed (shrink_page_list()). */
	g->kswapd_us += cost_us(r.total + r.swapped, g->c.speed.reclaim_rate) + r.slow_us;
	g->kswapd_left -= budget - left;
	g->kswapd_runs = g->free < g->watermark_high + ask;
	/* It is at it until the watermark is reached, the time included in which it waits for the disk. */
	if (g->kswapd_runs && left && g->anon + g->idle && guest_swap_free(g))
		g->kswapd_us += dt_us;
}

uint64_t guest_reclaim_direct(struct guest *g, uint64_t want, uint64_t dt_us)
{
	uint64_t left = flow(g->c.speed.reclaim_rate, dt_us);
	struct reclaimed r;

	r = reclaim_lists(g, sub_sat(want, relieve(g)), &left);
	g->direct_bytes += r.total;
	return cost_us(r.total, g->c.speed.reclaim_rate) + r.slow_us;
}

uint64_t guest_take_free(struct guest *g, uint64_t ask, uint64_t dt_us, uint64_t *task_us)
{
	uint64_t room, taken;

	guest_kswapd(g, ask, dt_us);
	room = sub_sat(g->free, g->watermark_min);
	if (ask > room) {
		*task_us += guest_reclaim_direct(g, ask - room, dt_us);
		room = sub_sat(g->free, g->watermark_min);
	}
	taken = min_u64(ask, room);
	g->free -= taken;
	return taken;
}

uint64_t guest_reclaim_lock(struct guest *g, uint64_t want, uint64_t dt_us)
{
	uint64_t left = flow(g->c.speed.reclaim_rate, dt_us);
	struct reclaimed r = reclaim_lists(g, want, &left);
	uint64_t direct = share(r.total, LOCK_SHARE_PERMILLE, 1000);

	g->direct_bytes += direct;
	g->kswapd_bytes += r.total - direct;
	return cost_us(direct, g->c.speed.reclaim_rate) + r.slow_us;
}

/*
 * Linux mm/workingset.c: what comes back was working set if no more has been evicted and activated
 * since it went than the active lists hold (with swap, anonymous memory counts as well). How much
 * that was is known on average, and what is looked at at random comes back after times that are
 * exponentially distributed: 1 - exp(-x) is about x / (1 + x / 2), 1 at most.
 */
uint64_t guest_workingset(struct guest *g, uint64_t bytes)
{
	uint64_t lists = g->hot + (guest_swap_free(g) ? g->anon + g->idle : 0);
	uint64_t soon;

	if (!bytes)
		return 0;
	soon = min_u64(bytes, share(bytes, lists, max_u64(g->aged + lists / 2, 1)));
	g->aged -= share(g->aged, bytes, g->hot_evicted);
	g->aged += soon;
	return soon;
}
