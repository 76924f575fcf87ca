// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What programs read again, and wait for, because the balloon is where it was.
 *
 * Leaves out: pressure and emergencies (test-policy-incidents.c), which are answered at once.
 */
#include "policy-fixture.h"

/* What is lost by cache that is away is lost on every disk and in every mode, by kswapd alone. */
static void thrash_under_kswapd_alone(void **state)
{
	static const enum policy_mode modes[] = {MODE_AUTO, MODE_MANUAL, MODE_HOST};

	(void)state;
	for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
		uint64_t hurts = 4 * GIB, lost_us = 0;
		struct fixture f;

		init(&f, 5 * GIB);
		f.c.mode = modes[m];
		f.c.manual_target = 5 * GIB;
		f.s.balloon.host_target = modes[m] == MODE_HOST ? 5 * GIB : 0;
		f.s.balloon.host_target_valid = modes[m] == MODE_HOST;
		f.s.balloon.may_undercut_host = true;
		f.s.balloon.floor = 360 * MIB;
		for (int i = 0; i < 3600; i++) {
			bool thrashes = f.s.balloon.size > hurts;

			f.s.mem[MEM_FREE] = f.s.mem[MEM_WATERMARK_HIGH];
			f.s.vm[VM_PGSCAN_KSWAPD] += 500;
			f.s.vm[VM_RESTORE_FILE] += thrashes ? 150 : 0;
			f.s.psi[PSI_IO_SOME_US] += thrashes ? SEC * 8 / 10 : 0;
			press(&f.s, SEC, thrashes ? 700 : 0, thrashes ? 600 : 0, 0);
			lost_us += thrashes ? SEC * 6 / 10 : 0;
			tick(&f, SEC);
			assert_true(!f.d.urgent);
			if (thrashes)
				assert_true(f.d.reason != REASON_STEADY);
			set_balloon(&f.s, f.s.balloon.size + f.d.step);
		}
		/* Down within seconds; and what a second costs is more than an hour of it is worth. */
		assert_true(lost_us < 20 * SEC);
		assert_true(f.s.balloon.size <= hurts && f.s.balloon.size > hurts / 2);
		assert_int_equal(f.d.reason, REASON_PRICE);
		assert_true(f.d.n.hold_off_left_us > 0);
		/* Who grows now takes it from the balloon, not from that cache. */
		assert_true(f.d.relief_line >= f.d.n.available * 2 / 3);
		assert_true(f.d.relief_line <= f.d.n.available * 4 / 5);
	}
}

/* Until the balloon stands still: the most that was pushed out although it is used, and how long. */
static void order(uint64_t used, uint64_t *ret_too_much, int *ret_seconds)
{
	uint64_t lacks = 0, most = 0;
	struct fixture f;
	int i;

	init(&f, 0);
	f.c.mode = MODE_MANUAL;
	f.c.manual_target = 6 * GIB;
	f.s.mem[MEM_CACHED] = 3 * GIB;
	set_balloon(&f.s, 0);
	for (i = 0; i < 600 && (f.d.step || i < 30); i++) {
		uint64_t hurts = 7 * GIB - used, was = f.s.balloon.size;

		/* A slow disk: of what is missed a mebibyte a second comes back. */
		f.s.vm[VM_RESTORE_FILE] += lacks ? 256 : 0;
		f.s.psi[PSI_IO_SOME_US] += lacks ? SEC * 9 / 10 : 0;
		press(&f.s, SEC, lacks ? 700 : 0, lacks ? 600 : 0, 0);
		lacks = sub_sat(lacks, MIB);
		tick(&f, SEC);
		set_balloon(&f.s, was + f.d.step);
		f.s.mem[MEM_FREE] = f.s.mem[MEM_FREE] > 64 * MIB ? f.s.mem[MEM_FREE] : 64 * MIB;
		if (f.s.balloon.size > hurts && f.d.step > 0)
			lacks += f.s.balloon.size - (was > hurts ? was : hurts);
		most = lacks > most ? lacks : most;
		assert_true(!f.d.urgent);
	}
	*ret_too_much = most;
	*ret_seconds = i;
}

