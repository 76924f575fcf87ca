// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the operator asks of the loop: to stand still for a while, and to read
 * its configuration again. The loop runs in a world of the test's own
 * (fake-world.c), and the script of a case gives the orders.
 *
 * Not tested here: how an order comes in over D-Bus, and a hold that survives a
 * restart.
 */
#include "fake-world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the operator's hold --- */

static void order_hold(struct fake_world *w, const char *reason, uint64_t for_us)
{
	const struct order_answer answer = fake_world_order(w, ORDER_HOLD, reason, for_us);

	assert_int_equal(answer.refusal, REFUSED_NOT);
	/* There is no state directory. */
	assert_false(answer.kept);
}

static void held_script(struct fake_world *w)
{
	static uint64_t size, moves;

	switch (w->step) {
	case 0:
		/* In the middle of an inflation. */
		if (w->device.size < GIB)
			return;
		order_hold(w, "test", 0);
		w->step = 1;
		return;
	case 1:
		if (fake_world_look(w)->decision.reason != REASON_HELD)
			return;
		size = w->device.size;
		moves = w->device.moves;
		assert_int_equal(fake_world_order(w, ORDER_SET_TARGET, NULL, 0).refusal,
				 REFUSED_HELD);
		w->tick = 0;
		w->step = 2;
		return;
	case 2:
		if (w->tick < 15)
			return;
		/* The law wants more, and the lease goes on. */
		assert_int_equal(w->device.size, size);
		assert_int_equal(w->device.moves, moves);
		assert_true(fake_world_look(w)->decision.goal > size);
		assert_true(w->device.keepalives >= 2);
		/* Programs need all there is. */
		w->used = 8 * GIB - 16 * MIB;
		w->stalls = true;
		w->step = 3;
		return;
	case 3:
		if (w->device.size > 0)
			return;
		assert_true(fake_world_look(w)->hold.held);
		w->used = 1 * GIB;
		w->stalls = false;
		w->tick = 0;
		w->step = 4;
		return;
	case 4:
		if (w->tick < 10)
			return;
		assert_int_equal(w->device.size, 0);
		assert_true(fake_world_order(w, ORDER_RELEASE, NULL, 0).was_held);
		w->step = 5;
		return;
	case 5:
		if (fake_world_look(w)->decision.reason == REASON_HELD)
			return;
		order_hold(w, "short", 300000);
		w->step = 6;
		return;
	case 6:
		if (fake_world_look(w)->hold.held)
			return;
		w->step = 7;
		raise(SIGTERM);
	}
}

static void held_balloon_only_gives_back(void **state)
{
	struct fake_world *w = *state;

	w->config.lease_us = 900000;
	fake_world_run(w, held_script);
	assert_int_equal(w->step, 7);
}

/* --- reload --- */

static char path[] = "/tmp/test-loop-orders-XXXXXX";

static void write_config(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void reload_script(struct fake_world *w)
{
	switch (w->step++) {
	case 0:
		write_config("mode = \"observe\"; lease = \"20\";");
		raise(SIGHUP);
		return;
	case 2:
		assert_non_null(strstr(fake_world_status(w)->config_error,
				       ":1: lease: needs a unit"));
		assert_non_null(strstr(fake_world_problem(w, PROBLEM_CONFIG), "old configuration"));
		assert_int_equal(fake_world_look(w)->mode, MODE_AUTO);
		assert_int_equal(fake_world_look(w)->lease_us, 30 * SEC);
		write_config("mode = \"manual\"; lease = \"20s\"; limit = \"50%\";\n"
			     "interval = \"100ms\"; idle_interval = \"100ms\";");
		raise(SIGHUP);
		return;
	case 4:
		assert_string_equal(fake_world_status(w)->config_error, "");
		assert_string_equal(fake_world_problem(w, PROBLEM_CONFIG), "");
		assert_int_equal(fake_world_look(w)->mode, MODE_MANUAL);
		assert_int_equal(w->device.lease_us, 20 * SEC);
		assert_int_equal(fake_world_look(w)->limit, 4 * GIB);
		/* Nobody named a size. */
		assert_true(fake_world_look(w)->manual_target > 0);
		assert_int_equal(fake_world_look(w)->manual_target, w->device.size);
		raise(SIGTERM);
		return;
	}
}

static void reload_is_all_or_nothing(void **state)
{
	struct fake_world *w = *state;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	w->options.config_path = path;
	fake_world_run(w, reload_script);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fake_world_setup, fake_world_teardown)
		T(held_balloon_only_gives_back),
		T(reload_is_all_or_nothing),
#undef T
	};

	return cmocka_run_group_tests(tests, fake_world_begin, NULL);
}
