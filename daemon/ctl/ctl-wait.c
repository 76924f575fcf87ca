// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-wait.c - wait until the balloon is as large as it was told to be
 *
 * Sleeps on the daemon's change signals and looks at the state after each, and
 * once a second in any case, so that a lost signal costs a second and never
 * a hang. On a terminal one line is redrawn as a bar; elsewhere a plain line
 * is printed whenever the size has changed, at most one a second.
 *
 * Stopping to wait never takes the target back: what was asked for is in the
 * daemon's hands, and the message says so.
 */
#include "ctl/ctl-wait.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "basic/units.h"
#include "ctl/term.h"

/* The largest balloon page: closer than this, no page fits. */
#define REACHED_WITHIN	(2ULL << 20)
#define LOOK_US		1000000ULL
#define BAR_MAX		40U

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

struct progress {
	uint64_t from;
	uint64_t to;
	uint64_t printed_size;
	uint64_t printed_us;
	bool line_open;		/* a bar is on the current line */
};

static void draw_bar(struct progress *g, uint64_t size, const char *reason)
{
	uint64_t way = distance(g->from, g->to), left = distance(size, g->to);
	char a[UNITS_MAX], b[UNITS_MAX], text[256];
	unsigned int columns = term_columns(), width, full;

	width = columns > 60 ? columns - 60 : 4;
	if (width > BAR_MAX)
		width = BAR_MAX;
	if (left < REACHED_WITHIN)
		full = width;
	else
		full = left >= way ? 0 : (unsigned int)((way - left) * width / way);
	snprintf(text, sizeof(text), "[%.*s%.*s] %s -> %s  %s", (int)full,
		 "########################################", (int)(width - full),
		 "----------------------------------------",
		 units_format_size(a, sizeof(a), size), units_format_size(b, sizeof(b), g->to),
		 reason ?: "");
	/* Cut to the line, or the next redraw would leave a copy above. */
	printf("\r%.*s\033[K", (int)columns - 1, text);
	fflush(stdout);
	g->line_open = true;
}

/* What follows has a line of its own. */
static void close_line(struct progress *g)
{
	if (g->line_open)
		putchar('\n');
	g->line_open = false;
}

static bool reached(const struct ctl_props *p, uint64_t balloon)
{
	return p->size != CTL_NONE && distance(p->size, balloon) < REACHED_WITHIN;
}

static void show(struct progress *g, const struct ctl_props *p)
{
	char a[UNITS_MAX], b[UNITS_MAX];
	uint64_t now = now_us();

	/* The device has gone: ended() has the words for it. */
	if (p->size == CTL_NONE)
		return;
	if (term_is_live()) {
		draw_bar(g, p->size, p->reason);
		return;
	}
	/* The last line is always the goal's. */
	if (!reached(p, g->to) &&
	    (p->size == g->printed_size || now < g->printed_us + LOOK_US))
		return;
	printf("%s -> %s  %s\n", units_format_size(a, sizeof(a), p->size),
	       units_format_size(b, sizeof(b), g->to), p->reason ?: "");
	fflush(stdout);
	g->printed_size = p->size;
	g->printed_us = now;
}

/* One look at the state: has the wait come to an end, and how? True if it has. */
static bool ended(struct progress *g, const struct ctl_props *p, enum ctl_exit *ret)
{
	if (p->size == CTL_NONE || !p->host || !*p->host) {
		close_line(g);
		*ret = ctl_fail(CTL_FAILED, "nothing moves: %s",
				p->problem && *p->problem ? p->problem : "there is no balloon device");
		return true;
	}
	if (!p->mode || strcmp(p->mode, "manual") != 0 ||
	    distance(p->manual_target, g->to) >= REACHED_WITHIN) {
		close_line(g);
		*ret = ctl_fail(CTL_FAILED, "someone has set another mode or target meanwhile; "
				"see balloonctl status");
		return true;
	}
	if (reached(p, g->to)) {
		close_line(g);
		*ret = CTL_OK;
		return true;
	}
	return false;
}

static enum ctl_exit wait_loop(struct ctl_bus *b, struct ctl_props *p, struct progress *g,
			       uint64_t deadline)
{
	char size[UNITS_MAX], target[UNITS_MAX];
	enum ctl_exit code;

	for (;;) {
		uint64_t now, left = LOOK_US;

		code = ctl_bus_read(b, p);
		if (code != CTL_OK && !interrupted) {
			close_line(g);
			return ctl_fail(code, "%s", ctl_bus_why(b));
		}
		if (code == CTL_OK) {
			if (g->from == CTL_NONE)
				g->from = p->size;
			show(g, p);
			if (ended(g, p, &code))
				return code;
		}
		now = now_us();
		if (interrupted || now >= deadline)
			break;
		if (deadline - now < left)
			left = deadline - now;
		code = ctl_bus_wait(b, left);
		if (code != CTL_OK) {
			close_line(g);
			return ctl_fail(code, "%s", ctl_bus_why(b));
		}
	}
	close_line(g);
	return ctl_fail(CTL_TIMEOUT, "%s at a balloon of %s; the target of %s stays "
			"(balloonctl set-target auto gives it up)",
			interrupted ? "stopped waiting" : "the time is over",
			p->size == CTL_NONE ? "unknown size" :
			units_format_size(size, sizeof(size), p->size),
			units_format_size(target, sizeof(target), g->to));
}

enum ctl_exit ctl_wait_for_balloon(struct ctl_bus *b, uint64_t balloon, uint64_t timeout_us)
{
	struct progress g = { .from = CTL_NONE, .to = balloon, .printed_size = CTL_NONE };
	struct sigaction act = { .sa_handler = on_signal }, old_int, old_term;
	uint64_t deadline = timeout_us ? now_us() + timeout_us : UINT64_MAX;
	struct ctl_props p;
	enum ctl_exit code;

	code = ctl_bus_subscribe(b);
	if (code != CTL_OK)
		return ctl_fail(code, "%s", ctl_bus_why(b));

	interrupted = 0;
	sigaction(SIGINT, &act, &old_int);
	sigaction(SIGTERM, &act, &old_term);
	ctl_props_init(&p);
	code = wait_loop(b, &p, &g, deadline);
	ctl_props_done(&p);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	return code;
}
