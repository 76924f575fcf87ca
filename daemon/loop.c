// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop.c - sense, decide, act: once a tick and whenever something happens
 *
 * The only place with timers and a clock. A tick happens when its timer ends
 * (the policy said how soon), when a PSI trigger fires, when the device has
 * news, and after an order from the bus. Everything runs in one thread but what
 * may have to wait for a disk or for another process, and nothing takes long: a
 * step is moved in slices of 20 ms at the lowest priority, so that signals, the bus
 * and the next tick always come first.
 *
 * The clock is CLOCK_BOOTTIME: leases, hold-offs and rates must see the time
 * that the machine slept.
 *
 * Invariants: in mode observe nothing is moved; without a transport the ticks
 * go on; a problem is said once when it begins and once when it ends.
 */
#include "loop-internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "basic/arith.h"
#include "basic/clock.h"
#include "basic/log.h"
#include "basic/units.h"

/* Bounds for what the policy asks for: no spinning, and never asleep for long. */
#define TICK_MIN_US (10 * 1000)
#define TICK_MAX_US (60 * 1000 * 1000)
/* Of the time that the service manager waits for a sign of life: a guest that stands still for all
 * but one of these parts is not taken for a daemon that hangs. */
#define WATCHDOG_PARTS 12

_Static_assert((int)ACCOUNT_AVAILABLE == SAMPLE_ACCOUNT_AVAILABLE &&
	       (int)ACCOUNT_GONE == SAMPLE_ACCOUNT_GONE, "the same accounts");

void loop_resolve(struct loop *l)
{
	const struct balloon_settings settings = {
		.observe = l->orders.mode == MODE_OBSERVE,
		.device_only = l->orders.config.without_module == WITHOUT_MODULE_WAIT,
		.account = (enum sample_account)l->orders.config.account,
		.lease_us = l->orders.config.lease_us,
	};

	orders_resolve(&l->orders, l->ram, &l->policy);
	balloon_configure(l->balloon, &settings);
}

static void tick_schedule(struct loop *l, uint64_t after_us)
{
	if (l->stopping)
		return;
	(void)sd_event_source_set_time(l->tick_source, clock_boot_us() + after_us);
	/* Idle ticks may be late a little, to share a wake-up with others. */
	(void)sd_event_source_set_time_accuracy(l->tick_source, after_us / 20 + 1000);
	(void)sd_event_source_set_enabled(l->tick_source, SD_EVENT_ONESHOT);
}

void loop_tick_soon(struct loop *l)
{
	tick_schedule(l, 0);
}

/*
 * A claim on free memory is still counted; what a module holds, sense/ has left out. Nor is that unused
 * which no claim can have.
 */
static void leave_out_claim(struct sample *s)
{
	static const enum sample_mem_field fields[] = {MEM_TOTAL, MEM_FREE, MEM_AVAILABLE};

	for (size_t i = 0; s->balloon.claim && i < sizeof(fields) / sizeof(fields[0]); i++)
		s->mem[fields[i]] = sub_sat(s->mem[fields[i]], s->balloon.size);
	if (s->balloon.claim)
		s->mem[MEM_FREE] = sub_sat(s->mem[MEM_FREE], s->balloon.kept);
}

static void sense(struct loop *l, struct sample *s)
{
	struct balloon_view view;
	const char *news;
	uint64_t ram;
	int r;

	r = l->world.read(l->world.ctx, s);
	while ((news = l->world.news(l->world.ctx)))
		log_warning("%s", news);
	if (r < 0 || !sample_has_mem(s, MEM_AVAILABLE))
		problem_set(&l->problems, PROBLEM_DATA, LOG_ERR,
			    "MemAvailable cannot be read from /proc/meminfo, or not from "
			    "/sys/class/misc/uballoon; nothing is moved without it. Check that both "
			    "are there and readable");
	else
		(void)problem_clear(&l->problems, PROBLEM_DATA, "MemAvailable can be read again");

	if (s->time_us == 0)
		s->time_us = clock_boot_us();
	s->start = startup_look(l->startup, s->time_us);
	s->trigger = l->trigger;
	s->psi_armed = l->psi_sources[0] || l->psi_sources[1];
	l->trigger = TRIGGER_NONE;

	balloon_maintain(l->balloon);
	balloon_sense(l->balloon, &s->balloon);
	balloon_view(l->balloon, &view);
	leave_out_claim(s);

	/* MemTotal is RAM only as long as there is no balloon in it. */
	if (s->balloon.valid)
		ram = s->balloon.ram;
	else if (view.attached)
		ram = l->ram;
	else
		ram = sample_has_mem(s, MEM_TOTAL) ? s->mem[MEM_TOTAL] : 0;
	s->ram = ram;
	if (ram != l->ram) {
		l->ram = ram;
		loop_resolve(l);
	}
}

