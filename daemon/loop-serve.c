// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop-serve.c - what others see and ask for: status, orders, reload
 *
 * The bus and the service manager are shown the state after each tick and after
 * each order. An order changes what the policy is asked to do and lets a tick
 * follow at once; it never moves memory by itself, so that floor and pressure
 * relief hold for operators, too.
 *
 * A reload is all or nothing: the file is read and checked first. The mode of
 * the running daemon survives a reload unless the file's mode has changed.
 */
#include "loop-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "basic/arith.h"
#include "basic/clock.h"
#include "basic/log.h"
#include "basic/units.h"
#include "serve/account.h"

/* Between two attempts to reach a bus that is not there. */
#define BUS_RETRY_US (10 * 1000 * 1000)

uint64_t serve_limit(const struct loop *l)
{
	uint64_t limit = l->policy.limit;

	if (l->sample.balloon.valid)
		limit = min_u64(limit, l->sample.balloon.limit);
	return limit;
}

static void fill_status(struct loop *l)
{
	const struct sample_balloon *b = &l->sample.balloon;
	const struct policy_decision *d = &l->decision;
	struct status *s = &l->status;
	struct balloon_view v;

	balloon_view(l->balloon, &v);
	snprintf(s->mode, sizeof(s->mode), "%s", policy_mode_name(l->mode));
	snprintf(s->law, sizeof(s->law), "%s", policy_law_name(l->policy.law));
	snprintf(s->host, sizeof(s->host), "%s", v.attached ? v.info.host : "");
	s->capabilities = v.attached ? v.info.capabilities : 0;
	s->ram = l->sample.ram;
	s->size = b->size;
	s->target = d->target;
	s->goal = d->goal;
	s->host_target = b->host_target_valid ? b->host_target : UINT64_MAX;
	s->manual_target = l->manual_target;
	s->limit = serve_limit(l);
	s->floor = d->n.floor;
	s->headroom = d->n.headroom;
	s->available = d->n.available;
	s->free = sample_has_mem(&l->sample, MEM_FREE) ? l->sample.mem[MEM_FREE] : UINT64_MAX;
	s->cached = sample_has_mem(&l->sample, MEM_CACHED) ? l->sample.mem[MEM_CACHED] : UINT64_MAX;
	snprintf(s->reason, sizeof(s->reason), "%s", policy_reason_name(d->reason));
	snprintf(s->reason_text, sizeof(s->reason_text), "%s",
		 policy_reason_text_in(l->mode, d->reason));
	s->mem_some_permille = d->n.mem_some_permille;
	s->mem_full_permille = d->n.mem_full_permille;
	s->io_some_permille = d->n.io_some_permille;
	s->refault_rate = d->n.refault_rate;
	s->lease_left_us = v.lease_left_us;
	s->hold_off_left_us = d->n.hold_off_left_us;
	s->expected = d->n.forecast.need ?: UINT64_MAX;
	s->expected_lost_us = d->n.forecast.lost_us;
	s->expected_left_us = d->n.forecast.left_us;
	s->expected_weeks = d->n.forecast.weeks;
	s->expected_kept = d->n.forecast.worth ? d->n.forecast.need : 0;
	snprintf(s->held, sizeof(s->held), "%s", l->hold.held ? l->hold.reason : "");
	s->held_left_us = UINT64_MAX;
	if (l->hold.held && l->hold_until_us != UINT64_MAX)
		s->held_left_us = sub_sat(l->hold_until_us, clock_boot_us());
	s->inflated_total = v.inflated;
	s->deflated_total = v.deflated;
	s->relief_events = b->relief_events;
	s->rescue_events = b->rescue_events;
	s->rescued = b->oom_given + b->lease_given;
	s->host_excess = d->host_excess;
	s->relief_line = b->relief_line;
	s->relieved = b->relieved;
	s->relieved_direct = b->relieved_direct;
	snprintf(s->host_takes, sizeof(s->host_takes), "%s", policy_taken_name(d->taken));
	s->takes_nothing = d->taken == TAKEN_NOTHING;
	s->proofs_taken = b->proofs_taken;
	s->proofs_kept = b->proofs_kept;
	account_describe(b, s);
	s->emergencies = l->emergencies;
	snprintf(s->problem, sizeof(s->problem), "%s", problem_first(&l->problems));
	s->ticks = l->ticks;
}

