// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The very loop of the daemon in a world of the test's own (fake-world.c): what
 * it does in an ordinary life, with devices that fail, without data, and when a
 * trigger fires. What it is asked to do is in test-loop-orders.c.
 *
 * Not tested here: PSI and udev themselves, which only a real kernel has.
 */
#include "fake-world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/clock.h"

/* --- the ordinary life --- */

static void stop_when_large(struct fake_world *w)
{
	if (w->device.size >= 2 * GIB)
		raise(SIGTERM);
}

static void inflates_and_returns_all_on_stop(void **state)
{
	struct fake_world *w = *state;

	fake_world_run(w, stop_when_large);
	assert_true(w->device.largest >= 2 * GIB);
	assert_int_equal(w->device.size, 0);
	assert_int_equal(w->device.pops, 0);
	/* In slices, so that something else could have happened in between. */
	assert_true(w->device.moves > 10);
	assert_int_equal(w->device.first_lease_us, 30 * SEC);
	/* An empty balloon needs no lease. */
	assert_int_equal(w->device.lease_us, 0);
}

static void keeps_on_stop_if_told(void **state)
{
	struct fake_world *w = *state;

	w->config.on_stop = ON_STOP_KEEP;
	fake_world_run(w, stop_when_large);
	assert_true(w->device.size >= 2 * GIB);
	assert_int_equal(w->device.lease_us, 0);
	/* Nothing that is asked of the device later may move it. */
	assert_int_equal(w->device.ceiling, w->device.size);
	assert_int_equal(w->device.floor, w->device.size);
}

static void need_script(struct fake_world *w)
{
	/* Once it is large, programs need more and more, in the end all there is. */
	if (w->step == 0 && w->device.size >= 3 * GIB) {
		w->used = 8 * GIB - w->device.size - 64 * MIB;
		w->step = 1;
	} else if (w->step == 1 && 8 * GIB - w->device.size - w->used > 512 * MIB) {
		w->used = 8 * GIB - 16 * MIB;
		w->step = 2;
	} else if (w->step == 2 && w->device.size == 0) {
		assert_true(fake_world_look(w)->deflated >= 3 * GIB);
		raise(SIGTERM);
	}
}

static void gives_back_when_needed(void **state)
{
	struct fake_world *w = *state;

	fake_world_run(w, need_script);
	assert_int_equal(w->step, 2);
}

static void takeover_script(struct fake_world *w)
{
	if (w->tick == 4) {
		assert_true(fake_world_look(w)->attached);
		raise(SIGTERM);
	}
}

static void takes_over_a_balloon(void **state)
{
	struct fake_world *w = *state;

	/* As a crashed daemon leaves it, its lease about to run out. */
	w->device.size = 4 * GIB;
	w->config.policy.mode = MODE_MANUAL;
	w->config.on_stop = ON_STOP_KEEP;
	fake_world_run(w, takeover_script);
	assert_int_equal(w->device.size, 4 * GIB);
	assert_int_equal(w->device.moves, 0);
	assert_int_equal(w->device.first_lease_us, 30 * SEC);
}

/* As a service manager passes the device of the daemon before: descriptor 3, with its name. */
static void hand_over(void)
{
	char pid[16];

	close(3);
	assert_int_equal(dup2(STDERR_FILENO, 3), 3);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_FDNAMES", "uballoon", 1);
}

static void goes_on_with_a_device_handed_over(void **state)
{
	struct fake_world *w = *state;

	w->device.size = 4 * GIB;
	w->config.policy.mode = MODE_MANUAL;
	w->config.on_stop = ON_STOP_KEEP;
	hand_over();
	fake_world_run(w, takeover_script);
	assert_int_equal(w->adopts_tried, 1);
	assert_int_equal(w->opens_tried, 0);
	assert_int_equal(w->device.size, 4 * GIB);
	assert_int_equal(w->device.first_lease_us, 30 * SEC);
}

static void opens_anew_what_is_of_no_use(void **state)
{
	struct fake_world *w = *state;

	w->device.size = 4 * GIB;
	w->adopt_error = -ENODEV;
	w->config.policy.mode = MODE_MANUAL;
	w->config.on_stop = ON_STOP_KEEP;
	hand_over();
	fake_world_run(w, takeover_script);
	assert_int_equal(w->adopts_tried, 1);
	assert_int_equal(w->opens_tried, 1);
	assert_int_equal(w->device.size, 4 * GIB);
}

static void watching_takes_no_device_over(void **state)
{
	struct fake_world *w = *state;

	w->config.policy.mode = MODE_OBSERVE;
	hand_over();
	fake_world_run(w, takeover_script);
	assert_int_equal(w->adopts_tried, 0);
	assert_int_equal(w->device.read_only_opens, 1);
}

static void keepalive_script(struct fake_world *w)
{
	if (w->step == 0 && w->device.keepalives >= 2) {
		/* The daemon was stopped for too long. */
		w->device.lease_expired = true;
		w->step = 1;
	} else if (w->step == 1 && !w->device.lease_expired) {
		raise(SIGTERM);
	}
}