static void act(struct loop *l, const struct policy_decision *d)
{
	const struct balloon_step step = {
		.step = d->step,
		.may_reclaim = d->may_reclaim,
		.relief_line = d->relief_line,
	};

	balloon_act(l->balloon, &step);
	if (!l->policy.self_shrink)
		swap_in_unwanted(&l->swap_in);
	swap_in_ask(&l->swap_in, d->swap_in, clock_boot_us());
	if (d->prove)
		balloon_prove(l->balloon, d->prove_hold_us);
}

/* The largest balloon that configuration, host and module allow. */
static uint64_t limit(const struct loop *l)
{
	const struct sample_balloon *b = &l->tick.sample.balloon;

	return b->valid ? min_u64(l->policy.limit, b->limit) : l->policy.limit;
}

void loop_write_down(struct loop *l)
{
	const struct orders *o = &l->orders;
	struct tick *t = &l->tick;
	struct balloon_view view;

	t->now_us = clock_boot_us();
	t->wall_us = clock_wall_us();
	t->stopping = l->stopping;
	t->mode = o->mode;
	t->law = o->law;
	t->manual_target = o->manual_target;
	t->limit = limit(l);
	t->hold = o->hold;
	t->hold_left_us = o->hold_until_us == UINT64_MAX ? UINT64_MAX
							 : sub_sat(o->hold_until_us, t->now_us);
	t->lease_us = o->config.lease_us;
	t->proof_interval_us = l->policy.proof_interval_us;

	balloon_view(l->balloon, &view);
	t->attached = view.attached;
	t->read_only = view.read_only;
	t->reporting = view.reporting;
	t->capabilities = view.info.capabilities;
	snprintf(t->host, sizeof(t->host), "%s", view.info.host);
	t->lease_left_us = view.lease_left_us;
	t->inflated = view.inflated;
	t->deflated = view.deflated;
}

static void decide(struct loop *l)
{
	enum policy_reason before = l->tick.decision.reason;

	policy_decide(&l->policy, &l->state, &l->tick.sample, &l->tick.decision);
	if (l->tick.decision.reason == REASON_EMERGENCY && before != REASON_EMERGENCY)
		l->tick.emergencies++;
	l->tick.n++;
}

static void tell(struct loop *l)
{
	loop_write_down(l);
	journal_tick(&l->journal, &l->tick);
	/* `balloond --foreground | head` ends when its reader does. */
	if (show_tick(&l->show, &l->tick) == -EPIPE && !l->stopping)
		loop_stop(l);
	keep_tick(l->keep, &l->tick);
}

static void tick(struct loop *l)
{
	uint64_t next;

	if (orders_expire(&l->orders, clock_boot_us()))
		loop_resolve(l);
	sense(l, &l->tick.sample);
	decide(l);
	act(l, &l->tick.decision);
	tell(l);
	next = l->tick.decision.next_us;
	tick_schedule(l, next < TICK_MIN_US ? TICK_MIN_US : next > TICK_MAX_US ? TICK_MAX_US : next);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source, (void)usec;
	tick(userdata);
	return 0;
}

static int on_announce(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct loop *l = userdata;

	(void)source, (void)fd, (void)revents;
	if (l->world.announce_dispatch(l->world.ctx) > 0) {
		/* Whatever went wrong before, this is a new device. */
		balloon_announced(l->balloon);
		loop_tick_soon(l);
	}
	return 0;
}

static int on_psi(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct loop *l = userdata;
	unsigned i = source == l->psi_sources[0] ? 0 : 1;
	enum sample_trigger which;

	(void)fd;
	if (revents & EPOLLERR) {
		l->psi_sources[i] = sd_event_source_disable_unref(l->psi_sources[i]);
		problem_set(&l->problems, PROBLEM_PSI, LOG_WARNING,
			    "the kernel withdrew a memory pressure trigger; stalls are seen only "
			    "by looking, once per interval. A reload sets it up again");
		return 0;
	}
	if (l->stopping)
		return 0;
	which = i == 0 ? TRIGGER_EARLY : TRIGGER_EMERGENCY;
	/*
	 * An emergency is not made smaller by an early warning in the same turn. The tick that is
	 * due must not be put off by more of the same.
	 */
	if (l->trigger >= which)
		return 0;
	l->trigger = which;
	loop_tick_soon(l);
	return 0;
}

