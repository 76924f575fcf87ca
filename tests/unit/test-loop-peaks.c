// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When memory was needed, in the very loop of the daemon: it is kept when the daemon stops and
 * when an hour ends, it is there after the next start, and whatever is wrong with the file or the
 * directory the daemon runs.
 */
#include "fake-world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/clock.h"
#include "serve/peaks-file.h"

#define HOUR_S 3600U

static char dir[] = "/tmp/test-loop-peaks-XXXXXX";
static char path[64], moved[64];

static int setup(void **state)
{
	struct fake_world *w;

	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/peaks", dir);
	fake_world_setup(state);
	w = *state;
	w->options.state_dir = dir;
	w->config.policy.interval_us = w->config.policy.idle_interval_us = 20000;
	w->has_week = true;
	w->week_s = 3 * HOUR_S + 1000;
	return 0;
}

static int teardown(void **state)
{
	char history[64];

	fake_world_teardown(state);
	snprintf(history, sizeof(history), "%s/history", dir);
	unlink(history);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static const struct peaks_memory *memory(const struct fake_world *w)
{
	return &fake_world_look(w)->learned->peaks.memory;
}

static int load(struct peaks_memory *ret)
{
	const char *why;

	return peaks_file_load(dir, clock_wall_us(), ret, &why);
}

static void stalls_for_a_while(struct fake_world *w)
{
	w->stalls = w->tick < 30;
	if (w->tick == 30)
		raise(SIGTERM);
}

static void is_there_again(struct fake_world *w)
{
	if (w->tick == 1) {
		assert_true(memory(w)->slot[3].lost_us > 0);
		assert_int_equal(memory(w)->slot[3].weeks, 0);
		return;
	}
	assert_true(fake_world_look(w)->decision.n.forecast.need >= GIB / 2);
	raise(SIGTERM);
}

static void survives_a_restart(void **state)
{
	struct fake_world *w = *state;
	struct peaks_memory m;

	fake_world_run(w, stalls_for_a_while);
	assert_int_equal(load(&m), 1);
	assert_true(m.slot[3].need > 0 && m.slot[3].lost_us > 0);
	w->tick = w->stalled = 0;
	w->stalls = false;
	fake_world_run(w, is_there_again);
}

static void the_hour_ends(struct fake_world *w)
{
	struct peaks_memory m;

	w->stalls = w->tick < 20;
	if (w->tick == 20)
		w->week_s = 4 * HOUR_S;
	/* Somebody else writes it. */
	if (w->tick >= 23 && load(&m) == 1) {
		assert_int_equal(memory(w)->hours, 1);
		assert_memory_equal(&m.slot[3], &memory(w)->slot[3], sizeof(m.slot[3]));
		raise(SIGTERM);
	}
}

static void is_kept_when_the_hour_ends(void **state)
{
	fake_world_run(*state, the_hour_ends);
}

static void nothing_happens(struct fake_world *w)
{
	assert_int_equal(memory(w)->hours, 0);
	if (w->tick == 10)
		raise(SIGTERM);
}

static void a_damaged_file_stays_until_there_is_more(void **state)
{
	struct fake_world *w = *state;
	struct peaks_memory m;
	struct stat st;
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs("damaged", f);
	fclose(f);
	fake_world_run(w, nothing_happens);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 7);
	w->tick = 0;
	fake_world_run(w, stalls_for_a_while);
	assert_int_equal(load(&m), 1);
}

static void unknown_time(void **state)
{
	struct fake_world *w = *state;

	w->has_week = false;
	fake_world_run(w, stalls_for_a_while);
	assert_int_equal(access(path, F_OK), -1);
}

static void the_directory_vanishes(struct fake_world *w)
{
	w->stalls = w->tick < 20;
	if (w->tick == 10)
		assert_int_equal(rename(dir, moved), 0);
	if (w->tick == 20)
		w->week_s = 4 * HOUR_S;
	if (w->tick > 20 && fake_world_problem(w, PROBLEM_PEAKS)[0]) {
		assert_non_null(strstr(fake_world_problem(w, PROBLEM_PEAKS), "cannot be kept"));
		assert_int_equal(memory(w)->hours, 1);
		raise(SIGTERM);
	}
}

static void goes_on_without_a_directory(void **state)
{
	snprintf(moved, sizeof(moved), "%s-moved", dir);
	fake_world_run(*state, the_directory_vanishes);
	assert_int_equal(rename(moved, dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(survives_a_restart),
		T(is_kept_when_the_hour_ends),
		T(a_damaged_file_stays_until_there_is_more),
		T(unknown_time),
		T(goes_on_without_a_directory),
#undef T
	};

	return cmocka_run_group_tests(tests, fake_world_begin, NULL);
}