static void renews_the_lease(void **state)
{
	struct fake_world *w = *state;

	/* Nothing to move: a move would renew it as well. */
	w->config.policy.mode = MODE_MANUAL;
	w->config.lease_us = 600000;
	fake_world_run(w, keepalive_script);
	assert_int_equal(w->step, 1);
	assert_true(w->device.keepalives >= 3);
}

/* --- devices that come, go and fail --- */

static void comes_and_goes_script(struct fake_world *w)
{
	switch (w->step) {
	case 0:
		if (w->tick < 4)
			return;
		assert_non_null(strstr(fake_world_problem(w, PROBLEM_DEVICE), "modprobe uballoon"));
		assert_int_equal(fake_world_look(w)->decision.reason, REASON_NO_DEVICE);
		w->device.present = true;
		w->step = 1;
		return;
	case 1:
		if (w->device.size < GIB)
			return;
		assert_string_equal(fake_world_problem(w, PROBLEM_DEVICE), "");
		/* Taken out of the machine; what it held is free again. */
		w->device.present = false;
		w->device.size = 0;
		w->step = 2;
		return;
	case 2:
		if (fake_world_look(w)->attached)
			return;
		assert_non_null(strstr(fake_world_problem(w, PROBLEM_DEVICE), "has gone"));
		w->device.present = true;
		w->step = 3;
		return;
	case 3:
		if (w->device.size < GIB)
			return;
		assert_string_equal(fake_world_problem(w, PROBLEM_DEVICE), "");
		raise(SIGTERM);
		return;
	}
}

static void device_comes_and_goes(void **state)
{
	struct fake_world *w = *state;

	w->device.present = false;
	fake_world_run(w, comes_and_goes_script);
	assert_int_equal(w->device.opens, 2);
	assert_int_equal(w->device.size, 0);
}

static void vanish_in_move(struct fake_device *d, int64_t step)
{
	(void)step;
	if (d->moves == 3)
		d->present = false;
}

static void vanish_script(struct fake_world *w)
{
	if (w->step == 0 && w->tick > 1 && !fake_world_look(w)->attached) {
		w->device.on_move = NULL;
		w->device.present = true;
		w->step = 1;
	} else if (w->step == 1 && fake_world_look(w)->attached) {
		raise(SIGTERM);
	}
}

static void device_vanishes_in_a_move(void **state)
{
	struct fake_world *w = *state;

	w->device.on_move = vanish_in_move;
	fake_world_run(w, vanish_script);
	assert_int_equal(w->device.opens, 2);
}

static void vanish_in_deflate(struct fake_device *d, int64_t step)
{
	if (step < 0)
		d->present = false;
}

static void device_vanishes_while_stopping(void **state)
{
	struct fake_world *w = *state;

	w->device.on_move = vanish_in_deflate;
	fake_world_run(w, stop_when_large);
	assert_int_equal(w->device.opens, 1);
}

static void failing_script(struct fake_world *w)
{
	if (w->tick == 36)
		raise(SIGTERM);
}

static void failing_device_is_not_hammered(void **state)
{
	struct fake_world *w = *state;

	w->device.move_error = -EIO;
	fake_world_run(w, failing_script);
	/* At 0, 1 and 3 s of 3.6. */
	assert_in_range(w->opens_tried, 2, 3);
}

static void busy_script(struct fake_world *w)
{
	if (w->step == 0 && w->tick == 3) {
		assert_non_null(strstr(fake_world_problem(w, PROBLEM_DEVICE), "fuser"));
		w->device.open_error = 0;
		w->step = 1;
	} else if (w->step == 1 && fake_world_look(w)->attached) {
		assert_string_equal(fake_world_problem(w, PROBLEM_DEVICE), "");
		raise(SIGTERM);
	}
}

static void second_writer_is_waited_for(void **state)
{
	struct fake_world *w = *state;

	w->device.open_error = -EBUSY;
	fake_world_run(w, busy_script);
	assert_int_equal(w->step, 1);
}

/* --- a device that does not move --- */

static void stuck_script(struct fake_world *w)
{
	if (w->step == 0 && w->tick > 1 && fake_world_look(w)->decision.reason == REASON_STUCK) {
		assert_non_null(strstr(fake_world_problem(w, PROBLEM_STUCK), "no progress"));
		w->step = 1;
		raise(SIGTERM);
	}
}

static void stuck_device_is_noticed(void **state)
{
	struct fake_world *w = *state;

	w->device.slice = 0;
	w->device.slice_took_us = 20000;
	w->config.policy.stuck_us = SEC;
	fake_world_run(w, stuck_script);
	assert_int_equal(w->step, 1);
	assert_int_equal(w->device.largest, 0);
	/* Asked once a tick and not in a loop. */
	assert_true(w->device.moves <= w->tick);
}

static void stop_again(struct fake_device *d, int64_t step)
{
	if (step < 0 && d->size < GIB) {
		d->slice = 0;
		if (d->moves % 8 == 0)
			raise(SIGTERM);
	}
}

