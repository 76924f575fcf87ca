// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest model: nothing is created or lost, whatever happens to it, and
 * what it shows is what a kernel would show.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/guest.h"
#include "uballoon.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define SEC 1000000ULL

static void check_invariants(const struct guest *g)
{
	const uint64_t parts[] = { g->anon, g->idle, g->hot, g->cold, g->free, g->balloon };
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		/* An amount that went below zero is larger than RAM. */
		assert_true(parts[i] <= g->c.ram);
		sum += parts[i];
	}
	assert_true(sum == g->c.ram);
	assert_true(g->swapped_anon <= g->c.swap && g->swapped_idle <= g->c.swap);
	assert_true(g->swapped_anon + g->swapped_idle <= g->c.swap);
	assert_true(g->anon + g->swapped_anon + g->idle + g->swapped_idle <= g->demand.need);
	assert_true(g->hot <= g->demand.hot && (g->demand.stream || g->cold <= g->demand.cold));
	assert_true(g->hot + g->hot_evicted <= g->demand.hot);
	assert_true(g->psi_us[PSI_MEM_FULL_US] <= g->psi_us[PSI_MEM_SOME_US]);
	assert_true(g->psi_us[PSI_MEM_SOME_US] <= g->now_us);
	assert_true(g->psi_us[PSI_IO_FULL_US] <= g->psi_us[PSI_IO_SOME_US]);
	assert_true(g->psi_us[PSI_IO_SOME_US] <= g->now_us);
	assert_true(g->workingset_bytes <= g->refault_hot_bytes);
	assert_int_equal(g->balloon % 4096, 0);
}

static uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Demand, moves and steps of all sizes, up to twice of what fits. */
static void walk(uint32_t seed, uint64_t swap, struct guest *g)
{
	struct guest_demand d = { .cold = GUEST_COLD_FILLS };
	struct guest_config c;

	guest_config_default(&c, GIB, swap);
	c.module_floor = seed % 3 * 100 * MIB;
	guest_init(g, &c, &d);
	check_invariants(g);
	for (int i = 0; i < 2000; i++) {
		uint32_t r = random_next(&seed);

		if (r % 7 == 0)
			d.need = random_next(&seed) % (2 * GIB);
		if (r % 11 == 0)
			d.hot = random_next(&seed) % GIB;
		if (r % 13 == 0)
			d.cold = r & 64 ? GUEST_COLD_FILLS : random_next(&seed) % (2 * GIB);
		if (r % 19 == 0) {
			d.stream = r & 128 ? random_next(&seed) % (GIB / 2) : 0;
			d.again = random_next(&seed) % (d.stream + 1);
			d.drop = random_next(&seed) % (64 * MIB);
			d.back = random_next(&seed) % (d.hot + 1);
		}
		if (r % 17 == 0)
			d.idle = random_next(&seed) % (GIB / 2);
		if (r % 5 == 0)
			guest_move(g, (int64_t)(random_next(&seed) % (2 * GIB)) - (int64_t)GIB, r & 1024);
		guest_step(g, &d, 1 + random_next(&seed) % (r & 2048 ? SEC : SEC / 100));
		check_invariants(g);
	}
}

static void test_conservation(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 60; seed++) {
		struct guest g;

		walk(seed * 2654435761U, seed % 2 ? 0 : 512 * MIB, &g);
	}
}

/* The members from first to last; between others there may be holes, with anything in them. */
#define SAME(a, b, first, last)                                                             \
	assert_memory_equal(&(a)->first, &(b)->first, offsetof(struct guest, last) +         \
			    sizeof((a)->last) - offsetof(struct guest, first))

static void test_determinism(void **state)
{
	struct guest a, b;

	(void)state;
	walk(4711, 100 * MIB, &a);
	walk(4711, 100 * MIB, &b);
	SAME(&a, &b, wanted, hold_off_until_us);
	SAME(&a, &b, stream_owed, moved);
	SAME(&a, &b, swapin_bytes, tasks_full_us);
	assert_true(a.kswapd_runs == b.kswapd_runs && a.may_reclaim == b.may_reclaim);
	assert_true(a.took_us == b.took_us && a.stop == b.stop);
}

static void start(struct guest *g, uint64_t ram, uint64_t swap, struct guest_demand d)
{
	struct guest_config c;

	guest_config_default(&c, ram, swap);
	guest_init(g, &c, &d);
}

