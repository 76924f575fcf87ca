// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loop of the daemon where its world fails it: a device that cannot be opened, or answers with
 * an error, or hangs up; triggers that cannot be had, or are taken away. What is wrong is said in
 * words for it, and the loop goes on as soon as it can.
 *
 * Waits by long intervals, so that only what is to wake the loop does: a case that is not woken hangs
 * and is killed (fake-world.c).
 */
#include "fake-world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONG_US (600 * SEC)

static const char *wanted;

static void has_problem(const struct fake_world *w, enum problem which, const char *text)
{
	if (!strstr(fake_world_problem(w, which), text))
		fail_msg("problem \"%s\", want \"%s\"", fake_world_problem(w, which), text);
}

/* --- a device that does not open --- */

static void opens_later(struct fake_world *w)
{
	if (w->step == 0 && w->opens_tried > 0) {
		has_problem(w, PROBLEM_DEVICE, wanted);
		assert_false(fake_world_look(w)->attached);
		w->device.open_error = 0;
		w->step = 1;
	} else if (w->step == 1 && fake_world_look(w)->attached) {
		assert_string_equal(fake_world_problem(w, PROBLEM_DEVICE), "");
		raise(SIGTERM);
	}
}

static void says_why_it_does_not_open(void **state)
{
	static const struct {
		int error;
		const char *text;
	} rows[] = {
		/* What follows if it lasts: suite events-host. */
		{-EACCES, "udev has not given it its group yet; waiting for that"},
		{-EPROTONOSUPPORT, "speaks another version of the interface"},
		{-EBUSY, "another process moves the balloon"},
		{-EIO, "the balloon device cannot be opened: Input/output error"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_world *w;

		assert_int_equal(fake_world_setup(state), 0);
		w = *state;
		wanted = rows[i].text;
		w->device.open_error = rows[i].error;
		fake_world_run(w, opens_later);
		assert_int_equal(w->step, 1);
	}
}

static void only_looks(struct fake_world *w)
{
	if (w->tick == 3) {
		assert_true(w->opens_tried > 0);
		assert_string_equal(fake_world_problem(w, PROBLEM_DEVICE), "");
		raise(SIGTERM);
	}
}

static void who_only_looks_needs_none(void **state)
{
	struct fake_world *w = *state;

	w->config.policy.mode = MODE_OBSERVE;
	w->device.open_error = -EACCES;
	fake_world_run(w, only_looks);
}

/* --- a device that fails --- */

static void comes_back(struct fake_world *w)
{
	if (w->step == 0 && w->device.opens > 0 && fake_world_problem(w, PROBLEM_DEVICE)[0]) {
		has_problem(w, PROBLEM_DEVICE, wanted);
		assert_false(fake_world_look(w)->attached);
		w->device.state_error = w->device.target_error = 0;
		w->device.lease_expired = false;
		w->step = 1;
	} else if (w->step == 1 && fake_world_look(w)->attached) {
		assert_string_equal(fake_world_problem(w, PROBLEM_DEVICE), "");
		assert_int_equal(w->device.opens, 2);
		raise(SIGTERM);
	}
}

static void no_state_at_first(void **state)
{
	struct fake_world *w = *state;

	wanted = "the balloon device cannot tell its state: Input/output error. Opening it again";
	w->device.state_error = -EIO;
	fake_world_run(w, comes_back);
	assert_int_equal(w->step, 1);
}

static void no_bounds_at_first(void **state)
{
	struct fake_world *w = *state;

	wanted = "the balloon device cannot tell its state: Invalid argument";
	w->device.target_error = -EINVAL;
	fake_world_run(w, comes_back);
	assert_int_equal(w->step, 1);
}

static void breaks_when_large(struct fake_world *w)
{
	if (w->step == 0 && w->device.size >= 1 * GIB && w->device.target_error == 0)
		w->device.target_error = -EIO;
	comes_back(w);
}

static void no_target_later(void **state)
{
	struct fake_world *w = *state;

	wanted = "the balloon device cannot take a target: Input/output error";
	fake_world_run(w, breaks_when_large);
	assert_int_equal(w->step, 1);
	assert_int_equal(w->device.size, 0);
}

static void lease_is_lost(struct fake_world *w)
{
	if (w->step == 0 && fake_world_look(w)->attached && !w->device.lease_expired) {
		w->device.lease_expired = true;
		w->device.state_error = -EIO;
	}
	comes_back(w);
}

static void a_lease_that_cannot_be_taken_up(void **state)
{
	struct fake_world *w = *state;

	wanted = "the balloon device cannot ";
	w->config.lease_us = 300000;
	fake_world_run(w, lease_is_lost);
	assert_int_equal(w->step, 1);
}

static int *breaks;

/* Between two ticks: what follows in the loop is the stop. */
static void stops_large(struct fake_device *d, int64_t step)
{
	if (step < 0 || d->size < 1 * GIB)
		return;
	d->on_move = NULL;
	*breaks = -EIO;
	raise(SIGTERM);
}

static void does_nothing(struct fake_world *w)
{
	(void)w;
}

/* The loop ends, whatever the device says: the module's own lease gives the memory back. */
static void ends_with_a_device_that_fails(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct fake_world *w;

		assert_int_equal(fake_world_setup(state), 0);
		w = *state;
		breaks = i / 2 ? &w->device.target_error : &w->device.state_error;
		w->config.on_stop = i % 2 ? ON_STOP_KEEP : ON_STOP_RETURN;
		w->device.on_move = stops_large;
		fake_world_run(w, does_nothing);
		assert_true(w->device.size >= 1 * GIB);
		assert_true(w->device.lease_us > 0);
	}
}

