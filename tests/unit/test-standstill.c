// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest that stood still while its clock ran on, and hosts that do not let go.
 */
#include "policy-fixture.h"

/* A look of the ordinary kind, and one of a guest where nothing ran for so long. */
static void begin(struct fixture *f, uint64_t balloon)
{
	init(f, balloon);
	tick(f, SEC);
	f->s.mem[MEM_FREE] = f->s.mem[MEM_WATERMARK_HIGH];
	f->s.mem[MEM_AVAILABLE] = 800 * MIB;
	tick(f, SEC);
}

static void sleep_with_a_stall(struct fixture *f, uint64_t for_us)
{
	/* One task reclaimed at that moment; by the clock all have waited for it since. */
	f->s.psi[PSI_MEM_SOME_US] += for_us;
	f->s.psi[PSI_MEM_FULL_US] += for_us;
	f->s.psi[PSI_IO_SOME_US] += for_us;
	f->s.vm[VM_PGSCAN_DIRECT] += 32;
	f->s.vm[VM_ALLOCSTALL] += 1;
	f->s.vm[VM_PSWPIN] += 300 * for_us / SEC;
	f->s.trigger = TRIGGER_EMERGENCY;
	tick(f, for_us);
}

static void a_standstill_is_no_shortage(void **state)
{
	static const uint64_t lengths[] = {20 * SEC, 40 * SEC, 120 * SEC, 3600 * SEC};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct fixture f;

		begin(&f, 6 * GIB);
		sleep_with_a_stall(&f, lengths[i]);
		assert_int_equal(f.d.step, 0);
		assert_int_equal(f.d.reason, REASON_STARTING);
		assert_true(f.d.stood_still_us >= lengths[i] - 5 * SEC);
		/* The triggers look back over the gap, too. */
		f.s.vm[VM_PGSCAN_DIRECT] += 32;
		f.s.vm[VM_PSWPIN] += 300;
		f.s.trigger = TRIGGER_EMERGENCY;
		tick(&f, SEC / 10);
		assert_int_equal(f.d.step, 0);
		assert_int_equal(f.d.stood_still_us, 0);
		f.s.trigger = TRIGGER_NONE;
		for (int n = 0; n < 30; n++) {
			tick(&f, SEC);
			assert_true(!f.d.urgent && f.d.step >= 0);
		}
	}
}

static void a_shortage_after_it_is_one(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 6 * GIB);
	sleep_with_a_stall(&f, 40 * SEC);
	f.s.trigger = TRIGGER_NONE;
	f.s.mem[MEM_AVAILABLE] = 100 * MIB;
	press(&f.s, SEC, 700, 500, 10000);
	tick(&f, SEC);
	assert_int_equal(f.d.reason, REASON_EMERGENCY);
}

/* A daemon that is kept from running by thrash comes late each time. */
static void late_again_and_again_is_one(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 6 * GIB);
	f.s.mem[MEM_AVAILABLE] = 100 * MIB;
	for (int i = 0; i < 2; i++) {
		press(&f.s, 20 * SEC, 700, 500, 100000);
		tick(&f, 20 * SEC);
		assert_int_equal(f.d.reason, i == 0 ? REASON_STARTING : REASON_EMERGENCY);
	}
	/* A machine that has run in between may stand still again. */
	begin(&f, 6 * GIB);
	sleep_with_a_stall(&f, 40 * SEC);
	f.s.trigger = TRIGGER_NONE;
	for (int i = 0; i < 40; i++)
		tick(&f, SEC);
	sleep_with_a_stall(&f, 40 * SEC);
	assert_int_equal(f.d.reason, REASON_STARTING);
}

static void a_look_that_is_a_little_late_counts(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 6 * GIB);
	f.s.mem[MEM_AVAILABLE] = 100 * MIB;
	press(&f.s, 9 * SEC, 700, 500, 100000);
	tick(&f, 9 * SEC);
	assert_int_equal(f.d.stood_still_us, 0);
	assert_int_equal(f.d.reason, REASON_EMERGENCY);
}

