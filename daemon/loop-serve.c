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
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "basic/log.h"
#include "basic/units.h"

/* Between two attempts to reach a bus that is not there. */
#define BUS_RETRY_US (10 * 1000 * 1000)

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The largest balloon that configuration, host and module allow; UINT64_MAX = no limit known. */
static uint64_t limit_now(const struct loop *l)
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
	uint64_t lease_age;

	snprintf(s->mode, sizeof(s->mode), "%s", policy_mode_name(l->mode));
	snprintf(s->law, sizeof(s->law), "%s", policy_law_name(l->policy.law));
	snprintf(s->host, sizeof(s->host), "%s", l->transport ? l->info.host : "");
	s->capabilities = l->transport ? l->info.capabilities : 0;
	s->ram = l->sample.ram;
	s->size = b->size;
	s->target = d->target;
	s->goal = d->goal;
	s->host_target = b->host_target_valid ? b->host_target : UINT64_MAX;
	s->manual_target = l->manual_target;
	s->limit = limit_now(l);
	s->floor = d->n.floor;
	s->headroom = d->n.headroom;
	s->available = d->n.available;
	snprintf(s->reason, sizeof(s->reason), "%s", policy_reason_name(d->reason));
	snprintf(s->reason_text, sizeof(s->reason_text), "%s", policy_reason_text(d->reason));
	s->mem_some_permille = d->n.mem_some_permille;
	s->mem_full_permille = d->n.mem_full_permille;
	s->lease_left_us = 0;
	if (l->transport && !l->read_only) {
		lease_age = loop_now() - l->lease_renewed_us;
		if (lease_age < l->config.lease_us)
			s->lease_left_us = l->config.lease_us - lease_age;
	}
	s->hold_off_left_us = d->n.hold_off_left_us;
	s->inflated_total = l->inflated_total;
	s->deflated_total = l->deflated_total;
	s->relief_events = b->relief_events;
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
	       units_format_size(goal, sizeof(goal), d->goal), policy_reason_text(d->reason));
	/* `balloond --foreground | head` ends when its reader does. */
	if (fflush(stdout) != 0 && errno == EPIPE && !l->stopping)
		device_stop(l);
}

static void maintain_bus(struct loop *l)
{
	uint64_t now = loop_now();

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

/* Show the present state without a tick. */
static void publish(struct loop *l)
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
	publish(l);
	if (l->options.foreground)
		print_line(l);
}

__attribute__((format(printf, 3, 4)))
static void refuse(struct bus_answer *a, enum bus_refusal refusal, const char *format, ...)
{
	va_list ap;

	a->refusal = refusal;
	va_start(ap, format);
	vsnprintf(a->why, sizeof(a->why), format, ap);
	va_end(ap);
}

static void set_mode(struct loop *l, enum policy_mode mode)
{
	if (l->mode == mode)
		return;
	log_notice("mode %s, was %s", policy_mode_name(mode), policy_mode_name(l->mode));
	l->mode = mode;
	/* Until a size is named, manual means: as it is now. */
	if (mode == MODE_MANUAL && l->sample.balloon.valid) {
		l->manual_target = l->sample.balloon.size;
		l->manual_set = true;
	}
}

static void order_given(struct loop *l)
{
	loop_resolve(l);
	publish(l);
	loop_tick_soon(l);
}

static void on_set_target(void *ctx, uint64_t balloon, struct bus_answer *ret)
{
	char a[UNITS_MAX], b[UNITS_MAX], c[UNITS_MAX];
	struct loop *l = ctx;
	uint64_t floor = l->decision.n.floor, ram = l->sample.ram, limit = limit_now(l);

	*ret = (struct bus_answer){};
	if (ram == 0) {
		refuse(ret, BUS_INVALID, "the size of the machine is not known yet; try again");
		return;
	}
	if (balloon > ram || ram - balloon < floor) {
		refuse(ret, BUS_BELOW_FLOOR,
		       "a balloon of %s would leave less than the %s that this guest keeps; at most "
		       "%s are possible",
		       units_format_size(a, sizeof(a), balloon),
		       units_format_size(b, sizeof(b), floor),
		       units_format_size(c, sizeof(c), ram > floor ? ram - floor : 0));
		return;
	}
	if (balloon > limit) {
		refuse(ret, BUS_OVER_LIMIT, "a balloon of %s is over the limit of %s",
		       units_format_size(a, sizeof(a), balloon),
		       units_format_size(b, sizeof(b), limit));
		return;
	}
	set_mode(l, MODE_MANUAL);
	l->manual_target = balloon;
	l->manual_set = true;
	order_given(l);
}

