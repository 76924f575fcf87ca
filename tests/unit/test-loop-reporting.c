// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loop where there is no device of ours, on a world of its own: what serves meanwhile is taken, told
 * and let go of. The transport itself is test-reporting.c's.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake-world.h"

static int ends[2];

static int setup(void **state)
{
	struct fake_world *w;

	fake_world_setup(state);
	w = *state;
	w->device.present = false;
	w->reporting.present = true;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	w->announce_fd = ends[1];
	return 0;
}

static int teardown(void **state)
{
	close(ends[0]);
	close(ends[1]);
	return fake_world_teardown(state);
}

/* A device has come, or gone. */
static void announce(void)
{
	assert_int_equal(write(ends[0], "\1", 1), 1);
}

static void set_mode(struct fake_world *w, const char *mode)
{
	assert_int_equal(fake_world_order(w, ORDER_SET_MODE, mode, 0).refusal, REFUSED_NOT);
}

static void without_module_script(struct fake_world *w)
{
	const struct sample *s;

	switch (w->step) {
	case 0:
		/* Told, and the law works. */
		if (w->reporting.size < GIB)
			return;
		assert_non_null(strstr(fake_world_problem(w, PROBLEM_DEVICE), "modprobe uballoon"));
		s = &fake_world_look(w)->sample;
		assert_int_equal(s->mem[MEM_FREE] + s->balloon.size, 7 * GIB - w->reporting.kept);
		assert_int_equal(s->mem[MEM_AVAILABLE] + s->balloon.size, 7 * GIB);
		assert_int_equal(fake_world_status(w)->lease_left_us, 0);
		/* Ours has come, and is announced. */
		w->device.present = true;
		announce();
		w->step = 1;
		return;
	case 1:
		if (w->device.size < GIB)
			return;
		assert_int_equal(w->reporting.frees, 1);
		assert_string_equal(fake_world_problem(w, PROBLEM_DEVICE), "");
		assert_int_equal(fake_world_look(w)->sample.balloon.size, 0);
		/* ... and is taken away. */
		w->device.present = false;
		w->device.size = w->reporting.size = 0;
		w->step = 2;
		return;
	case 2:
		if (w->reporting.size < GIB)
			return;
		w->step = 3;
		raise(SIGTERM);
		return;
	}
}

static void serves_without_the_module(void **state)
{
	struct fake_world *w = *state;

	w->reporting.kept = 200 * MIB;
	fake_world_run(w, without_module_script);
	assert_int_equal(w->step, 3);
	assert_int_equal(w->reporting.lease_us, 0);
	assert_int_equal(w->reporting.keepalives, 0);
}

static void no_more_script(struct fake_world *w)
{
	static unsigned since;

	switch (w->step) {
	case 0:
		if (!fake_world_look(w)->attached)
			return;
		assert_true(fake_world_look(w)->read_only);
		assert_string_equal(fake_world_problem(w, PROBLEM_DEVICE), "");
		/* At once, not when the device is looked for the next time. */
		set_mode(w, "auto");
		since = w->tick;
		w->step = 1;
		return;
	case 1:
		assert_true(w->tick < since + 3);
		if (fake_world_look(w)->attached && !fake_world_look(w)->read_only)
			w->step = 2;
		return;
	case 2:
		assert_non_null(strstr(fake_world_problem(w, PROBLEM_DEVICE), "modprobe uballoon"));
		set_mode(w, "observe");
		w->step = 3;
		return;
	case 3:
		if (!fake_world_look(w)->read_only)
			return;
		assert_string_equal(fake_world_problem(w, PROBLEM_DEVICE), "");
		/* The kernel's driver is taken away as well. */
		w->reporting.present = false;
		announce();
		w->step = 4;
		return;
	case 4:
		if (fake_world_look(w)->attached)
			return;
		raise(SIGTERM);
		return;
	}
}

static void follows_mode_and_driver_without_the_module(void **state)
{
	struct fake_world *w = *state;

	w->config.policy.mode = MODE_OBSERVE;
	fake_world_run(w, no_more_script);
	assert_int_equal(w->step, 4);
}

static void stop_without_script(struct fake_world *w)
{
	if (w->reporting.size >= GIB)
		raise(SIGTERM);
}

/* There is nothing to give back, and nobody to leave it to. */
static void stops_at_once_without_the_module(void **state)
{
	struct fake_world *w = *state;

	w->config.on_stop = ON_STOP_KEEP;
	fake_world_run(w, stop_without_script);
	assert_int_equal(w->reporting.first_lease_us, 0);
}

static void refused_script(struct fake_world *w)
{
	if (w->tick < 3)
		return;
	assert_false(fake_world_look(w)->attached);
	assert_non_null(strstr(fake_world_problem(w, PROBLEM_DEVICE),
			       w->reporting.open_error == -EACCES ? "systemd-tmpfiles" : "modprobe"));
	raise(SIGTERM);
}

static void says_what_is_missing_without_the_module(void **state)
{
	static const int errors[] = {-EACCES, -EOPNOTSUPP, -ENOMEM};
	struct fake_world *w = *state;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		w->tick = 0;
		w->reporting.open_error = errors[i];
		fake_world_run(w, refused_script);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(serves_without_the_module),
		T(follows_mode_and_driver_without_the_module),
		T(stops_at_once_without_the_module),
		T(says_what_is_missing_without_the_module),
	};

	return cmocka_run_group_tests(tests, fake_world_begin, NULL);
}
