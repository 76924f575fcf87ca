// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest.c - the guest model of the simulator
 *
 * A handful of amounts of memory, and flows between them: the workload grows
 * and shrinks, cold cache fills what is free, reclaim takes cold cache first,
 * then hot cache and (with swap) anonymous memory, what was taken wrongly is
 * read back at the speed of a disk. Stalls (PSI) and the counters of
 * /proc/vmstat are consequences of those flows; nothing is drawn at random.
 *
 * Invariants: see guest.h; every flow moves bytes from one amount to another,
 * so nothing is created or lost, and no amount is ever taken below zero.
 *
 * Leaves out: what the guest shows of itself (guest-proc.c); pages (amounts are bytes), zones and NUMA, fragmentation, dirty
 * pages and write-back, memory cgroups, several workloads with different
 * speeds, the CPU time of anything but reclaim.
 */
#include <string.h>

#include "basic/arith.h"
#include "sim/guest.h"
#include "uballoon.h"

#define KIB (1ULL << 10)
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define PAGE 4096ULL
#define SECOND_US 1000000ULL

/* How long it takes until every page of a set is wanted again. */
#define ANON_PERIOD_US (1 * SECOND_US)
#define HOT_PERIOD_US (5 * SECOND_US)

/* vm.swappiness 60: reclaim weighs file pages 140, anonymous pages 60. */
#define WEIGHT_FILE 140
#define WEIGHT_ANON 60

/* Share of the reclaim of cold cache that the allocating task does itself; kswapd does the rest. */
#define DIRECT_SHARE_PERMILLE 100
/* ... and when it is the balloon that allocates, which asks faster than kswapd wakes. */
#define BALLOON_SHARE_PERMILLE 500

/*
 * From "nothing left to reclaim" to the first call of out_of_memory(): reclaim is retried
 * as long as it seems to get somewhere, and the programs' own code, evicted and
 * read again, looks like that. Real guests without swap take from one second to minutes.
 */
#define OOM_PATIENCE_US SECOND_US
/* Once there, the next call follows soon. */
#define OOM_AGAIN_US 10000

/* By the relief line the module gives back in large pages (kmod/release.c) ... */
#define RELIEF_PAGE (2 * MIB)
/* ... until so much of the line, one part in this, is available beyond it. */
#define RELIEF_STEP 4

/* part of whole, with 64 bits each */
static uint64_t share(uint64_t amount, uint64_t part, uint64_t whole)
{
	return (unsigned __int128)amount * part / whole;
}

static uint64_t flow(uint64_t rate, uint64_t dt_us)
{
	return share(rate, dt_us, SECOND_US);
}

/* The balloon moves in whole pages. */
static uint64_t pages(uint64_t bytes)
{
	return bytes / PAGE * PAGE;
}

/* Time that so many bytes take at that rate. */
static uint64_t cost_us(uint64_t bytes, uint64_t rate)
{
	return share(bytes, SECOND_US, rate);
}

void guest_config_default(struct guest_config *c, uint64_t ram, uint64_t swap)
{
	*c = (struct guest_config) {
		.ram = ram,
		.swap = swap,
		.lock_rate = 1 * GIB,
		.unlock_rate = 4 * GIB,
		.touch_rate = 2 * GIB,
		.reclaim_rate = 2 * GIB,
		.swap_rate = 100 * MIB,
		.read_rate = 200 * MIB,
		.fill_rate = 100 * MIB,
		.module_floor = 0,
		.rescue_min = 64 * MIB,
		.rescue_divisor = 8,
		.rescue_hold_off_us = 10 * SECOND_US,
		.committed_permille = 1500,
	};
}

