// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Scores and the clairvoyant bound on traces that can be worked out by hand,
 * and the laws of others on single looks.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/recording.h"
#include "sim/rivals.h"
#include "sim/run.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define SEC 1000000ULL

#define assert_near(a, b, tolerance) assert_true(fabs((double)(a) - (double)(b)) <= (tolerance))

static double bound_of(const struct trace_point *p, size_t n, enum trace_between between,
		       uint64_t ram, uint64_t floor, uint64_t lock, uint64_t unlock)
{
	struct guest_config c;
	struct trace *t;
	double b = 0;

	guest_config_default(&c, ram, 0);
	c.lock_rate = lock;
	c.unlock_rate = unlock;
	assert_int_equal(trace_new(p, n, between, ram, 0, &t), 0);
	assert_int_equal(score_bound(t, &c, floor, &b), 0);
	trace_free(t);
	return b;
}

/* In whole bytes and seconds, so that the areas are plain geometry. */
static void test_bound(void **state)
{
	const struct trace_point flat[] = { { 0, { .need = 200 } }, { 10 * SEC, { .need = 200 } } };
	const struct trace_point ramp[] = { { 0, { .need = 0 } }, { 10 * SEC, { .need = 1000 } } };
	const struct trace_point step[] = {
		{ 0, { .need = 0 } }, { 5 * SEC, { .need = 1000 } }, { 10 * SEC, { .need = 1000 } },
	};
	const struct trace_point beyond[] = { { 0, { .need = 0 } }, { 10 * SEC, { .need = 2000 } } };

	(void)state;
	/* 800 to have, at 800 a second one second long half of it. */
	assert_near(bound_of(flat, 2, TRACE_LINEAR, 1000, 0, 800, 800), 8000 - 400, 1e-6);
	/* The floor is kept even if nobody needs it. */
	assert_near(bound_of(flat, 2, TRACE_LINEAR, 1000, 600, 1000000000, 1), 4000, 1e-3);
	/* A triangle, cut by the lock rate on the left: up at 100 a second meets down at 100. */
	assert_near(bound_of(ramp, 2, TRACE_LINEAR, 1000, 0, 100, 1000), 10 * 500 / 2, 1e-6);
	/* The unlock rate is no limit while the ramp is slower than it. */
	assert_near(bound_of(ramp, 2, TRACE_LINEAR, 1000, 0, 1000000000, 100), 5000, 1e-3);
	/* A floor under a triangle: what is above it is lost. */
	assert_near(bound_of(ramp, 2, TRACE_LINEAR, 1000, 500, 1000000000, 100), 5 * 500 + 5 * 250, 1e-3);
	/* A step: deflating must begin 2 s ahead at 500 a second, inflating takes 1 s. */
	assert_near(bound_of(step, 3, TRACE_STEPS, 1000, 0, 1000, 500), 500 + 2000 + 1000, 1e-6);
	/* Demand beyond RAM takes everything, not more. */
	assert_near(bound_of(beyond, 2, TRACE_LINEAR, 1000, 0, 1000000000, 1000), 2500, 1e-3);
}

/* The bound is reachable: nothing above it is, and it is not below what a law without fault gets. */
static void test_bound_is_feasible(void **state)
{
	uint32_t seed = 99;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct trace_point p[12] = { 0 };
		double got = 0, b = 0, bound, lock = 1 + seed % 400, unlock = 1 + seed / 7 % 400;
		const int grid = 100;	/* steps a second */
		double cap[11 * 100 + 1];

		for (int i = 0; i < 12; i++) {
			seed = seed * 1664525 + 1013904223;
			p[i].t_us = i * SEC;
			p[i].d.need = seed >> 16 & 1023;
		}
		bound = bound_of(p, 12, TRACE_LINEAR, 1000, 100, lock, unlock);
		/* The same by brute force on a grid. */
		for (int i = 0; i <= 11 * grid; i++) {
			int k = i / grid < 11 ? i / grid : 10;
			double need = p[k].d.need + ((double)p[k + 1].d.need - p[k].d.need) *
						    (i - k * grid) / grid;

			cap[i] = fmax(1000 - fmax(need, 100), 0);
		}
		for (int i = 11 * grid; i-- > 0;)
			cap[i] = fmin(cap[i], cap[i + 1] + unlock / grid);
		for (int i = 0; i < 11 * grid; i++) {
			double next = fmin(cap[i + 1], b + lock / grid);

			got += (b + next) / 2 / grid;
			b = next;
		}
		assert_near(got, bound, bound * 0.01 + 20);
	}
}