static void a_move_is_not_stuck_by_it(void **state)
{
	struct fixture f;

	(void)state;
	init(&f, 0);
	for (int i = 0; i < 20 && f.d.step <= 0; i++)
		tick(&f, SEC);
	assert_true(f.d.step > 0);
	f.s.balloon.asked = f.d.step;
	f.s.balloon.moved = 2 * MIB;
	f.s.balloon.took_us = 40 * SEC;
	tick(&f, 40 * SEC);
	assert_true(f.d.stood_still_us > 0);
	assert_true(f.d.reason != REASON_STUCK);
	f.s.balloon.asked = f.s.balloon.moved = 0;
	for (int i = 0; i < 10 && f.d.step <= 0; i++) {
		assert_true(f.d.reason != REASON_STUCK);
		tick(&f, SEC);
	}
	assert_true(f.d.step > 0);
}

/* --- hosts --- */

static void insisting(struct fixture *f, uint64_t balloon, uint64_t target)
{
	init(f, balloon);
	f->s.balloon.may_undercut_host = false;
	f->s.balloon.host_target_valid = true;
	f->s.balloon.host_target = target;
}

static void a_host_that_asks_for_more_than_the_floor_leaves(void **state)
{
	struct fixture f;
	int said = -1;

	(void)state;
	insisting(&f, 0, 8 * GIB - 100 * MIB);
	for (int i = 0; i < 60; i++) {
		tick(&f, SEC);
		obey(&f);
		if (f.d.host_excess && said < 0)
			said = i;
		assert_true(f.s.balloon.size <= 8 * GIB - f.d.n.floor);
	}
	/* Not at once, and as much as is missing to it. */
	assert_in_range(said, 9, 30);
	assert_in_range(f.d.host_excess, MIB, f.s.balloon.host_target - f.s.balloon.size);
	/* It is over when the host asks for less, and that has lasted. */
	f.s.balloon.host_target = 2 * GIB;
	tick(&f, SEC);
	assert_true(f.d.host_excess > 0);
	for (int i = 0; i < 62; i++)
		tick(&f, SEC);
	assert_int_equal(f.d.host_excess, 0);
}

/* What keeps the balloon smaller meanwhile changes nothing of what the host asks for. */
static void a_lower_bound_hides_no_floor(void **state)
{
	static const enum policy_reason bounds[] = {REASON_LIMIT, REASON_NOT_TAKEN, REASON_PRICE};
	static const uint64_t targets[] = {8 * GIB - 100 * MIB, 4 * GIB};

	(void)state;
	for (size_t n = 0; n < 3 * 2; n++) {
		struct fixture f;

		insisting(&f, GIB, targets[n % 2]);
		if (bounds[n / 2] == REASON_LIMIT)
			f.c.limit = GIB;
		if (bounds[n / 2] == REASON_PRICE)
			f.st.thrash = (struct thrash){
				.capped = true,
				.reached = true,
				.cap = GIB,
				.next_step_us = UINT64_MAX,
			};
		for (int i = 0; i < 30; i++) {
			f.s.mem[MEM_FREE] = f.s.mem[MEM_WATERMARK_HIGH];
			f.s.balloon.proof = bounds[n / 2] == REASON_NOT_TAKEN && !i ?
						    SAMPLE_PROOF_KEPT :
						    SAMPLE_PROOF_NONE;
			tick(&f, SEC);
			obey(&f);
		}
		assert_int_equal(f.d.reason, bounds[n / 2]);
		assert_int_equal(f.s.balloon.size, GIB);
		assert_int_equal(f.d.host_excess, sub_sat(targets[n % 2], 8 * GIB - f.d.n.floor));
	}
}

/* The module's own floor is one, too; cache that its line keeps for programs can be had. */
static void the_modules_floor_counts_and_its_line_does_not(void **state)
{
	static const uint64_t targets[] = {5 * GIB, 7 * GIB};

	(void)state;
	for (size_t n = 0; n < 2; n++) {
		struct fixture f;

		insisting(&f, GIB, targets[n]);
		f.s.balloon.floor = GIB;
		f.s.balloon.relief_line = 4 * GIB;
		f.c.limit = GIB;
		for (int i = 0; i < 30; i++) {
			tick(&f, SEC);
			obey(&f);
		}
		assert_int_equal(f.s.balloon.size, GIB);
		/* 6 GiB are available. */
		assert_int_equal(f.d.host_excess, sub_sat(targets[n], 6 * GIB));
	}
}

