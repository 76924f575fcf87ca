// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loop goes on while what it wants to bring back from swap belongs to a process whose
 * mappings somebody else has locked.
 */
#include "fake-world.h"

#include <signal.h>

#include "stuck-proc.h"

static struct stuck_proc proc;
static int held = -1;

static int setup(void **state)
{
	stuck_proc_make(&proc);
	return fake_world_setup(state);
}

static int teardown(void **state)
{
	stuck_proc_drop(&proc);
	return fake_world_teardown(state);
}

static void want(struct fake_world *w)
{
	struct policy_decision d = {.swap_in = 1 * MIB};

	swap_in_ask(w->loop, &d);
}

static void ticks_on_script(struct fake_world *w)
{
	switch (w->step) {
	case 0:
		/* As often as a law may want it. */
		want(w);
		held = stuck_proc_hold(&proc);
		if (held >= 0)
			w->step = w->tick;
		return;
	default:
		want(w);
		if (w->tick < w->step + 10)
			return;
		assert_string_equal(fake_world_problem(w, PROBLEM_SWAP), "");
		w->loop->swap_asked_us -= 3600 * SEC;
		want(w);
		assert_non_null(strstr(fake_world_problem(w, PROBLEM_SWAP), "lock of its mappings"));
		raise(SIGTERM);
	}
}

static void it_ticks_on(void **state)
{
	struct fake_world *w = *state;

	w->proc = proc.root;
	fake_world_run(w, ticks_on_script);
	assert_true(w->tick >= 10);
	close(held);
}

static void answered_script(struct fake_world *w)
{
	switch (w->step) {
	case 0:
		want(w);
		held = stuck_proc_hold(&proc);
		if (held < 0)
			return;
		w->loop->swap_asked_us -= 3600 * SEC;
		want(w);
		assert_string_not_equal(fake_world_problem(w, PROBLEM_SWAP), "");
		close(held);
		w->step = 1;
		return;
	case 1:
		/* The answer has come as an event, and was taken. */
		if (fake_world_problem(w, PROBLEM_SWAP)[0])
			return;
		want(w);
		assert_true(loop_now() - w->loop->swap_asked_us < 600 * SEC);
		raise(SIGTERM);
		w->step = 2;
	}
}

static void the_answer_is_an_event(void **state)
{
	struct fake_world *w = *state;

	w->proc = proc.root;
	w->config.policy.self_shrink = true;
	fake_world_run(w, answered_script);
	assert_int_equal(w->step, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_ticks_on, setup, teardown),
		cmocka_unit_test_setup_teardown(the_answer_is_an_event, setup, teardown),
	};

	return cmocka_run_group_tests(tests, fake_world_begin, NULL);
}
