// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-watch.c - balloonctl watch
 *
 * On a terminal the whole screen, redrawn once an interval and when its size
 * changes, until q, Ctrl-C or the end of the input; elsewhere one line an interval until a
 * signal or until nobody reads any more.
 *
 * Each round asks for all properties and for the records that the history has
 * got since the last one. A daemon that goes away while it is watched is said
 * on the screen and waited for; where there is no screen it ends the watching.
 * For programs there is no screen either, but the properties as status has them.
 * However it ends, the terminal is put back as it was.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "basic/units.h"
#include "ctl/ctl-bus.h"
#include "ctl/ctl.h"
#include "ctl/history-data.h"
#include "ctl/props-json.h"
#include "ctl/term.h"
#include "ctl/watch-view.h"

#define SEC 1000000ULL
#define INTERVAL_MIN_US (SEC / 10)
#define INTERVAL_MAX_US (3600 * SEC)
/* The keys wait as long. */
#define ANSWER_TIMEOUT_US (2 * SEC)

enum {
	OPT_INTERVAL,
};

static const struct ctl_option options[] = {
	[OPT_INTERVAL] = { "interval", "TIME", "look again after TIME, 1s without it" },
	{ 0 },
};

static volatile sig_atomic_t ended, resized;

static void on_end(int sig)
{
	(void)sig;
	ended = 1;
}

static void on_resize(int sig)
{
	(void)sig;
	resized = 1;
}

struct watch {
	const struct ctl_where *where;
	struct ctl_bus bus;
	struct ctl_props props;
	bool bus_open;
	const char *failure;
	int history_fd;		/* -1 = not open */
	uint32_t capacity;
	uint64_t newest;
	struct watch_event events[WATCH_EVENTS_MAX];
	unsigned int n_events;
	uint64_t interval_us;
	bool screen;
	enum json_form json;
	bool keys;		/* standard input gives them */
};

/* --- events --- */

static void add_event(struct watch *w, const struct history_record *r)
{
	struct watch_event *e;
	char time[32], size[UNITS_MAX];

	if (r->kind == HISTORY_DECISION && !(r->flags & HISTORY_CHANGED))
		return;
	if (w->n_events == WATCH_EVENTS_MAX) {
		memmove(w->events, w->events + 1, sizeof(w->events) - sizeof(w->events[0]));
		w->n_events--;
	}
	e = &w->events[w->n_events++];
	history_data_time(time, sizeof(time), r->time_us);
	if (r->kind == HISTORY_NOTE)
		snprintf(e->text, sizeof(e->text), "%s  %s", time, r->text);
	else
		snprintf(e->text, sizeof(e->text), "%s  %-11s  balloon %s  %s", time, r->n.reason,
			 units_format_size(size, sizeof(size), r->flags & HISTORY_NO_BALLOON ? 0 : r->n.size),
			 history_data_reason(&r->n));
}

static void close_history(struct watch *w)
{
	if (w->history_fd >= 0)
		close(w->history_fd);
	w->history_fd = -1;
}

/* All that is there, so that the screen does not begin empty. */
static void open_history(struct watch *w)
{
	struct history_data h = { 0 };
	size_t first;

	if (ctl_bus_open_history(&w->bus, &w->history_fd) != CTL_OK)
		return;
	if (history_data_read(w->history_fd, &h) < 0) {
		close_history(w);
		return;
	}
	w->capacity = h.capacity;
	w->newest = h.newest;
	w->n_events = 0;
	first = h.n;
	for (unsigned int n = 0; first > 0 && n < WATCH_EVENTS_MAX; n++) {
		first--;
		if (h.records[first].kind == HISTORY_DECISION &&
		    !(h.records[first].flags & HISTORY_CHANGED))
			n--;
	}
	for (; first < h.n; first++)
		add_event(w, &h.records[first]);
	history_data_done(&h);
}

static void follow_history(struct watch *w)
{
	struct history_record r;

	if (w->history_fd < 0)
		open_history(w);
	while (w->history_fd >= 0 &&
	       history_read_record(w->history_fd, w->capacity, w->newest + 1, &r) == 0) {
		w->newest++;
		add_event(w, &r);
	}
}

/* --- a round --- */

static enum ctl_exit look(struct watch *w)
{
	enum ctl_exit code = CTL_OK;

	if (!w->bus_open) {
		ctl_bus_done(&w->bus);
		code = ctl_bus_open(&w->bus, w->where);
		if (code == CTL_OK)
			ctl_bus_set_timeout(&w->bus, ANSWER_TIMEOUT_US);
	}
	w->bus_open = code == CTL_OK;
	if (code == CTL_OK)
		code = ctl_bus_read(&w->bus, &w->props);
	if (code != CTL_OK) {
		w->failure = ctl_bus_why(&w->bus);
		/* The next daemon has another file, and the next bus another connection. */
		close_history(w);
		w->bus_open = false;
		return code;
	}
	w->failure = NULL;
	if (w->screen)
		follow_history(w);
	return CTL_OK;
}