void guest_init(struct guest *g, const struct guest_config *c, const struct guest_demand *d)
{
	uint64_t room = c->ram;
	uint64_t active = d->need - min_u64(d->idle, d->need);

	*g = (struct guest) { .c = *c, .demand = *d, .wanted = d->need };
	guest_watermarks(g);
	room = sub_sat(room, g->watermark_high);
	g->balloon = pages(min_u64(c->balloon, room));
	room -= g->balloon;
	g->anon = min_u64(active, room);
	room -= g->anon;
	g->idle = min_u64(min_u64(d->idle, d->need), room);
	room -= g->idle;
	g->hot = min_u64(d->hot, room);
	room -= g->hot;
	g->cold = min_u64(d->cold, room);
	g->swapped_idle = min_u64(min_u64(d->idle, d->need) - g->idle, c->swap);
	g->swapped_anon = min_u64(active - g->anon, c->swap - g->swapped_idle);
	g->free = c->ram - g->balloon - g->anon - g->idle - g->hot - g->cold;
	g->relief_line = c->relief_line;
}

void guest_move(struct guest *g, int64_t step, bool may_reclaim)
{
	g->asked = step / (int64_t)PAGE * (int64_t)PAGE;
	g->moved = 0;
	g->took_us = 0;
	g->may_reclaim = may_reclaim;
	g->stop = UBALLOON_STOP_NONE;
	if (!g->asked)
		g->stop = UBALLOON_STOP_DONE;
}

bool guest_moving(const struct guest *g)
{
	return g->stop == UBALLOON_STOP_NONE && g->moved != g->asked;
}

uint64_t guest_move_time(const struct guest *g)
{
	if (!guest_moving(g))
		return UINT64_MAX;
	if (g->asked > 0)
		return cost_us(g->asked - g->moved, g->c.lock_rate) + 1;
	return cost_us(g->moved - g->asked, g->c.unlock_rate) + 1;
}

bool guest_calm(const struct guest *g)
{
	return !g->unmet && !guest_moving(g) && !g->swapped_anon && !g->hot_evicted && !g->oom_us;
}

/* Stalls of one step: who waited how long, each at most dt. */
struct stalls {
	uint64_t grow_us;	/* tasks that allocate */
	uint64_t work_us;	/* tasks that touch what they have */
	uint64_t balloon_us;	/* the daemon, reclaiming for the balloon */
	uint64_t io_us;		/* waiting for the disk for other reasons */
};

/* What reclaim took, for the caller to charge to whoever asked. */
struct reclaimed {
	uint64_t cold;
	uint64_t slow_us;	/* time spent on the swap device */
	uint64_t total;
};

