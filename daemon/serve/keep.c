// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keep.c - what is kept in files: history, metrics, the operator's hold, when memory was needed
 *
 * All is handed to a thread, and not waited for; but for the hold, a moment, since the operator
 * waits for the answer whether it is kept.
 *
 * Nothing here is needed for the policy: without a directory, or with a full disk, the
 * daemon says what is missing and goes on.
 *
 * Leaves out: the files themselves (history.c, hold.c, peaks-file.c), and how they are written
 * (writer.c).
 */
#include "serve/keep.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "serve/history.h"
#include "serve/metrics.h"
#include "serve/peaks-file.h"
#include "serve/status.h"
#include "serve/writer.h"

/* Prometheus looks every 15 s or less often. */
#define METRICS_PERIOD_US (10 * 1000 * 1000)
/* The operator's answer, and with it everything else, waits for the disk so long at most. */
#define HOLD_WAIT_US (200 * 1000)

struct keep {
	const char *dir;		/* NULL: nothing survives a restart */
	struct problems *problems;
	struct writer *writer;
	struct history *history;
	bool hold_pending;		/* its file was handed over to be written */
	uint32_t peaks_stamp;		/* of what is in the file */
	uint64_t metrics_us;		/* last time that the file was handed over */
	char noted_problem[256];
};

