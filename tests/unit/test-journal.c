// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a tick gives to say (serve/journal.c): ticks are made by hand, and what is said is read from
 * the log and from the history.
 */
#include "sample-maker.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/log.h"
#include "serve/journal.h"

static struct problems problems;
static struct keep *keep;
static struct journal journal;
static struct tick t;
static char dir[] = "/tmp/test-journal-XXXXXX";
static FILE *log_file;
static int real_stderr;

/* A balloon of 1 GiB that is held, and nothing to say about it. */
static int setup(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	log_file = tmpfile();
	assert_non_null(log_file);
	real_stderr = dup(STDERR_FILENO);
	assert_true(dup2(fileno(log_file), STDERR_FILENO) >= 0);
	log_set_level(LOG_INFO);

	problems = (struct problems){};
	assert_int_equal(keep_new(dir, &problems, &keep), 0);
	journal_init(&journal, &problems, keep);
	t = (struct tick){
		.sample = healthy(100 * SEC),
		.decision.reason = REASON_STEADY,
		.lease_us = 30 * SEC,
		.proof_interval_us = 3600 * SEC,
	};
	set_balloon(&t.sample, 1 * GIB);
	journal_attached(&journal, &t.sample.balloon);
	return 0;
}

static int teardown(void **state)
{
	char path[64];

	(void)state;
	keep_free(keep, NULL);
	snprintf(path, sizeof(path), "%s/history", dir);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	log_set_level(LOG_EMERG);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	fclose(log_file);
	return 0;
}

/* What one more tick gives to say, in the log. */
static const char *said(void)
{
	static char text[4096];
	ssize_t n;

	assert_int_equal(ftruncate(fileno(log_file), 0), 0);
	lseek(fileno(log_file), 0, SEEK_SET);
	journal_tick(&journal, &t);
	t.sample.time_us += SEC;
	n = pread(fileno(log_file), text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void assert_said(const char *want)
{
	const char *text = said();

	if (!strstr(text, want))
		fail_msg("said \"%s\", want \"%s\"", text, want);
}

static void assert_noted(const char *want)
{
	static char bytes[1 << 16];
	int fd = keep_open_history(keep);
	ssize_t n;

	assert_true(fd >= 0);
	keep_flush(keep);
	n = read(fd, bytes, sizeof(bytes));
	close(fd);
	assert_true(n > 0);
	if (!memmem(bytes, (size_t)n, want, strlen(want)))
		fail_msg("the history has no note \"%s\"", want);
}

static void nothing_new_is_nothing_to_say(void **state)
{
	(void)state;
	assert_string_equal(said(), "");
	assert_string_equal(said(), "");
	assert_string_equal(problem_first(&problems), "");
}

static void a_move_is_said_once(void **state)
{
	(void)state;
	t.decision.step = MIB;
	t.decision.target = 2 * GIB;
	t.decision.reason = REASON_CACHE;
	assert_said("balloon from 1 GiB to 2 GiB: ");
	set_balloon(&t.sample, 1 * GIB + 512 * MIB);
	assert_string_equal(said(), "");
	/* Standing still in between changes nothing, another direction and another reason do. */
	t.decision.step = 0;
	assert_string_equal(said(), "");
	t.decision.step = MIB;
	assert_string_equal(said(), "");
	t.decision.reason = REASON_HOST;
	assert_said("balloon from 1.5 GiB to 2 GiB: ");
	t.decision.step = -(int64_t)MIB;
	assert_said("balloon from 1.5 GiB to 2 GiB: ");
	/* One that goes on is said every ten minutes. */
	t.sample.time_us += 598 * SEC;
	assert_string_equal(said(), "");
	assert_said("balloon from");
}

static void what_the_module_gave_is_said_as_it_is_counted(void **state)
{
	struct sample_balloon *b = &t.sample.balloon;

	(void)state;
	b->lease_events += 1;
	b->lease_given += 3 * GIB;
	assert_said("did not run for 30s, and the module gives the balloon back, so far 3 GiB");
	assert_noted("the lease ran out, 3 GiB given back");
	assert_string_equal(said(), "");
	b->oom_events += 2;
	b->oom_given += 64 * MIB;
	assert_said("the module gave 64 MiB back before a program was killed");
	assert_noted("out of memory, 64 MiB given back");
	b->oom_events += 1;
	assert_said("had nothing to give back: programs are killed");
}

static void what_was_counted_before_is_not_said(void **state)
{
	struct sample_balloon *b = &t.sample.balloon, was;

	(void)state;
	/* Another device, which has lived before. */
	b->lease_events = 7;
	b->oom_events = 9;
	journal_attached(&journal, b);
	assert_string_equal(said(), "");
	/* It is gone for a while, and comes back with more. */
	was = *b;
	*b = (struct sample_balloon){};
	assert_string_equal(said(), "");
	*b = was;
	b->oom_events = 10;
	assert_string_equal(said(), "");
	b->oom_events = 11;
	assert_said("out of memory");
}

static void a_standstill_is_said_in_whole_seconds(void **state)
{
	(void)state;
	t.decision.stood_still_us = 12 * SEC + 700000;
	assert_said("nothing ran here for 12s: ");
	assert_noted("nothing ran for 12s");
}

static void what_lasts_is_a_problem_until_it_is_over(void **state)
{
	(void)state;
	t.decision.host_excess = GIB;
	assert_said("does not let go of it");
	assert_string_equal(said(), "");
	assert_string_not_equal(problems.text[PROBLEM_HOST], "");
	t.decision.host_excess = 0;
	assert_said("what the host asks for can be spared again");
	assert_string_equal(problems.text[PROBLEM_HOST], "");

	t.decision.taken = TAKEN_NOTHING;
	assert_said("asked again every 1h");
	/* In doubt it stays. */
	t.decision.taken = TAKEN_IN_DOUBT;
	assert_string_equal(said(), "");
	assert_string_not_equal(problems.text[PROBLEM_NOT_TAKEN], "");
	t.decision.taken = TAKEN_PROVEN;
	assert_said("the host takes memory again");

	t.decision.reason = REASON_STUCK;
	assert_said("makes no progress");
	t.decision.reason = REASON_STEADY;
	t.sample.balloon.asked = MIB;
	assert_string_equal(said(), "");
	t.sample.balloon.moved = MIB;
	assert_said("the balloon moves again");
	assert_string_equal(problem_first(&problems), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(nothing_new_is_nothing_to_say),
		T(a_move_is_said_once),
		T(what_the_module_gave_is_said_as_it_is_counted),
		T(what_was_counted_before_is_not_said),
		T(a_standstill_is_said_in_whole_seconds),
		T(what_lasts_is_a_problem_until_it_is_over),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
