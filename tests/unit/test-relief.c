// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the module gives by the relief line is ordinary; what its last resort
 * gives is not. And where the line lies.
 */
#include "decide/relief.h"
#include "sample-maker.h"

#define TAKEN (2 * GIB)

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

/* Until the balloon has come to rest. */
static int at_rest(void **unused)
{
	(void)unused;
	policy_config_default(&config);
	policy_init(&state);
	sample = healthy(SEC);
	sample.balloon.floor = 744 * MIB;
	sample.balloon.relief_line = 512 * MIB;
	for (int i = 0; i < 200; i++)
		tick(SEC);
	assert_true(sample.balloon.size > 5 * GIB);
	assert_int_equal(decision.step, 0);
	return 0;
}

/* A program has taken so much, and the module has given it. */
static void program_takes(uint64_t bytes)
{
	sample.balloon.relief_events++;
	sample.balloon.relieved += bytes;
	sample.balloon.size -= bytes;
	sample.mem[MEM_TOTAL] += bytes;
	sample.mem[MEM_ANON] += bytes;
}

static void program_ends(uint64_t bytes)
{
	sample.mem[MEM_ANON] -= bytes;
	sample.mem[MEM_FREE] += bytes;
	sample.mem[MEM_AVAILABLE] += bytes;
}

/* Seconds until the balloon grows again; 3600 = it does not. */
static unsigned seconds_until_it_grows(void)
{
	for (unsigned i = 0; i < 3600; i++) {
		tick(SEC);
		if (decision.step > 0)
			return i;
	}
	return 3600;
}

static void relief_is_ordinary(void **unused)
{
	(void)unused;
	program_takes(TAKEN);
	tick(SEC / 10);
	assert_int_equal(decision.reason, REASON_RELIEF);
	assert_int_equal(decision.relieved, TAKEN);
	assert_int_equal(decision.step, 0);
	tick(SEC);
	assert_int_equal(decision.relieved, 0);
	program_ends(TAKEN);
	assert_in_range(seconds_until_it_grows(), 4, 30);
}

/* Nor is it what reclaim on the way there has cost: nobody was short of memory. */
static void relief_that_met_the_demand_is_no_shortage(void **unused)
{
	(void)unused;
	program_takes(TAKEN);
	sample.mem[MEM_FREE] = 0;
	press(&sample, SEC, 60, 50, 1000);
	tick(SEC);
	assert_int_equal(decision.reason, REASON_RELIEF);
	assert_true(state.turn.lost_us > 40000);
	program_ends(TAKEN);
	assert_in_range(seconds_until_it_grows(), 4, 30);
}

static void often_is_ordinary_too(void **unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		program_takes(TAKEN);
		tick(SEC / 10);
		assert_int_equal(decision.reason, REASON_RELIEF);
		program_ends(TAKEN);
		assert_in_range(seconds_until_it_grows(), 4, 40);
		for (int k = 0; k < 60; k++)
			tick(SEC);
	}
}

/* A deflate for a reason of its own, with a little relief beside it, is as dear as without. */
static void relief_makes_no_deflate_cheap(void **unused)
{
	uint64_t size = sample.balloon.size;

	(void)unused;
	program_takes(16 * MIB);
	sample.balloon.size -= 1024 * MIB;
	sample.mem[MEM_TOTAL] += 1024 * MIB;
	sample.mem[MEM_ANON] += 1024 * MIB;
	tick(SEC / 10);
	assert_true(state.turn.came_down && state.turn.given == size - sample.balloon.size);
}

/* Nibbles add up. */
static void nibbles_are_an_event_in_the_end(void **unused)
{
	bool relieved = false;

	(void)unused;
	for (int i = 0; i < 40 && !relieved; i++) {
		program_takes(2 * MIB);
		tick(SEC);
		relieved = decision.reason == REASON_RELIEF;
		assert_true(relieved || i < 20);
	}
	assert_true(relieved && state.turn.came_down && state.turn.alarm);
}

static void last_resort_is_not(void **unused)
{
	(void)unused;
	sample.balloon.rescue_events++;
	program_takes(TAKEN);
	tick(SEC / 10);
	program_ends(TAKEN);
	assert_in_range(seconds_until_it_grows(), 4, 60);
}

static void order_waits_as_long(void **unused)
{
	uint64_t held = sample.balloon.size;

	(void)unused;
	config.mode = MODE_MANUAL;
	config.manual_target = held;
	tick(SEC);
	program_takes(TAKEN);
	tick(SEC / 10);
	assert_int_equal(decision.reason, REASON_RELIEF);
	program_ends(TAKEN);
	assert_in_range(seconds_until_it_grows(), 4, 30);
}

static void line(void **unused)
{
	static const struct {
		uint64_t floor, headroom, keeps, line;
	} rows[] = {
		/* At least half of the module's floor, at most three quarters, in between what was learned. */
		{ 360 * MIB, 64 * MIB, 0, 180 * MIB },
		{ 360 * MIB, 200 * MIB, 0, 200 * MIB },
		{ 360 * MIB, 256 * MIB, 0, 256 * MIB },
		{ 360 * MIB, 512 * MIB, 0, 270 * MIB },
		{ 32 * MIB, 64 * MIB, 0, 24 * MIB },
		/* Not known, or none: the least headroom. */
		{ 0, 512 * MIB, 0, 64 * MIB },
		/* What programs have been seen to wait for, less the module's step. */
		{ 360 * MIB, 200 * MIB, 1024 * MIB, 768 * MIB },
		{ 360 * MIB, 200 * MIB, 100 * MIB, 200 * MIB },
	};
	const struct view v = { .headroom_min = 64 * MIB };

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct sample s = { .balloon = { .valid = true, .floor = rows[i].floor } };

		assert_int_equal(relief_line(&s, &v, rows[i].headroom, rows[i].keeps),
				 rows[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(relief_is_ordinary, at_rest),
		cmocka_unit_test_setup(relief_that_met_the_demand_is_no_shortage, at_rest),
		cmocka_unit_test_setup(often_is_ordinary_too, at_rest),
		cmocka_unit_test_setup(relief_makes_no_deflate_cheap, at_rest),
		cmocka_unit_test_setup(nibbles_are_an_event_in_the_end, at_rest),
		cmocka_unit_test_setup(last_resort_is_not, at_rest),
		cmocka_unit_test_setup(order_waits_as_long, at_rest),
		cmocka_unit_test(line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
