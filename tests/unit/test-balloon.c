// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a transport alone (act/balloon.c, act/opener.c), with a device in memory and a clock
 * that a case sets: how it is found and tried again, what the module is told, what ends it.
 *
 * Not tested here: what wakes it (test-loop.c), and its end with the daemon (test-leave.c).
 */
#include "balloon-fixture.h"

#include <errno.h>
#include <fcntl.h>

/* --- found --- */

static void a_balloon_that_is_found_stays_as_it_is(void **state)
{
	struct balloon_fixture *f = *state;

	f->device.size = 3 * GIB;
	f->device.relief_line = 400 * MIB;
	assert_int_equal(maintain(f).size, 3 * GIB);
	assert_int_equal(f->attachments, 1);
	assert_int_equal(f->found, 3 * GIB);
	assert_int_equal(f->device.ceiling, 3 * GIB);
	assert_int_equal(f->device.floor, 3 * GIB);
	assert_int_equal(f->device.lease_us, 30 * SEC);
	/* Until somebody decides. */
	assert_int_equal(f->device.relief_line, 400 * MIB);
	assert_int_equal(f->device.moves, 0);
	/* Watched, kept for the next daemon, and its lease is looked after. */
	assert_int_equal(f->watched, 77);
	assert_int_equal(f->kept, 77);
	assert_int_equal(f->renew_us, 10 * SEC);
	assert_false(f->moving);
	/* Once. */
	maintain(f);
	assert_int_equal(f->device.opens, 1);
	assert_int_equal(f->device.set_targets, 1);
}

static void handed_over_it_is_not_opened(void **state)
{
	struct balloon_fixture *f = *state;

	f->stored = dup(STDERR_FILENO);
	maintain(f);
	assert_int_equal(f->adopts_tried, 1);
	assert_int_equal(f->opens_tried, 0);
	/* The manager has it already. */
	assert_int_equal(f->kept, -1);
	assert_int_equal(f->forgets, 0);
}

static void of_no_use_it_is_opened_anew(void **state)
{
	struct balloon_fixture *f = *state;

	f->stored = dup(STDERR_FILENO);
	f->adopt_error = -ENODEV;
	maintain(f);
	assert_int_equal(f->forgets, 1);
	assert_int_equal(f->opens_tried, 1);
	assert_int_equal(f->kept, 77);
}

