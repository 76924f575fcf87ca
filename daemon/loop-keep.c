// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop-keep.c - what is kept in files: history, metrics, the operator's hold, peaks
 *
 * All is handed to a thread, and not waited for; but for the hold, a moment, since the operator
 * waits for the answer whether it is kept.
 *
 * Nothing here is needed for the policy: without a directory, or with a full disk, the
 * daemon says what is missing and goes on.
 */
#include "loop-internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "serve/metrics.h"
#include "serve/peaks-file.h"

/* Prometheus looks every 15 s or less often. */
#define METRICS_PERIOD_US (10 * 1000 * 1000)
/* The operator's answer, and with it everything else, waits for the disk so long at most. */
#define HOLD_WAIT_US (200 * 1000)

void keep_note(struct loop *l, const char *format, ...)
{
	char text[HISTORY_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	history_note(l->history, clock_wall_us(), "%s", text);
}

static void note_hold(struct loop *l)
{
	int r;

	if (!l->hold_pending)
		return;
	r = writer_wait(l->writer, WRITER_HOLD, 0);
	if (r == -ETIMEDOUT)
		return;
	l->hold_pending = false;
	if (r < 0)
		problem_set(&l->problems, PROBLEM_HOLD, LOG_WARNING,
			    "the state of the hold cannot be kept in %s (%s); after a restart it is as "
			    "it was before", l->options.state_dir, strerror(-r));
	else
		(void)problem_clear(&l->problems, PROBLEM_HOLD, "the state of the hold is kept");
}

bool keep_hold(struct loop *l)
{
	int r;

	if (!l->options.state_dir)
		return !l->hold.held;
	r = l->hold.held ? hold_save(l->writer, l->options.state_dir, &l->hold)
			 : hold_forget(l->writer, l->options.state_dir);
	/* Nobody waits for the end of one. */
	if (r == 0 && l->hold.held)
		r = writer_wait(l->writer, WRITER_HOLD, HOLD_WAIT_US);
	l->hold_pending = true;
	if (r == -ETIMEDOUT)
		problem_set(&l->problems, PROBLEM_HOLD, LOG_WARNING,
			    "the hold is not kept in %s yet: the disk does not answer",
			    l->options.state_dir);
	note_hold(l);
	return r == 0;
}

static void load_hold(struct loop *l)
{
	uint64_t left;
	int r;

	if (!l->options.state_dir)
		return;
	r = hold_load(l->options.state_dir, &l->hold);
	if (r < 0)
		problem_set(&l->problems, PROBLEM_HOLD, LOG_WARNING,
			    "%s/hold cannot be read (%s); the balloon is not held. If it was: "
			    "balloonctl hold", l->options.state_dir,
			    r == -EBADMSG ? "damaged" : strerror(-r));
	if (r <= 0)
		return;
	left = hold_left(&l->hold, clock_wall_us());
	l->hold_until_us = left == UINT64_MAX ? left : clock_boot_us() + left;
	log_notice("still held: %s", l->hold.reason);
}

static void load_peaks(struct loop *l)
{
	const char *dir = l->options.state_dir, *why;
	struct peaks_memory m;
	int r;

	if (!dir)
		return;
	r = peaks_file_load(dir, clock_wall_us(), &m, &why);
	if (r < 0)
		log_notice("%s/peaks is not used: %s. When memory is needed is learned afresh; the "
			   "file is replaced once there is something to keep", dir, why);
	if (r <= 0)
		return;
	policy_peaks_import(&l->state, &m);
	l->peaks_stamp = policy_peaks_stamp(&l->state);
}

/* Whenever an hour has ended with something to be kept, or now. */
static void save_peaks(struct loop *l, bool now)
{
	const char *dir = l->options.state_dir;
	struct peaks_memory m;
	int r;

	if (!dir || (!now && policy_peaks_stamp(&l->state) == l->peaks_stamp))
		return;
	policy_peaks_export(&l->state, &m);
	if (m.hours == l->peaks_stamp)
		return;
	r = peaks_file_save(l->writer, dir, clock_wall_us(), &m);
	if (r == 0)
		l->peaks_stamp = policy_peaks_stamp(&l->state);
}

static void note_peaks(struct loop *l)
{
	int r = writer_replace_result(l->writer, WRITER_PEAKS);

	if (r < 0)
		problem_set(&l->problems, PROBLEM_PEAKS, LOG_WARNING,
			    "when memory was needed cannot be kept in %s (%s); after a restart it "
			    "is what was kept before", l->options.state_dir, strerror(-r));
	else
		(void)problem_clear(&l->problems, PROBLEM_PEAKS,
				    "when memory was needed is kept again");
}

int keep_init(struct loop *l)
{
	struct history_opened opened;
	int r;

	r = writer_new(&l->writer);
	if (r < 0)
		return r;
	r = history_open(l->options.state_dir, l->writer, &l->history, &opened);
	if (r < 0)
		return r;
	if (opened.news[0])
		log_warning("%s", opened.news);
	if (opened.torn > 0)
		log_info("%u of %u records of the history are torn; they are not shown",
			 opened.torn, opened.torn + opened.records);
	keep_note(l, "started, version " VERSION);
	load_hold(l);
	load_peaks(l);
	return 0;
}

void keep_done(struct loop *l)
{
	if (l->history) {
		save_peaks(l, true);
		keep_note(l, "stopped");
	}
	/* Before the files are closed. */
	writer_free(l->writer);
	history_free(l->history);
	l->writer = NULL;
	l->history = NULL;
}

static void note_problems(struct loop *l)
{
	const char *problem = problem_first(&l->problems);

	if (strcmp(problem, l->noted_problem) == 0)
		return;
	if (problem[0])
		keep_note(l, "problem: %s", problem);
	else
		keep_note(l, "no problem any more");
	snprintf(l->noted_problem, sizeof(l->noted_problem), "%s", problem);
}

static void write_metrics(struct loop *l)
{
	const char *path = l->config.metrics_file;
	char text[METRICS_MAX];
	uint64_t now = clock_boot_us();
	int r;

	if (!path[0]) {
		(void)problem_clear(&l->problems, PROBLEM_METRICS, "no metrics file is wanted any more");
		return;
	}
	if (l->metrics_us != 0 && now - l->metrics_us < METRICS_PERIOD_US)
		return;
	r = writer_replace_result(l->writer, WRITER_METRICS);
	if (r == 0)
		r = metrics_format(&l->status, METRICS_PROMETHEUS, text, sizeof(text));
	else
		(void)metrics_format(&l->status, METRICS_PROMETHEUS, text, sizeof(text));
	if (r < 0)
		problem_set(&l->problems, PROBLEM_METRICS, LOG_WARNING,
			    "the metrics cannot be written to %s: %s. The service may write to "
			    "/run/balloond only, see balloond.conf(5)", path, strerror(-r));
	else
		(void)problem_clear(&l->problems, PROBLEM_METRICS, "the metrics are written again");
	if (writer_replace(l->writer, WRITER_METRICS, path, text, strlen(text)) == 0)
		l->metrics_us = now;
}

void keep_tick(struct loop *l)
{
	int r;

	history_decision(l->history, clock_boot_us(), clock_wall_us(), &l->sample, &l->decision, l->mode,
			 l->law);
	r = history_result(l->history);
	if (r == -ENOBUFS)
		problem_set(&l->problems, PROBLEM_HISTORY, LOG_NOTICE,
			    "the disk is too slow for the history; it has a hole");
	else if (r < 0)
		problem_set(&l->problems, PROBLEM_HISTORY, LOG_WARNING,
			    "the history cannot be written: %s", strerror(-r));
	else
		(void)problem_clear(&l->problems, PROBLEM_HISTORY, "the history is written again");
	save_peaks(l, false);
	note_peaks(l);
	note_hold(l);
	note_problems(l);
	write_metrics(l);
}