static void on_set_mode(void *ctx, const char *name, struct bus_answer *ret)
{
	struct loop *l = ctx;
	enum policy_mode mode;

	*ret = (struct bus_answer){};
	if (policy_mode_parse(name, &mode) < 0) {
		refuse(ret, BUS_INVALID, "there is no mode \"%.32s\"; auto, host, manual and "
		       "observe exist", name);
		return;
	}
	set_mode(l, mode);
	order_given(l);
}

static void on_reload(void *ctx, struct bus_answer *ret)
{
	serve_reload(ctx, ret);
}

static void log_changes(const struct config *old, const struct config *new)
{
	char before[UNITS_MAX * 2 + 2], after[UNITS_MAX * 2 + 2];
	const struct config_key *keys;
	unsigned changed = 0;
	size_t n;

	keys = config_keys(&n);
	for (size_t i = 0; i < n; i++) {
		config_format(old, &keys[i], before, sizeof(before));
		config_format(new, &keys[i], after, sizeof(after));
		if (strcmp(before, after) == 0)
			continue;
		log_info("%s: %s, was %s", keys[i].name, after, before);
		changed++;
	}
	log_notice("configuration reloaded, %u changed", changed);
}

static void apply(struct loop *l, const struct config *new)
{
	struct config old = l->config;

	log_changes(&old, new);
	l->config = *new;
	if (new->policy.mode != old.policy.mode && l->options.mode < 0)
		set_mode(l, new->policy.mode);
	if (l->options.log_level < 0)
		log_set_level(new->log_level);
	loop_resolve(l);
	/* Also after a trigger was lost: a reload is what its message asks for. */
	if (memcmp(&new->psi_early, &old.psi_early, sizeof(old.psi_early)) != 0 ||
	    memcmp(&new->psi_emergency, &old.psi_emergency, sizeof(old.psi_emergency)) != 0 ||
	    l->problems.text[PROBLEM_PSI][0] != '\0')
		loop_arm(l);
	if (new->lease_us != old.lease_us)
		device_lease_changed(l);
}

void serve_reload(struct loop *l, struct bus_answer *ret)
{
	_cleanup_(config_errors_done) struct config_errors errors = {};
	struct config config;
	int r;

	*ret = (struct bus_answer){};
	if (l->stopping) {
		refuse(ret, BUS_BAD_CONFIG, "the daemon is about to exit");
		return;
	}
	notify_reloading();
	r = config_load(l->options.config_path, &config, &errors);
	if (r == 0 && l->options.config_required)
		refuse(ret, BUS_BAD_CONFIG, "%s: there is no such file", l->options.config_path);
	else if (r < 0 && errors.n > 1)
		refuse(ret, BUS_BAD_CONFIG, "%s (and %zu more)", errors.lines[0], errors.n - 1);
	else if (r < 0)
		refuse(ret, BUS_BAD_CONFIG, "%s", errors.n > 0 ? errors.lines[0] : strerror(-r));

	if (ret->refusal == BUS_DONE) {
		(void)problem_clear(&l->problems, PROBLEM_CONFIG, "the configuration is valid again");
		apply(l, &config);
	} else {
		for (size_t i = 0; i < errors.n; i++)
			log_error("%s", errors.lines[i]);
		problem_set(&l->problems, PROBLEM_CONFIG, LOG_ERR,
			    "not reloaded, the old configuration stays in force: %.150s", ret->why);
	}
	snprintf(l->status.config_error, sizeof(l->status.config_error), "%s", ret->why);
	order_given(l);
	notify_ready(&l->notify, &l->status);
}

int serve_init(struct loop *l)
{
	static const struct bus_methods methods = {
		.set_target = on_set_target,
		.set_mode = on_set_mode,
		.reload = on_reload,
	};

	snprintf(l->status.config_file, sizeof(l->status.config_file), "%s",
		 l->options.config_path);
	if (l->options.no_bus)
		return 0;
	return bus_new(l->event, l->options.bus_address, &methods, l, &l->bus);
}

void serve_done(struct loop *l)
{
	bus_free(l->bus);
	l->bus = NULL;
}