/* Who orders a balloon gets it soon where nobody misses what it pushes out, and else not all of it. */
static void orders_push_out_in_steps(void **state)
{
	uint64_t too_much;
	int seconds;

	(void)state;
	order(0, &too_much, &seconds);
	assert_int_equal(too_much, 0);
	assert_in_range(seconds, 5, 31);
	order(2 * GIB, &too_much, &seconds);
	assert_in_range(too_much, MIB, 200 * MIB);
}

static void cached(struct fixture *f, uint64_t balloon)
{
	init(f, balloon);
	f->c.mode = MODE_MANUAL;
	f->c.manual_target = 6 * GIB;
	f->s.mem[MEM_CACHED] = 7 * GIB;
	set_balloon(&f->s, balloon);
	f->s.mem[MEM_FREE] = 64 * MIB;
}

static void follow(struct fixture *f)
{
	tick(f, SEC);
	set_balloon(&f->s, f->s.balloon.size + f->d.step);
	f->s.mem[MEM_FREE] = 64 * MIB;
}

/* What has come back meanwhile is not pushed out again in one go. */
static void an_order_begins_anew_after_a_shortage(void **state)
{
	uint64_t first;
	struct fixture f;

	(void)state;
	cached(&f, 0);
	follow(&f);
	first = f.s.balloon.size;
	assert_in_range(first, MIB, 200 * MIB);
	while (f.s.balloon.size < 3 * GIB)
		follow(&f);
	set_balloon(&f.s, 0);
	f.s.mem[MEM_FREE] = 64 * MIB;
	for (int i = 0; i < 600 && !f.s.balloon.size; i++)
		follow(&f);
	assert_in_range(f.s.balloon.size, MIB, first);
}

/* A group that waits for its own cache, whatever the balloon is, keeps no order away for ever. */
static void an_order_does_not_wait_for_others_stalls(void **state)
{
	struct fixture f;

	(void)state;
	cached(&f, 0);
	for (int i = 0; i < 120; i++) {
		f.s.vm[VM_RESTORE_FILE] += 150;
		f.s.psi[PSI_IO_SOME_US] += SEC / 2;
		press(&f.s, SEC, 50, 20, 0);
		follow(&f);
		if (f.s.balloon.size)
			return;
	}
	fail_msg("nothing in two minutes");
}

/* Swap may be in memory: what comes from there without a stall costs nobody a disk. */
static void read_again_from_zram(void **state)
{
	struct fixture f;

	(void)state;
	init(&f, 5 * GIB);
	for (int i = 0; i < 600; i++) {
		f.s.mem[MEM_FREE] = f.s.mem[MEM_WATERMARK_HIGH];
		f.s.vm[VM_RESTORE_ANON] += 100;
		tick(&f, SEC);
		assert_true(f.d.step >= 0);
	}
}

/* A line that keeps cache is none for a guest that is left with less than that. */
static void what_was_learned_goes_with_the_memory(void **state)
{
	struct fixture f;

	(void)state;
	init(&f, 5 * GIB);
	f.s.balloon.floor = 360 * MIB;
	for (int i = 0; i < 60; i++) {
		bool thrashes = f.s.balloon.size > 4 * GIB;

		f.s.mem[MEM_FREE] = f.s.mem[MEM_WATERMARK_HIGH];
		f.s.vm[VM_RESTORE_FILE] += thrashes ? 150 : 0;
		f.s.psi[PSI_IO_SOME_US] += thrashes ? SEC * 8 / 10 : 0;
		press(&f.s, SEC, thrashes ? 700 : 0, thrashes ? 100 : 0, 0);
		tick(&f, SEC);
		set_balloon(&f.s, f.s.balloon.size + f.d.step);
	}
	assert_true(f.d.relief_line > GIB);
	f.s.ram = 6 * GIB;
	f.s.mem[MEM_AVAILABLE] = GIB;
	tick(&f, SEC);
	assert_true(f.d.relief_line < 360 * MIB);
}

/* A fast disk makes nobody wait. But it reads for others, too, and does so for ever. */
static void read_again_without_a_stall(void **state)
{
	uint64_t hurts = 4 * GIB;
	struct fixture f;

	(void)state;
	init(&f, 5 * GIB);
	for (int i = 0; i < 600; i++) {
		f.s.mem[MEM_FREE] = f.s.mem[MEM_WATERMARK_HIGH];
		f.s.vm[VM_RESTORE_FILE] += f.s.balloon.size > hurts ? 100 : 0;
		tick(&f, SEC);
		set_balloon(&f.s, f.s.balloon.size + f.d.step);
	}
	assert_true(f.s.balloon.size <= hurts && f.s.balloon.size > hurts / 2);
}