static void live(struct guest *g, struct guest_demand d, uint64_t us)
{
	for (uint64_t t = 0; t < us; t += SEC / 100) {
		guest_step(g, &d, SEC / 100);
		check_invariants(g);
	}
}

static void test_available(void **state)
{
	struct guest_demand d = { .need = GIB, .hot = 200 * MIB, .cold = 300 * MIB };
	struct guest g;
	struct sample s;

	(void)state;
	start(&g, 4 * GIB, 0, d);
	guest_sample(&g, &s);
	assert_true(s.mem[MEM_TOTAL] == 4 * GIB);
	assert_true(s.mem[MEM_CACHED] == 500 * MIB);
	assert_true(s.mem[MEM_FREE] == 4 * GIB - GIB - 500 * MIB);
	/* si_mem_available(): free and cache, without reserve and low watermark. */
	assert_true(s.mem[MEM_AVAILABLE] ==
		    s.mem[MEM_FREE] + 500 * MIB - guest_reserve(4 * GIB) - g.watermark_low);
	assert_true(guest_need_seen(4 * GIB, 4 * GIB, s.mem[MEM_AVAILABLE], 500 * MIB) == d.need);
	/* min_free_kbytes with huge pages on, as Linux 6.1 sets it on machines of this size. */
	assert_int_equal(g.watermark_min / 1024, 67584);
	start(&g, 2 * GIB, 0, d);
	assert_int_equal(g.watermark_min / 1024, 45056);
}

static void test_calm_guest_is_calm(void **state)
{
	struct guest_demand d = { .need = GIB, .cold = GUEST_COLD_FILLS };
	struct guest g;

	(void)state;
	start(&g, 4 * GIB, 0, d);
	live(&g, d, 10 * SEC);
	assert_true(guest_calm(&g));
	assert_int_equal(g.psi_us[PSI_MEM_SOME_US], 0);
	assert_int_equal(g.direct_bytes + g.swapout_bytes + g.refault_hot_bytes, 0);
}

static void test_lock_and_unlock_take_time(void **state)
{
	struct guest_demand d = { .need = GIB };
	struct guest g;

	(void)state;
	start(&g, 8 * GIB, 0, d);
	guest_move(&g, 4 * GIB, false);
	live(&g, d, SEC);
	assert_in_range(g.balloon, GIB - MIB, GIB + MIB);
	assert_true(guest_moving(&g));
	live(&g, d, 4 * SEC);
	assert_true(g.balloon == 4 * GIB);
	assert_int_equal(g.stop, UBALLOON_STOP_DONE);
	guest_move(&g, -(int64_t)(4 * GIB), false);
	live(&g, d, SEC / 2);
	assert_in_range(g.balloon, 2 * GIB - MIB, 2 * GIB + MIB);
	live(&g, d, SEC);
	assert_int_equal(g.balloon, 0);
	assert_int_equal(g.psi_us[PSI_MEM_SOME_US], 0);
}

static void test_lock_without_reclaim_stops(void **state)
{
	struct guest_demand d = { .need = GIB, .cold = GUEST_COLD_FILLS };
	struct guest g;

	(void)state;
	start(&g, 4 * GIB, 0, d);
	guest_move(&g, GIB, false);
	live(&g, d, SEC);
	assert_int_equal(g.stop, UBALLOON_STOP_NOMEM);
	assert_true(g.balloon < 64 * MIB);
	/* With reclaim it evicts cold cache, and that is seen as a stall. */
	guest_move(&g, GIB, true);
	live(&g, d, 3 * SEC);
	assert_int_equal(g.stop, UBALLOON_STOP_DONE);
	assert_true(g.psi_us[PSI_MEM_SOME_US] > 0);
	assert_true(g.balloon_some_us == g.psi_us[PSI_MEM_SOME_US]);
	assert_true(g.psi_us[PSI_MEM_FULL_US] > 0 && !g.tasks_full_us);
	assert_int_equal(g.refault_hot_bytes, 0);
}

static void test_module_floor(void **state)
{
	struct guest_demand d = { .need = GIB };
	struct guest g;

	(void)state;
	start(&g, 4 * GIB, 0, d);
	g.c.module_floor = 500 * MIB;
	guest_move(&g, 3 * GIB, true);
	live(&g, d, 5 * SEC);
	assert_int_equal(g.stop, UBALLOON_STOP_FLOOR);
	assert_in_range(guest_available(&g), 499 * MIB, 501 * MIB);
}