static void test_score(void **state)
{
	struct score s;
	struct score_run r;

	(void)state;
	score_init(&s, &r, 1000, 100);
	/* Inflates to 600 within 2 s while 300 are needed. */
	score_add(&r, &(struct score_stretch){ .t_us = 0, .dt_us = 2 * SEC, .demand0 = 300,
		.demand1 = 300, .wanted0 = 300, .wanted1 = 300, .balloon1 = 600, .gain1 = 600 });
	assert_near(s.reclaimed_bs, 600, 1e-6);
	/* Demand passes what is left in the middle of the stretch, by 100 at its end. */
	score_add(&r, &(struct score_stretch){ .t_us = 2 * SEC, .dt_us = 2 * SEC, .demand0 = 300,
		.demand1 = 500, .wanted0 = 300, .wanted1 = 500, .balloon0 = 600, .balloon1 = 600, .gain0 = 600, .gain1 = 600 });
	assert_int_equal(s.short_us, SEC);
	assert_near(s.short_bs, 50, 1e-6);
	assert_int_equal(s.depth_max, 100);
	/* What is taken from the needy is no gain: 600, then 500. */
	assert_near(s.reclaimed_bs, 600 + 2 * 550, 1e-6);
	/* Relief in half a second, and 200 too many in the end. */
	score_add(&r, &(struct score_stretch){ .t_us = 4 * SEC, .dt_us = SEC, .demand0 = 500,
		.demand1 = 500, .wanted0 = 500, .wanted1 = 500, .balloon0 = 600, .balloon1 = 400, .gain0 = 600, .gain1 = 400 });
	score_add(&r, &(struct score_stretch){ .t_us = 5 * SEC, .dt_us = SEC, .demand0 = 500,
		.demand1 = 500, .wanted0 = 500, .wanted1 = 500, .balloon0 = 400, .balloon1 = 300, .gain0 = 400, .gain1 = 300 });
	score_add(&r, &(struct score_stretch){ .t_us = 6 * SEC, .dt_us = 4 * SEC, .demand0 = 500,
		.demand1 = 500, .wanted0 = 500, .wanted1 = 500, .balloon0 = 300, .balloon1 = 350, .gain0 = 300, .gain1 = 350 });
	score_finish(&r, 500, 350);
	assert_int_equal(s.short_us, SEC + SEC / 2);
	assert_int_equal(s.relief_max_us, SEC + SEC / 2);
	assert_int_equal(s.shortages, 1);
	assert_int_equal(s.reversals, 2);
	assert_int_equal(s.overshoot_max, 200);
	assert_int_equal(s.deflations, 1);
	assert_int_equal(s.inflated, 650);
	assert_int_equal(s.deflated, 300);
	assert_int_equal(s.duration_us, 10 * SEC);
}

/* Memory beyond the bound in GiB x h, and time lost: short, or all stalled, but not twice. */
static void test_cost(void **state)
{
	struct score_stretch st = { .dt_us = 3600 * SEC, .demand0 = GIB, .demand1 = GIB, .wanted0 = GIB,
		.wanted1 = GIB, .balloon0 = 2 * GIB, .balloon1 = 2 * GIB, .gain0 = 2 * GIB, .gain1 = 2 * GIB };
	struct score s;
	struct score_run r;

	(void)state;
	score_init(&s, &r, 4 * GIB, 0);
	s.bound_bs = 3 * 3600.0 * GIB;
	score_add(&r, &st);
	assert_near(score_beyond_gib_h(&s), 1, 1e-9);
	assert_int_equal(s.lost_us, 0);
	/* All stalled, nobody short. */
	st = (struct score_stretch){ .dt_us = 10 * SEC, .full_us = 9 * SEC, .tasks_full_us = 4 * SEC };
	score_add(&r, &st);
	assert_int_equal(s.lost_us, 4 * SEC);
	/* Short, and nobody stalled: from the middle on. */
	st = (struct score_stretch){ .dt_us = 10 * SEC, .demand0 = GIB, .demand1 = 3 * GIB, .wanted0 = GIB,
		.wanted1 = 3 * GIB, .balloon0 = 2 * GIB, .balloon1 = 2 * GIB };
	score_add(&r, &st);
	assert_int_equal(s.lost_us, 9 * SEC);
	/* Both: what is longer. */
	st.tasks_full_us = 2 * SEC;
	score_add(&r, &st);
	assert_int_equal(s.lost_us, 14 * SEC);
	st.tasks_full_us = 8 * SEC;
	score_add(&r, &st);
	assert_int_equal(s.lost_us, 22 * SEC);
	assert_int_equal(s.tasks_full_us, 14 * SEC);
	assert_int_equal(s.short_us, 15 * SEC);
	/* Who takes what is needed is below the bound, and short. */
	s.reclaimed_bs = s.bound_bs + 1800.0 * GIB;
	assert_near(score_beyond_gib_h(&s), -0.5, 1e-9);
}

