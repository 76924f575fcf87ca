// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loop asks the device for proofs and says what comes of them.
 *
 * Left out: when, and what follows (test-proof.c).
 */
#include <signal.h>
#include <string.h>

#include "fake-world.h"

static void until_denied_and_not(struct fake_world *w)
{
	const char *problem = fake_world_problem(w, PROBLEM_NOT_TAKEN);

	switch (w->step) {
	case 0:
		if (!problem[0])
			return;
		assert_non_null(strstr(problem, "takes nothing"));
		/* The whole sentence. */
		assert_non_null(strstr(problem, "asked again every 1s"));
		assert_true(w->device.proves >= 6);
		assert_true(w->device.held_us >= 100000);
		break;
	case 1:
		/* Another tick, until others see it. */
		if (w->device.size > 0 || !fake_world_status(w)->takes_nothing)
			return;
		assert_string_equal(fake_world_status(w)->host_takes, "no");
		assert_string_equal(fake_world_status(w)->reason, "not-taken");
		assert_non_null(strstr(fake_world_status(w)->problem, "takes nothing"));
		w->device.proof = SAMPLE_PROOF_TAKEN;
		break;
	case 2:
		if (problem[0] || w->device.size == 0)
			return;
		assert_int_equal(fake_world_look(w)->decision.taken, TAKEN_PROVEN);
		raise(SIGTERM);
		break;
	}
	w->step++;
}

static void a_host_that_takes_nothing_is_a_problem(void **state)
{
	struct fake_world *w = *state;

	w->config.policy.proof_interval_us = SEC;
	w->config.policy.interval_us = w->config.policy.idle_interval_us = SEC / 10;
	w->device.proof = SAMPLE_PROOF_KEPT;
	fake_world_run(w, until_denied_and_not);
	assert_int_equal(w->step, 3);
}

static void some_ticks(struct fake_world *w)
{
	if (w->tick < 20)
		return;
	assert_true(w->device.size > 0);
	assert_string_equal(fake_world_problem(w, PROBLEM_NOT_TAKEN), "");
	assert_string_equal(fake_world_problem(w, PROBLEM_DEVICE), "");
	assert_int_equal(fake_world_look(w)->decision.taken, TAKEN_UNKNOWN);
	w->step = 1;
	raise(SIGTERM);
}

static void what_cannot_be_proven_is_no_problem(void **state)
{
	struct fake_world *w = *state;

	w->config.policy.proof_interval_us = SEC;
	w->device.proof = SAMPLE_PROOF_NONE;
	fake_world_run(w, some_ticks);
	assert_int_equal(w->step, 1);
	assert_true(w->device.proves > 0);
}

static void gone_while_proving(struct fake_world *w)
{
	if (w->step == 0 && w->device.proves > 0) {
		assert_int_equal(w->device.frees, 1);
		assert_non_null(strstr(fake_world_problem(w, PROBLEM_DEVICE), "gone"));
		w->device.prove_error = 0;
		w->step = 1;
	} else if (w->step == 1 && w->device.opens > 1) {
		w->step = 2;
		raise(SIGTERM);
	}
}

static void a_device_that_goes_meanwhile_is_opened_again(void **state)
{
	struct fake_world *w = *state;

	w->device.prove_error = -ENODEV;
	fake_world_run(w, gone_while_proving);
	assert_int_equal(w->step, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fake_world_setup, fake_world_teardown)
		T(a_host_that_takes_nothing_is_a_problem),
		T(what_cannot_be_proven_is_no_problem),
		T(a_device_that_goes_meanwhile_is_opened_again),
#undef T
	};

	return cmocka_run_group_tests(tests, fake_world_begin, NULL);
}