static void second_signal_does_not_wait(void **state)
{
	struct fake_world *w = *state;

	w->device.on_move = stop_again;
	fake_world_run(w, stop_when_large);
	assert_true(w->device.size > 0);
	/* The module takes it from here. */
	assert_int_equal(w->device.ceiling, 0);
	assert_int_equal(w->device.lease_us, 1 * SEC);
}

static void get_stuck(struct fake_device *d, int64_t step)
{
	if (step < 0 && d->size < GIB)
		d->slice = 0;
}

static void stop_is_bounded(void **state)
{
	struct fake_world *w = *state;
	uint64_t before;

	w->device.on_move = get_stuck;
	w->config.policy.stuck_us = 2 * SEC;
	before = clock_boot_us();
	fake_world_run(w, stop_when_large);
	assert_true(w->device.size > 0);
	assert_int_equal(w->device.lease_us, 1 * SEC);
	assert_true(clock_boot_us() - before < 20 * SEC);
}

/* --- no data, and nobody who may act --- */

static void unreadable_script(struct fake_world *w)
{
	if (w->tick == 8) {
		assert_non_null(strstr(fake_world_problem(w, PROBLEM_DATA), "MemAvailable"));
		assert_int_equal(fake_world_look(w)->decision.reason, REASON_NO_DATA);
		raise(SIGTERM);
	}
}

static void missing_data_moves_nothing(void **state)
{
	struct fake_world *w = *state;

	w->unreadable = true;
	w->device.size = GIB;
	w->config.on_stop = ON_STOP_KEEP;
	fake_world_run(w, unreadable_script);
	assert_int_equal(w->device.moves, 0);
	assert_int_equal(w->device.size, GIB);
}

static void observe_script(struct fake_world *w)
{
	if (w->tick == 10) {
		/* It would, though. */
		assert_true(fake_world_look(w)->decision.goal > GIB);
		assert_string_equal(fake_world_status(w)->reason_text,
				    policy_reason_text_in(MODE_OBSERVE, fake_world_look(w)->decision.reason));
		assert_string_not_equal(fake_world_status(w)->reason_text,
					policy_reason_text(fake_world_look(w)->decision.reason));
		raise(SIGTERM);
	}
}

static void observe_touches_nothing(void **state)
{
	struct fake_world *w = *state;

	w->options.mode = MODE_OBSERVE;
	w->device.size = GIB;
	fake_world_run(w, observe_script);
	assert_int_equal(w->device.opens, 1);
	assert_int_equal(w->device.read_only_opens, 1);
	assert_int_equal(w->device.set_targets, 0);
	assert_int_equal(w->device.moves, 0);
	assert_int_equal(w->device.keepalives, 0);
	assert_int_equal(w->device.size, GIB);
}

/* --- triggers --- */

static void pull_twice(struct fake_world *w)
{
	const struct policy_decision *d = &fake_world_look(w)->decision;

	switch (w->step) {
	case 0:
		if (w->device.size < 2 * GIB)
			return;
		/* From now on only a trigger can be the reason for a tick. */
		fake_world_order(w, ORDER_HOLD, "test", 0);
		fake_world_pull(w, TRIGGER_EARLY);
		break;
	case 1:
		assert_true(d->next_us == 20 * SEC && clock_boot_us() - w->pulled_us < 5 * SEC);
		break;
	case 2:
		assert_int_equal(fake_world_look(w)->sample.trigger, TRIGGER_EARLY);
		break;
	case 3:
		/* Looked at closely, and nothing else says that memory is short. */
		assert_true(d->next_us == SEC / 10 && d->step == 0 && w->device.size >= 2 * GIB);
		if (clock_boot_us() - w->pulled_us < SEC)
			return;
		w->pressed = true;
		fake_world_pull(w, TRIGGER_EMERGENCY);
		break;
	case 4:
		if (w->device.size > 0)
			return;
		assert_int_equal(fake_world_look(w)->emergencies, 1);
		raise(SIGTERM);
		break;
	}
	w->step++;
}

static void a_trigger_wakes_the_loop_at_once(void **state)
{
	struct fake_world *w = *state;

	w->armed = true;
	w->config.policy.idle_interval_us = 20 * SEC;
	fake_world_run(w, pull_twice);
	assert_int_equal(w->step, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fake_world_setup, fake_world_teardown)
		T(inflates_and_returns_all_on_stop),
		T(keeps_on_stop_if_told),
		T(goes_on_with_a_device_handed_over),
		T(opens_anew_what_is_of_no_use),
		T(watching_takes_no_device_over),
		T(gives_back_when_needed),
		T(takes_over_a_balloon),
		T(renews_the_lease),
		T(device_comes_and_goes),
		T(device_vanishes_in_a_move),
		T(device_vanishes_while_stopping),
		T(failing_device_is_not_hammered),
		T(second_writer_is_waited_for),
		T(stuck_device_is_noticed),
		T(second_signal_does_not_wait),
		T(stop_is_bounded),
		T(missing_data_moves_nothing),
		T(observe_touches_nothing),
		T(a_trigger_wakes_the_loop_at_once),
#undef T
	};

	return cmocka_run_group_tests(tests, fake_world_begin, NULL);
}