/* Demand at the limit is no shortage; nor is an end at which both meet. */
static void test_score_touching(void **state)
{
	struct score s;
	struct score_run r;

	(void)state;
	score_init(&s, &r, 1000, 0);
	score_add(&r, &(struct score_stretch){ .dt_us = SEC, .demand0 = 400, .demand1 = 400, .wanted0 = 400, .wanted1 = 400,
		.balloon0 = 600, .balloon1 = 600 });
	score_add(&r, &(struct score_stretch){ .t_us = SEC, .dt_us = SEC, .demand0 = 300,
		.demand1 = 400, .wanted0 = 300, .wanted1 = 400, .balloon0 = 600, .balloon1 = 600 });
	score_finish(&r, 400, 600);
	assert_int_equal(s.short_us, 0);
	assert_int_equal(s.shortages, 0);
	assert_int_equal(s.reversals, 0);
}

/* One look: what a guest of 1000 MiB has, of which so much is available. */
static uint64_t look(const struct rival *v, struct rival_state *st, uint64_t have, uint64_t available,
		     uint64_t committed, uint64_t some_us)
{
	struct sample s = { .time_us = st->next_us };

	s.mem[MEM_TOTAL] = have * MIB;
	s.mem[MEM_AVAILABLE] = available * MIB;
	s.mem[MEM_COMMITTED_AS] = committed * MIB;
	s.psi[PSI_MEM_SOME_US] = some_us;
	return (st->ram - rival_decide(v, st, &s)) / MIB;
}

static void test_rivals(void **state)
{
	struct rival_state st;

	(void)state;
	rival_init(&st, 1000 * MIB, 100 * MIB, 0);
	assert_int_equal(look(&rival_selfballoon, &st, 1000, 900, 200, 0), 900);
	assert_int_equal(st.next_us, 5 * SEC);
	assert_int_equal(look(&rival_selfballoon, &st, 300, 900, 700, 0), 700);
	assert_int_equal(look(&rival_selfballoon, &st, 100, 50, 20, 0), 100);

	rival_init(&st, 1000 * MIB, 100 * MIB, 0);
	assert_int_equal(look(&rival_mom, &st, 1000, 900, 0, 0), 950);
	assert_int_equal(look(&rival_mom, &st, 1000, 230, 0, 0), 970);
	assert_int_equal(look(&rival_mom, &st, 1000, 202, 0, 0), 970);	/* 0.2 %: not worth it */
	assert_int_equal(look(&rival_mom, &st, 500, 0, 0, 0), 600);	/* growth is not limited */

	rival_init(&st, 1000 * MIB, 100 * MIB, 0);
	assert_int_equal(look(&rival_proxmox, &st, 1000, 900, 0, 0), 900);
	assert_int_equal(look(&rival_proxmox, &st, 500, 0, 0, 0), 600);
	assert_int_equal(look(&rival_proxmox, &st, 500, 96, 0, 0), 600);	/* 5 MiB: dead band */
	assert_int_equal(look(&rival_proxmox, &st, 500, 50, 0, 0), 562);

	rival_init(&st, 1000 * MIB, 100 * MIB, 0);
	assert_int_equal(look(&rival_vm0, &st, 1000, 900, 0, 0), 744);
	assert_int_equal(look(&rival_vm0, &st, 744, 400, 0, 0), 728);
	assert_int_equal(look(&rival_vm0, &st, 728, 300, 0, 0), 728);
	assert_int_equal(look(&rival_vm0, &st, 728, 100, 0, 0), 1000);

	rival_init(&st, 1000 * MIB, 100 * MIB, 640 * MIB);
	assert_int_equal(look(&rival_static, &st, 1000, 1, 2, 3), 640);
	rival_init(&st, 1000 * MIB, 100 * MIB, 0);
	assert_int_equal(look(&rival_reporting, &st, 1000, 900, 2, 3), 1000);
	assert_ptr_equal(rival_find("mom"), &rival_mom);
	assert_null(rival_find("nobody"));
}