/* --- what wakes the loop --- */

static int ends[2];

static void pair(void)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

/* After the first tick nothing is due for longer than a case may take. */
static void sleep_long(struct fake_world *w)
{
	w->config.policy.interval_us = w->config.policy.idle_interval_us = LONG_US;
	w->config.policy.mode = MODE_MANUAL;
}

static void device_says_something(struct fake_world *w)
{
	char c;

	if (w->tick == 1) {
		assert_int_equal(write(ends[0], "x", 1), 1);
	} else {
		assert_true(fake_world_look(w)->attached);
		assert_int_equal(read(ends[1], &c, 1), 1);
		raise(SIGTERM);
	}
}

static void looks_when_the_device_has_news(void **state)
{
	struct fake_world *w = *state;

	pair();
	sleep_long(w);
	w->device.poll_fd = ends[1];
	fake_world_run(w, device_says_something);
	assert_int_equal(w->tick, 2);
	close(ends[0]);
	close(ends[1]);
}

static void device_hangs_up(struct fake_world *w)
{
	if (w->tick == 1) {
		close(ends[0]);
	} else {
		has_problem(w, PROBLEM_DEVICE, "the balloon device has gone; going on as soon as");
		assert_false(fake_world_look(w)->attached);
		raise(SIGTERM);
	}
}

static void sees_that_the_device_has_gone(void **state)
{
	struct fake_world *w = *state;

	pair();
	sleep_long(w);
	w->device.poll_fd = ends[1];
	fake_world_run(w, device_hangs_up);
	assert_int_equal(w->tick, 2);
	close(ends[1]);
}

static void somebody_announces(struct fake_world *w)
{
	if (w->tick == 1) {
		assert_int_equal(write(ends[0], "\1", 1), 1);
	} else {
		assert_false(fake_world_look(w)->attached);
		w->device.present = true;
		raise(SIGTERM);
	}
}

static void comes_when_it_is_announced(void **state)
{
	struct fake_world *w = *state;

	pair();
	sleep_long(w);
	w->device.present = false;
	w->announce_fd = ends[1];
	fake_world_run(w, somebody_announces);
	assert_int_equal(w->tick, 2);
	assert_int_equal(w->opens_tried, 2);
	assert_int_equal(w->device.opens, 1);
	close(ends[0]);
	close(ends[1]);
}

/* --- triggers --- */

static void not_armed(struct fake_world *w)
{
	if (w->tick == 2) {
		has_problem(w, PROBLEM_PSI, wanted);
		raise(SIGTERM);
	}
}

static void says_why_there_is_no_trigger(void **state)
{
	static const struct {
		int error;
		const char *text;
	} rows[] = {
		{-ENOENT, "no memory pressure trigger (the kernel has no /proc/pressure)"},
		{-EOPNOTSUPP, "(it is switched off; boot with psi=1)"},
		{-EPERM, "(not permitted; CAP_SYS_RESOURCE is needed)"},
		{-EACCES, "(not permitted; CAP_SYS_RESOURCE is needed)"},
		{-EMFILE, "(Too many open files)"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_world *w;

		assert_int_equal(fake_world_setup(state), 0);
		w = *state;
		wanted = rows[i].text;
		w->arm_error = rows[i].error;
		fake_world_run(w, not_armed);
	}
}

static void none_wanted(struct fake_world *w)
{
	if (w->tick == 2) {
		assert_string_equal(fake_world_problem(w, PROBLEM_PSI), "");
		raise(SIGTERM);
	}
}

static void a_trigger_that_is_off_is_none_that_is_missing(void **state)
{
	struct fake_world *w = *state;

	w->arm_error = -EIO;
	w->config.psi_early = w->config.psi_emergency = (struct config_trigger){};
	fake_world_run(w, none_wanted);
}

static void taken_away(struct fake_world *w)
{
	const struct linger at_once = {.l_onoff = 1};

	if (w->tick == 2) {
		assert_string_equal(fake_world_problem(w, PROBLEM_PSI), "");
		/* A reset connection polls as an error, as a trigger does whose group has gone. */
		assert_int_equal(setsockopt(w->pull[0], SOL_SOCKET, SO_LINGER, &at_once,
					    sizeof(at_once)), 0);
		close(w->pull[0]);
		w->pull[0] = -1;
	} else if (w->tick > 2 && fake_world_problem(w, PROBLEM_PSI)[0]) {
		has_problem(w, PROBLEM_PSI, "the kernel withdrew a memory pressure trigger");
		w->step = 1;
		raise(SIGTERM);
	}
}

static void goes_on_without_a_trigger_that_is_taken_away(void **state)
{
	struct fake_world *w = *state;

	w->armed = true;
	fake_world_run(w, taken_away);
	assert_int_equal(w->step, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fake_world_setup, fake_world_teardown)
	const struct CMUnitTest tests[] = {
		T(says_why_it_does_not_open),
		T(who_only_looks_needs_none),
		T(no_state_at_first),
		T(no_bounds_at_first),
		T(no_target_later),
		T(a_lease_that_cannot_be_taken_up),
		T(ends_with_a_device_that_fails),
		T(looks_when_the_device_has_news),
		T(sees_that_the_device_has_gone),
		T(comes_when_it_is_announced),
		T(says_why_there_is_no_trigger),
		T(a_trigger_that_is_off_is_none_that_is_missing),
		T(goes_on_without_a_trigger_that_is_taken_away),
	};

	return cmocka_run_group_tests(tests, fake_world_begin, NULL);
}