static const char *why_unarmed(int r)
{
	switch (-r) {
	case ENOENT:
		return "the kernel has no /proc/pressure";
	case EOPNOTSUPP:
		return "it is switched off; boot with psi=1";
	case EPERM:
	case EACCES:
		return "not permitted; CAP_SYS_RESOURCE is needed";
	}
	return strerror(-r);
}

/* Open, or close, the PSI triggers as configured. */
static void arm(struct loop *l)
{
	const struct config_trigger *triggers[] = {&l->orders.config.psi_early,
						   &l->orders.config.psi_emergency};
	static const enum sample_trigger which[] = {TRIGGER_EARLY, TRIGGER_EMERGENCY};
	int failed = 0;

	for (unsigned i = 0; i < 2; i++) {
		int fd, r;

		l->psi_sources[i] = sd_event_source_disable_unref(l->psi_sources[i]);
		if (triggers[i]->stall_us == 0)
			continue;
		fd = l->world.arm(l->world.ctx, which[i], triggers[i]);
		if (fd < 0) {
			failed = fd;
			continue;
		}
		r = sd_event_add_io(l->event, &l->psi_sources[i], fd, EPOLLPRI, on_psi, l);
		if (r < 0) {
			close(fd);
			failed = r;
			continue;
		}
		(void)sd_event_source_set_io_fd_own(l->psi_sources[i], true);
	}
	if (failed < 0)
		problem_set(&l->problems, PROBLEM_PSI, LOG_WARNING,
			    "no memory pressure trigger (%s); stalls are seen only by looking, "
			    "once per interval", why_unarmed(failed));
	else
		(void)problem_clear(&l->problems, PROBLEM_PSI, "memory pressure triggers are set");
}

/* --- orders --- */

void loop_order(struct loop *l, const struct order *order, struct order_answer *ret)
{
	bool reload = order->kind == ORDER_RELOAD && !l->stopping;
	unsigned changed;

	loop_write_down(l);
	if (reload)
		notify_reloading(&l->notify);
	changed = orders_take(&l->orders, order, &l->tick, l->tick.now_us, l->tick.wall_us, ret);
	if (changed == 0)
		return;
	loop_resolve(l);
	if (changed & ORDERS_TRIGGERS)
		arm(l);
	if (changed & ORDERS_LEASE)
		balloon_lease_changed(l->balloon);
	loop_write_down(l);
	show_publish(&l->show, &l->tick);
	loop_tick_soon(l);
	if (reload)
		notify_ready(&l->notify, &l->show.status);
}

static void on_order(void *ctx, const struct order *order, struct order_answer *ret)
{
	loop_order(ctx, order, ret);
}

static int on_open_history(void *ctx)
{
	struct loop *l = ctx;

	return keep_open_history(l->keep);
}

static const char *on_config_value(void *ctx, size_t i, char *buf, size_t n)
{
	struct loop *l = ctx;

	return orders_config_value(&l->orders, i, buf, n);
}