static void a_host_that_keeps_what_programs_need(void **state)
{
	struct fixture f;

	(void)state;
	insisting(&f, 4 * GIB, 4 * GIB);
	tick(&f, SEC);
	for (int i = 0; i < 15; i++) {
		assert_int_equal(f.d.host_excess, 0);
		if (i == 3)
			break;
		tick(&f, SEC);
	}
	f.s.mem[MEM_AVAILABLE] = 20 * MIB;
	f.s.mem[MEM_FREE] = 60 * MIB;
	for (int i = 0; i < 15; i++) {
		press(&f.s, SEC, 700, 500, 10000);
		tick(&f, SEC);
	}
	assert_true(f.d.host_excess >= 64 * MIB);
	assert_int_equal(f.d.step, 0);
	/* Nobody looked for minutes: it is not over for that. */
	sleep_with_a_stall(&f, 120 * SEC);
	assert_true(f.d.host_excess > 0);
	tick(&f, SEC);
	assert_true(f.d.host_excess > 0);
}

/* Of a large page in which the host's target lies nothing can go: all that is left is the host's. */
static void a_part_of_a_large_page_is_the_hosts(void **state)
{
	static const uint64_t small[] = {0, MIB / 2, 4 * MIB};

	(void)state;
	for (size_t n = 0; n < 3; n++) {
		struct fixture f;
		uint64_t can_go = min_u64(small[n], MIB);

		insisting(&f, 4 * GIB, 4 * GIB - MIB);
		f.s.balloon.large = f.s.balloon.size - small[n];
		for (int i = 0; i < 15; i++) {
			f.s.mem[MEM_AVAILABLE] = 20 * MIB;
			f.s.mem[MEM_FREE] = 60 * MIB;
			press(&f.s, SEC, 700, 500, 10000);
			tick(&f, SEC);
			obey(&f);
			assert_true(f.d.reason != REASON_STUCK);
		}
		assert_int_equal(f.s.balloon.size, 4 * GIB - can_go);
		assert_int_equal(f.d.reason, REASON_HOST);
		assert_true(f.d.host_excess > 0);
	}
}

/* PSI goes up and down while programs are short. */
static void a_shortage_that_comes_and_goes(void **state)
{
	struct fixture f;

	(void)state;
	insisting(&f, 4 * GIB, 4 * GIB);
	tick(&f, SEC);
	f.s.mem[MEM_AVAILABLE] = 20 * MIB;
	f.s.mem[MEM_FREE] = 60 * MIB;
	for (int i = 0; i < 20; i++) {
		if (i % 4)
			press(&f.s, SEC, 700, 500, 10000);
		else
			f.s.mem[MEM_AVAILABLE] = 3 * GIB;
		tick(&f, SEC);
		f.s.mem[MEM_AVAILABLE] = 20 * MIB;
	}
	assert_true(f.d.host_excess > 0);
}

static void a_host_that_lets_go_is_no_problem(void **state)
{
	struct fixture f;

	(void)state;
	insisting(&f, 0, 8 * GIB - 100 * MIB);
	f.s.balloon.may_undercut_host = true;
	for (int i = 0; i < 60; i++) {
		tick(&f, SEC);
		obey(&f);
		assert_int_equal(f.d.host_excess, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_standstill_is_no_shortage),
		cmocka_unit_test(a_shortage_after_it_is_one),
		cmocka_unit_test(late_again_and_again_is_one),
		cmocka_unit_test(a_look_that_is_a_little_late_counts),
		cmocka_unit_test(a_move_is_not_stuck_by_it),
		cmocka_unit_test(a_host_that_asks_for_more_than_the_floor_leaves),
		cmocka_unit_test(a_lower_bound_hides_no_floor),
		cmocka_unit_test(the_modules_floor_counts_and_its_line_does_not),
		cmocka_unit_test(a_host_that_keeps_what_programs_need),
		cmocka_unit_test(a_part_of_a_large_page_is_the_hosts),
		cmocka_unit_test(a_shortage_that_comes_and_goes),
		cmocka_unit_test(a_host_that_lets_go_is_no_problem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