static void test_hot_cache_comes_back(void **state)
{
	struct guest_demand d = { .need = GIB, .hot = 512 * MIB };
	struct guest g;
	struct sample s;

	(void)state;
	start(&g, 2 * GIB, 0, d);
	guest_move(&g, 600 * MIB, true);
	live(&g, d, 5 * SEC);
	guest_sample(&g, &s);
	assert_true(s.vm[VM_RESTORE_FILE] > 0);
	assert_true(s.psi[PSI_MEM_SOME_US] > 0 && s.psi[PSI_IO_SOME_US] > 0);
	/* Relief: what was evicted is read back, and then it is quiet again. */
	guest_move(&g, -(int64_t)GIB, false);
	live(&g, d, 10 * 60 * SEC);
	assert_true(guest_calm(&g));
	assert_true(g.hot == d.hot);
}

/* Hot cache that was evicted a moment ago, with room to come back. */
static void evicted(struct guest *g, struct guest_demand d, uint64_t bytes, const struct guest_speed *speed)
{
	struct guest_config c;

	guest_config_default(&c, 4 * GIB, 0);
	guest_config_speed(&c, speed);
	guest_init(g, &c, &d);
	g->hot -= bytes;
	g->hot_evicted = g->aged = bytes;
	g->free += bytes;
}

/* Read again at random, it comes as fast as the disk serves requests, or as its bandwidth allows. */
static void test_iops_bound_random_reads(void **state)
{
	struct guest_demand d = { .need = GIB, .hot = GIB };
	const struct {
		uint64_t iops, least, most;
	} table[] = {
		{ 200, 3 * MIB, 4 * MIB },		/* 16 KiB each */
		{ 3000, 46 * MIB, 48 * MIB },
		{ 1000000, 124 * MIB, 126 * MIB },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct guest_speed speed = { .iops = table[i].iops, .hot_period_us = SEC };
		struct guest g;

		evicted(&g, d, 900 * MIB, &speed);
		live(&g, d, SEC);
		assert_in_range(g.refault_hot_bytes, table[i].least, table[i].most);
		/* Somebody waits for it all the time. */
		assert_true(!guest_calm(&g) && g.psi_us[PSI_IO_FULL_US] > SEC * 98 / 100);
	}
}

/* A hot set of a long period is missed late: in a period, each page once. */
static void test_hot_period(void **state)
{
	struct guest_demand d = { .need = GIB, .hot = GIB };
	const uint64_t periods[] = { 5, 60, 600 };
	uint64_t stalled = UINT64_MAX;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct guest_speed speed = { .hot_period_us = periods[i] * SEC };
		uint64_t rate = 60 * MIB / periods[i];
		struct guest g;

		evicted(&g, d, 60 * MIB, &speed);
		live(&g, d, SEC);
		assert_in_range(g.refault_hot_bytes, rate * 8 / 10, rate * 12 / 10);
		/* The disk would do that in 1.3 s; the longer the period, the smaller a part of it. */
		assert_true(g.psi_us[PSI_MEM_SOME_US] < stalled);
		stalled = g.psi_us[PSI_MEM_SOME_US];
		live(&g, d, 3 * periods[i] * SEC);
		assert_true(g.hot_evicted < 6 * MIB);
		assert_true(guest_calm(&g));
	}
	assert_true(stalled < 10000);
}

/* mm/workingset.c: what comes back before more has been evicted than the active lists hold. */
static void test_workingset(void **state)
{
	struct guest_demand d = { .need = GIB, .hot = GIB };
	struct guest_speed speed = { .hot_period_us = 5 * SEC };
	struct guest g;
	struct sample s;

	(void)state;
	/* A small part of it: all of that counts, and its reads are stalls for memory as well. */
	evicted(&g, d, 100 * MIB, &speed);
	live(&g, d, SEC);
	guest_sample(&g, &s);
	assert_true(s.vm[VM_REFAULT_FILE] > 1000);
	assert_int_equal(s.vm[VM_RESTORE_FILE], s.vm[VM_REFAULT_FILE]);
	assert_int_equal(s.vm[VM_ACTIVATE_FILE], s.vm[VM_REFAULT_FILE]);
	assert_int_equal(s.psi[PSI_MEM_SOME_US], s.psi[PSI_IO_SOME_US]);
	assert_true(s.psi[PSI_MEM_SOME_US] > SEC / 10);

	/* Nearly all of it: the kernel does not know it again. It is waited for as I/O. */
	evicted(&g, d, GIB - 50 * MIB, &speed);
	live(&g, d, SEC);
	guest_sample(&g, &s);
	assert_true(s.vm[VM_REFAULT_FILE] > 1000);
	assert_true(s.vm[VM_RESTORE_FILE] < s.vm[VM_REFAULT_FILE] / 5);
	assert_true(s.psi[PSI_MEM_FULL_US] < SEC / 5);
	assert_true(s.psi[PSI_IO_FULL_US] > SEC * 9 / 10);
}

