// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What others see of a tick (serve/show.c, serve/status.c): ticks are made by hand, the service
 * manager is a socket, and the terminal a pipe.
 *
 * Not tested here: the bus, which the suite of its own has.
 */
#include "sample-maker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "basic/log.h"
#include "serve/show.h"

static int manager;
static struct notify notify;
static struct problems problems;
static struct show show;
static struct tick t;

static int setup(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char name[64];
	int n;

	(void)state;
	n = snprintf(name, sizeof(name), "@test-show-%d", (int)getpid());
	memcpy(a.sun_path + 1, name + 1, (size_t)n - 1);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	notify_init(&notify);
	log_set_level(LOG_EMERG);
	problems = (struct problems){};
	show_init(&show, NULL, &notify, &problems, false);
	t = (struct tick){
		.n = 5,
		.sample = healthy(100 * SEC),
		.decision = {.goal = 3 * GIB, .target = 2 * GIB, .reason = REASON_CACHE,
			     .n = {.ram = 8 * GIB, .available = 5 * GIB}},
		.limit = UINT64_MAX,
		.hold_left_us = UINT64_MAX,
		.metrics_file = "",
		.config_file = "/etc/balloond.conf",
		.config_error = "",
		.attached = true,
		.host = "virtio",
		.capabilities = 5,
		.lease_left_us = 20 * SEC,
	};
	set_balloon(&t.sample, 1 * GIB);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	notify_done(&notify);
	close(manager);
	return 0;
}

/* The next message to the manager; "" if there is none. */
static const char *told(void)
{
	static char text[1024];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static const struct status *shown(void)
{
	show_publish(&show, &t);
	return &show.status;
}

static void a_tick_is_shown(void **state)
{
	const struct status *s = shown();

	(void)state;
	assert_string_equal(s->mode, policy_mode_name(t.mode));
	assert_string_equal(s->host, "virtio");
	assert_int_equal(s->capabilities, 5);
	assert_int_equal(s->ram, 8 * GIB);
	assert_int_equal(s->size, 1 * GIB);
	assert_int_equal(s->goal, 3 * GIB);
	assert_int_equal(s->target, 2 * GIB);
	assert_int_equal(s->free, t.sample.mem[MEM_FREE]);
	assert_int_equal(s->lease_left_us, 20 * SEC);
	assert_int_equal(s->ticks, 5);
	assert_string_equal(s->reason, "cache");
	assert_string_equal(s->config_file, "/etc/balloond.conf");
	assert_non_null(strstr(told(), "STATUS=Balloon 1 GiB"));
	/* The same is not told again. */
	(void)shown();
	assert_string_equal(told(), "");
}

static void what_is_not_known_is_no_number(void **state)
{
	const struct status *s;

	(void)state;
	t.sample.mem_have = 0;
	s = shown();
	assert_true(s->free == UINT64_MAX && s->cached == UINT64_MAX);
	assert_true(s->host_target == UINT64_MAX && s->expected == UINT64_MAX);
	assert_true(s->held_left_us == UINT64_MAX);
	t.sample.balloon.host_target_valid = true;
	t.decision.n.forecast.need = GIB;
	s = shown();
	assert_int_equal(s->host_target, 0);
	assert_int_equal(s->expected, GIB);
	/* Known, and not worth it. */
	assert_int_equal(s->expected_kept, 0);
	/* A device that has gone is none, whatever it was. */
	t.attached = false;
	s = shown();
	assert_string_equal(s->host, "");
	assert_int_equal(s->capabilities, 0);
}

static void a_hold_and_an_error_go_as_they_came(void **state)
{
	const struct status *s;

	(void)state;
	t.hold = (struct hold){.held = true, .reason = "backup"};
	t.hold_left_us = 60 * SEC;
	t.config_error = "balloond.conf:1: lease: needs a unit";
	problem_set(&problems, PROBLEM_BUS, LOG_DEBUG, "no bus");
	problem_set(&problems, PROBLEM_DEVICE, LOG_DEBUG, "no device");
	s = shown();
	assert_string_equal(s->held, "backup");
	assert_int_equal(s->held_left_us, 60 * SEC);
	assert_string_equal(s->config_error, t.config_error);
	/* The one that matters most. */
	assert_string_equal(s->problem, "no device");
	t.hold.held = false;
	t.config_error = "";
	(void)problem_clear(&problems, PROBLEM_DEVICE, "");
	s = shown();
	assert_string_equal(s->held, "");
	assert_true(s->held_left_us == UINT64_MAX);
	assert_string_equal(s->config_error, "");
	assert_string_equal(s->problem, "no bus");
}

static void who_is_about_to_end_says_nothing_else(void **state)
{
	(void)state;
	t.stopping = true;
	assert_int_equal(show_tick(&show, &t), 0);
	assert_string_equal(told(), "");
	assert_int_equal(show.status.ticks, 5);
}

static void a_terminal_has_a_line_a_tick_until_it_goes(void **state)
{
	int ends[2], was = dup(STDOUT_FILENO), first, second;
	char text[512];
	ssize_t n;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(ends), 0);
	show_init(&show, NULL, &notify, &problems, true);
	fflush(stdout);
	dup2(ends[1], STDOUT_FILENO);
	close(ends[1]);
	first = show_tick(&show, &t);
	n = read(ends[0], text, sizeof(text) - 1);
	close(ends[0]);
	second = show_tick(&show, &t);
	__fpurge(stdout);
	clearerr(stdout);
	dup2(was, STDOUT_FILENO);
	close(was);

	assert_int_equal(first, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "  available 5 GiB  psi some 0.0%"));
	assert_non_null(strstr(text, "  balloon 1 GiB  goal 3 GiB  "));
	assert_int_equal(text[n - 1], '\n');
	assert_int_equal(second, -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_tick_is_shown),
		T(what_is_not_known_is_no_number),
		T(a_hold_and_an_error_go_as_they_came),
		T(who_is_about_to_end_says_nothing_else),
		T(a_terminal_has_a_line_a_tick_until_it_goes),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
