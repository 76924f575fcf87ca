// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who brings back from swap for the loop (act/swap-in.c): one request at a time, and words for what
 * is wrong, while the process that it belongs to keeps the lock of its mappings.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>

#include "act/swap-in.h"
#include "basic/log.h"
#include "stuck-proc.h"

#define MIB (1ULL << 20)
#define SEC 1000000ULL

static struct stuck_proc proc;
static struct problems problems;
static struct swap_in swap;
static int watched, watch_error;
static unsigned watches;

static int watch(void *ctx, int fd)
{
	(void)ctx;
	watches++;
	watched = fd;
	return watch_error;
}

static int setup(void **state)
{
	(void)state;
	stuck_proc_make(&proc);
	log_set_level(LOG_EMERG);
	problems = (struct problems){};
	watched = -1;
	watches = 0;
	watch_error = 0;
	swap_in_init(&swap, proc.root, &problems, watch, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	swap_in_done(&swap);
	stuck_proc_drop(&proc);
	return 0;
}

static const char *problem(void)
{
	return problems.text[PROBLEM_SWAP];
}

static void nothing_wanted_is_nothing_done(void **state)
{
	(void)state;
	swap_in_ask(&swap, 0, 1 * SEC);
	assert_int_equal(watches, 0);
	assert_null(swap.thread);
}

static void slow_is_said_after_half_a_minute_and_taken_back(void **state)
{
	struct pollfd p = {.events = POLLIN};
	int fd;

	(void)state;
	swap_in_ask(&swap, 1 * MIB, 100 * SEC);
	fd = stuck_proc_wait(&proc);
	swap_in_ask(&swap, 1 * MIB, 130 * SEC);
	assert_string_equal(problem(), "");
	/* From when it was asked, and not from when it was asked again. */
	swap_in_ask(&swap, 1 * MIB, 131 * SEC);
	assert_non_null(strstr(problem(), "lock of its mappings"));
	assert_int_equal(watches, 1);

	/* An event without an answer says nothing. */
	swap_in_answered(&swap);
	assert_non_null(strstr(problem(), "lock of its mappings"));
	close(fd);
	p.fd = watched;
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	swap_in_answered(&swap);
	assert_string_equal(problem(), "");

	/* The next one is asked for anew. */
	swap_in_ask(&swap, 1 * MIB, 200 * SEC);
	close(stuck_proc_wait(&proc));
	assert_int_equal(watches, 1);
}

static void not_wanted_it_is_no_problem(void **state)
{
	int fd;

	(void)state;
	swap_in_ask(&swap, 1 * MIB, 100 * SEC);
	fd = stuck_proc_wait(&proc);
	swap_in_ask(&swap, 1 * MIB, 200 * SEC);
	assert_string_not_equal(problem(), "");
	swap_in_unwanted(&swap);
	assert_string_equal(problem(), "");
	close(fd);
}

static void what_cannot_be_watched_is_not_begun(void **state)
{
	(void)state;
	watch_error = -ENOSPC;
	swap_in_ask(&swap, 1 * MIB, 100 * SEC);
	assert_null(swap.thread);
	assert_string_equal(problem(), "what was swapped out cannot be brought back: "
				       "No space left on device");
	/* With the next request it is tried again. */
	watch_error = 0;
	swap_in_ask(&swap, 1 * MIB, 101 * SEC);
	assert_non_null(swap.thread);
	close(stuck_proc_wait(&proc));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(nothing_wanted_is_nothing_done),
		T(slow_is_said_after_half_a_minute_and_taken_back),
		T(not_wanted_it_is_no_problem),
		T(what_cannot_be_watched_is_not_begun),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