/* What is said goes first; reclaim is as fast as touching, unless something is said of it. */
static void test_speed(void **state)
{
	const struct guest_speed option = { .touch_rate = GIB }, file = { .iops = 7, .touch_rate = 5 };
	struct guest_speed said = guest_speed_or(&option, &file);
	struct guest_config c;

	(void)state;
	guest_config_default(&c, GIB, 0);
	assert_true(c.speed.disk_rate == 125 * MIB && c.speed.iops == 3000);
	assert_true(c.speed.hot_period_us == 60 * SEC);
	assert_true(c.speed.touch_rate == 2 * GIB && c.speed.reclaim_rate == 2 * GIB);
	guest_config_speed(&c, &said);
	assert_true(c.speed.touch_rate == GIB && c.speed.reclaim_rate == GIB);
	assert_true(c.speed.iops == 7 && c.speed.disk_rate == 125 * MIB);
	said.reclaim_rate = 3 * MIB;
	guest_config_speed(&c, &said);
	assert_true(c.speed.reclaim_rate == 3 * MIB);
}

/* Growing into cold cache: kswapd reclaims beside the task, as long as it is not slower. */
static void test_kswapd_works_beside(void **state)
{
	struct guest_demand d = { .need = 256 * MIB, .cold = GUEST_COLD_FILLS };
	struct guest_config c;
	struct guest g;

	(void)state;
	guest_config_default(&c, 4 * GIB, 0);
	guest_init(&g, &c, &d);
	live(&g, d, SEC);
	d.need = 2 * GIB;
	live(&g, d, 3 * SEC);
	assert_true(g.anon == d.need && g.kswapd_bytes > GIB);
	assert_int_equal(g.direct_bytes, 0);
	/* Nobody waits for it, but its own time counts: as everybody's, but while memory is touched. */
	assert_int_equal(g.psi_us[PSI_MEM_SOME_US], g.kswapd_some_us);
	assert_in_range(g.kswapd_some_us, g.kswapd_bytes * SEC / c.speed.reclaim_rate - SEC / 100,
			g.kswapd_bytes * SEC / c.speed.reclaim_rate + SEC / 100);
	assert_in_range(g.psi_us[PSI_MEM_FULL_US], 0, g.kswapd_some_us / 10);
	assert_int_equal(g.tasks_full_us, 0);
	assert_true(g.free >= g.watermark_low);

	/* At a quarter of the task's rate: it runs dry, and the task reclaims as fast again. */
	c.speed.reclaim_rate = c.speed.touch_rate / 4;
	d.need = 256 * MIB;
	guest_init(&g, &c, &d);
	d.need = 2 * GIB;
	live(&g, d, 5 * SEC);
	assert_true(g.anon == d.need);
	/* In GiB a second: 2 (1 - d / .5) = .5 + d, so it reclaims .3 of the .8 that it touches. */
	assert_in_range(g.direct_bytes, 620 * MIB, 672 * MIB);
	assert_true(g.psi_us[PSI_MEM_SOME_US] >= g.direct_bytes * SEC / c.speed.reclaim_rate - 1000);
	/* One of two tasks; but kswapd's time is everybody's while the other one waits. */
	assert_in_range(g.psi_us[PSI_MEM_FULL_US], SEC / 10, g.psi_us[PSI_MEM_SOME_US] * 2 / 3);
}

