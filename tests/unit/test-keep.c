// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is kept of a tick (serve/keep.c): ticks are made by hand, and the files are looked at.
 *
 * Not tested here: the files themselves (test-history.c, test-hold.c, test-peaks-file.c), and a
 * disk that hangs (test-loop-hold.c).
 */
#include "sample-maker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "serve/keep.h"

static char dir[] = "/tmp/test-keep-XXXXXX";
static char metrics[64], hold_file[64], peaks[64];
static struct problems problems;
static struct keep *keep;
static struct policy_state learned;
static struct tick t;

static int setup(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(metrics, sizeof(metrics), "%s/metrics", dir);
	snprintf(hold_file, sizeof(hold_file), "%s/hold", dir);
	snprintf(peaks, sizeof(peaks), "%s/peaks", dir);
	log_set_level(LOG_EMERG);
	problems = (struct problems){};
	policy_init(&learned);
	assert_int_equal(keep_new(dir, &problems, &keep), 0);
	t = (struct tick){
		.n = 1,
		.now_us = 100 * SEC,
		.wall_us = clock_wall_us(),
		.sample = healthy(100 * SEC),
		.decision.reason = REASON_STEADY,
		.learned = &learned,
		.limit = UINT64_MAX,
		.hold_left_us = UINT64_MAX,
		.metrics_file = "",
		.config_file = "",
		.config_error = "",
	};
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"history", "metrics", "hold", "peaks"};
	char path[64];

	(void)state;
	keep_free(keep, NULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static void tick(void)
{
	keep_tick(keep, &t);
	keep_flush(keep);
}

/* All of a file; "" if there is none. */
static const char *contents(const char *path, size_t *ret_n)
{
	static char text[1 << 16];
	FILE *f = fopen(path, "re");
	size_t n = 0;

	if (f) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	if (ret_n)
		*ret_n = n;
	return text;
}

static unsigned notes(const char *want)
{
	size_t n, len = strlen(want);
	char path[64];
	const char *p, *end;
	unsigned found = 0;

	snprintf(path, sizeof(path), "%s/history", dir);
	p = contents(path, &n);
	end = p + n;
	while ((p = memmem(p, (size_t)(end - p), want, len))) {
		found++;
		p += len;
	}
	return found;
}

static void metrics_are_written_every_ten_seconds(void **state)
{
	(void)state;
	t.metrics_file = metrics;
	tick();
	assert_non_null(strstr(contents(metrics, NULL), "balloond_decisions_total 1\n"));
	t.n = 2;
	t.now_us += 10 * SEC - 1;
	tick();
	assert_non_null(strstr(contents(metrics, NULL), "balloond_decisions_total 1\n"));
	t.now_us += 1;
	tick();
	assert_non_null(strstr(contents(metrics, NULL), "balloond_decisions_total 2\n"));
}

static void metrics_that_cannot_be_written_are_a_problem(void **state)
{
	(void)state;
	t.metrics_file = "/nonexistent/metrics";
	tick();
	/* What became of one is known when the next is due. */
	t.now_us += 10 * SEC;
	tick();
	assert_non_null(strstr(problems.text[PROBLEM_METRICS],
			       "cannot be written to /nonexistent"));
	t.metrics_file = "";
	tick();
	assert_string_equal(problems.text[PROBLEM_METRICS], "");
}

static void a_hold_survives(void **state)
{
	struct hold h = {.held = true, .since_us = clock_wall_us(), .reason = "backup"}, found;
	uint64_t left;

	(void)state;
	assert_false(keep_load_hold(keep, &found, &left));
	assert_true(keep_hold(keep, &h));
	assert_true(keep_load_hold(keep, &found, &left));
	assert_string_equal(found.reason, "backup");
	assert_true(left == UINT64_MAX);
	h.until_us = h.since_us + 3600 * SEC;
	assert_true(keep_hold(keep, &h));
	assert_true(keep_load_hold(keep, &found, &left));
	assert_true(left > 1800 * SEC && left <= 3600 * SEC);
	h.held = false;
	assert_true(keep_hold(keep, &h));
	keep_flush(keep);
	assert_int_equal(access(hold_file, F_OK), -1);
}

static void a_hold_that_cannot_be_kept_is_a_problem(void **state)
{
	const struct hold h = {.held = true, .since_us = 1, .reason = "backup"};
	char moved[64];

	(void)state;
	snprintf(moved, sizeof(moved), "%s-moved", dir);
	assert_int_equal(rename(dir, moved), 0);
	assert_false(keep_hold(keep, &h));
	assert_non_null(strstr(problems.text[PROBLEM_HOLD], "cannot be kept in"));
	assert_int_equal(rename(moved, dir), 0);
	assert_true(keep_hold(keep, &h));
	assert_string_equal(problems.text[PROBLEM_HOLD], "");
}

static void a_damaged_hold_is_a_problem_and_none(void **state)
{
	FILE *f = fopen(hold_file, "we");
	struct hold found;
	uint64_t left;

	(void)state;
	assert_non_null(f);
	fputs("?", f);
	fclose(f);
	assert_false(keep_load_hold(keep, &found, &left));
	assert_non_null(strstr(problems.text[PROBLEM_HOLD], "(damaged); the balloon is not held"));
}

static void without_a_directory_nothing_survives(void **state)
{
	struct hold h = {.held = true, .reason = "backup"}, found;
	struct keep *without;
	uint64_t left;

	(void)state;
	assert_int_equal(keep_new(NULL, &problems, &without), 0);
	assert_false(keep_hold(without, &h));
	assert_false(keep_load_hold(without, &found, &left));
	/* That it is over is as it should be. */
	h.held = false;
	assert_true(keep_hold(without, &h));
	keep_tick(without, &t);
	assert_string_equal(problem_first(&problems), "");
	keep_free(without, &learned);
}

static void what_was_learned_is_kept_with_each_hour(void **state)
{
	struct policy_state again;

	(void)state;
	tick();
	assert_int_equal(access(peaks, F_OK), -1);
	learned.peaks.memory.hours = 1;
	learned.peaks.memory.slot[3] = (struct peaks_slot){.need = GIB, .stamp = 1};
	tick();
	assert_int_equal(access(peaks, F_OK), 0);
	/* Once. */
	unlink(peaks);
	tick();
	assert_int_equal(access(peaks, F_OK), -1);

	learned.peaks.memory.hours = 2;
	keep_free(keep, &learned);
	assert_int_equal(keep_new(dir, &problems, &keep), 0);
	policy_init(&again);
	keep_load_learned(keep, &again);
	assert_int_equal(again.peaks.memory.hours, 2);
	assert_int_equal(again.peaks.memory.slot[3].need, GIB);
	/* What is in the file is not written again. */
	unlink(peaks);
	t.learned = &again;
	tick();
	assert_int_equal(access(peaks, F_OK), -1);
}

static void a_problem_is_noted_when_it_begins_and_ends(void **state)
{
	(void)state;
	tick();
	problem_set(&problems, PROBLEM_DEVICE, LOG_DEBUG, "no balloon device");
	tick();
	tick();
	assert_int_equal(notes("problem: no balloon device"), 1);
	assert_int_equal(notes("no problem any more"), 0);
	(void)problem_clear(&problems, PROBLEM_DEVICE, "");
	tick();
	tick();
	assert_int_equal(notes("no problem any more"), 1);
	assert_int_equal(notes("started, version " VERSION), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(metrics_are_written_every_ten_seconds),
		T(metrics_that_cannot_be_written_are_a_problem),
		T(a_hold_survives),
		T(a_hold_that_cannot_be_kept_is_a_problem),
		T(a_damaged_hold_is_a_problem_and_none),
		T(without_a_directory_nothing_survives),
		T(what_was_learned_is_kept_with_each_hour),
		T(a_problem_is_noted_when_it_begins_and_ends),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
