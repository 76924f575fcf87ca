// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A disk that hangs does not hold up the loop, not even for the operator's hold, which is kept on it. The
 * thread that writes is stopped as a debugger would stop it.
 */
#include "fake-world.h"
#include "stopped-thread.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/test-loop-hold-XXXXXX";
static char path[64];

static int setup(void **state)
{
	struct fake_world *w;

	fake_world_setup(state);
	w = *state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/hold", dir);
	w->options.state_dir = dir;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"hold", "history", "peaks"};
	char name[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(name, sizeof(name), "%s/%s", dir, names[i]);
		unlink(name);
	}
	assert_int_equal(rmdir(dir), 0);
	return fake_world_teardown(state);
}

static void hanging_script(struct fake_world *w)
{
	struct order_answer answer;

	switch (w->step) {
	case 0:
		if (w->tick < 3)
			return;
		stop_thread(writer_thread());
		answer = fake_world_order(w, ORDER_HOLD, "x", SEC);
		assert_int_equal(answer.refusal, REFUSED_NOT);
		/* It stands still at once; that it will not survive the daemon is said. */
		assert_true(fake_world_look(w)->hold.held && !answer.kept);
		assert_non_null(strstr(fake_world_problem(w, PROBLEM_HOLD), "the disk does not answer"));
		break;
	case 1:
		/* It ends by itself, too, whether its file can go or not. */
		if (fake_world_look(w)->hold.held)
			return;
		break;
	case 2:
		assert_string_not_equal(fake_world_problem(w, PROBLEM_HOLD), "");
		release_thread();
		break;
	case 3:
		if (fake_world_problem(w, PROBLEM_HOLD)[0])
			return;
		assert_int_equal(access(path, F_OK), -1);
		assert_true(fake_world_order(w, ORDER_HOLD, "x", 0).kept);
		assert_int_equal(access(path, F_OK), 0);
		raise(SIGTERM);
		break;
	}
	w->step++;
}

static void a_disk_that_hangs_holds_up_nothing(void **state)
{
	struct fake_world *w = *state;

	fake_world_run(w, hanging_script);
	assert_int_equal(w->step, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_disk_that_hangs_holds_up_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, fake_world_begin, NULL);
}