void keep_note(struct keep *k, const char *format, ...)
{
	char text[HISTORY_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	history_note(k->history, clock_wall_us(), "%s", text);
}

static void note_hold(struct keep *k)
{
	int r;

	if (!k->hold_pending)
		return;
	r = writer_wait(k->writer, WRITER_HOLD, 0);
	if (r == -ETIMEDOUT)
		return;
	k->hold_pending = false;
	if (r < 0)
		problem_set(k->problems, PROBLEM_HOLD, LOG_WARNING,
			    "the state of the hold cannot be kept in %s (%s); after a restart it "
			    "is as it was before", k->dir, strerror(-r));
	else
		(void)problem_clear(k->problems, PROBLEM_HOLD, "the state of the hold is kept");
}

bool keep_hold(struct keep *k, const struct hold *h)
{
	int r;

	if (!k->dir)
		return !h->held;
	r = h->held ? hold_save(k->writer, k->dir, h) : hold_forget(k->writer, k->dir);
	/* Nobody waits for the end of one. */
	if (r == 0 && h->held)
		r = writer_wait(k->writer, WRITER_HOLD, HOLD_WAIT_US);
	k->hold_pending = true;
	if (r == -ETIMEDOUT)
		problem_set(k->problems, PROBLEM_HOLD, LOG_WARNING,
			    "the hold is not kept in %s yet: the disk does not answer", k->dir);
	note_hold(k);
	return r == 0;
}

bool keep_load_hold(struct keep *k, struct hold *ret, uint64_t *ret_left_us)
{
	struct hold h;
	int r;

	if (!k->dir)
		return false;
	r = hold_load(k->dir, &h);
	if (r < 0)
		problem_set(k->problems, PROBLEM_HOLD, LOG_WARNING,
			    "%s/hold cannot be read (%s); the balloon is not held. If it was: "
			    "balloonctl hold", k->dir, r == -EBADMSG ? "damaged" : strerror(-r));
	if (r <= 0)
		return false;
	*ret_left_us = hold_left(&h, clock_wall_us());
	*ret = h;
	log_notice("still held: %s", h.reason);
	return true;
}

void keep_load_learned(struct keep *k, struct policy_state *st)
{
	struct peaks_memory m;
	const char *why;
	int r;

	if (!k->dir)
		return;
	r = peaks_file_load(k->dir, clock_wall_us(), &m, &why);
	if (r < 0)
		log_notice("%s/peaks is not used: %s. When memory is needed is learned afresh; the "
			   "file is replaced once there is something to keep", k->dir, why);
	if (r <= 0)
		return;
	policy_peaks_import(st, &m);
	k->peaks_stamp = policy_peaks_stamp(st);
}

/* Whenever an hour has ended with something to be kept, or now. */
static void save_peaks(struct keep *k, const struct policy_state *st, bool now)
{
	struct peaks_memory m;
	int r;

	if (!k->dir || (!now && policy_peaks_stamp(st) == k->peaks_stamp))
		return;
	policy_peaks_export(st, &m);
	if (m.hours == k->peaks_stamp)
		return;
	r = peaks_file_save(k->writer, k->dir, clock_wall_us(), &m);
	if (r == 0)
		k->peaks_stamp = policy_peaks_stamp(st);
}

static void note_peaks(struct keep *k)
{
	int r = writer_replace_result(k->writer, WRITER_PEAKS);

	if (r < 0)
		problem_set(k->problems, PROBLEM_PEAKS, LOG_WARNING,
			    "when memory was needed cannot be kept in %s (%s); after a restart it "
			    "is what was kept before", k->dir, strerror(-r));
	else
		(void)problem_clear(k->problems, PROBLEM_PEAKS,
				    "when memory was needed is kept again");
}

static int open_all(struct keep *k)
{
	struct history_opened opened;
	int r;

	r = writer_new(&k->writer);
	if (r < 0)
		return r;
	r = history_open(k->dir, k->writer, &k->history, &opened);
	if (r < 0)
		return r;
	if (opened.news[0])
		log_warning("%s", opened.news);
	if (opened.torn > 0)
		log_info("%u of %u records of the history are torn; they are not shown",
			 opened.torn, opened.torn + opened.records);
	keep_note(k, "started, version " VERSION);
	return 0;
}

int keep_new(const char *dir, struct problems *problems, struct keep **ret)
{
	struct keep *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->dir = dir;
	k->problems = problems;
	r = open_all(k);
	if (r < 0) {
		keep_free(k, NULL);
		return r;
	}
	*ret = k;
	return 0;
}

void keep_free(struct keep *k, const struct policy_state *learned)
{
	if (!k)
		return;
	if (learned)
		save_peaks(k, learned, true);
	if (k->history)
		keep_note(k, "stopped");
	/* Before the files are closed. */
	writer_free(k->writer);
	history_free(k->history);
	free(k);
}

int keep_open_history(const struct keep *k)
{
	return history_open_reader(k->history);
}

void keep_flush(struct keep *k)
{
	writer_flush(k->writer);
}

static void note_problems(struct keep *k)
{
	const char *problem = problem_first(k->problems);

	if (strcmp(problem, k->noted_problem) == 0)
		return;
	if (problem[0])
		keep_note(k, "problem: %s", problem);
	else
		keep_note(k, "no problem any more");
	snprintf(k->noted_problem, sizeof(k->noted_problem), "%s", problem);
}

static void write_metrics(struct keep *k, const struct tick *t, const struct status *shown)
{
	const char *path = t->metrics_file;
	char text[METRICS_MAX];
	int r, q;

	if (!path[0]) {
		(void)problem_clear(k->problems, PROBLEM_METRICS,
				    "no metrics file is wanted any more");
		return;
	}
	if (k->metrics_us != 0 && t->now_us - k->metrics_us < METRICS_PERIOD_US)
		return;
	r = writer_replace_result(k->writer, WRITER_METRICS);
	q = metrics_format(shown, METRICS_PROMETHEUS, text, sizeof(text));
	r = r < 0 ? r : q;
	if (r < 0)
		problem_set(k->problems, PROBLEM_METRICS, LOG_WARNING,
			    "the metrics cannot be written to %s: %s. The service may write to "
			    "/run/balloond only, see balloond.conf(5)", path, strerror(-r));
	else
		(void)problem_clear(k->problems, PROBLEM_METRICS, "the metrics are written again");
	if (writer_replace(k->writer, WRITER_METRICS, path, text, strlen(text)) == 0)
		k->metrics_us = t->now_us;
}

static void note_history(struct keep *k, const struct tick *t)
{
	int r;

	history_decision(k->history, t->now_us, t->wall_us, &t->sample, &t->decision, t->mode,
			 t->law);
	r = history_result(k->history);
	if (r == -ENOBUFS)
		problem_set(k->problems, PROBLEM_HISTORY, LOG_NOTICE,
			    "the disk is too slow for the history; it has a hole");
	else if (r < 0)
		problem_set(k->problems, PROBLEM_HISTORY, LOG_WARNING,
			    "the history cannot be written: %s", strerror(-r));
	else
		(void)problem_clear(k->problems, PROBLEM_HISTORY, "the history is written again");
}

void keep_tick(struct keep *k, const struct tick *t)
{
	struct status shown;

	/* As the bus has it: what is found out here is shown with the next one. */
	status_fill(t, k->problems, &shown);
	note_history(k, t);
	save_peaks(k, t->learned, false);
	note_peaks(k);
	note_hold(k);
	note_problems(k);
	write_metrics(k, t, &shown);
}
