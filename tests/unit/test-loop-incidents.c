// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loop of the daemon when others do something to the guest: it stands still, the
 * lease runs out, the kernel runs out of memory, the host does not let go.
 */
#include "fake-world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "basic/log.h"

/* What the daemon says goes to standard error, and that into a file here. */
static char *said(FILE *f)
{
	static char text[65536];
	size_t n;

	fflush(stderr);
	rewind(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	return text;
}

static char *run_and_listen(struct fake_world *w, void (*script)(struct fake_world *w))
{
	FILE *f = tmpfile();
	int keep = dup(STDERR_FILENO);
	char *text;

	assert_non_null(f);
	fflush(stderr);
	assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);
	log_set_level(LOG_INFO);
	fake_world_run(w, script);
	log_set_level(LOG_EMERG);
	text = said(f);
	assert_true(dup2(keep, STDERR_FILENO) >= 0);
	close(keep);
	fclose(f);
	return text;
}

/* --- the order of things after a standstill --- */

static unsigned ticks_at_keepalive, signs_at_keepalive, stood_at;
static struct fake_world *world;
static int manager;

/* A service manager that misses a sign of life after 12 s. */
static void be_manager(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char pid[16], name[64];
	int n;

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	n = snprintf(name, sizeof(name), "@test-loop-incidents-%s", pid);
	memcpy(a.sun_path + 1, name + 1, (size_t)n - 1);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "12000000", 1);
	setenv("WATCHDOG_PID", pid, 1);
}

/* Signs of life that have come since the last call. */
static unsigned signs_of_life(void)
{
	char text[1024];
	unsigned found = 0;
	ssize_t n;

	while ((n = recv(manager, text, sizeof(text) - 1, 0)) >= 0) {
		text[n] = '\0';
		found += strstr(text, "WATCHDOG=1") != NULL;
	}
	return found;
}

static void note_keepalive(struct fake_device *d)
{
	(void)d;
	if (world->step != 1)
		return;
	ticks_at_keepalive = world->tick;
	signs_at_keepalive = signs_of_life();
}

/* The whole daemon, with a sign of life, a tick and a third of the lease due meanwhile. */
static void stand_still(struct fake_device *d, int64_t step)
{
	if (world->step != 0 || step < 0 || d->size < GIB)
		return;
	world->step = 1;
	ticks_at_keepalive = 0;
	(void)signs_of_life();
	usleep(1500 * 1000);
	stood_at = world->tick;
}

static void look_after_it(struct fake_world *w)
{
	if (w->step == 1) {
		/* Before anything was looked at again. */
		assert_int_equal(ticks_at_keepalive, stood_at);
		/* ... and the manager, whose clock has run on, was told before. */
		assert_true(signs_at_keepalive > 0);
		w->step = 2;
		raise(SIGTERM);
	}
}

static void the_lease_comes_first_after_a_standstill(void **state)
{
	struct fake_world *w = *state;

	world = w;
	w->config.lease_us = 3 * SEC;
	w->device.on_keepalive = note_keepalive;
	w->device.on_move = stand_still;
	be_manager();
	fake_world_run(w, look_after_it);
	close(manager);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	assert_int_equal(w->step, 2);
}

/* --- what is said --- */

static void lose_the_lease(struct fake_world *w)
{
	if (w->step == 0 && w->tick == 5) {
		w->device.size = 0;
		w->device.lease_events = 1;
		w->device.lease_given = 3 * GIB;
		w->step = 1;
	} else if (w->step == 1 && w->tick == 10) {
		raise(SIGTERM);
	}
}

static void a_lease_that_ran_out_is_told(void **state)
{
	struct fake_world *w = *state;
	char *text;

	/* Of before: not this daemon's. */
	w->device.size = 3 * GIB;
	w->config.policy.mode = MODE_MANUAL;
	text = run_and_listen(w, lose_the_lease);
	assert_non_null(strstr(text, "the lease ran out"));
	assert_non_null(strstr(text, "so far 3 GiB of it. It grows again"));
	text = strstr(text, "the lease ran out") + 1;
	assert_null(strstr(text, "the lease ran out"));
}

static void stop_soon(struct fake_world *w)
{
	if (w->tick < 3)
		return;
	raise(SIGTERM);
	/* Of a device that does not move: not waiting for it. */
	raise(SIGINT);
}

