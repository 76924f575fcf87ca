// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the loop waits for (loop/events.c): what comes first when all of it has come, and what is
 * waited for no longer. Each case writes down what it is called for, a letter each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/events.h"

/* A test that takes longer has hung. */
#define TEST_TIMEOUT_S 30
#define SEC 1000000ULL

static struct events *e;
static char called[256];
/* Ends with the call of this letter, when it has come so often. */
static char last;
static unsigned times;
/* What else is to be done with a call. */
static void (*then)(char what);

static void note(char what)
{
	size_t n = strlen(called);

	assert_true(n < sizeof(called) - 1);
	called[n] = what;
	if (then)
		then(what);
	if (what == last && --times == 0)
		events_end(e);
}

static void on_tick(void *ctx)
{
	(void)ctx;
	note('t');
}

static void on_idle(void *ctx)
{
	(void)ctx;
	note('i');
}

static void on_renew(void *ctx)
{
	(void)ctx;
	note('r');
}

static void on_device(void *ctx, bool hung_up)
{
	(void)ctx;
	note(hung_up ? 'D' : 'd');
}

static void on_swap(void *ctx)
{
	(void)ctx;
	note('s');
}

static void on_announced(void *ctx)
{
	(void)ctx;
	note('n');
}

static void on_pressure(void *ctx, enum sample_trigger which, bool lost)
{
	(void)ctx;
	assert_int_equal(which, TRIGGER_EMERGENCY);
	note(lost ? 'P' : 'p');
}

static void on_stop(void *ctx, int sig)
{
	(void)ctx;
	note(sig == SIGINT ? 'I' : 'T');
}

static void on_reload(void *ctx)
{
	(void)ctx;
	note('h');
}

static void on_alive(void *ctx)
{
	(void)ctx;
	note('a');
}

static void on_leaving(void *ctx)
{
	(void)ctx;
	note('l');
}

static int ends[2];

static void begin(int announce_fd, uint64_t watchdog_us)
{
	const struct events_handlers handlers = {NULL,	       on_tick,	    on_idle, on_renew,
						 on_device,    on_swap,	    on_announced,
						 on_pressure,  on_stop,	    on_reload,
						 on_alive,     on_leaving};

	assert_int_equal(events_new(&handlers, announce_fd, watchdog_us, &e), 0);
}