static void show(struct watch *w)
{
	struct watch_view v = {
		.props = &w->props,
		.failure = w->failure,
		.events = w->events,
		.n_events = w->n_events,
		.now_us = history_data_now(),
	};

	if (w->json) {
		struct json j;

		json_init(&j, stdout, w->json);
		props_json(&j, NULL, &w->props);
	} else if (w->screen) {
		v.columns = term_columns();
		v.lines = term_lines();
		watch_draw(stdout, &v);
	} else {
		watch_print_line(stdout, &v);
	}
	if (fflush(stdout) == 0)
		return;
	ended = 1;
	/* Nobody reads any more. Any other error is main()'s to report. */
	if (errno == EPIPE) {
		__fpurge(stdout);
		clearerr(stdout);
	}
}

static uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec / 1000;
}

static void read_keys(struct watch *w)
{
	char keys[64];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	if (n == 0)
		ended = 1;
	if (n < 0 && errno != EINTR)
		w->keys = false;
	for (ssize_t i = 0; i < n; i++)
		/* Ctrl-D, too: it is how one leaves. */
		if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == 4)
			ended = 1;
}

/* Until it is time, a key was pressed or the size has changed. Signals come in here only. */
static void wait_until(struct watch *w, uint64_t until_us, const sigset_t *while_waiting)
{
	while (!ended && !resized) {
		uint64_t now_us = clock_us(), left = until_us > now_us ? until_us - now_us : 0;
		struct timespec t = { (time_t)(left / SEC), (long)(left % SEC) * 1000 };
		struct pollfd fd = { .fd = w->keys ? STDIN_FILENO : -1, .events = POLLIN };
		int r = ppoll(&fd, 1, &t, while_waiting);

		if (r == 0)
			return;
		if (r > 0)
			read_keys(w);
	}
}

static enum ctl_exit rounds(struct watch *w, const sigset_t *while_waiting)
{
	enum ctl_exit code;
	uint64_t next_us;

	code = look(w);
	if (code != CTL_OK)
		return ctl_fail(code, "%s", w->failure);
	if (w->screen)
		term_screen_enter();
	next_us = clock_us();
	while (!ended) {
		resized = 0;
		show(w);
		/* A new size is drawn with what is known; nobody is asked more often for it. */
		if (clock_us() >= next_us)
			next_us = clock_us() + w->interval_us;
		wait_until(w, next_us, while_waiting);
		if (ended || clock_us() < next_us)
			continue;
		code = look(w);
		if (code != CTL_OK && !w->screen)
			return ctl_fail(code, "%s", w->failure);
	}
	return CTL_OK;
}

static void set_signals(sigset_t *ret_while_waiting)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction end = { .sa_handler = on_end }, resize = { .sa_handler = on_resize };
	sigset_t block;

	sigemptyset(&block);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		sigaction(ends[i], &end, NULL);
		sigaddset(&block, ends[i]);
	}
	sigaction(SIGWINCH, &resize, NULL);
	sigaddset(&block, SIGWINCH);
	/* Whoever reads the lines may go: that is the end, not a failure. */
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &block, ret_while_waiting);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigdelset(ret_while_waiting, ends[i]);
	sigdelset(ret_while_waiting, SIGWINCH);
}

static enum ctl_exit run(const struct ctl_args *args)
{
	const char *interval = args->option[OPT_INTERVAL], *reason;
	struct watch w = {
		.where = &args->where,
		.history_fd = -1,
		.interval_us = SEC,
		.screen = !args->json && term_is_live(),
		.json = args->json,
	};
	sigset_t while_waiting;
	enum ctl_exit code;

	if (interval && units_parse_time(interval, &w.interval_us, &reason) < 0)
		return ctl_fail(CTL_USAGE, "--interval: '%s': %s", interval, reason);
	if (w.interval_us < INTERVAL_MIN_US || w.interval_us > INTERVAL_MAX_US)
		return ctl_fail(CTL_USAGE, "--interval: '%s': at least 100ms, at most 1h", interval);
	w.keys = w.screen && isatty(STDIN_FILENO);
	set_signals(&while_waiting);
	ctl_props_init(&w.props);
	code = rounds(&w, &while_waiting);
	term_screen_leave();
	close_history(&w);
	ctl_props_done(&w.props);
	ctl_bus_done(&w.bus);
	return code;
}

const struct ctl_verb ctl_verb_watch = {
	.name = "watch",
	.args = "",
	.summary = "a live view, until q",
	.help = "Show the guest's memory as a bar, with the balloon and its targets, pressure,\n"
		"refaults, the reason, the lease and the last events, once a second until q or\n"
		"Ctrl-C. Where the output is not a terminal: one line a second; with --json an\n"
		"object a second, as of status --json. Everyone may look.\n",
	.traits = CTL_ASKS | CTL_AFAR | CTL_SHOWS,
	.options = options,
	.run = run,
};
