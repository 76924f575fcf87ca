// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A balloon that is a claim on free memory: page cache grows into it, which nobody needed and
 * which is taken again at once; programs take of it, which is a way down like any other.
 */
#include "decide/policy.h"
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
	set_balloon(&sample, sample.balloon.size + decision.step);
	/* What is taken beyond what is free is page cache that is pushed out. */
	sample.balloon.asked = sample.balloon.moved = decision.step;
}

static int at_rest(void **unused)
{
	(void)unused;
	policy_config_default(&config);
	policy_init(&state);
	sample = healthy(SEC);
	sample.balloon.claim = true;
	sample.balloon.relief_line = 128 * MIB;
	for (int i = 0; i < 600; i++)
		tick(SEC);
	assert_true(sample.balloon.size > 5 * GIB);
	assert_int_equal(decision.step, 0);
	return 0;
}

static void lose(uint64_t bytes)
{
	sample.balloon.size -= bytes;
	sample.mem[MEM_TOTAL] += bytes;
}

static void cache_grows(uint64_t bytes)
{
	lose(bytes);
	sample.mem[MEM_CACHED] += bytes;
	sample.mem[MEM_INACTIVE_FILE] += bytes;
	sample.mem[MEM_AVAILABLE] += bytes;
}

static void program_takes(uint64_t bytes)
{
	lose(bytes);
	sample.mem[MEM_ANON] += bytes;
}

/* Seconds until the balloon is as large again; 600 = it is not. */
static unsigned seconds_until(uint64_t size)
{
	for (unsigned i = 0; i < 600; i++) {
		tick(SEC);
		if (sample.balloon.size + 64 * MIB >= size)
			return i + 1;
	}
	return 600;
}

static void cache_is_taken_again_at_once(void **unused)
{
	uint64_t size = sample.balloon.size;

	(void)unused;
	cache_grows(TAKEN);
	tick(SEC);
	assert_false(state.turn.came_down);
	assert_int_equal(state.turn.given, 0);
	assert_in_range(seconds_until(size), 1, 30);
}

/* That the guest was content so shows the claim; it need not have been so for a minute. */
static void before_it_is_proven(void **unused)
{
	uint64_t size = sample.balloon.size;

	(void)unused;
	state.adaptive.lean = state.adaptive.lean_since_us = 0;
	cache_grows(TAKEN);
	assert_in_range(seconds_until(size), 1, 30);
}

/* It is what a real balloon would have lost by deflating, and has its price. */
static void memory_of_programs_is_a_way_down(void **unused)
{
	uint64_t size = sample.balloon.size;

	(void)unused;
	program_takes(TAKEN);
	tick(SEC);
	assert_true(state.turn.came_down);
	assert_int_equal(state.turn.given, TAKEN);
	sample.mem[MEM_ANON] -= TAKEN;
	sample.mem[MEM_FREE] += TAKEN;
	sample.mem[MEM_AVAILABLE] += TAKEN;
	assert_in_range(seconds_until(size), 6, 599);
}

static void both_at_once_are_told_apart(void **unused)
{
	(void)unused;
	cache_grows(TAKEN);
	program_takes(TAKEN / 2);
	tick(SEC);
	assert_true(state.turn.came_down);
	assert_int_equal(state.turn.given, TAKEN / 2);
}

/* Little by little as well: a megabyte is not yet a way down, five hundred are. */
static void little_by_little(void **unused)
{
	(void)unused;
	for (int i = 0; i < 500; i++) {
		program_takes(MIB);
		cache_grows(MIB);
		sample.time_us += SEC / 100;
		policy_decide(&config, &state, &sample, &decision);
	}
	assert_true(state.turn.came_down);
	assert_in_range(state.turn.given, 400 * MIB, 520 * MIB);
}

/* Cache that is waited for when it is pushed out is not taken again and again. */
static void cache_in_use_is_no_claim(void **unused)
{
	uint64_t size = sample.balloon.size;

	(void)unused;
	cache_grows(TAKEN);
	tick(SEC);
	press(&sample, SEC, 300, 250, 2000);
	sample.vm[VM_REFAULT_FILE] += 100000;
	sample.vm[VM_RESTORE_FILE] += 100000;
	tick(SEC);
	for (int i = 0; i < 5; i++)
		tick(SEC);
	assert_true(sample.balloon.size < size);
}

/* ... nor is it a proof that the guest was content without it. */
static void cache_that_comes_back_proves_nothing(void **unused)
{
	(void)unused;
	state.adaptive.lean = state.adaptive.lean_since_us = 0;
	for (int i = 0; i < 5; i++) {
		cache_grows(TAKEN / 5);
		sample.vm[VM_REFAULT_FILE] += TAKEN / 5 / 4096;
		sample.vm[VM_ACTIVATE_FILE] += TAKEN / 5 / 4096;
		sample.vm[VM_RESTORE_FILE] += TAKEN / 5 / 4096;
		tick(SEC);
	}
	assert_int_equal(state.adaptive.lean, 0);
	/* It is looked at in probes, which take minutes for so much. */
	for (int i = 0; i < 30; i++)
		tick(SEC);
	assert_true(sample.balloon.size < 5 * GIB);
}

/* The module's device has come: an empty balloon in the place of a claim has given nothing back. */
static void another_balloon_is_no_way_down(void **unused)
{
	(void)unused;
	sample.balloon.claim = false;
	set_balloon(&sample, 0);
	tick(SEC);
	assert_false(state.turn.came_down);
	assert_int_equal(state.turn.given, 0);
}

#define T(name) cmocka_unit_test_setup(name, at_rest)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(cache_is_taken_again_at_once),
		T(before_it_is_proven),
		T(memory_of_programs_is_a_way_down),
		T(both_at_once_are_told_apart),
		T(little_by_little),
		T(cache_in_use_is_no_claim),
		T(cache_that_comes_back_proves_nothing),
		T(another_balloon_is_no_way_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