static int on_stop_signal(sd_event_source *source, const struct signalfd_siginfo *si,
			  void *userdata)
{
	struct loop *l = userdata;

	(void)source;
	log_info("%s received", si->ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
	loop_stop(l);
	return 0;
}

static int on_reload_signal(sd_event_source *source, const struct signalfd_siginfo *si,
			    void *userdata)
{
	const struct order order = {.kind = ORDER_RELOAD};
	struct order_answer answer;

	(void)source, (void)si;
	loop_order(userdata, &order, &answer);
	return 0;
}

/*
 * Fed from the loop itself: a loop that hangs is a daemon that hangs. Not by
 * sd_event_set_watchdog(), which waits for a manager that is slow to listen.
 */
static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct loop *l = userdata;

	(void)usec;
	notify_watchdog(&l->notify);
	(void)sd_event_source_set_time_relative(source, l->notify.watchdog_us / WATCHDOG_PARTS);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static int add_sources(struct loop *l)
{
	int r, fd;

	r = sd_event_add_time(l->event, &l->tick_source, CLOCK_BOOTTIME, 0, 0, on_tick, l);
	if (r < 0)
		return r;
	r = sd_event_add_signal(l->event, &l->signal_sources[0], SIGTERM, on_stop_signal, l);
	if (r >= 0)
		r = sd_event_add_signal(l->event, &l->signal_sources[1], SIGINT, on_stop_signal, l);
	if (r >= 0)
		r = sd_event_add_signal(l->event, &l->signal_sources[2], SIGHUP, on_reload_signal,
					l);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < 2; i++)
		(void)sd_event_source_set_priority(l->signal_sources[i],
						   SD_EVENT_PRIORITY_IMPORTANT);

	if (l->notify.watchdog_us > 0) {
		r = sd_event_add_time(l->event, &l->watchdog_source, CLOCK_MONOTONIC, 0,
				      l->notify.watchdog_us / WATCHDOG_PARTS / 10, on_watchdog, l);
		if (r < 0)
			return r;
		/* First of all: after a standstill the manager's own clock has run on, too. */
		(void)sd_event_source_set_priority(l->watchdog_source,
						   SD_EVENT_PRIORITY_IMPORTANT - 1);
	}

	fd = l->world.announce_fd(l->world.ctx);
	if (fd >= 0) {
		r = sd_event_add_io(l->event, &l->announce_source, fd, EPOLLIN, on_announce, l);
		if (r < 0)
			return r;
	}
	return balloon_glue_sources(l);
}

/* What is being taken stops now; when it may go on is no hurry. */
static void on_start(void *ctx)
{
	loop_tick_soon(ctx);
}

static int connect_bus(struct loop *l)
{
	const struct bus_owner owner = {l, on_order, on_open_history, on_config_value};
	int r;

	if (l->options.no_bus)
		return 0;
	r = startup_new(l->event, l->options.bus_address, on_start, l, &l->startup);
	if (r < 0)
		return r;
	return bus_new(l->event, l->options.bus_address, &owner, &l->bus);
}

int loop_new(const struct loop_options *options, const struct loop_world *world,
	     const struct config *config, struct loop **ret)
{
	_cleanup_(loop_freep) struct loop *l = calloc(1, sizeof(*l));
	const struct orders_options wanted = {
		.config_path = options->config_path,
		.config_required = options->config_required,
		.mode = options->mode,
		.log_level = options->log_level,
	};
	int r;

	if (!l)
		return -ENOMEM;
	notify_init(&l->notify);
	l->options = *options;
	l->world = *world;
	l->tick.decision.reason = REASON_STARTING;
	l->tick.learned = &l->state;
	l->tick.metrics_file = l->orders.config.metrics_file;
	l->tick.config_file = l->options.config_path;
	l->tick.config_error = l->orders.config_error;
	policy_init(&l->state);
	r = keep_new(options->state_dir, &l->problems, &l->keep);
	if (r < 0)
		return r;
	orders_init(&l->orders, &wanted, config, l->keep, &l->problems, clock_boot_us());
	keep_load_learned(l->keep, &l->state);
	journal_init(&l->journal, &l->problems, l->keep);
	r = balloon_glue_init(l);
	if (r < 0)
		return r;
	loop_resolve(l);

	r = sd_event_new(&l->event);
	if (r < 0)
		return r;
	r = add_sources(l);
	if (r < 0)
		return r;
	r = connect_bus(l);
	if (r < 0)
		return r;
	show_init(&l->show, l->bus, &l->notify, &l->problems, options->foreground);
	*ret = steal_pointer(l);
	return 0;
}

int loop_run(struct loop *l)
{
	arm(l);
	tick(l);
	notify_ready(&l->notify, &l->show.status);
	return sd_event_loop(l->event);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	startup_free(l->startup);
	bus_free(l->bus);
	notify_done(&l->notify);
	balloon_glue_done(l);
	keep_free(l->keep, &l->state);
	for (unsigned i = 0; i < 2; i++)
		sd_event_source_disable_unref(l->psi_sources[i]);
	for (unsigned i = 0; i < 3; i++)
		sd_event_source_disable_unref(l->signal_sources[i]);
	sd_event_source_disable_unref(l->announce_source);
	sd_event_source_disable_unref(l->watchdog_source);
	sd_event_source_disable_unref(l->tick_source);
	sd_event_unref(l->event);
	free(l);
}