/* The next daemon finds a lease that has run out, and takes the balloon up. */
static char *come_after(struct fake_world *w)
{
	w->device.lease_expired = true;
	w->device.lease_events++;
	w->tick = 0;
	return run_and_listen(w, stop_soon);
}

static void a_lease_that_was_to_run_out_is_not(void **state)
{
	struct fake_world *w = *state;

	w->config.policy.mode = MODE_MANUAL;
	w->device.size = GIB;
	w->device.slice = 0;
	assert_non_null(strstr(run_and_listen(w, stop_soon), "the module goes on with it"));
	assert_null(strstr(come_after(w), "lease"));
	/* A daemon that crashed leaves it as configured. */
	w->device.lease_us = w->config.lease_us;
	assert_non_null(strstr(come_after(w), "no daemon came within the lease"));
}

static void run_out_of_memory(struct fake_world *w)
{
	if (w->tick == 5) {
		w->device.oom_events++;
		w->device.oom_given += 64 * MIB;
	} else if (w->tick == 7) {
		w->device.oom_events += 2;
	} else if (w->tick == 9) {
		raise(SIGTERM);
	}
}

static void what_the_last_resort_gave_is_told(void **state)
{
	struct fake_world *w = *state;
	char *text, *second;

	w->config.policy.mode = MODE_MANUAL;
	w->device.oom_events = 7;
	w->device.oom_given = GIB;
	text = run_and_listen(w, run_out_of_memory);
	assert_non_null(strstr(text, "the module gave 64 MiB back before a program was killed"));
	second = strstr(text, "had nothing to give back: programs are killed");
	assert_non_null(second);
	assert_null(strstr(second + 1, "out of memory"));
}

static void short_of_memory(struct fake_world *w)
{
	if (w->step == 0 && fake_world_status(w)->host_excess > 0) {
		assert_non_null(strstr(fake_world_problem(w, PROBLEM_HOST), "does not let go"));
		assert_non_null(strstr(fake_world_status(w)->problem, "does not let go"));
		w->device.insisted = GIB;
		w->tick = 0;
		w->step = 1;
	} else if (w->step == 1 && fake_world_status(w)->host_excess == 0) {
		assert_string_equal(fake_world_problem(w, PROBLEM_HOST), "");
		w->step = 2;
		raise(SIGTERM);
	}
}

static void a_host_that_does_not_let_go_is_a_problem(void **state)
{
	struct fake_world *w = *state;
	char *text;

	w->device.insisted = 8 * GIB - 100 * MIB;
	w->device.slice = GIB;
	/* It has to last for ten seconds, and to be over for a minute. */
	w->hurry_us = 2 * SEC;
	text = run_and_listen(w, short_of_memory);
	assert_int_equal(w->step, 2);
	assert_non_null(strstr(text, "the host asks for more memory than the guest can spare"));
	assert_non_null(strstr(text, "can be spared again"));
	/* What it asks for stays, and comes back as soon as it does not: nobody has to be there. */
	assert_int_equal(w->device.size, GIB);
	assert_int_equal(w->device.pops, 1);
	assert_int_equal(w->device.lease_us, 0);
	assert_true(w->device.draining);
}

static void stop_when_settled(struct fake_world *w)
{
	if (w->tick == 3)
		raise(SIGTERM);
}

/* Its target ends within a page that the module gives back whole or not at all. */
static void a_part_of_a_page_is_the_hosts(void **state)
{
	struct fake_world *w = *state;
	char *text;

	w->config.policy.mode = MODE_MANUAL;
	w->device.size = 2 * GIB;
	w->device.insisted = GIB + MIB;
	w->device.unit = 2 * MIB;
	w->device.slice = GIB;
	text = run_and_listen(w, stop_when_settled);
	assert_int_equal(w->device.size, GIB + 2 * MIB);
	assert_non_null(strstr(text, "stay with the host"));
	assert_null(strstr(text, "not given back yet"));
	assert_int_equal(w->device.pops, 1);
	assert_int_equal(w->device.lease_us, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fake_world_setup, fake_world_teardown)
		T(the_lease_comes_first_after_a_standstill),
		T(a_lease_that_ran_out_is_told),
		T(a_lease_that_was_to_run_out_is_not),
		T(what_the_last_resort_gave_is_told),
		T(a_host_that_does_not_let_go_is_a_problem),
		T(a_part_of_a_page_is_the_hosts),
#undef T
	};

	return cmocka_run_group_tests(tests, fake_world_begin, NULL);
}
