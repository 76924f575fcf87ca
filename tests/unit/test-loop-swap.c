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

/* The law wants something back with every look. */
static int setup(void **state)
{
	struct fake_world *w;

	stuck_proc_make(&proc);
	held = -1;
	fake_world_setup(state);
	w = *state;
	w->proc = proc.root;
	w->swapped = GIB;
	w->config.policy.law = LAW_COMMITTED;
	w->config.policy.self_shrink = true;
	w->config.policy.shrink_inertia = 0;
	w->config.policy.committed_interval_us = SEC / 10;
	return 0;
}

static int teardown(void **state)
{
	stuck_proc_drop(&proc);
	return fake_world_teardown(state);
}

static void ticks_on_script(struct fake_world *w)
{
	if (held < 0) {
		held = stuck_proc_hold(&proc);
		w->step = w->tick;
	} else if (w->tick == w->step + 10) {
		raise(SIGTERM);
	}
}

static void it_ticks_on(void **state)
{
	struct fake_world *w = *state;

	fake_world_run(w, ticks_on_script);
	assert_true(held >= 0);
	close(held);
}

static void answered_script(struct fake_world *w)
{
	/* Asked again and again: each time after the answer has come, and was taken. */
	held = stuck_proc_hold(&proc);
	if (held < 0)
		return;
	close(held);
	w->tick = 0;
	if (++w->step == 3)
		raise(SIGTERM);
}

static void the_answer_is_an_event(void **state)
{
	struct fake_world *w = *state;

	fake_world_run(w, answered_script);
	assert_int_equal(w->step, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_ticks_on, setup, teardown),
		cmocka_unit_test_setup_teardown(the_answer_is_an_event, setup, teardown),
	};

	return cmocka_run_group_tests(tests, fake_world_begin, NULL);
}