static void print_line(struct loop *l)
{
	char usable[UNITS_MAX], available[UNITS_MAX], balloon[UNITS_MAX], goal[UNITS_MAX];
	const struct policy_decision *d = &l->decision;
	char clock[16];
	time_t now = time(NULL);
	struct tm tm;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	printf("%s  usable %s  available %s  psi some %u.%u%% full %u.%u%%  balloon %s  goal %s  "
	       "%s\n",
	       clock, units_format_size(usable, sizeof(usable), d->n.usable),
	       units_format_size(available, sizeof(available), d->n.available),
	       d->n.mem_some_permille / 10, d->n.mem_some_permille % 10,
	       d->n.mem_full_permille / 10, d->n.mem_full_permille % 10,
	       units_format_size(balloon, sizeof(balloon), l->sample.balloon.size),
	       units_format_size(goal, sizeof(goal), d->goal),
	       policy_reason_text_in(l->mode, d->reason));
	/* `balloond --foreground | head` ends when its reader does. */
	if (fflush(stdout) != 0 && errno == EPIPE && !l->stopping)
		loop_stop(l);
}

static void maintain_bus(struct loop *l)
{
	uint64_t now = clock_boot_us();

	if (!l->bus || now < l->bus_retry_us)
		return;
	l->bus_result = bus_maintain(l->bus);
	switch (-l->bus_result) {
	case -1:
		(void)problem_clear(&l->problems, PROBLEM_BUS, "serving org.balloond1 on the bus");
		return;
	case 0:
		return;
	case EEXIST:
		problem_set(&l->problems, PROBLEM_BUS, LOG_WARNING,
			    "another balloond owns org.balloond1 on the bus; balloonctl talks to that "
			    "one. Stop it, or start this one with --no-bus");
		break;
	case EACCES:
		problem_set(&l->problems, PROBLEM_BUS, LOG_WARNING,
			    "the bus does not let this user own org.balloond1; balloonctl cannot reach "
			    "the daemon. Install org.balloond1.conf and run as root or balloond, or "
			    "use --no-bus");
		break;
	default:
		problem_set(&l->problems, PROBLEM_BUS, LOG_INFO,
			    "no D-Bus (%s); going on without it, balloonctl cannot reach the daemon "
			    "until there is one", strerror(-l->bus_result));
		break;
	}
	l->bus_retry_us = now + BUS_RETRY_US;
}

void serve_publish(struct loop *l)
{
	fill_status(l);
	if (l->bus)
		bus_publish(l->bus, &l->status);
	if (!l->stopping)
		notify_status(&l->notify, &l->status);
}

void serve_tick(struct loop *l)
{
	maintain_bus(l);
	serve_publish(l);
	if (l->options.foreground)
		print_line(l);
}

/* What is being taken stops now; when it may go on is no hurry. */
static void on_start(void *ctx)
{
	loop_tick_soon(ctx);
}

int serve_init(struct loop *l)
{
	int r;

	snprintf(l->status.config_file, sizeof(l->status.config_file), "%s",
		 l->options.config_path);
	if (l->options.no_bus)
		return 0;
	r = startup_new(l->event, l->options.bus_address, on_start, l, &l->startup);
	if (r < 0)
		return r;
	return bus_new(l->event, l->options.bus_address, &order_methods, l, &l->bus);
}

void serve_done(struct loop *l)
{
	startup_free(l->startup);
	l->startup = NULL;
	bus_free(l->bus);
	l->bus = NULL;
	notify_done(&l->notify);
}