static void test_senpai(void **state)
{
	struct rival_state st;

	(void)state;
	rival_init(&st, 1000 * MIB, 100 * MIB, 0);
	/* Six quiet seconds before each probe of 1 %. */
	for (int i = 0; i < 6; i++)
		assert_int_equal(look(&rival_senpai, &st, 1000, 900, 0, 500), 1000);
	assert_int_equal(look(&rival_senpai, &st, 1000, 900, 0, 500), 990);
	/* 50 ms against 10: a quarter more, at once. */
	assert_int_equal(look(&rival_senpai, &st, 400, 0, 0, 50500), 500);
	/* However bad it is, at most double. */
	assert_int_equal(look(&rival_senpai, &st, 400, 0, 0, 5050500), 800);
}

/* The fixed size with which nothing happens is what it says. */
static void test_static_never_hurts(void **state)
{
	const struct trace_point p[] = {
		{ 0, { .need = GIB, .cold = GUEST_COLD_FILLS } },
		{ 600 * SEC, { .need = 3 * GIB, .hot = 256 * MIB, .cold = GUEST_COLD_FILLS } },
		{ 1200 * SEC, { .need = GIB, .cold = GUEST_COLD_FILLS } },
	};
	struct sim_setup setup;
	struct score s;
	struct trace *t;

	(void)state;
	assert_int_equal(trace_new(p, 3, TRACE_LINEAR, 0, 0, &t), 0);
	sim_setup_default(&setup, t, 8 * GIB, 0);
	setup.rival = &rival_static;
	assert_int_equal(sim_run(&setup, &s), 0);
	assert_int_equal(s.short_us + s.oom_kills + s.rescues, 0);
	/* All that stalled was the balloon itself, when it took the cold cache, and kswapd's work. */
	assert_int_equal(s.mem_some_us, s.own_us + s.kswapd_us);
	assert_true(s.own_us < SEC);
	assert_true(score_share(&s) < 1 && score_share(&s) > 0.5);
	assert_int_equal(sim_ram_for(t), 4160 * MIB);	/* 3.25 GiB at 80 % */
	trace_free(t);
}

/* The balloon does what it did, past floor and relief line, and is there at each row. */
static void test_recorded_law(void **state)
{
	const struct trace_point p[] = {
		{ 0, { .need = GIB } }, { 100 * SEC, { .need = GIB } }, { 200 * SEC, { .need = GIB } },
	};
	const struct trace_seen seen[] = {
		{ .balloon = 0 }, { .balloon = 2900 * MIB }, { .balloon = 100 * MIB },
	};
	struct sim_check c;
	struct sim_setup setup;
	struct score s;
	struct trace *t;

	(void)state;
	assert_int_equal(trace_new(p, 3, TRACE_LINEAR, 4 * GIB, 0, &t), 0);
	t->seen = memcpy(malloc(sizeof(seen)), seen, sizeof(seen));
	t->balloon_seen = true;
	sim_setup_default(&setup, t, 4 * GIB, 0);
	setup.rival = &rival_recorded;
	setup.check = &c;
	assert_int_equal(sim_run(&setup, &s), 0);
	assert_int_equal(c.balloon_error_max, 0);
	assert_int_equal(s.reliefs, 0);
	assert_int_equal(s.inflated, 2900 * MIB);
	/* Evenly, as all else: a triangle up, and a trapezoid down. */
	assert_near(s.reclaimed_bs / GIB, (2900 * 50 + 3000 * 50) / 1024.0, 1);
	trace_free(t);
}

/* kswapd's work wakes who looks at the machine's stalls, and is none of a cgroup's. */
static void test_who_sees_kswapd(void **state)
{
	const struct trace_point p[] = {
		{ 0, { .need = GIB, .cold = GUEST_COLD_FILLS, .stream = 100 * MIB } },
		{ 300 * SEC, { .need = GIB, .cold = GUEST_COLD_FILLS, .stream = 100 * MIB } },
	};
	struct sim_setup setup;
	struct score senpai, adaptive, slow;
	struct trace *t;

	(void)state;
	assert_int_equal(trace_new(p, 2, TRACE_LINEAR, 0, 0, &t), 0);
	sim_setup_default(&setup, t, 4 * GIB, 0);
	assert_int_equal(sim_run(&setup, &adaptive), 0);
	assert_int_equal(adaptive.emergencies, 0);
	setup.rival = &rival_senpai;
	assert_int_equal(sim_run(&setup, &senpai), 0);
	assert_true(senpai.kswapd_us > 5 * SEC && senpai.inflated > GIB / 4);
	/* Where it is slow the triggers fire, by what the kernel counts. */
	setup.rival = NULL;
	setup.guest.speed.reclaim_rate = 200 * MIB;
	assert_int_equal(sim_run(&setup, &slow), 0);
	assert_true(slow.kswapd_us > 50 * SEC);
	assert_true(slow.ticks > adaptive.ticks * 3 / 2);
	trace_free(t);
}

