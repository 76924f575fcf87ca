// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * While the guest boots, or starts services, no estimate takes anything; how
 * long that is waited for; and what does not wait.
 *
 * Left out: how it is known that something starts (tests/bus/test-startup.py).
 */
#include "sample-maker.h"

#define MIN (60 * SEC)

static struct policy_config config;
static struct policy_state state;
static struct sample sample;
static struct policy_decision decision;

static void tick(uint64_t us)
{
	sample.time_us += us;
	policy_decide(&config, &state, &sample, &decision);
	/* A balloon that does as it is told. */
	set_balloon(&sample, sample.balloon.size + decision.step);
	sample.balloon.asked = sample.balloon.moved = decision.step;
}

/* The daemon starts with the guest up for so long, and this going on. */
static void begin(uint64_t uptime_us, enum sample_start start)
{
	policy_config_default(&config);
	policy_init(&state);
	sample = healthy(uptime_us);
	sample.start = start;
	tick(0);
	assert_int_equal(decision.reason, REASON_STARTING);
}

/* Seconds until the balloon grows; limit + 1 = not until then. */
static unsigned seconds_until_it_grows(unsigned limit)
{
	for (unsigned i = 1; i <= limit; i++) {
		tick(SEC);
		if (decision.step > 0)
			return i;
		assert_int_equal(decision.step, 0);
	}
	return limit + 1;
}

static void stays(unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		tick(SEC);
		assert_int_equal(decision.reason, REASON_START_WAIT);
		assert_int_equal(decision.step, 0);
		assert_int_equal(decision.target, sample.balloon.size);
	}
}

static void nothing_is_taken_while_it_boots(void **unused)
{
	(void)unused;
	begin(5 * SEC, SAMPLE_START_BOOT);
	stays(100);
	assert_int_equal(sample.balloon.size, 0);
	assert_true(decision.goal > GIB);
	sample.start = SAMPLE_START_NONE;
	assert_in_range(seconds_until_it_grows(10), 1, 5);
}

static void observe_says_so_too(void **unused)
{
	(void)unused;
	begin(5 * SEC, SAMPLE_START_BOOT);
	config.mode = MODE_OBSERVE;
	tick(SEC);
	stays(10);
	sample.start = SAMPLE_START_NONE;
	tick(SEC);
	assert_int_not_equal(decision.reason, REASON_START_WAIT);
	assert_true(decision.target > 0);
}

static void law_committed_waits_too(void **unused)
{
	(void)unused;
	begin(5 * SEC, SAMPLE_START_SERVICES);
	config.law = LAW_COMMITTED;
	sample.mem[MEM_COMMITTED_AS] = GIB;
	tick(10 * SEC);
	stays(10);
	sample.start = SAMPLE_START_NONE;
	assert_in_range(seconds_until_it_grows(20), 1, 10);
}

static void a_boot_is_waited_for_from_its_beginning(void **unused)
{
	(void)unused;
	begin(4 * MIN, SAMPLE_START_BOOT);
	stays(59);
	assert_in_range(seconds_until_it_grows(10), 1, 5);
	/* Whoever comes later does not begin anew. */
	begin(6 * MIN, SAMPLE_START_BOOT);
	assert_in_range(seconds_until_it_grows(10), 1, 5);
}

static void a_service_is_waited_for_from_its_own(void **unused)
{
	(void)unused;
	begin(24 * 60 * MIN, SAMPLE_START_SERVICES);
	stays(299);
	assert_in_range(seconds_until_it_grows(10), 1, 5);
}

static void inflation_under_way_stops(void **unused)
{
	uint64_t size;

	(void)unused;
	begin(60 * MIN, SAMPLE_START_NONE);
	config.inflate_rate = 16 * MIB;
	assert_in_range(seconds_until_it_grows(10), 1, 5);
	tick(SEC);
	assert_true(state.move.valid);
	size = sample.balloon.size;
	sample.start = SAMPLE_START_SERVICES;
	stays(20);
	assert_int_equal(sample.balloon.size, size);
	/* And goes on by its usual steps. */
	sample.start = SAMPLE_START_NONE;
	assert_in_range(seconds_until_it_grows(10), 1, 5);
}

