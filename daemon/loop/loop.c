// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop.c - orders, sense, decide, act, tell: once a tick and whenever something happens
 *
 * The order of things, and who hears of what; nothing of it is done here. A tick happens when its
 * time has come (the policy said how soon), when a PSI trigger fires, when the device has news, and
 * after an order. Everything runs in one thread but what may have to wait for a disk or for another
 * process, and nothing takes long: a step is moved in slices of 20 ms when there is nothing else to
 * do.
 *
 * Each part owns what it remembers and knows none of the others: what is wanted (serve/orders.c),
 * what is seen (senses.c), the policy (decide/), the balloon and its end (act/), and those that are
 * told (serve/journal.c, show.c, keep.c), who have it from the record of the tick. What is wrong
 * they write on one list, each what is its own.
 *
 * Invariants: in mode observe nothing is moved; without a transport the ticks go on; a problem is
 * said once when it begins and once when it ends; once the end has begun there is no other tick.
 *
 * Leaves out: what is waited for, and what comes first (events.c).
 */
#include "loop/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "act/balloon.h"
#include "act/leave.h"
#include "act/swap-in.h"
#include "basic/arith.h"
#include "basic/clock.h"
#include "basic/log.h"
#include "loop/events.h"
#include "loop/senses.h"
#include "serve/bus.h"
#include "serve/journal.h"
#include "serve/keep.h"
#include "serve/notify.h"
#include "serve/orders.h"
#include "serve/show.h"
#include "serve/startup.h"

/* Bounds for what the policy asks for: no spinning, and never asleep for long. */
#define TICK_MIN_US (10 * 1000)
#define TICK_MAX_US (60 * 1000 * 1000)
/* What a message to the service manager asks for while memory is given back. */
#define STOP_EXTEND_US (15 * 1000 * 1000)

_Static_assert((int)ACCOUNT_AVAILABLE == SAMPLE_ACCOUNT_AVAILABLE &&
	       (int)ACCOUNT_GONE == SAMPLE_ACCOUNT_GONE, "the same accounts");

struct loop {
	struct loop_options options;
	struct loop_world world;
	struct events *events;
	struct problems problems;

	/* Orders. */
	struct orders orders;
	struct policy_config policy;	/* what they come to, for this RAM */
	uint64_t ram;

	/* Sense, decide. */
	struct startup *startup;	/* NULL: nobody is asked */
	struct senses senses;
	struct policy_state state;
	struct tick tick;		/* the last one */

	/* Act. */
	struct balloon *balloon;
	struct swap_in swap_in;
	struct leave leave;
	bool stopping;

	/* Tell. */
	struct notify notify;
	struct bus *bus;
	struct journal journal;
	struct show show;
	struct keep *keep;
};

static void tick_in(struct loop *l, uint64_t after_us)
{
	if (!l->stopping)
		events_tick_in(l->events, after_us);
}

static void tick_soon(void *ctx)
{
	tick_in(ctx, 0);
}

/* Make the policy's configuration, and the balloon's, of what is wanted. */
static void resolve(struct loop *l)
{
	const struct config *c = &l->orders.config;
	const struct balloon_settings settings = {
		.observe = l->orders.mode == MODE_OBSERVE,
		.device_only = c->without_module == WITHOUT_MODULE_WAIT,
		.account = (enum sample_account)c->account,
		.lease_us = c->lease_us,
	};

	orders_resolve(&l->orders, l->ram, &l->policy);
	balloon_configure(l->balloon, &settings);
}

/* --- the record --- */