static void record(void *userdata, const struct sample *s, const struct policy_decision *d)
{
	const struct recording_daemon daemon = { .valid = true, .target = d->target };
	char line[RECORDING_LINE_MAX];

	fwrite(line, 1, recording_line(line, sizeof(line), 0, s, &daemon), userdata);
}

/* A guest of the model, recorded as a real one is, and simulated again from its recording alone. */
static void recorded_again(const struct trace_point *p, size_t n, uint64_t period_us,
			   struct sim_check *ret)
{
	char *text = NULL, line[RECORDING_LINE_MAX];
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	struct trace_options o = { .swap = UINT64_MAX, .speed.hot_period_us = period_us };
	struct sim_setup setup;
	struct score first, again;
	struct trace *t;

	assert_int_equal(trace_new(p, n, TRACE_LINEAR, 0, 0, &t), 0);
	sim_setup_default(&setup, t, 4 * GIB, 0);
	setup.guest.speed.hot_period_us = period_us;
	setup.observer = record;
	setup.userdata = f;
	fwrite(line, 1, recording_header(line, sizeof(line)), f);
	assert_int_equal(sim_run(&setup, &first), 0);
	trace_free(t);
	fclose(f);

	f = fmemopen(text, size, "r");
	assert_int_equal(trace_read(f, &o, &t), 0);
	fclose(f);
	sim_setup_default(&setup, t, t->ram, t->swap);
	setup.check = ret;
	assert_int_equal(sim_run(&setup, &again), 0);
	assert_true(ret->rows > 200);
	trace_free(t);
	free(text);
}

static void test_recording_of_itself(void **state)
{
	const struct trace_point calm[] = {
		{ 0, { .need = GIB, .hot = GIB / 4, .cold = 2 * GIB } },
		{ 600 * SEC, { .need = 3 * GIB / 2, .hot = GIB / 4, .cold = 2 * GIB } },
		{ 1800 * SEC, { .need = GIB, .hot = GIB / 4, .cold = 2 * GIB } },
	};
	/* A data base whose cache is taken bit by bit. */
	const struct trace_point database[] = {
		{ 0, { .need = GIB, .hot = 2 * GIB, .cold = GIB, .stream = MIB } },
		{ 3600 * SEC, { .need = GIB, .hot = 2 * GIB, .cold = GIB, .stream = MIB } },
	};
	const uint64_t periods[] = { 5, 60, 600 };
	struct sim_check c;

	(void)state;
	recorded_again(calm, 3, 60 * SEC, &c);
	print_message("# calm: available %.1f MiB off, balloon %.1f\n",
		      c.available_error_sum / c.rows / MIB, c.balloon_error_sum / c.rows / MIB);
	/* kswapd works in other moments, which decides when the balloon moves. */
	assert_true(c.available_error_sum / c.rows < 16 * MIB && c.balloon_error_sum / c.rows < 16 * MIB);
	assert_int_equal(c.have, (1U << _TRACE_COUNTER_MAX) - 1);
	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		recorded_again(database, 2, periods[i] * SEC, &c);
		print_message("# every %u s: balloon %.0f MiB off, refaults %.2f times\n",
			      (unsigned int)periods[i], c.balloon_error_sum / c.rows / MIB,
			      (double)c.model[TRACE_REFAULT_FILE] / c.seen[TRACE_REFAULT_FILE]);
		assert_true(c.available_error_sum / c.rows < 160 * MIB);
		assert_true(c.balloon_error_sum / c.rows < 160 * MIB);
		/* What comes back is wanted again: it stands and falls with a few MiB of balloon. */
		assert_true(c.seen[TRACE_REFAULT_FILE] > 1000);
		assert_in_range(c.model[TRACE_REFAULT_FILE], c.seen[TRACE_REFAULT_FILE] / 3,
				c.seen[TRACE_REFAULT_FILE] * 3);
		assert_in_range(c.model[TRACE_IO_SOME], c.seen[TRACE_IO_SOME] / 3,
				c.seen[TRACE_IO_SOME] * 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_bound_is_feasible),
		cmocka_unit_test(test_score),
		cmocka_unit_test(test_score_touching),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_rivals),
		cmocka_unit_test(test_senpai),
		cmocka_unit_test(test_static_never_hurts),
		cmocka_unit_test(test_recorded_law),
		cmocka_unit_test(test_who_sees_kswapd),
		cmocka_unit_test(test_recording_of_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