/* What kswapd has begun it ends, at its rate, whoever looks. */
static void test_kswapd_ends_at_high(void **state)
{
	struct guest_demand d = { .need = 256 * MIB, .cold = 3 * GIB };
	struct guest_config c;
	struct guest g;

	(void)state;
	guest_config_default(&c, 4 * GIB, 0);
	c.speed.reclaim_rate = 100 * MIB;
	guest_init(&g, &c, &d);
	d.need += g.free - g.watermark_low + 4 * MIB;
	guest_step(&g, &d, SEC / 100);
	guest_step(&g, &d, SEC / 100);
	while (g.anon < d.need)
		guest_step(&g, &d, SEC / 100);
	guest_step(&g, &d, SEC / 100);
	assert_true(g.kswapd_runs && g.free < g.watermark_high);
	live(&g, d, 2 * SEC);
	assert_true(!g.kswapd_runs && g.free >= g.watermark_high && g.free < g.watermark_high + 2 * MIB);
	/* 100 MiB/s: nobody else does anything. */
	assert_int_equal(g.psi_us[PSI_MEM_SOME_US], g.kswapd_some_us);
	assert_in_range(g.kswapd_some_us, g.kswapd_bytes / 105, g.kswapd_bytes / 103);
	assert_in_range(g.psi_us[PSI_MEM_FULL_US], g.kswapd_some_us * 9 / 10, g.kswapd_some_us);
	assert_int_equal(g.tasks_full_us, 0);
}

/* What is read comes in, also where there is no room: kswapd recycles cold cache for it. */
static void test_stream(void **state)
{
	struct guest_demand d = { .need = 256 * MIB, .cold = 100 * MIB, .stream = 50 * MIB };
	struct guest g;
	struct sample s;
	uint64_t room;

	(void)state;
	start(&g, GIB, 0, d);
	room = g.free;
	live(&g, d, 10 * SEC);
	assert_in_range(g.cold, 598 * MIB, 600 * MIB);
	assert_int_equal(g.kswapd_bytes + g.psi_us[PSI_MEM_SOME_US], 0);
	live(&g, d, 20 * SEC);
	guest_sample(&g, &s);
	assert_in_range(g.kswapd_bytes, 1499 * MIB - (room - g.watermark_low), 1500 * MIB - (room - g.watermark_high));
	assert_int_equal(s.vm[VM_PGSTEAL_KSWAPD], g.kswapd_bytes / 4096);
	assert_int_equal(g.psi_us[PSI_MEM_SOME_US], g.kswapd_some_us);
	assert_in_range(g.kswapd_some_us, g.kswapd_bytes / 2150, g.kswapd_bytes / 2140);
	assert_in_range(g.psi_us[PSI_IO_SOME_US], 11900000, 12100000);
	/* There is but one task, and it waits. */
	assert_int_equal(g.psi_us[PSI_IO_FULL_US], g.psi_us[PSI_IO_SOME_US]);
	assert_int_equal(g.refault_cold_bytes, 0);

	/* Read again what went, and nothing else: only that much can. */
	d.again = d.stream;
	room = g.cold_evicted;
	live(&g, d, SEC);
	assert_in_range(g.refault_cold_bytes, 49 * MIB, 50 * MIB);
	assert_true(g.cold_evicted <= room);
	start(&g, GIB, 0, d);
	live(&g, d, SEC);
	assert_int_equal(g.cold, 100 * MIB);	/* found in the cache */
	assert_int_equal(g.refault_cold_bytes, 0);
	/* Files that are deleted make room; what was reclaimed from outside is read again. */
	d.again = d.stream = 1;
	d.drop = 20 * MIB;
	live(&g, d, SEC);
	assert_in_range(g.cold, 80 * MIB, 81 * MIB);
	d.again = d.stream = 50 * MIB;
	d.drop = 0;
	live(&g, d, SEC);
	assert_in_range(g.refault_cold_bytes, 19 * MIB, 20 * MIB);
}

/* Faster than the disk: it is late, and nothing gets lost. */
static void test_stream_waits_for_the_disk(void **state)
{
	struct guest_demand d = { .cold = 0, .stream = 250 * MIB };
	struct guest g;

	(void)state;
	start(&g, 4 * GIB, 0, d);
	live(&g, d, 2 * SEC);
	assert_in_range(g.cold, 249 * MIB, 250 * MIB);
	d.stream = 1;
	live(&g, d, 2 * SEC);
	assert_in_range(g.cold, 498 * MIB, 500 * MIB);
	live(&g, d, SEC);
	assert_in_range(g.cold, 499 * MIB, 500 * MIB);
}