/* Bring it up to date with all but what only a tick learns. */
static void write_down(struct loop *l)
{
	struct tick *t = &l->tick;
	const struct sample_balloon *b = &t->sample.balloon;
	struct balloon_view view;

	t->now_us = clock_boot_us();
	t->wall_us = clock_wall_us();
	t->stopping = l->stopping;
	orders_write_down(&l->orders, t);
	t->limit = b->valid ? min_u64(l->policy.limit, b->limit) : l->policy.limit;
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

const struct tick *loop_look(struct loop *l)
{
	write_down(l);
	return &l->tick;
}

const struct problems *loop_problems(const struct loop *l)
{
	return &l->problems;
}

/* --- the end --- */

static void stop(struct loop *l)
{
	const struct leave_settings how = {
		.keep = l->orders.config.on_stop == ON_STOP_KEEP,
		.lease_us = l->orders.config.lease_us,
		.stuck_us = l->policy.stuck_us,
	};

	if (l->stopping) {
		leave_at_once(&l->leave);
		return;
	}
	l->stopping = true;
	events_no_tick(l->events);
	if (leave_begin(&l->leave, &how))
		return;
	notify_stopping(&l->notify, 0, STOP_EXTEND_US);
	events_end(l->events);
}

static void on_restart_known(void *ctx, bool restart)
{
	struct loop *l = ctx;

	leave_restart(&l->leave, restart);
}

static int leave_ask_restart(void *ctx)
{
	struct loop *l = ctx;

	if (!l->bus || !notify_managed(&l->notify))
		return -ENOTCONN;
	return bus_ask_restart(l->bus, on_restart_known, l);
}

static void leave_giving_back(void *ctx)
{
	struct loop *l = ctx;

	events_leaving(l->events);
}

static void leave_left_all(void *ctx)
{
	struct loop *l = ctx;

	events_end(l->events);
}

static void on_leaving(void *ctx)
{
	struct loop *l = ctx;

	notify_stopping(&l->notify, leave_left(&l->leave), STOP_EXTEND_US);
}

/* --- a tick --- */

static void sense(struct loop *l, struct sample *s)
{
	senses_look(&l->senses, s);
	balloon_maintain(l->balloon);
	balloon_sense(l->balloon, s);
	if (s->ram != l->ram) {
		l->ram = s->ram;
		resolve(l);
	}
}

static void decide(struct loop *l)
{
	enum policy_reason before = l->tick.decision.reason;

	policy_decide(&l->policy, &l->state, &l->tick.sample, &l->tick.decision);
	if (l->tick.decision.reason == REASON_EMERGENCY && before != REASON_EMERGENCY)
		l->tick.emergencies++;
	l->tick.n++;
}

static void act(struct loop *l, const struct policy_decision *d)
{
	bool may_move = l->orders.mode != MODE_OBSERVE && !l->stopping;
	const struct balloon_step step = {
		.step = d->step,
		.may_reclaim = d->may_reclaim,
		.relief_line = d->relief_line,
	};

	balloon_act(l->balloon, &step);
	if (!l->policy.self_shrink)
		swap_in_unwanted(&l->swap_in);
	swap_in_ask(&l->swap_in, may_move ? d->swap_in : 0, clock_boot_us());
	if (d->prove)
		balloon_prove(l->balloon, d->prove_hold_us);
}

static void tell(struct loop *l)
{
	write_down(l);
	journal_tick(&l->journal, &l->tick);
	/* `balloond --foreground | head` ends when its reader does. */
	if (show_tick(&l->show, &l->tick) == -EPIPE && !l->stopping)
		stop(l);
	keep_tick(l->keep, &l->tick);
}

static void tick(void *ctx)
{
	struct loop *l = ctx;

	if (orders_expire(&l->orders, clock_boot_us()))
		resolve(l);
	sense(l, &l->tick.sample);
	decide(l);
	act(l, &l->tick.decision);
	tell(l);
	tick_in(l, clamp_u64(l->tick.decision.next_us, TICK_MIN_US, TICK_MAX_US));
}

/* --- orders --- */

void loop_order(struct loop *l, const struct order *order, struct order_answer *ret)
{
	bool reload = order->kind == ORDER_RELOAD && !l->stopping;
	unsigned changed;

	write_down(l);
	if (reload)
		notify_reloading(&l->notify);
	changed = orders_take(&l->orders, order, &l->tick, l->tick.now_us, l->tick.wall_us, ret);
	if (changed == 0)
		return;
	resolve(l);
	if (changed & ORDERS_TRIGGERS)
		senses_arm(&l->senses, &l->orders.config);
	if (changed & ORDERS_LEASE)
		balloon_lease_changed(l->balloon);
	write_down(l);
	show_publish(&l->show, &l->tick);
	tick_soon(l);
	if (reload)
		notify_ready(&l->notify, &l->show.status);
}

static void bus_order(void *ctx, const struct order *order, struct order_answer *ret)
{
	loop_order(ctx, order, ret);
}

static int bus_open_history(void *ctx)
{
	struct loop *l = ctx;

	return keep_open_history(l->keep);
}

static const char *bus_config_value(void *ctx, size_t i, char *buf, size_t n)
{
	struct loop *l = ctx;

	return orders_config_value(&l->orders, i, buf, n);
}

/* --- what has come --- */

static void on_idle(void *ctx)
{
	struct transport_result result;
	struct loop *l = ctx;
	int r;

	r = balloon_slice(l->balloon, &result);
	if (l->stopping)
		leave_slice(&l->leave, r, &result);
}

static void on_renew(void *ctx)
{
	struct loop *l = ctx;

	balloon_renew(l->balloon);
}

static void on_device(void *ctx, bool hung_up)
{
	struct sample_balloon b;
	struct loop *l = ctx;

	/* Nobody looks any more: only to take the news off the file. */
	if (l->stopping && !hung_up)
		(void)balloon_state(l->balloon, &b);
	else
		balloon_event(l->balloon, hung_up);
}

static void on_swap(void *ctx)
{
	struct loop *l = ctx;

	swap_in_answered(&l->swap_in);
}

static void on_announced(void *ctx)
{
	struct loop *l = ctx;

	if (l->world.announce_dispatch(l->world.ctx) > 0) {
		/* Whatever went wrong before, this is a new device. */
		balloon_announced(l->balloon);
		tick_soon(l);
	}
}

static void on_pressure(void *ctx, enum sample_trigger which, bool lost)
{
	struct loop *l = ctx;

	if (senses_pressure(&l->senses, which, lost))
		tick_soon(l);
}

static void on_stop(void *ctx, int sig)
{
	log_info("%s received", sig == SIGINT ? "SIGINT" : "SIGTERM");
	stop(ctx);
}

static void on_reload(void *ctx)
{
	const struct order order = {.kind = ORDER_RELOAD};
	struct order_answer answer;

	loop_order(ctx, &order, &answer);
}

static void on_alive(void *ctx)
{
	struct loop *l = ctx;

	notify_watchdog(&l->notify);
}

/* --- what the balloon waits for, and what it tells --- */

static uint64_t balloon_now(void *ctx)
{
	(void)ctx;
	return clock_boot_us();
}

static int balloon_watch(void *ctx, int fd)
{
	struct loop *l = ctx;

	return events_watch_device(l->events, fd);
}

static void balloon_renew_in(void *ctx, uint64_t after_us)
{
	struct loop *l = ctx;

	events_renew_in(l->events, after_us);
}

static void balloon_move(void *ctx, bool on)
{
	struct loop *l = ctx;

	events_idle(l->events, on);
}

static void balloon_attached(void *ctx, const struct sample_balloon *b)
{
	struct balloon_view view;
	struct loop *l = ctx;

	journal_attached(&l->journal, b);
	balloon_view(l->balloon, &view);
	if (!view.reporting)
		orders_found(&l->orders, b->size);
	resolve(l);
}

static void balloon_lost(void *ctx)
{
	struct loop *l = ctx;

	if (l->stopping)
		events_end(l->events);
	tick_soon(l);
}

static int store_take(void *ctx)
{
	return notify_take_device(ctx);
}

static void store_keep(void *ctx, int fd)
{
	notify_keep_device(ctx, fd);
}

static void store_forget(void *ctx)
{
	notify_forget_device(ctx);
}

static int swap_watch(void *ctx, int fd)
{
	struct loop *l = ctx;

	return events_watch_swap(l->events, fd);
}

/* --- putting it together --- */

static int begin_waiting(struct loop *l)
{
	const struct events_handlers handlers = {
		.ctx = l,
		.tick = tick,
		.idle = on_idle,
		.renew = on_renew,
		.device = on_device,
		.swap = on_swap,
		.announced = on_announced,
		.pressure = on_pressure,
		.stop = on_stop,
		.reload = on_reload,
		.alive = on_alive,
		.leaving = on_leaving,
	};

	return events_new(&handlers, l->world.announce_fd(l->world.ctx), l->notify.watchdog_us,
			  &l->events);
}

static int begin_acting(struct loop *l)
{
	const struct opener_store store = {&l->notify, store_take, store_keep, store_forget};
	const struct balloon_owner owner = {
		.ctx = l,
		.now = balloon_now,
		.watch = balloon_watch,
		.renew_in = balloon_renew_in,
		.move = balloon_move,
		.look = tick_soon,
		.attached = balloon_attached,
		.lost = balloon_lost,
	};
	const struct leave_owner leaving = {
		.ctx = l,
		.now = balloon_now,
		.ask_restart = leave_ask_restart,
		.giving_back = leave_giving_back,
		.left = leave_left_all,
	};
	int r;

	r = balloon_new(&owner, &l->world.transports, &store, &l->problems, &l->balloon);
	if (r < 0)
		return r;
	leave_init(&l->leave, l->balloon, &leaving);
	swap_in_init(&l->swap_in, l->world.proc ?: "/proc", &l->problems, swap_watch, l);
	return 0;
}

static int begin_serving(struct loop *l)
{
	const struct bus_owner owner = {l, bus_order, bus_open_history, bus_config_value};
	sd_event *event = events_sd(l->events);
	const char *address = l->options.bus_address;
	int r = 0;

	if (!l->options.no_bus)
		/* What is being taken stops now; when it may go on is no hurry. */
		r = startup_new(event, address, tick_soon, l, &l->startup);
	if (r >= 0 && !l->options.no_bus)
		r = bus_new(event, address, &owner, &l->bus);
	show_init(&l->show, l->bus, &l->notify, &l->problems, l->options.foreground);
	return r;
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
	l->tick = (struct tick){
		.decision.reason = REASON_STARTING,
		.learned = &l->state,
	};
	policy_init(&l->state);
	r = keep_new(options->state_dir, &l->problems, &l->keep);
	if (r < 0)
		return r;
	orders_init(&l->orders, &wanted, config, l->keep, &l->problems, clock_boot_us());
	keep_load_learned(l->keep, &l->state);
	journal_init(&l->journal, &l->problems, l->keep);
	r = begin_waiting(l);
	if (r >= 0)
		r = begin_acting(l);
	if (r >= 0)
		r = begin_serving(l);
	if (r < 0)
		return r;
	senses_init(&l->senses, &l->world, l->events, l->startup, &l->problems);
	resolve(l);
	*ret = steal_pointer(l);
	return 0;
}

int loop_run(struct loop *l)
{
	senses_arm(&l->senses, &l->orders.config);
	tick(l);
	notify_ready(&l->notify, &l->show.status);
	return events_run(l->events);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	startup_free(l->startup);
	bus_free(l->bus);
	notify_done(&l->notify);
	if (l->events)
		(void)events_watch_swap(l->events, -1);
	swap_in_done(&l->swap_in);
	balloon_free(l->balloon);
	keep_free(l->keep, &l->state);
	events_free(l->events);
	free(l);
}
