// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Steps in small moves: nothing is moved beyond the step, each way to end ends
 * it, and the account that the policy sees adds up.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>

#include "act/mover.h"
#include "fake-transport.h"
#include "uballoon.h"

#define MIB (1LL << 20)
#define BUDGET_US 20000

struct fixture {
	struct fake_device device;
	struct transport *transport;
	struct mover mover;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){
		.device = {.present = true, .ram = 1024 * MIB, .slice = 64 * MIB,
			   .slice_took_us = 100},
	};
	*state = &f;
	if (fake_open(&f.device, false, &f.transport) < 0)
		return -1;
	return f.transport->ops->set_target(f.transport,
					    &(struct transport_target){.ceiling = 1024 * MIB});
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->transport->ops->free(f->transport);
	return 0;
}

static int run(struct fixture *f, unsigned *ret_calls)
{
	struct transport_result result;
	unsigned calls = 0;
	int r;

	do {
		r = mover_run(&f->mover, f->transport, BUDGET_US, &result);
		calls++;
		assert_true(calls < 100);
	} while (r > 0);
	*ret_calls = calls;
	return r;
}

static void a_step_in_slices(void **state)
{
	struct fixture *f = *state;
	struct sample_balloon b = {};
	unsigned calls;

	mover_start(&f->mover, 200 * MIB, true);
	assert_int_equal(run(f, &calls), 0);
	assert_int_equal(calls, 4);
	assert_int_equal(f->device.size, 200 * MIB);
	mover_report(&f->mover, &b);
	assert_int_equal(b.asked, 200 * MIB);
	assert_int_equal(b.moved, 200 * MIB);
	assert_int_equal(b.took_us, 400);
	assert_int_equal(b.stop, UBALLOON_STOP_DONE);

	mover_start(&f->mover, -100 * MIB, false);
	assert_int_equal(run(f, &calls), 0);
	assert_int_equal(f->device.size, 100 * MIB);
	mover_report(&f->mover, &b);
	assert_int_equal(b.asked, -100 * MIB);
	assert_int_equal(b.moved, -100 * MIB);

	/* Reported once. */
	mover_report(&f->mover, &b);
	assert_int_equal(b.asked, 0);
	assert_int_equal(b.moved, 0);
}

static void a_report_in_between(void **state)
{
	struct transport_result result;
	struct fixture *f = *state;
	struct sample_balloon b = {};
	int64_t moved = 0;

	mover_start(&f->mover, 200 * MIB, true);
	assert_int_equal(mover_run(&f->mover, f->transport, BUDGET_US, &result), 1);
	mover_report(&f->mover, &b);
	assert_int_equal(b.asked, 200 * MIB);
	assert_int_equal(b.moved, 64 * MIB);
	assert_int_equal(b.stop, UBALLOON_STOP_BUDGET);
	moved += b.moved;

	/* What is left counts as asked for again. */
	while (mover_run(&f->mover, f->transport, BUDGET_US, &result) > 0)
		;
	mover_report(&f->mover, &b);
	assert_int_equal(b.asked, 136 * MIB);
	assert_int_equal(moved + b.moved, 200 * MIB);
}

static void a_new_step_replaces_the_old(void **state)
{
	struct transport_result result;
	struct fixture *f = *state;
	unsigned calls;

	mover_start(&f->mover, 200 * MIB, true);
	assert_int_equal(mover_run(&f->mover, f->transport, BUDGET_US, &result), 1);
	mover_start(&f->mover, -64 * MIB, false);
	assert_int_equal(run(f, &calls), 0);
	assert_int_equal(f->device.size, 0);

	mover_start(&f->mover, 200 * MIB, true);
	mover_start(&f->mover, 0, false);
	assert_int_equal(run(f, &calls), 0);
	assert_int_equal(f->device.size, 0);
}

static void the_bound_of_the_transport_ends_it(void **state)
{
	struct fixture *f = *state;
	struct sample_balloon b = {};
	unsigned calls;

	assert_int_equal(f->transport->ops->set_target(
				 f->transport, &(struct transport_target){.ceiling = 100 * MIB}), 0);
	mover_start(&f->mover, 200 * MIB, true);
	assert_int_equal(run(f, &calls), 0);
	assert_int_equal(calls, 2);
	mover_report(&f->mover, &b);
	assert_int_equal(b.moved, 100 * MIB);
	assert_int_equal(b.stop, UBALLOON_STOP_TARGET);
	assert_int_equal(f->mover.left, 0);
}

static void no_progress_ends_it(void **state)
{
	struct fixture *f = *state;
	struct sample_balloon b = {};
	unsigned calls;

	f->device.slice = 0;
	mover_start(&f->mover, 200 * MIB, true);
	assert_int_equal(run(f, &calls), 0);
	assert_int_equal(calls, 1);
	mover_report(&f->mover, &b);
	assert_int_equal(b.asked, 200 * MIB);
	assert_int_equal(b.moved, 0);
	assert_int_equal(b.stop, UBALLOON_STOP_BUDGET);
}

static void an_error_ends_it(void **state)
{
	struct fixture *f = *state;
	unsigned calls;

	f->device.move_error = -EIO;
	mover_start(&f->mover, 200 * MIB, true);
	assert_int_equal(run(f, &calls), -EIO);
	assert_int_equal(f->mover.left, 0);
	/* Idle, it does not touch the device. */
	assert_int_equal(run(f, &calls), 0);
	f->device.present = false;
	assert_int_equal(run(f, &calls), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_step_in_slices),
		T(a_report_in_between),
		T(a_new_step_replaces_the_old),
		T(the_bound_of_the_transport_ends_it),
		T(no_progress_ends_it),
		T(an_error_ends_it),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