static void time_without_starts_is_earned_back(void **unused)
{
	(void)unused;
	begin(60 * MIN, SAMPLE_START_SERVICES);
	stays(200);
	sample.start = SAMPLE_START_NONE;
	for (int i = 0; i < 50; i++)
		tick(SEC);
	/* 150 s are used up, 150 s are left. */
	sample.start = SAMPLE_START_SERVICES;
	config.inflate_rate = MIB;
	for (int i = 0; i < 149; i++) {
		tick(SEC);
		assert_true(decision.step <= 0 && state.start.waited_us < config.start_wait_us);
	}
	tick(SEC);
	tick(SEC);
	assert_int_equal(state.start.waited_us, config.start_wait_us);
	/* However long it hangs, it is never more than all. */
	tick(60 * MIN);
	sample.start = SAMPLE_START_NONE;
	tick(SEC);
	for (int i = 0; i < 300; i++)
		tick(SEC);
	assert_int_equal(state.start.waited_us, 0);
}

/* A service that fails after a minute and is started again at once, all day. */
static void a_crash_loop_does_not_keep_it_away(void **unused)
{
	unsigned waited = 0;

	(void)unused;
	begin(60 * MIN, SAMPLE_START_NONE);
	for (unsigned i = 0; i < 3600; i++) {
		sample.start = i % 61 ? SAMPLE_START_SERVICES : SAMPLE_START_NONE;
		tick(SEC);
		waited += start_waits(&config, &state.start);
	}
	assert_in_range(waited, 300, 450);
}

static void orders_pass(void **unused)
{
	(void)unused;
	begin(5 * SEC, SAMPLE_START_BOOT);
	config.mode = MODE_MANUAL;
	config.manual_target = GIB;
	assert_in_range(seconds_until_it_grows(5), 1, 2);
	assert_int_equal(decision.reason, REASON_MANUAL);

	begin(5 * SEC, SAMPLE_START_BOOT);
	config.mode = MODE_HOST;
	sample.balloon.host_target_valid = true;
	sample.balloon.host_target = GIB;
	assert_in_range(seconds_until_it_grows(5), 1, 2);
	assert_int_equal(decision.reason, REASON_HOST);

	/* The host's in mode auto, and not a page beyond. */
	begin(5 * SEC, SAMPLE_START_BOOT);
	sample.balloon.host_target_valid = true;
	sample.balloon.host_target = GIB;
	assert_in_range(seconds_until_it_grows(5), 1, 2);
	assert_int_equal(decision.reason, REASON_HOST);
	for (int i = 0; i < 60 && sample.balloon.size < GIB; i++)
		tick(SEC);
	assert_int_equal(sample.balloon.size, GIB);
	stays(30);
	assert_int_equal(sample.balloon.size, GIB);
}

/* A balloon that was taken over from the daemon before. */
static void memory_is_given_back(void **unused)
{
	(void)unused;
	begin(60 * MIN, SAMPLE_START_SERVICES);
	set_balloon(&sample, 5 * GIB);
	tick(SEC);
	stays(5);
	/* A program takes nearly all that is left: the law gives some back ... */
	sample.mem[MEM_ANON] += sample.mem[MEM_AVAILABLE] - 64 * MIB;
	sample.mem[MEM_AVAILABLE] = sample.mem[MEM_FREE] = 64 * MIB;
	tick(SEC);
	assert_true(decision.step < 0);

	/* ... and a critical shortage everything. */
	begin(60 * MIN, SAMPLE_START_SERVICES);
	set_balloon(&sample, 5 * GIB);
	tick(SEC);
	sample.mem[MEM_AVAILABLE] = sample.mem[MEM_FREE] = 8 * MIB;
	for (int i = 0; i < 3; i++) {
		press(&sample, SEC, 900, 800, 100000);
		sample.trigger = TRIGGER_EMERGENCY;
		tick(SEC);
	}
	sample.trigger = TRIGGER_NONE;
	for (int i = 0; i < 3; i++)
		tick(SEC);
	assert_int_equal(sample.balloon.size, 0);
}

static void zero_is_no_wait(void **unused)
{
	static const enum sample_start what[] = {SAMPLE_START_BOOT, SAMPLE_START_SERVICES};

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		begin(SEC, what[i]);
		config.start_wait_us = 0;
		assert_in_range(seconds_until_it_grows(10), 1, 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_taken_while_it_boots),
		cmocka_unit_test(observe_says_so_too),
		cmocka_unit_test(law_committed_waits_too),
		cmocka_unit_test(a_boot_is_waited_for_from_its_beginning),
		cmocka_unit_test(a_service_is_waited_for_from_its_own),
		cmocka_unit_test(inflation_under_way_stops),
		cmocka_unit_test(time_without_starts_is_earned_back),
		cmocka_unit_test(a_crash_loop_does_not_keep_it_away),
		cmocka_unit_test(orders_pass),
		cmocka_unit_test(memory_is_given_back),
		cmocka_unit_test(zero_is_no_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