/* An active list that is longer than the inactive one pays for a stream, unless it is looked at meanwhile. */
static void test_active_list_is_recycled(void **state)
{
	struct guest_demand d = { .need = 64 * MIB, .hot = 700 * MIB, .cold = 100 * MIB, .stream = 50 * MIB };
	struct guest_config c;
	struct guest g;

	(void)state;
	start(&g, GIB, 0, d);
	live(&g, d, 10 * SEC);
	assert_true(g.hot_evicted > 20 * MIB && g.refault_hot_bytes > 0);
	assert_true(g.hot > 500 * MIB);

	guest_config_default(&c, GIB, 0);
	c.speed.hot_period_us = SEC / 2;
	guest_init(&g, &c, &d);
	live(&g, d, 10 * SEC);
	assert_true(g.hot_evicted + g.refault_hot_bytes < 3 * MIB);

	/* No longer than the inactive one: it is left alone. */
	d.hot = 300 * MIB;
	start(&g, GIB, 0, d);
	live(&g, d, 20 * SEC);
	assert_true(g.kswapd_bytes > 300 * MIB);
	assert_int_equal(g.hot_evicted + g.refault_hot_bytes, 0);
}

/* What becomes hot is in the cache, unless it had been evicted where it was recorded, and can have been here. */
static void test_hot_cache_grows(void **state)
{
	struct guest_demand d = { .need = 64 * MIB, .cold = 300 * MIB, .stream = 1 };
	struct guest g;

	(void)state;
	start(&g, GIB, 0, d);
	d.hot = d.back = 100 * MIB;
	live(&g, d, SEC);
	assert_true(g.hot == 100 * MIB);
	assert_int_equal(g.psi_us[PSI_IO_SOME_US], 0);

	d.hot = d.back = 0;
	start(&g, GIB, 0, d);
	d.stream = 100 * MIB;
	live(&g, d, 10 * SEC);
	assert_true(g.cold_evicted > 300 * MIB);
	d.stream = 1;
	d.hot = 100 * MIB;
	d.back = 40 * MIB;
	live(&g, d, SEC / 100);
	assert_in_range(g.hot, 60 * MIB, 61 * MIB);
	live(&g, d, 60 * SEC);
	assert_in_range(g.refault_hot_bytes, 20 * MIB, 30 * MIB);
	assert_true(g.workingset_bytes > 10 * MIB && g.psi_us[PSI_MEM_SOME_US] > g.kswapd_some_us);
}

/* What is swapped out costs kswapd two looks, and the time of the disk until enough is free. */
static void test_kswapd_swaps(void **state)
{
	struct guest_demand d = { .need = 700 * MIB, .idle = 600 * MIB };
	struct guest_config c;
	struct guest g;
	uint64_t before;

	(void)state;
	guest_config_default(&c, GIB, GIB);
	c.speed.disk_rate = 100 * GIB;
	c.speed.reclaim_rate = GIB;
	c.speed.touch_rate = 100 * MIB;
	guest_init(&g, &c, &d);
	d.need = 1200 * MIB;
	for (int i = 0; i < 100; i++)
		guest_step(&g, &d, SEC / 10);
	assert_true(g.kswapd_bytes > 100 * MIB && g.swapout_bytes == g.kswapd_bytes);
	assert_in_range(g.kswapd_some_us, 2 * g.kswapd_bytes / 1100, 2 * g.kswapd_bytes / 1000);

	/* 50 MiB/s are left for writing: as long as the task grows, it is at it. */
	c.speed.disk_rate = 100 * MIB;
	d.need = 700 * MIB;
	guest_init(&g, &c, &d);
	d.need = 1200 * MIB;
	for (int i = 0; i < 500 && !g.kswapd_runs; i++)
		live(&g, d, SEC / 100);
	assert_true(g.swapout_bytes > 0 && g.kswapd_runs);
	before = g.psi_us[PSI_MEM_SOME_US];
	live(&g, d, SEC / 2);
	assert_true(g.kswapd_runs);
	assert_int_equal(g.psi_us[PSI_MEM_SOME_US] - before, SEC / 2);
}

/* The disk is one: what is swapped in comes in clusters, and no faster than requests are served. */
static void test_swapin_is_bound(void **state)
{
	struct guest_demand d = { .need = 600 * MIB };
	struct guest_config c;
	struct guest g;

	(void)state;
	guest_config_default(&c, 2 * GIB, GIB);
	c.speed.iops = 1000;
	guest_init(&g, &c, &d);
	g.anon -= 500 * MIB;
	g.swapped_anon += 500 * MIB;
	g.free += 500 * MIB;
	live(&g, d, SEC);
	assert_in_range(g.swapin_bytes, 31 * MIB, 32 * MIB);	/* 32 KiB each */
	assert_true(g.psi_us[PSI_MEM_FULL_US] > SEC * 98 / 100);
	assert_true(g.psi_us[PSI_IO_FULL_US] > SEC * 98 / 100);
}

