// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who asks for memory back from swap does not wait for the process that it belongs to: one
 * request at a time, the answer by a file, and an end without waiting for it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>

#include "act/swap-thread.h"
#include "stuck-proc.h"

#define MIB (1ULL << 20)

static struct stuck_proc proc;

static int setup(void **state)
{
	(void)state;
	stuck_proc_make(&proc);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stuck_proc_drop(&proc);
	return 0;
}

static int advise(pid_t pid, uint64_t start, uint64_t length)
{
	(void)pid, (void)start, (void)length;
	return 0;
}

/* 64 KiB of it in swap. */
static void put_mapping(int fd)
{
	static const char text[] = "10000000-10100000 rw-p 00000000 00:00 0\nSwap: 64 kB\n";

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static bool readable(struct swap_thread *s, int timeout_ms)
{
	struct pollfd p = {.fd = swap_thread_fd(s), .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

static void asking_does_not_wait(void **state)
{
	_cleanup_(swap_thread_freep) struct swap_thread *s = NULL;
	uint64_t asked = 7;
	int fd;

	(void)state;
	assert_int_equal(swap_thread_new(proc.root, advise, &s), 0);
	assert_int_equal(swap_thread_answer(s, &asked), -EAGAIN);
	assert_int_equal(swap_thread_ask(s, 1 * MIB), 0);
	fd = stuck_proc_wait(&proc);
	assert_int_equal(swap_thread_ask(s, 1 * MIB), -EBUSY);
	assert_int_equal(swap_thread_answer(s, &asked), -EAGAIN);
	assert_false(readable(s, 0));
	assert_int_equal(asked, 7);

	put_mapping(fd);
	close(fd);
	assert_true(readable(s, PATIENCE_MS));
	/* Until the answer is taken there is no place for another. */
	assert_int_equal(swap_thread_ask(s, 1 * MIB), -EBUSY);
	assert_int_equal(swap_thread_answer(s, &asked), 0);
	assert_int_equal(asked, 64 * 1024);
	assert_false(readable(s, 0));
	assert_int_equal(swap_thread_answer(s, &asked), -EAGAIN);
}

static void an_error_is_the_answer(void **state)
{
	_cleanup_(swap_thread_freep) struct swap_thread *s = NULL;
	uint64_t asked = 7;

	(void)state;
	assert_int_equal(swap_thread_new("/nonexistent", advise, &s), 0);
	assert_int_equal(swap_thread_ask(s, 1 * MIB), 0);
	assert_true(readable(s, PATIENCE_MS));
	assert_int_equal(swap_thread_answer(s, &asked), -ENOENT);
	assert_int_equal(asked, 7);
}

static void the_end_does_not_wait(void **state)
{
	struct swap_thread *s = NULL;
	int fd, copy;

	(void)state;
	assert_int_equal(swap_thread_new(proc.root, advise, &s), 0);
	/* Lives on with the thread, which closes its own last. */
	copy = dup(swap_thread_fd(s));
	assert_true(copy >= 0);
	assert_int_equal(swap_thread_ask(s, 1 * MIB), 0);
	fd = stuck_proc_wait(&proc);
	swap_thread_free(s);
	assert_int_equal(poll(&(struct pollfd){.fd = copy, .events = POLLIN}, 1, 0), 0);
	close(fd);
	/* What the thread has left to do it does alone. */
	assert_int_equal(poll(&(struct pollfd){.fd = copy, .events = POLLIN}, 1, PATIENCE_MS), 1);
	close(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(asking_does_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(an_error_is_the_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(the_end_does_not_wait, setup, teardown),
	};

	/* A call that waits all the same. */
	alarm(2 * PATIENCE_MS / 1000);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