static void who_only_looks_takes_nothing_over(void **state)
{
	struct balloon_fixture *f = *state;
	int fd = dup(STDERR_FILENO);

	f->stored = fd;
	f->settings.observe = true;
	balloon_configure(f->balloon, &f->settings);
	maintain(f);
	assert_int_equal(f->adopts_tried, 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(f->forgets, 1);
	assert_int_equal(f->device.read_only_opens, 1);
	assert_int_equal(f->device.set_targets, 0);
	assert_int_equal(f->kept, -1);
	assert_int_equal(f->renew_us, 0);
	assert_int_equal(look(f).lease_left_us, 0);

	/* ... until it is to be moved. */
	f->settings.observe = false;
	balloon_configure(f->balloon, &f->settings);
	maintain(f);
	assert_int_equal(f->device.opens, 2);
	assert_int_equal(f->device.read_only_opens, 1);
	assert_int_equal(f->device.set_targets, 1);
}

/* --- tried again --- */

static void lets_pass(struct balloon_fixture *f, unsigned s)
{
	for (unsigned i = 0; i < s; i++) {
		maintain(f);
		f->now_us += SEC;
	}
}

static void a_device_that_fails_is_tried_less_and_less_often(void **state)
{
	/* Seconds from one attempt to the next. */
	static const unsigned gaps[] = {1, 2, 4, 8, 16, 32, 64, 64};
	struct balloon_fixture *f = *state;

	lets_pass(f, 10);
	f->device.state_error = -EIO;
	maintain(f);
	assert_string_equal(problem(f), "the balloon device cannot tell its state: "
					"Input/output error. Opening it again");
	for (unsigned i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
		lets_pass(f, gaps[i]);
		assert_int_equal(f->opens_tried, 1 + i);
	}
	/* An announcement is a new device. */
	f->device.state_error = 0;
	balloon_announced(f->balloon);
	maintain(f);
	assert_true(look(f).attached);
	assert_string_equal(problem(f), "");

	/* After a good time it is as if nothing had been. */
	lets_pass(f, 62);
	f->device.state_error = -EIO;
	f->opens_tried = 0;
	maintain(f);
	assert_false(look(f).attached);
	lets_pass(f, 2);
	assert_int_equal(f->opens_tried, 1);
}

static void a_group_that_udev_sets_late_is_waited_for(void **state)
{
	struct balloon_fixture *f = *state;

	f->device.open_error = -EACCES;
	lets_pass(f, 20);
	assert_non_null(strstr(problem(f), "waiting for that"));
	lets_pass(f, 1);
	assert_non_null(strstr(problem(f), "run as root"));
	/* Each attempt that ends otherwise begins the time anew. */
	f->device.open_error = -EBUSY;
	lets_pass(f, 1);
	assert_non_null(strstr(problem(f), "fuser"));
	f->device.open_error = -EACCES;
	lets_pass(f, 1);
	assert_non_null(strstr(problem(f), "waiting for that"));
	f->device.open_error = 0;
	lets_pass(f, 1);
	assert_string_equal(problem(f), "");
}

/* --- what serves meanwhile --- */

static void serves_without_ours_until_it_comes(void **state)
{
	struct balloon_fixture *f = *state;

	f->device.present = false;
	f->reporting.present = true;
	maintain(f);
	assert_true(look(f).attached && look(f).reporting);
	assert_non_null(strstr(problem(f), "pushing out cold cache"));
	/* It has no lease to be kept up. */
	assert_int_equal(f->reporting.lease_us, 0);
	assert_int_equal(f->renew_us, 0);
	assert_int_equal(look(f).lease_left_us, 0);

	/* Looked for once a minute. */
	f->device.present = true;
	f->opens_tried = 0;
	lets_pass(f, 60);
	assert_int_equal(f->opens_tried, 0);
	lets_pass(f, 1);
	assert_false(look(f).reporting);
	assert_int_equal(f->reporting.frees, 1);
	assert_string_equal(problem(f), "");
	/* Once to see, once for good. */
	assert_int_equal(f->device.opens, 2);
	assert_int_equal(f->device.frees, 1);
}

static void what_serves_meanwhile_is_let_go_of(void **state)
{
	struct balloon_fixture *f = *state;

	f->device.present = false;
	f->reporting.present = true;
	maintain(f);
	/* Opened to look now: the same, in another way. */
	f->settings.observe = true;
	balloon_configure(f->balloon, &f->settings);
	maintain(f);
	assert_int_equal(f->reporting.opens, 2);
	assert_int_equal(f->reporting.read_only_opens, 1);
	assert_string_equal(problem(f), "");
	/* The kernel's driver goes. */
	f->settings.observe = false;
	balloon_configure(f->balloon, &f->settings);
	maintain(f);
	f->reporting.present = false;
	lets_pass(f, 61);
	assert_false(look(f).attached);
	assert_non_null(strstr(problem(f), "only watching"));
	/* Not wanted any more. */
	f->reporting.present = true;
	lets_pass(f, 1);
	assert_true(look(f).reporting);
	f->settings.device_only = true;
	balloon_configure(f->balloon, &f->settings);
	maintain(f);
	assert_false(look(f).attached);
}

/* --- what the module is told --- */

static void act(struct balloon_fixture *f, int64_t step, uint64_t relief_line)
{
	const struct balloon_step s = {.step = step, .relief_line = relief_line};

	balloon_act(f->balloon, &s);
}

static unsigned run_slices(struct balloon_fixture *f)
{
	struct transport_result result;
	unsigned n = 0;

	while (f->moving) {
		(void)balloon_slice(f->balloon, &result);
		n++;
	}
	return n;
}

static void a_step_has_bounds_and_goes_in_slices(void **state)
{
	struct balloon_fixture *f = *state;
	struct sample_balloon b;

	f->device.size = 2 * GIB;
	maintain(f);
	act(f, GIB, 300 * MIB);
	assert_int_equal(f->device.ceiling, 3 * GIB);
	assert_int_equal(f->device.floor, 2 * GIB);
	assert_int_equal(f->device.relief_line, 300 * MIB);
	assert_int_equal(run_slices(f), 4);
	b = maintain(f);
	assert_int_equal(b.size, 3 * GIB);
	assert_int_equal(b.asked, GIB);
	assert_int_equal(b.moved, GIB);

	/* More than there is. */
	act(f, -(int64_t)(9 * GIB), 300 * MIB);
	assert_int_equal(f->device.ceiling, 3 * GIB);
	assert_int_equal(f->device.floor, 0);
	run_slices(f);
	assert_int_equal(maintain(f).size, 0);
	assert_int_equal(look(f).inflated, GIB);
	assert_int_equal(look(f).deflated, 3 * GIB);
}

static void a_decision_ends_the_step_before(void **state)
{
	struct balloon_fixture *f = *state;
	struct transport_result result;
	struct sample_balloon b;

	maintain(f);
	act(f, GIB, 0);
	assert_int_equal(balloon_slice(f->balloon, &result), 1);
	b = maintain(f);
	assert_int_equal(b.moved, 256 * MIB);
	act(f, 0, 0);
	assert_false(f->moving);
	assert_int_equal(maintain(f).asked, 0);
	/* In mode observe nothing moves, and the lease is kept up. */
	f->settings.observe = true;
	balloon_configure(f->balloon, &f->settings);
	maintain(f);
	act(f, GIB, 0);
	assert_false(f->moving);
	assert_int_equal(f->device.size, 256 * MIB);
	assert_int_equal(f->renew_us, 10 * SEC);
}

static void standing_still_only_news_are_told(void **state)
{
	struct balloon_fixture *f = *state;

	maintain(f);
	act(f, 0, 320 * MIB);
	assert_int_equal(f->device.set_targets, 2);
	assert_int_equal(f->device.relief_line, 320 * MIB);
	/* Less than the sixteenth part. */
	act(f, 0, 340 * MIB);
	assert_int_equal(f->device.set_targets, 2);
	act(f, 0, 341 * MIB);
	assert_int_equal(f->device.set_targets, 3);
	act(f, 0, 0);
	assert_int_equal(f->device.set_targets, 3);
	f->settings.account = SAMPLE_ACCOUNT_GONE;
	balloon_configure(f->balloon, &f->settings);
	act(f, 0, 0);
	assert_int_equal(f->device.set_targets, 4);
	assert_int_equal(f->device.account, SAMPLE_ACCOUNT_GONE);
	/* The line that was told last. */
	assert_int_equal(f->device.relief_line, 341 * MIB);
}

static void a_proof_is_of_one_sample(void **state)
{
	struct balloon_fixture *f = *state;

	f->device.proof = SAMPLE_PROOF_KEPT;
	maintain(f);
	balloon_prove(f->balloon, SEC / 2);
	assert_int_equal(f->device.held_us, SEC / 2);
	assert_int_equal(maintain(f).proof, SAMPLE_PROOF_KEPT);
	assert_int_equal(maintain(f).proof, SAMPLE_PROOF_NONE);
	/* Where nothing can be proven there is nothing wrong. */
	f->device.proof = SAMPLE_PROOF_NONE;
	balloon_prove(f->balloon, SEC / 2);
	assert_int_equal(f->device.proves, 2);
	assert_true(look(f).attached);
	assert_int_equal(maintain(f).proof, SAMPLE_PROOF_NONE);
}

/* --- the lease --- */

static void the_lease_is_renewed_in_time(void **state)
{
	struct balloon_fixture *f = *state;

	maintain(f);
	assert_int_equal(look(f).lease_left_us, 30 * SEC);
	f->now_us += 10 * SEC;
	assert_int_equal(look(f).lease_left_us, 20 * SEC);
	f->renew_us = 0;
	balloon_renew(f->balloon);
	assert_int_equal(f->device.keepalives, 1);
	assert_int_equal(look(f).lease_left_us, 30 * SEC);
	assert_int_equal(f->renew_us, 10 * SEC);
	f->now_us += 31 * SEC;
	assert_int_equal(look(f).lease_left_us, 0);
}

static void a_lease_that_ran_out_is_taken_up_as_things_are(void **state)
{
	struct balloon_fixture *f = *state;

	f->device.size = 4 * GIB;
	maintain(f);
	act(f, GIB, 0);
	/* The module has begun to give back. */
	f->device.lease_expired = true;
	f->device.size = 3 * GIB;
	balloon_renew(f->balloon);
	assert_int_equal(f->device.ceiling, 3 * GIB);
	assert_int_equal(f->device.floor, 3 * GIB);
	assert_false(f->device.lease_expired);
	assert_int_equal(f->looks, 1);
	assert_int_equal(f->renew_us, 10 * SEC);
}

static void another_lease_is_told_at_once(void **state)
{
	struct balloon_fixture *f = *state;

	f->device.size = GIB;
	maintain(f);
	f->settings.lease_us = 60 * SEC;
	balloon_configure(f->balloon, &f->settings);
	balloon_lease_changed(f->balloon);
	assert_int_equal(f->device.lease_us, 60 * SEC);
	assert_int_equal(f->device.ceiling, GIB);
	assert_int_equal(f->device.floor, GIB);
	assert_int_equal(f->renew_us, 20 * SEC);
	f->settings.lease_us = 0;
	balloon_configure(f->balloon, &f->settings);
	balloon_lease_changed(f->balloon);
	assert_int_equal(f->device.lease_us, 0);
	assert_int_equal(f->renew_us, 0);
}

/* --- lost --- */

static void fails_to_tell(struct balloon_fixture *f)
{
	f->device.state_error = -EIO;
	(void)maintain(f);
}

static void fails_to_take_a_target(struct balloon_fixture *f)
{
	f->device.target_error = -EIO;
	act(f, GIB, 0);
}

static void fails_to_take_a_lease(struct balloon_fixture *f)
{
	f->device.target_error = -EIO;
	balloon_lease_changed(f->balloon);
}

static void fails_to_move(struct balloon_fixture *f)
{
	struct transport_result result;

	act(f, GIB, 0);
	f->device.move_error = -EIO;
	assert_int_equal(balloon_slice(f->balloon, &result), -EIO);
}

static void fails_to_renew(struct balloon_fixture *f)
{
	f->device.lease_expired = true;
	f->device.target_error = -EIO;
	balloon_renew(f->balloon);
}

static void fails_to_prove(struct balloon_fixture *f)
{
	f->device.prove_error = -EIO;
	balloon_prove(f->balloon, 1);
}

static void hangs_up(struct balloon_fixture *f)
{
	balloon_event(f->balloon, true);
}

static void vanishes(struct balloon_fixture *f)
{
	f->device.present = false;
	balloon_renew(f->balloon);
}

static void any_error_ends_it_and_it_is_found_again(void **state)
{
	static const struct {
		void (*breaks)(struct balloon_fixture *f);
		const char *text;
	} rows[] = {
		{fails_to_tell, "the balloon device cannot tell its state: Input/output error"},
		{fails_to_take_a_target, "the balloon device cannot take a target: Input"},
		{fails_to_take_a_lease, "the balloon device cannot take a lease: Input"},
		{fails_to_move, "the balloon device cannot move memory: Input"},
		{fails_to_renew, "the balloon device cannot renew the lease: Input"},
		{fails_to_prove, "the balloon device cannot prove that the host takes memory"},
		{hangs_up, "the balloon device has gone; going on as soon as it is back"},
		{vanishes, "the balloon device has gone; going on as soon as it is back"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct balloon_fixture *f;

		if (i > 0) {
			balloon_teardown(state);
			balloon_setup(state);
		}
		f = *state;
		f->device.size = GIB;
		maintain(f);
		rows[i].breaks(f);
		assert_detached(f);
		assert_int_equal(f->losses, 1);
		/* Else the manager's copy would keep the place of the one writer. */
		assert_int_equal(f->kept, -1);
		if (!strstr(problem(f), rows[i].text))
			fail_msg("\"%s\", want \"%s\"", problem(f), rows[i].text);
		assert_int_equal(maintain(f).valid, false);

		f->device.present = true;
		f->device.state_error = f->device.target_error = f->device.move_error = 0;
		f->device.prove_error = 0;
		f->now_us += SEC;
		assert_int_equal(maintain(f).size, GIB);
		assert_string_equal(problem(f), "");
	}
}

static void what_cannot_be_watched_is_not_held(void **state)
{
	struct balloon_fixture *f = *state;

	f->watch_error = -ENOMEM;
	maintain(f);
	assert_detached(f);
	assert_int_equal(f->attachments, 0);
	assert_int_equal(f->kept, -1);
	assert_non_null(strstr(problem(f), "cannot be polled"));
}

static void news_are_a_reason_to_look(void **state)
{
	struct balloon_fixture *f = *state;

	maintain(f);
	balloon_event(f->balloon, false);
	assert_int_equal(f->looks, 1);
	assert_int_equal(f->losses, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, balloon_setup, balloon_teardown)
		T(a_balloon_that_is_found_stays_as_it_is),
		T(handed_over_it_is_not_opened),
		T(of_no_use_it_is_opened_anew),
		T(who_only_looks_takes_nothing_over),
		T(a_device_that_fails_is_tried_less_and_less_often),
		T(a_group_that_udev_sets_late_is_waited_for),
		T(serves_without_ours_until_it_comes),
		T(what_serves_meanwhile_is_let_go_of),
		T(a_step_has_bounds_and_goes_in_slices),
		T(a_decision_ends_the_step_before),
		T(standing_still_only_news_are_told),
		T(a_proof_is_of_one_sample),
		T(the_lease_is_renewed_in_time),
		T(a_lease_that_ran_out_is_taken_up_as_things_are),
		T(another_lease_is_told_at_once),
		T(any_error_ends_it_and_it_is_found_again),
		T(what_cannot_be_watched_is_not_held),
		T(news_are_a_reason_to_look),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