/* A file is read one page after the other: the disk's bandwidth counts, and its requests do not. */
static void test_sequential_reads(void **state)
{
	struct guest_demand d = { .need = 256 * MIB };
	struct guest_config c;
	struct guest g;

	(void)state;
	guest_config_default(&c, 2 * GIB, 0);
	c.speed.iops = 100;
	c.speed.disk_rate = 50 * MIB;
	guest_init(&g, &c, &d);
	d.cold = GIB;
	live(&g, d, SEC);
	assert_in_range(g.cold, 49 * MIB, 51 * MIB);
	assert_true(g.psi_us[PSI_IO_SOME_US] > SEC * 98 / 100);
	assert_int_equal(g.psi_us[PSI_IO_FULL_US] + g.psi_us[PSI_MEM_SOME_US], 0);
	/* What is known to go through the disk cannot fill more than that. */
	d.fill_rate = MIB;
	live(&g, d, 10 * SEC);
	assert_in_range(g.cold, 58 * MIB, 62 * MIB);
}

static void test_cold_stream_refaults_alone(void **state)
{
	/* Three times what fits, read again and again: refaults, but no activation and no stall. */
	struct guest_demand d = { .need = 512 * MIB, .cold = 3 * GIB };
	struct guest g;
	struct sample s;

	(void)state;
	start(&g, GIB, 0, d);
	live(&g, d, 10 * SEC);
	guest_sample(&g, &s);
	assert_true(s.vm[VM_REFAULT_FILE] > 0);
	assert_int_equal(s.vm[VM_ACTIVATE_FILE] + s.vm[VM_RESTORE_FILE], 0);
	assert_int_equal(s.psi[PSI_MEM_SOME_US], 0);
}

static void test_swap_takes_idle_first(void **state)
{
	struct guest_demand d = { .need = 700 * MIB, .idle = 600 * MIB };
	struct guest g;
	struct sample s;

	(void)state;
	start(&g, GIB, GIB, d);
	d.need = 1300 * MIB;
	live(&g, d, 20 * SEC);
	guest_sample(&g, &s);
	assert_true(g.swapped_idle > 200 * MIB);
	assert_int_equal(g.swapped_anon, 0);
	assert_int_equal(g.oom_kills, 0);
	/* Growing through a swap device is slow: some stall, but everybody while kswapd is at it. */
	assert_true(s.psi[PSI_MEM_SOME_US] - g.kswapd_some_us > 2 * SEC);
	assert_in_range(s.psi[PSI_MEM_FULL_US], SEC, s.psi[PSI_MEM_SOME_US]);
	assert_true(g.unmet == 0);
}

static void test_begins_with_a_balloon(void **state)
{
	struct guest_demand d = { .need = 512 * MIB, .cold = GUEST_COLD_FILLS };
	struct guest_config c;
	struct guest g;

	(void)state;
	guest_config_default(&c, 2 * GIB, 0);
	c.balloon = GIB;
	guest_init(&g, &c, &d);
	check_invariants(&g);
	assert_true(g.balloon == GIB && g.anon == d.need && g.cold > 256 * MIB);
	/* More than there is room for. */
	c.balloon = 4 * GIB;
	guest_init(&g, &c, &d);
	check_invariants(&g);
}

/* The balloon stays while more than the line is available, however much is reclaimed. */
static void test_relief_line(void **state)
{
	struct guest_demand d = { .need = 256 * MIB, .cold = GUEST_COLD_FILLS };
	struct guest g;
	struct sample s;

	(void)state;
	start(&g, GIB, 0, d);
	g.c.module_floor = 200 * MIB;
	g.relief_line = 80 * MIB;
	guest_move(&g, 400 * MIB, true);
	live(&g, d, 3 * SEC);
	assert_true(g.balloon == 400 * MIB);
	d.need = 400 * MIB;
	live(&g, d, 5 * SEC);
	assert_true(g.balloon == 400 * MIB && g.kswapd_bytes > 100 * MIB);
	d.need = 600 * MIB;
	live(&g, d, 5 * SEC);
	guest_sample(&g, &s);
	assert_true(g.anon == d.need);
	/* What was missing to the line and its step, no more. */
	assert_true(g.shrinks > 0 && g.balloon > 100 * MIB && g.balloon < 400 * MIB);
	assert_in_range(guest_available(&g), 80 * MIB, 104 * MIB);
	assert_int_equal(s.balloon.relief_events, g.shrinks);
	assert_int_equal(s.balloon.relieved, 400 * MIB - g.balloon);
	assert_int_equal(s.balloon.rescue_events, 0);
	assert_true(g.psi_us[PSI_MEM_FULL_US] < SEC / 5);
	assert_int_equal(g.rescues + g.oom_kills, 0);
}

