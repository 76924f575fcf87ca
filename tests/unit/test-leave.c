// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What becomes of the balloon when the daemon ends (act/leave.c), with a device in memory and a
 * clock that a case sets.
 *
 * Not tested here: what the service manager is told meanwhile.
 */
#include "balloon-fixture.h"

#include <errno.h>

#include "act/leave.h"

static struct leave leaving;
static struct leave_settings how;
static int ask_error;
static unsigned asked, gives_back, left;
static struct balloon_fixture *fixture;

static uint64_t now(void *ctx)
{
	(void)ctx;
	return fixture->now_us;
}

static int ask_restart(void *ctx)
{
	(void)ctx;
	asked++;
	return ask_error;
}

static void giving_back(void *ctx)
{
	(void)ctx;
	gives_back++;
}

static void on_left(void *ctx)
{
	(void)ctx;
	left++;
}

/* A balloon of 2 GiB that is held. Nobody knows of a restart. */
static int setup(void **state)
{
	const struct leave_owner owner = {NULL, now, ask_restart, giving_back, on_left};

	balloon_setup(state);
	fixture = *state;
	fixture->device.size = 2 * GIB;
	how = (struct leave_settings){.lease_us = 30 * SEC, .stuck_us = 10 * SEC};
	asked = gives_back = left = 0;
	ask_error = -ENOTCONN;
	leave_init(&leaving, fixture->balloon, &owner);
	maintain(fixture);
	return 0;
}

/* Until nothing moves any more; each slice takes so long. At most 1000 of them. */
static unsigned slices(uint64_t each_us)
{
	unsigned n = 0;

	while (fixture->moving && n < 1000) {
		struct transport_result result;
		int r = balloon_slice(fixture->balloon, &result);

		fixture->now_us += each_us;
		leave_slice(&leaving, r, &result);
		n++;
	}
	return n;
}

static void gives_all_back(void **state)
{
	struct balloon_fixture *f = *state;

	assert_true(leave_begin(&leaving, &how));
	assert_int_equal(asked, 1);
	assert_int_equal(gives_back, 1);
	assert_int_equal(left, 0);
	assert_int_equal(leave_left(&leaving), 2 * GIB);
	/* As long as it takes the lease holds, and the module may be emptied. */
	assert_int_equal(f->device.floor, 0);
	assert_int_equal(f->device.lease_us, 30 * SEC);
	assert_int_equal(slices(SEC), 8);
	assert_int_equal(leave_left(&leaving), 0);
	assert_int_equal(left, 1);
	assert_detached(f);
	assert_int_equal(f->device.size, 0);
	/* An empty balloon needs no lease. */
	assert_int_equal(f->device.lease_us, 0);
	assert_int_equal(f->device.pops, 0);
}

static void a_step_that_is_under_way_ends(void **state)
{
	const struct balloon_step step = {.step = (int64_t)GIB};
	struct balloon_fixture *f = *state;

	balloon_act(f->balloon, &step);
	assert_true(f->moving);
	/* While the answer is waited for, nothing moves. */
	ask_error = 0;
	assert_true(leave_begin(&leaving, &how));
	assert_false(f->moving);
	assert_int_equal(left, 0);
	leave_restart(&leaving, false);
	slices(SEC);
	assert_int_equal(f->device.inflates, 0);
	assert_int_equal(f->device.size, 0);
	assert_int_equal(left, 1);
}

static void keeps_if_told(void **state)
{
	struct balloon_fixture *f = *state;

	how.keep = true;
	assert_true(leave_begin(&leaving, &how));
	assert_int_equal(left, 1);
	assert_int_equal(asked, 0);
	assert_detached(f);
	/* Nothing that is asked of the device later may move it. */
	assert_int_equal(f->device.size, 2 * GIB);
	assert_int_equal(f->device.ceiling, 2 * GIB);
	assert_int_equal(f->device.floor, 2 * GIB);
	assert_int_equal(f->device.lease_us, 0);
}

static void leaves_it_to_the_next_daemon(void **state)
{
	struct balloon_fixture *f = *state;

	ask_error = 0;
	assert_true(leave_begin(&leaving, &how));
	leave_restart(&leaving, true);
	assert_int_equal(left, 1);
	assert_detached(f);
	assert_int_equal(f->device.moves, 0);
	assert_int_equal(f->device.ceiling, 2 * GIB);
	assert_int_equal(f->device.floor, 2 * GIB);
	assert_int_equal(f->device.lease_us, 30 * SEC);
	/* The manager's copy of the file stays. */
	assert_int_equal(f->kept, 77);
}

static void without_progress_it_ends(void **state)
{
	struct balloon_fixture *f = *state;

	f->device.slice = 0;
	assert_true(leave_begin(&leaving, &how));
	/* A host that is slow is asked again for as long as that. */
	assert_int_equal(slices(SEC), 10);
	assert_int_equal(left, 1);
	assert_int_equal(f->device.size, 2 * GIB);
	/* The module takes it from here. */
	assert_int_equal(f->device.ceiling, 0);
	assert_int_equal(f->device.lease_us, BALLOON_STOP_LEASE_US);
}