/* A little below where it hurt soon, there again seldom, and each time more so. */
static void where_it_hurts_is_not_tried_twelve_times(void **state)
{
	uint64_t hurts = 4 * GIB, below = 0;
	struct fixture f;
	int times = 0;
	bool was = false;

	(void)state;
	init(&f, 3 * GIB);
	f.c.mode = MODE_MANUAL;
	f.c.manual_target = 5 * GIB;
	for (int i = 0; i < 24 * 3600; i++) {
		bool thrashes = f.s.balloon.size > hurts;

		f.s.mem[MEM_FREE] = f.s.mem[MEM_WATERMARK_HIGH];
		f.s.vm[VM_RESTORE_FILE] += thrashes ? 150 : 0;
		f.s.psi[PSI_IO_SOME_US] += thrashes ? SEC * 8 / 10 : 0;
		press(&f.s, SEC, thrashes ? 700 : 0, thrashes ? 100 : 0, 0);
		tick(&f, SEC);
		times += thrashes && !was;
		was = thrashes;
		below += f.s.balloon.size > hurts * 7 / 8;
		set_balloon(&f.s, f.s.balloon.size + f.d.step);
	}
	assert_in_range(times, 2, 11);
	assert_true(below > 12 * 3600);
}

/* It is harmless where the balloon was moved to, which says nothing of a page that a proof left. */
static void a_late_page_raises_no_cap(void **state)
{
	struct fixture f;

	(void)state;
	cached(&f, GIB);
	f.st.thrash = (struct thrash){
		.capped = true,
		.reached = true,
		.cap = GIB,
		.next_step_us = UINT64_MAX,
	};
	for (int i = 0; i < 10; i++) {
		set_balloon(&f.s, f.s.balloon.size + 2 * MIB);
		f.s.mem[MEM_FREE] = 64 * MIB;
		follow(&f);
		assert_int_equal(f.d.step, 0);
	}
	set_balloon(&f.s, GIB - 64 * MIB);
	for (int i = 0; i < 60; i++)
		follow(&f);
	assert_int_equal(f.s.balloon.size, GIB);
	/* What was free is. */
	f.s.mem[MEM_FREE] = GIB;
	tick(&f, SEC);
	obey(&f);
	assert_true(f.s.balloon.size > GIB + 512 * MIB);
	tick(&f, SEC);
	assert_int_equal(f.st.thrash.cap, f.s.balloon.size);
}

/* It has not come down to where it is to go because nobody sees it for a moment. */
static void a_device_that_is_away_is_no_answer(void **state)
{
	struct fixture f;

	(void)state;
	cached(&f, 4 * GIB);
	f.c.deflate_rate = 64 * MIB;
	f.st.thrash = (struct thrash){
		.capped = true,
		.cap = 3 * GIB,
		.next_step_us = UINT64_MAX,
	};
	follow(&f);
	f.s.balloon.valid = false;
	tick(&f, SEC);
	tick(&f, SEC);
	f.s.balloon.valid = true;
	for (int i = 0; i < 30; i++)
		follow(&f);
	assert_int_equal(f.s.balloon.size, 3 * GIB);
	/* Nor does it cost anything that the balloon is not larger while there is none. */
	f.st.thrash.next_step_us = 0;
	f.s.balloon.valid = false;
	for (int i = 0; i < 4 * 3600; i++)
		tick(&f, SEC);
	assert_true(f.st.thrash.capped);
	assert_int_equal(f.st.thrash.cap, 3 * GIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thrash_under_kswapd_alone),
		cmocka_unit_test(orders_push_out_in_steps),
		cmocka_unit_test(an_order_begins_anew_after_a_shortage),
		cmocka_unit_test(an_order_does_not_wait_for_others_stalls),
		cmocka_unit_test(read_again_from_zram),
		cmocka_unit_test(what_was_learned_goes_with_the_memory),
		cmocka_unit_test(read_again_without_a_stall),
		cmocka_unit_test(where_it_hurts_is_not_tried_twelve_times),
		cmocka_unit_test(a_late_page_raises_no_cap),
		cmocka_unit_test(a_device_that_is_away_is_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