static int setup(void **state)
{
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	memset(called, 0, sizeof(called));
	then = NULL;
	e = NULL;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	alarm(TEST_TIMEOUT_S);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	alarm(0);
	events_free(e);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* What is called for until that letter has come so often. */
static const char *run_until(char what, unsigned n)
{
	last = what;
	times = n;
	assert_int_equal(events_run(e), 0);
	return called;
}

static void take_announcement(char what)
{
	char c;

	if (what == 'n')
		assert_int_equal(read(ends[1], &c, 1), 1);
}

/* After a standstill, say. */
static void all_of_it_has_come(void **state)
{
	const char *order;

	(void)state;
	begin(ends[1], 12 * SEC);
	then = take_announcement;
	events_idle(e, true);
	events_tick_in(e, 1);
	events_renew_in(e, 1);
	raise(SIGTERM);
	assert_int_equal(write(ends[0], "x", 1), 1);
	usleep(50000);
	order = run_until('i', 1);
	/* The sign of life, then the lease and the signal, then the rest, and at last a move. */
	assert_int_equal(order[0], 'a');
	assert_true(strchr(order, 'r') < strchr(order, 't'));
	assert_true(strchr(order, 'r') < strchr(order, 'n'));
	assert_true(strchr(order, 'T') && strchr(order, 'T') < strchr(order, 't'));
	assert_ptr_equal(strchr(order, 'i'), order + strlen(order) - 1);
}

static void a_timer_is_set_anew_and_ends(void **state)
{
	(void)state;
	begin(-1, 0);
	/* The later one counts, and it comes once. */
	events_tick_in(e, 3600 * SEC);
	events_tick_in(e, 1);
	events_renew_in(e, 1);
	events_renew_in(e, 0);
	usleep(50000);
	events_idle(e, true);
	assert_string_equal(run_until('i', 3), "tiii");
}

static void no_tick_is_none(void **state)
{
	(void)state;
	begin(-1, 0);
	events_tick_in(e, 1);
	events_no_tick(e);
	usleep(50000);
	raise(SIGINT);
	assert_string_equal(run_until('I', 1), "I");
}

static void idle_off(char what)
{
	if (what == 'i') {
		events_idle(e, false);
		raise(SIGHUP);
	}
}

static void what_is_not_idle_any_more_is_left_alone(void **state)
{
	(void)state;
	begin(-1, 0);
	then = idle_off;
	events_idle(e, true);
	assert_string_equal(run_until('h', 1), "ih");
}

static void leaving_is_told_at_once_and_again(void **state)
{
	(void)state;
	begin(-1, 0);
	events_leaving(e);
	assert_string_equal(run_until('l', 2), "ll");
}

static void hang_up(char what)
{
	char c;

	if (what == 'd') {
		assert_int_equal(read(ends[1], &c, 1), 1);
		assert_int_equal(shutdown(ends[0], SHUT_RDWR), 0);
	}
}

static void a_device_has_news_until_it_hangs_up(void **state)
{
	(void)state;
	begin(-1, 0);
	then = hang_up;
	assert_int_equal(events_watch_device(e, ends[1]), 0);
	assert_int_equal(write(ends[0], "x", 1), 1);
	assert_string_equal(run_until('D', 1), "dD");
}

static void what_is_not_watched_any_more_is_silent(void **state)
{
	(void)state;
	begin(-1, 0);
	assert_int_equal(events_watch_device(e, ends[1]), 0);
	assert_int_equal(events_watch_swap(e, ends[0]), 0);
	assert_int_equal(write(ends[0], "x", 1), 1);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(events_watch_device(e, -1), 0);
	assert_int_equal(events_watch_swap(e, -1), 0);
	/* Another one, in the place of the first. */
	assert_int_equal(events_watch_device(e, ends[0]), 0);
	assert_string_equal(run_until('d', 1), "d");
}

static void a_device_with_endless_news_leaves_time_for_others(void **state)
{
	(void)state;
	begin(-1, 0);
	assert_int_equal(events_watch_device(e, ends[1]), 0);
	assert_int_equal(write(ends[0], "x", 1), 1);
	events_idle(e, true);
	/* Some of it, and then something else has its turn. */
	assert_in_range(strlen(run_until('i', 1)), 2, sizeof(called) - 1);
}

static void a_trigger_that_is_lost_is_none(void **state)
{
	int fds[2];

	(void)state;
	begin(-1, 0);
	assert_false(events_has_pressure(e));
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(events_watch_pressure(e, TRIGGER_EMERGENCY, fds[1]), 0);
	assert_true(events_has_pressure(e));
	/* Polls as an error, as a trigger does whose group has gone. */
	close(fds[0]);
	assert_string_equal(run_until('P', 1), "P");
	assert_false(events_has_pressure(e));
	/* It was the events' own. */
	assert_int_equal(fcntl(fds[1], F_GETFD), -1);
}

static void a_trigger_that_cannot_be_watched_is_closed(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	begin(-1, 0);
	/* A device without poll(). */
	assert_true(fd >= 0);
	assert_true(events_watch_pressure(e, TRIGGER_EARLY, fd) < 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_false(events_has_pressure(e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(all_of_it_has_come),
		T(a_timer_is_set_anew_and_ends),
		T(no_tick_is_none),
		T(what_is_not_idle_any_more_is_left_alone),
		T(leaving_is_told_at_once_and_again),
		T(a_device_has_news_until_it_hangs_up),
		T(what_is_not_watched_any_more_is_silent),
		T(a_device_with_endless_news_leaves_time_for_others),
		T(a_trigger_that_is_lost_is_none),
		T(a_trigger_that_cannot_be_watched_is_closed),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