static void with_progress_it_ends_after_two_minutes(void **state)
{
	struct balloon_fixture *f = *state;

	f->device.slice = MIB;
	assert_true(leave_begin(&leaving, &how));
	assert_int_equal(slices(9 * SEC), 14);
	assert_int_equal(left, 1);
	assert_int_equal(leave_left(&leaving), 2 * GIB - 14 * MIB);
	assert_int_equal(f->device.lease_us, BALLOON_STOP_LEASE_US);
}

static void asked_a_second_time_it_ends(void **state)
{
	struct balloon_fixture *f = *state;
	struct transport_result result;

	assert_true(leave_begin(&leaving, &how));
	leave_slice(&leaving, balloon_slice(f->balloon, &result), &result);
	leave_at_once(&leaving);
	assert_int_equal(left, 1);
	assert_detached(f);
	assert_int_equal(f->device.ceiling, 0);
	assert_int_equal(f->device.lease_us, BALLOON_STOP_LEASE_US);
	/* A third time, and an answer that comes late, find nothing any more. */
	leave_at_once(&leaving);
	leave_restart(&leaving, false);
	assert_int_equal(left, 1);
}

static void what_the_host_insists_on_stays(void **state)
{
	struct balloon_fixture *f = *state;

	f->device.insisted = GIB + MIB;
	f->device.unit = 2 * MIB;
	assert_true(leave_begin(&leaving, &how));
	slices(SEC);
	assert_int_equal(left, 1);
	/* All but a part of a page, which the module waits for. */
	assert_int_equal(f->device.size, GIB + 2 * MIB);
	assert_int_equal(f->device.pops, 1);
	assert_true(f->device.draining);
	assert_int_equal(f->device.lease_us, 0);
}

static void a_lease_that_ran_out_is_no_reason_to_stand_still(void **state)
{
	struct balloon_fixture *f = *state;

	assert_true(leave_begin(&leaving, &how));
	f->device.lease_expired = true;
	balloon_renew(f->balloon);
	assert_int_equal(f->device.floor, 0);
	slices(SEC);
	assert_int_equal(f->device.size, 0);
}

/* The module's own lease gives the memory back. */
static void whatever_the_device_says_it_ends(void **state)
{
	for (int i = 0; i < 5; i++) {
		struct balloon_fixture *f;

		if (i > 0) {
			balloon_teardown(state);
			setup(state);
		}
		f = *state;
		if (i < 2)
			f->device.state_error = -EIO;
		else if (i < 4)
			f->device.target_error = -EIO;
		else
			f->device.move_error = -EIO;
		how.keep = i % 2;
		assert_true(leave_begin(&leaving, &how));
		slices(SEC);
		assert_int_equal(left, 1);
		assert_detached(f);
		assert_int_equal(f->device.size, 2 * GIB);
		assert_int_equal(f->device.lease_us, 30 * SEC);
	}
}

static void what_holds_nothing_is_not_left(void **state)
{
	struct balloon_fixture *f = *state;

	/* It has gone while the answer was waited for. */
	ask_error = 0;
	assert_true(leave_begin(&leaving, &how));
	balloon_event(f->balloon, true);
	leave_restart(&leaving, false);
	assert_int_equal(left, 0);
	assert_false(leave_begin(&leaving, &how));

	/* What only reports; to be sure, with something to keep. */
	f->device.present = false;
	f->reporting.present = true;
	f->now_us += SEC;
	maintain(f);
	assert_true(look(f).reporting);
	how.keep = true;
	assert_false(leave_begin(&leaving, &how));

	/* Opened to look. */
	f->device.present = true;
	f->settings.observe = true;
	balloon_configure(f->balloon, &f->settings);
	f->now_us += 61 * SEC;
	maintain(f);
	assert_true(look(f).read_only);
	assert_false(leave_begin(&leaving, &how));
	assert_int_equal(left, 0);
}

static void an_empty_one_is_left_at_once(void **state)
{
	struct balloon_fixture *f = *state;

	f->device.size = 0;
	assert_true(leave_begin(&leaving, &how));
	assert_int_equal(left, 1);
	assert_int_equal(asked, 0);
	assert_int_equal(f->device.lease_us, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, balloon_teardown)
		T(gives_all_back),
		T(a_step_that_is_under_way_ends),
		T(keeps_if_told),
		T(leaves_it_to_the_next_daemon),
		T(without_progress_it_ends),
		T(with_progress_it_ends_after_two_minutes),
		T(asked_a_second_time_it_ends),
		T(what_the_host_insists_on_stays),
		T(a_lease_that_ran_out_is_no_reason_to_stand_still),
		T(whatever_the_device_says_it_ends),
		T(what_holds_nothing_is_not_left),
		T(an_empty_one_is_left_at_once),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