static void test_oom(void **state)
{
	struct guest_demand d = { .need = 256 * MIB };
	struct guest g;
	uint64_t t;

	(void)state;
	start(&g, GIB, 0, d);
	g.relief_line = 0;
	guest_move(&g, 512 * MIB, false);
	live(&g, d, SEC);
	assert_true(g.balloon == 512 * MIB);
	d.need = 900 * MIB;
	for (t = 0; !g.rescues && t < 60 * SEC; t += SEC / 100)
		live(&g, d, SEC / 100);
	/* Not at once, and with everybody stalled until then. */
	assert_in_range(t, SEC / 2, 5 * SEC);
	assert_in_range(g.psi_us[PSI_MEM_FULL_US], SEC / 2, 5 * SEC);
	live(&g, d, 5 * SEC);
	assert_int_equal(g.oom_kills, 0);
	assert_int_equal(g.unmet, 0);
	assert_true(g.anon == d.need);

	/* The driver refuses to take it back again for a while. */
	guest_move(&g, 64 * MIB, true);
	live(&g, d, SEC / 10);
	assert_int_equal(g.stop, UBALLOON_STOP_NOMEM);

	/* Without a balloon somebody dies, and what he wanted does not come back ... */
	d.need = 1100 * MIB;
	live(&g, d, 30 * SEC);
	assert_int_equal(g.balloon, 0);
	assert_int_equal(g.oom_kills, 1);
	assert_true(g.anon < 700 * MIB);
	/* ... until the workload has let go of it. */
	d.need = 0;
	live(&g, d, SEC);
	d.need = 600 * MIB;
	live(&g, d, 5 * SEC);
	assert_true(g.anon == 600 * MIB);
	assert_int_equal(g.oom_kills, 1);
}

/* A trace begins on a Monday at midnight, and its weeks follow each other. */
static void test_week(void **state)
{
	struct guest_demand d = { .need = 64 * MIB };
	struct guest_config c;
	struct sample s;
	struct guest g;

	(void)state;
	guest_config_default(&c, GIB, 0);
	guest_init(&g, &c, &d);
	guest_sample(&g, &s);
	assert_true(s.has_week && s.week_s == 0);
	g.now_us = 8 * 86400 * SEC + SEC / 2;
	guest_sample(&g, &s);
	assert_int_equal(s.week_s, 86400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conservation),
		cmocka_unit_test(test_determinism),
		cmocka_unit_test(test_available),
		cmocka_unit_test(test_calm_guest_is_calm),
		cmocka_unit_test(test_lock_and_unlock_take_time),
		cmocka_unit_test(test_lock_without_reclaim_stops),
		cmocka_unit_test(test_module_floor),
		cmocka_unit_test(test_hot_cache_comes_back),
		cmocka_unit_test(test_iops_bound_random_reads),
		cmocka_unit_test(test_hot_period),
		cmocka_unit_test(test_workingset),
		cmocka_unit_test(test_speed),
		cmocka_unit_test(test_kswapd_works_beside),
		cmocka_unit_test(test_kswapd_ends_at_high),
		cmocka_unit_test(test_kswapd_swaps),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_stream_waits_for_the_disk),
		cmocka_unit_test(test_active_list_is_recycled),
		cmocka_unit_test(test_hot_cache_grows),
		cmocka_unit_test(test_swapin_is_bound),
		cmocka_unit_test(test_sequential_reads),
		cmocka_unit_test(test_cold_stream_refaults_alone),
		cmocka_unit_test(test_swap_takes_idle_first),
		cmocka_unit_test(test_begins_with_a_balloon),
		cmocka_unit_test(test_week),
		cmocka_unit_test(test_relief_line),
		cmocka_unit_test(test_oom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
