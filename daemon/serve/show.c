// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * show.c - what others see of a tick: the bus, the service manager, a terminal
 *
 * All are shown the same status, after each tick and after each order. A bus that is not there is
 * no error of the daemon: it is tried again now and then, and that is said.
 *
 * Leaves out: what is asked over the bus (bus.c, orders.c), and metrics, which are kept in a file
 * (keep.c).
 */
#include "serve/show.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "basic/log.h"
#include "basic/units.h"

/* Between two attempts to reach a bus that is not there. */
#define BUS_RETRY_US (10 * 1000 * 1000)

void show_init(struct show *s, struct bus *bus, struct notify *notify, struct problems *problems,
	       bool lines)
{
	*s = (struct show){.bus = bus, .notify = notify, .problems = problems, .lines = lines};
}

static int print_line(const struct tick *t)
{
	char usable[UNITS_MAX], available[UNITS_MAX], balloon[UNITS_MAX], goal[UNITS_MAX];
	const struct policy_decision *d = &t->decision;
	time_t now = (time_t)(t->wall_us / 1000000);
	char clock[16];
	struct tm tm;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	printf("%s  usable %s  available %s  psi some %u.%u%% full %u.%u%%  balloon %s  goal %s  "
	       "%s\n",
	       clock, units_format_size(usable, sizeof(usable), d->n.usable),
	       units_format_size(available, sizeof(available), d->n.available),
	       d->n.mem_some_permille / 10, d->n.mem_some_permille % 10,
	       d->n.mem_full_permille / 10, d->n.mem_full_permille % 10,
	       units_format_size(balloon, sizeof(balloon), t->sample.balloon.size),
	       units_format_size(goal, sizeof(goal), d->goal),
	       policy_reason_text_in(t->mode, d->reason));
	return fflush(stdout) != 0 && errno == EPIPE ? -EPIPE : 0;
}

static void maintain_bus(struct show *s, uint64_t now_us)
{
	int r;

	if (!s->bus || now_us < s->bus_retry_us)
		return;
	r = bus_maintain(s->bus);
	switch (-r) {
	case -1:
		(void)problem_clear(s->problems, PROBLEM_BUS, "serving org.balloond1 on the bus");
		return;
	case 0:
		return;
	case EEXIST:
		problem_set(s->problems, PROBLEM_BUS, LOG_WARNING,
			    "another balloond owns org.balloond1 on the bus; balloonctl talks to "
			    "that one. Stop it, or start this one with --no-bus");
		break;
	case EACCES:
		problem_set(s->problems, PROBLEM_BUS, LOG_WARNING,
			    "the bus does not let this user own org.balloond1; balloonctl cannot "
			    "reach the daemon. Install org.balloond1.conf and run as root or "
			    "balloond, or use --no-bus");
		break;
	default:
		problem_set(s->problems, PROBLEM_BUS, LOG_INFO,
			    "no D-Bus (%s); going on without it, balloonctl cannot reach the "
			    "daemon until there is one", strerror(-r));
		break;
	}
	s->bus_retry_us = now_us + BUS_RETRY_US;
}

void show_publish(struct show *s, const struct tick *t)
{
	status_fill(t, s->problems, &s->status);
	if (s->bus)
		bus_publish(s->bus, &s->status);
	if (!t->stopping)
		notify_status(s->notify, &s->status);
}

int show_tick(struct show *s, const struct tick *t)
{
	maintain_bus(s, t->now_us);
	show_publish(s, t);
	return s->lines ? print_line(t) : 0;
}
