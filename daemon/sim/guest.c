// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest.c - the guest model of the simulator
 *
 * A handful of amounts of memory, and flows between them: the workload grows
 * and shrinks, cold cache fills what is free, the balloon moves, what was
 * evicted wrongly is read back as fast as the disk can. Stalls (PSI) and the
 * counters of /proc/vmstat are consequences of those flows; nothing is drawn
 * at random.
 *
 * Invariants: see guest.h; every flow moves bytes from one amount to another,
 * so nothing is created or lost, and no amount is ever taken below zero.
 *
 * Leaves out: reclaim (guest-reclaim.c); what the guest shows of itself
 * (guest-proc.c); pages (amounts are bytes), zones and NUMA, fragmentation,
 * dirty pages and write-back, memory cgroups, several workloads with different
 * speeds, the CPU time of anything but reclaim.
 */
#include <string.h>

#include "sim/guest-flow.h"
#include "uballoon.h"

#define KIB (1ULL << 10)
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

/* How long it takes until every page of active memory is wanted again. */
#define ANON_PERIOD_US (1 * SECOND_US)

/*
 * What one request brings in. Hot cache, at random: a block of a database (PostgreSQL 8 KiB,
 * InnoDB 16), for the kernel reads ahead only where one page follows the other. Swap:
 * vm.page-cluster 3, eight pages (Linux mm/swap.c, swap_setup()).
 */
#define HOT_REQUEST (16 * KIB)
#define SWAPIN_REQUEST (32 * KIB)

/* Evicted cache that keeps the disk busy for a smaller part of the time needs no closer look. */
#define TRICKLE_DIVISOR 20

/*
 * From "nothing left to reclaim" to the first call of out_of_memory(): reclaim is retried
 * as long as it seems to get somewhere, and the programs' own code, evicted and
 * read again, looks like that. Real guests without swap take from one second to minutes.
 */
#define OOM_PATIENCE_US SECOND_US
/* Once there, the next call follows soon. */
#define OOM_AGAIN_US 10000

void guest_config_default(struct guest_config *c, uint64_t ram, uint64_t swap)
{
	*c = (struct guest_config) {
		.ram = ram,
		.swap = swap,
		.lock_rate = 1 * GIB,
		.unlock_rate = 4 * GIB,
		.speed = {
			/* A general purpose volume of a cloud, as it comes (Amazon gp3). */
			.disk_rate = 125 * MIB,
			.iops = 3000,
			/* Often enough to be worth its memory: "five-minute rule", Gray and Putzolu. */
			.hot_period_us = 60 * SECOND_US,
			.touch_rate = 2 * GIB,
			.reclaim_rate = 2 * GIB,
		},
		.fill_rate = 100 * MIB,
		.module_floor = 0,
		.rescue_min = 64 * MIB,
		.rescue_divisor = 8,
		.rescue_hold_off_us = 10 * SECOND_US,
		.committed_permille = 1500,
	};
}

struct guest_speed guest_speed_or(const struct guest_speed *said,
				  const struct guest_speed *otherwise)
{
	return (struct guest_speed) {
		.disk_rate = said->disk_rate ?: otherwise->disk_rate,
		.iops = said->iops ?: otherwise->iops,
		.hot_period_us = said->hot_period_us ?: otherwise->hot_period_us,
		.touch_rate = said->touch_rate ?: otherwise->touch_rate,
		.reclaim_rate = said->reclaim_rate ?: otherwise->reclaim_rate,
	};
}

void guest_config_speed(struct guest_config *c, const struct guest_speed *said)
{
	c->speed = guest_speed_or(said, &c->speed);
	c->speed.reclaim_rate = said->reclaim_rate ?: c->speed.touch_rate;
}