static uint64_t swap_free(const struct guest *g)
{
	return g->c.swap - g->swapped_anon - g->swapped_idle;
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
static struct reclaimed reclaim_lists(struct guest *g, uint64_t want)
{
	uint64_t file, anon, weight, n;
	struct reclaimed r = {};

	r.cold = min_u64(min_u64(want, g->cold), g->reclaim_left);
	g->cold -= r.cold;
	want -= r.cold;
	g->reclaim_left -= r.cold;
	r.total = r.cold;
	if (!want || !g->reclaim_left || g->cold)
		goto out;

	anon = min_u64(g->idle + g->anon, swap_free(g));
	weight = share(g->hot, WEIGHT_FILE, 200) + share(anon, WEIGHT_ANON, 200);
	file = weight ? share(want, share(g->hot, WEIGHT_FILE, 200), weight) : 0;
	if (!anon)
		file = want;
	file = min_u64(min_u64(file, g->hot), g->reclaim_left);
	anon = min_u64(min_u64(want - file, anon), g->swap_left);
	/* What swapping is too slow for, the cache has to give. */
	file = min_u64(min_u64(want - anon, g->hot), g->reclaim_left);
	g->reclaim_left -= file;
	g->swap_left -= anon;

	g->hot -= file;
	g->hot_evicted += file;
	n = min_u64(anon, g->idle);
	swap_out(&g->idle, &g->swapped_idle, n);
	swap_out(&g->anon, &g->swapped_anon, anon - n);
	g->swapout_bytes += anon;
	r.slow_us = cost_us(anon, g->c.swap_rate);
	r.total += file + anon;
out:
	g->free += r.total;
	return r;
}

/* The relief line and its step: what LOCK leaves alone, and relief restores. */
static uint64_t relief_aim(const struct guest *g)
{
	return g->relief_line + g->relief_line / RELIEF_STEP;
}

/* While less than the line is available, whoever reclaims gets what is missing from the balloon. */
static uint64_t relieve(struct guest *g)
{
	uint64_t available = guest_available(g), n;

	if (available >= g->relief_line)
		return 0;
	n = relief_aim(g) - available;
	n = (n + RELIEF_PAGE - 1) / RELIEF_PAGE * RELIEF_PAGE;
	n = pages(min_u64(min_u64(n, g->shrink_left), g->balloon));
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

/* Reclaim as kswapd and tasks do it. LOCK's own leaves the balloon alone. */
static struct reclaimed reclaim(struct guest *g, uint64_t want)
{
	uint64_t given = relieve(g);

	return reclaim_lists(g, sub_sat(want, given));
}

/* The workload wants less: what it no longer wants is free at once, in RAM and in swap alike. */
static void shrink_set(struct guest *g, uint64_t *resident, uint64_t *swapped, uint64_t want)
{
	uint64_t have = *resident + *swapped;
	uint64_t drop = sub_sat(have, want);
	uint64_t from_swap;

	if (!drop)
		return;
	from_swap = share(drop, *swapped, have);
	*swapped -= from_swap;
	*resident -= drop - from_swap;
	g->free += drop - from_swap;
}

static void shrink_to(struct guest *g, const struct guest_demand *d)
{
	uint64_t n;

	/* Killed demand stays away until the workload itself has let go of as much. */
	g->killed = min_u64(g->killed, d->need);
	g->killed = sub_sat(g->killed, sub_sat(g->wanted, d->need));
	g->wanted = d->need;
	g->demand = *d;
	g->demand.idle = min_u64(d->idle, d->need);
	g->demand.need -= g->killed;
	g->demand.idle = min_u64(g->demand.idle, g->demand.need);

	shrink_set(g, &g->anon, &g->swapped_anon, g->demand.need - g->demand.idle);
	shrink_set(g, &g->idle, &g->swapped_idle, g->demand.idle);

	/* Hot cache that nobody wants any more is cold cache. */
	n = sub_sat(g->hot, d->hot);
	g->hot -= n;
	g->cold += n;
	g->hot_evicted = min_u64(g->hot_evicted, d->hot - g->hot);
	n = sub_sat(g->cold, d->cold);
	g->cold -= n;
	g->free += n;
}

static void deflate(struct guest *g, uint64_t dt_us)
{
	uint64_t left = g->moved - g->asked;
	uint64_t n = pages(min_u64(min_u64(left, flow(g->c.unlock_rate, dt_us)), g->balloon));

	g->balloon -= n;
	g->free += n;
	g->moved -= n;
	g->took_us += min_u64(dt_us, cost_us(n, g->c.unlock_rate));
	if (g->moved == g->asked)
		g->stop = UBALLOON_STOP_DONE;
	else if (!g->balloon)
		g->stop = UBALLOON_STOP_TARGET;
}

static void inflate(struct guest *g, uint64_t dt_us, struct stalls *st)
{
	uint64_t want = pages(min_u64(g->asked - g->moved, flow(g->c.lock_rate, dt_us)));
	uint64_t above_floor = sub_sat(guest_available(g), max_u64(g->c.module_floor, relief_aim(g)));
	uint64_t room = sub_sat(g->free, g->watermark_low);
	uint64_t n = min_u64(want, above_floor);
	uint64_t slow_us = 0;

	if (g->now_us < g->hold_off_until_us) {
		g->stop = UBALLOON_STOP_NOMEM;
		return;
	}
	if (n > room && g->may_reclaim) {
		struct reclaimed r = reclaim_lists(g, n - room);

		slow_us = share(cost_us(r.cold, g->c.reclaim_rate), BALLOON_SHARE_PERMILLE, 1000) +
			  r.slow_us;
		g->direct_bytes += r.total;
		room = sub_sat(g->free, g->watermark_low);
	}
	n = pages(min_u64(n, room));
	g->free -= n;
	g->balloon += n;
	g->moved += n;
	g->took_us += min_u64(dt_us, max_u64(cost_us(n, g->c.lock_rate), slow_us));
	st->balloon_us += min_u64(slow_us, dt_us);
	if (g->moved == g->asked)
		g->stop = UBALLOON_STOP_DONE;
	else if (above_floor < PAGE)
		g->stop = UBALLOON_STOP_FLOOR;
	else if (!n && want)
		g->stop = UBALLOON_STOP_NOMEM;
}

static void grant(uint64_t *to, uint64_t *pool, uint64_t ask, uint64_t *ret_given)
{
	uint64_t n = min_u64(ask, *pool);

	*pool -= n;
	*to += n;
	*ret_given += n;
}

/* The workload takes what it wants, as far as there is something to take. */
static void serve_workload(struct guest *g, uint64_t dt_us, struct stalls *st)
{
	const struct guest_demand *d = &g->demand;
	uint64_t touch = flow(g->c.touch_rate, dt_us);
	uint64_t active = d->need - d->idle;
	uint64_t grow = min_u64(sub_sat(active, g->anon + g->swapped_anon), touch);
	uint64_t grow_idle = min_u64(sub_sat(d->idle, g->idle + g->swapped_idle), touch - grow);
	uint64_t swapin = min_u64(min_u64(g->swapped_anon, flow(g->c.swap_rate, dt_us)),
				  share(g->swapped_anon, dt_us, ANON_PERIOD_US) + PAGE);
	uint64_t hot = sub_sat(d->hot, g->hot);
	uint64_t ask, room, taken = 0, got = 0, pool;

	hot = min_u64(min_u64(hot, flow(g->c.read_rate, dt_us)),
		      share(hot, dt_us, HOT_PERIOD_US) + PAGE);
	ask = grow + grow_idle + swapin + hot;
	g->unmet = 0;
	if (!ask) {
		g->oom_us = sub_sat(g->oom_us, dt_us);
		return;
	}

	room = sub_sat(g->free, g->watermark_min);
	if (ask > room) {
		struct reclaimed r = reclaim(g, ask - room);
		uint64_t direct = share(r.cold, DIRECT_SHARE_PERMILLE, 1000);

		g->direct_bytes += r.total - (r.cold - direct);
		g->kswapd_bytes += r.cold - direct;
		st->grow_us += cost_us(direct, g->c.reclaim_rate) + r.slow_us;
		room = sub_sat(g->free, g->watermark_min);
	}

	pool = min_u64(room, ask);
	g->free -= pool;
	grant(&g->anon, &pool, grow, &taken);
	grant(&g->idle, &pool, grow_idle, &taken);
	g->unmet = grow + grow_idle - taken;
	if (g->unmet)
		st->grow_us += share(dt_us, g->unmet, grow + grow_idle);

	grant(&g->anon, &pool, swapin, &got);
	g->swapped_anon -= got;
	g->swapin_bytes += got;
	st->work_us += cost_us(got, g->c.swap_rate);
	if (got < swapin)
		st->work_us += share(dt_us, swapin - got, swapin);
	g->unmet += swapin - got;

	got = 0;
	grant(&g->hot, &pool, hot, &got);
	st->work_us += cost_us(min_u64(got, g->hot_evicted), g->c.read_rate);
	st->io_us += cost_us(got - min_u64(got, g->hot_evicted), g->c.read_rate);
	g->refault_hot_bytes += min_u64(got, g->hot_evicted);
	g->hot_evicted -= min_u64(got, g->hot_evicted);

	/* Nothing left to reclaim: the programs' own code is what goes next, and everybody stalls. */
	if (g->unmet && !g->cold && !g->hot && (!g->anon || !swap_free(g))) {
		st->work_us += share(dt_us, min_u64(g->unmet, ask), ask);
		g->oom_us += dt_us;
	} else {
		g->oom_us = sub_sat(g->oom_us, dt_us);
	}
}

/* kswapd: from below the low watermark back to the high one; nobody waits for it. */
static void background_reclaim(struct guest *g)
{
	struct reclaimed r;

	if (g->free >= g->watermark_low)
		return;
	r = reclaim(g, g->watermark_high - g->free);
	g->kswapd_bytes += r.total;
}

static void fill_cold(struct guest *g, uint64_t dt_us, struct stalls *st)
{
	uint64_t want = sub_sat(g->demand.cold, g->cold);
	uint64_t stream = min_u64(want, flow(g->c.fill_rate, dt_us));
	uint64_t n = min_u64(stream, sub_sat(g->free, g->watermark_high));

	g->free -= n;
	g->cold += n;
	/* A stream larger than the room goes on for ever, and evicts itself. */
	if (g->demand.cold != GUEST_COLD_FILLS) {
		g->refault_cold_bytes += stream - n;
		g->kswapd_bytes += stream - n;
		n = stream;
	}
	st->io_us += cost_us(n, g->c.read_rate * 4);
}

/* The OOM notifier of the balloon driver gives something back, or somebody dies. */
static void out_of_memory(struct guest *g)
{
	uint64_t n = g->c.rescue_min;

	if (g->oom_us < OOM_PATIENCE_US)
		return;
	g->oom_us = OOM_PATIENCE_US - OOM_AGAIN_US;
	if (g->c.rescue_divisor)
		n = max_u64(n, pages(g->balloon / g->c.rescue_divisor));
	n = min_u64(n, g->balloon);
	if (n) {
		g->balloon -= n;
		g->free += n;
		g->rescues++;
		g->hold_off_until_us = g->now_us + g->c.rescue_hold_off_us;
		if (guest_moving(g) && g->asked > 0)
			g->stop = UBALLOON_STOP_NOMEM;
		else if (guest_moving(g) && !g->balloon)
			g->stop = UBALLOON_STOP_TARGET;
		return;
	}
	/* The killer takes the largest program: half of what is touched. */
	g->oom_kills++;
	n = g->anon - g->anon / 2;
	g->anon -= n;
	g->free += n;
	g->killed += g->demand.need - g->demand.idle - g->anon;
	g->swapped_anon = 0;
	g->demand.need = g->anon + g->demand.idle;
}

static void account_stalls(struct guest *g, uint64_t dt_us, const struct stalls *st)
{
	uint64_t work = min_u64(st->work_us, dt_us);
	uint64_t grow = min_u64(max_u64(st->grow_us, work), dt_us);
	uint64_t balloon = min_u64(st->balloon_us, dt_us);
	uint64_t io = min_u64(work + st->io_us, dt_us);
	uint64_t well;

	if (!(grow | balloon | io))
		return;
	/* Two independent tasks and the daemon: some = one of them waits, full = both tasks do. */
	well = share(dt_us - grow, dt_us - work, dt_us);
	g->psi_us[PSI_MEM_SOME_US] += dt_us - share(well, dt_us - balloon, dt_us);
	g->balloon_some_us += share(well, balloon, dt_us);
	/* The daemon's wait is everybody's, where nobody else has anything to do: the worst case. */
	g->psi_us[PSI_MEM_FULL_US] += max_u64(share(grow, work, dt_us), balloon);
	g->psi_us[PSI_IO_SOME_US] += io;
	g->psi_us[PSI_IO_FULL_US] += share(io, work, dt_us);
}

void guest_step(struct guest *g, const struct guest_demand *d, uint64_t dt_us)
{
	struct stalls st = {};

	g->reclaim_left = flow(g->c.reclaim_rate, dt_us);
	g->swap_left = flow(g->c.swap_rate, dt_us);
	g->shrink_left = max_u64(flow(g->c.unlock_rate, dt_us), RELIEF_PAGE);
	shrink_to(g, d);
	if (guest_moving(g) && g->asked < 0)
		deflate(g, dt_us);
	serve_workload(g, dt_us, &st);
	background_reclaim(g);
	if (guest_moving(g) && g->asked > 0)
		inflate(g, dt_us, &st);
	fill_cold(g, dt_us, &st);
	g->now_us += dt_us;
	out_of_memory(g);
	account_stalls(g, dt_us, &st);
}