void guest_init(struct guest *g, const struct guest_config *c, const struct guest_demand *d)
{
	uint64_t room = c->ram;
	uint64_t active = d->need - min_u64(d->idle, d->need);

	*g = (struct guest) { .c = *c, .demand = *d, .wanted = d->need };
	guest_watermarks(g);
	room = sub_sat(room, g->watermark_high);
	g->balloon = whole_pages(min_u64(c->balloon, room));
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
	g->back_was = d->back;
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

/* Some of the hot cache is missing, but so little or so rarely that its reads are hardly felt. */
static bool hot_trickles(const struct guest *g)
{
	return share(g->hot_evicted, SECOND_US, g->c.speed.hot_period_us) <=
	       random_rate(g, HOT_REQUEST) / TRICKLE_DIVISOR;
}

bool guest_calm(const struct guest *g)
{
	return !g->unmet && !guest_moving(g) && !g->swapped_anon && hot_trickles(g) && !g->oom_us;
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

static void shrink_to(struct guest *g, const struct guest_demand *d, uint64_t dt_us)
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
	n = d->stream ? min_u64(flow(d->drop, dt_us), g->cold) : sub_sat(g->cold, d->cold);
	/* If it was not deleted but reclaimed from outside, it may come back. */
	if (d->stream)
		g->cold_evicted += n;
	g->cold -= n;
	g->free += n;
}

static void deflate(struct guest *g, uint64_t dt_us)
{
	uint64_t left = g->moved - g->asked;
	uint64_t n = whole_pages(min_u64(min_u64(left, flow(g->c.unlock_rate, dt_us)), g->balloon));

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
	uint64_t want = whole_pages(min_u64(g->asked - g->moved, flow(g->c.lock_rate, dt_us)));
	uint64_t keep = max_u64(g->c.module_floor, guest_relief_aim(g));
	uint64_t above_floor = sub_sat(guest_available(g), keep);
	uint64_t room = sub_sat(g->free, g->watermark_low);
	uint64_t n = min_u64(want, above_floor);
	uint64_t slow_us = 0;

	if (g->now_us < g->hold_off_until_us) {
		g->stop = UBALLOON_STOP_NOMEM;
		return;
	}
	if (n > room && g->may_reclaim) {
		slow_us = guest_reclaim_lock(g, n - room, dt_us);
		room = sub_sat(g->free, g->watermark_low);
	}
	n = whole_pages(min_u64(n, room));
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

/* New memory, as fast as it is touched and somebody makes room. Returns what was asked for. */
static uint64_t grow(struct guest *g, uint64_t dt_us, struct stalls *st)
{
	const struct guest_demand *d = &g->demand;
	uint64_t touch_rate = g->c.speed.touch_rate, reclaim_rate = g->c.speed.reclaim_rate;
	uint64_t touch = flow(touch_rate, dt_us);
	uint64_t anon = min_u64(sub_sat(d->need - d->idle, g->anon + g->swapped_anon), touch);
	uint64_t idle = min_u64(sub_sat(d->idle, g->idle + g->swapped_idle), touch - anon);
	uint64_t ask = anon + idle, room, pool, taken = 0;

	if (!ask)
		return 0;
	guest_kswapd(g, ask, dt_us);
	room = sub_sat(g->free, g->watermark_min);
	if (ask > room) {
		/* What the task reclaims for itself takes of the time in which it would touch. */
		ask = min_u64(ask, room + share(touch - room, reclaim_rate,
						touch_rate + reclaim_rate));
		st->grow_us += guest_reclaim_direct(g, ask - room, dt_us);
		room = sub_sat(g->free, g->watermark_min);
	}
	pool = min_u64(room, ask);
	g->free -= pool;
	grant(&g->anon, &pool, anon, &taken);
	grant(&g->idle, &pool, idle, &taken);
	st->touch_us = min_u64(cost_us(taken, touch_rate), dt_us);
	if (taken < ask)
		st->grow_us += share(dt_us, ask - taken, ask);
	g->unmet += ask - taken;
	return ask;
}

/*
 * What of `missing` is touched in this step, if each page is once in a period. A page a second at
 * least, so that it comes to an end.
 */
static uint64_t touched(uint64_t missing, uint64_t dt_us, uint64_t period_us)
{
	return min_u64(missing, share(missing, dt_us, period_us) + flow(PAGE, dt_us) + 1);
}

/* Hot cache that has been read, `got` of it. Returns how long the disk took, and for working set. */
static uint64_t read_hot(struct guest *g, uint64_t got, uint64_t *ret_workingset_us)
{
	uint64_t rate = random_rate(g, HOT_REQUEST);
	uint64_t back = min_u64(got, g->hot_evicted);
	uint64_t workingset = guest_workingset(g, back);

	g->hot_evicted -= back;
	g->refault_hot_bytes += back;
	g->workingset_bytes += workingset;
	*ret_workingset_us = use_disk(g, workingset, rate);
	return *ret_workingset_us + use_disk(g, got - workingset, rate);
}

/* What the workload has had, or wants to have, and finds on the disk. Returns what it asked for. */
static uint64_t read_back(struct guest *g, uint64_t dt_us, struct stalls *st)
{
	uint64_t swap_rate = random_rate(g, SWAPIN_REQUEST), hot_rate = random_rate(g, HOT_REQUEST);
	uint64_t missing = sub_sat(g->demand.hot, g->hot);
	uint64_t want_swap = touched(g->swapped_anon, dt_us, ANON_PERIOD_US);
	uint64_t want_hot = touched(missing, dt_us, g->c.speed.hot_period_us);
	uint64_t swapin = min_u64(want_swap, flow(swap_rate, g->disk_left_us));
	uint64_t left_us = sub_sat(g->disk_left_us, cost_us(swapin, swap_rate));
	uint64_t hot = min_u64(want_hot, flow(hot_rate, left_us));
	uint64_t ask = swapin + hot, pool, got = 0, wait_us, mem_us, hot_us;

	if (!(want_swap + want_hot))
		return 0;
	pool = guest_take_free(g, ask, dt_us, &st->work_us);

	grant(&g->anon, &pool, swapin, &got);
	g->swapped_anon -= got;
	g->swapin_bytes += got;
	g->unmet += swapin - got;
	if (got < swapin)
		st->work_us += share(dt_us, swapin - got, swapin);
	wait_us = mem_us = use_disk(g, got, swap_rate);

	got = 0;
	grant(&g->hot, &pool, hot, &got);
	wait_us += read_hot(g, got, &hot_us);
	mem_us += hot_us;

	/* Where the disk does not keep up, somebody waits for it all the time. */
	if (want_swap + want_hot > ask && wait_us) {
		mem_us = share(dt_us, mem_us, wait_us);
		wait_us = dt_us;
	}
	st->work_us += mem_us;
	st->read_us += wait_us;
	return ask;
}

/* The workload takes what it wants, as far as there is something to take. */
static void serve_workload(struct guest *g, uint64_t dt_us, struct stalls *st)
{
	uint64_t ask;

	g->unmet = 0;
	guest_promote(g);
	ask = grow(g, dt_us, st);
	ask += read_back(g, dt_us, st);
	/* Nothing left to reclaim: the programs' own code is what goes next, and everybody stalls. */
	if (g->unmet && !g->cold && !g->hot && (!g->anon || !guest_swap_free(g))) {
		st->work_us += share(dt_us, g->unmet, ask);
		g->oom_us += dt_us;
	} else {
		g->oom_us = sub_sat(g->oom_us, dt_us);
	}
}

/* Sequential reads, of what the disk has left. */
static void fill_cold(struct guest *g, uint64_t dt_us, struct stalls *st)
{
	uint64_t rate = g->c.speed.disk_rate;
	uint64_t want = sub_sat(g->demand.cold, g->cold);
	uint64_t stream = min_u64(min_u64(want, flow(g->demand.fill_rate ?: g->c.fill_rate, dt_us)),
				  flow(rate, g->disk_left_us));
	uint64_t n = min_u64(stream, sub_sat(g->free, g->watermark_high));

	g->free -= n;
	g->cold += n;
	/* A stream larger than RAM goes on for ever, and evicts itself. */
	if (g->demand.cold != GUEST_COLD_FILLS && g->demand.cold > g->c.ram) {
		g->refault_cold_bytes += stream - n;
		g->kswapd_bytes += stream - n;
		n = stream;
	}
	st->stream_us += use_disk(g, n, rate);
}

/* The OOM notifier of the balloon driver gives something back, or somebody dies. */
static void out_of_memory(struct guest *g)
{
	uint64_t n = g->c.rescue_min;

	if (g->oom_us < OOM_PATIENCE_US)
		return;
	g->oom_us = OOM_PATIENCE_US - OOM_AGAIN_US;
	if (g->c.rescue_divisor)
		n = max_u64(n, whole_pages(g->balloon / g->c.rescue_divisor));
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

/* Of two tasks that wait independently of each other, one does, or both do. */
static uint64_t either(uint64_t a_us, uint64_t b_us, uint64_t dt_us)
{
	return dt_us - share(dt_us - a_us, dt_us - b_us, dt_us);
}

static uint64_t both(uint64_t a_us, uint64_t b_us, uint64_t dt_us)
{
	return share(a_us, b_us, dt_us);
}

/*
 * kswapd's work is a memory stall as well (Linux mm/vmscan.c, balance_pgdat()): of everybody, unless
 * new memory is touched meanwhile. Where it is known what is read, there is no other work either.
 */
static void account_stalls(struct guest *g, uint64_t dt_us, const struct stalls *st)
{
	uint64_t work = min_u64(st->work_us, dt_us);
	uint64_t grow = min_u64(max_u64(st->grow_us, work), dt_us);
	uint64_t balloon = min_u64(st->balloon_us, dt_us);
	uint64_t read = min_u64(st->read_us, dt_us);
	uint64_t stream = min_u64(max_u64(st->stream_us, read), dt_us);
	uint64_t kswapd = min_u64(g->kswapd_us, dt_us);
	uint64_t tasks = either(grow, work, dt_us), guest = either(tasks, kswapd, dt_us);
	uint64_t io = either(stream, read, dt_us), rests_us = dt_us - min_u64(st->touch_us, dt_us);
	uint64_t full = both(grow, work, dt_us), io_full = both(stream, read, dt_us);

	if (!(grow | balloon | stream | kswapd))
		return;
	g->psi_us[PSI_MEM_SOME_US] += either(guest, balloon, dt_us);
	g->balloon_some_us += either(guest, balloon, dt_us) - guest;
	g->kswapd_some_us += guest - tasks;
	g->tasks_full_us += g->demand.stream ? share(tasks, rests_us, dt_us) : full;
	if (g->demand.stream) {
		full = share(guest, rests_us, dt_us);
		io_full = share(io, rests_us, dt_us);
	}
	full = max_u64(full, share(kswapd, rests_us, dt_us));
	/* The daemon's wait is everybody's, where nobody else has anything to do: the worst case. */
	g->psi_us[PSI_MEM_FULL_US] += max_u64(full, balloon);
	g->psi_us[PSI_IO_SOME_US] += io;
	g->psi_us[PSI_IO_FULL_US] += io_full;
}

void guest_step(struct guest *g, const struct guest_demand *d, uint64_t dt_us)
{
	struct stalls st = {};

	guest_reclaim_begin(g, dt_us);
	shrink_to(g, d, dt_us);
	if (guest_moving(g) && g->asked < 0)
		deflate(g, dt_us);
	serve_workload(g, dt_us, &st);
	guest_kswapd(g, 0, dt_us);
	if (guest_moving(g) && g->asked > 0)
		inflate(g, dt_us, &st);
	if (d->stream)
		guest_stream(g, dt_us, &st);
	else
		fill_cold(g, dt_us, &st);
	g->now_us += dt_us;
	out_of_memory(g);
	account_stalls(g, dt_us, &st);
}
