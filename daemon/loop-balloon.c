// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop-balloon.c - timers and files for the balloon, and what the rest of the loop learns of it
 *
 * Leaves out: the balloon's life (act/balloon.c) and its end (act/leave.c).
 */
#include "loop-internal.h"

#include <errno.h>
#include <sys/epoll.h>

#include "basic/clock.h"

/* A device that always has news must not keep the loop busy. */
#define DEVICE_EVENTS 20
#define DEVICE_EVENTS_PERIOD_US (1000 * 1000)
/* While memory is given back: between two messages to the service manager, and what each asks for. */
#define STOP_PERIOD_US (1000 * 1000)
#define STOP_EXTEND_US (15 * 1000 * 1000)

static uint64_t owner_now(void *ctx)
{
	(void)ctx;
	return clock_boot_us();
}

static int on_device(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	bool hung_up = revents & (EPOLLERR | EPOLLHUP);
	struct loop *l = userdata;
	struct sample_balloon b;

	(void)source, (void)fd;
	/* Nobody looks any more: only to take the news off the file. */
	if (l->stopping && !hung_up)
		(void)balloon_state(l->balloon, &b);
	else
		balloon_event(l->balloon, hung_up);
	return 0;
}

static int owner_watch(void *ctx, int fd)
{
	struct loop *l = ctx;
	int r;

	l->device_source = sd_event_source_disable_unref(l->device_source);
	if (fd < 0)
		return 0;
	r = sd_event_add_io(l->event, &l->device_source, fd, EPOLLIN | EPOLLPRI, on_device, l);
	if (r < 0)
		return r;
	(void)sd_event_source_set_ratelimit(l->device_source, DEVICE_EVENTS_PERIOD_US,
					    DEVICE_EVENTS);
	return 0;
}

static int on_keepalive(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct loop *l = userdata;

	(void)source, (void)usec;
	balloon_renew(l->balloon);
	return 0;
}

static void owner_renew_in(void *ctx, uint64_t after_us)
{
	struct loop *l = ctx;

	if (after_us == 0) {
		(void)sd_event_source_set_enabled(l->keepalive_source, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time(l->keepalive_source, clock_boot_us() + after_us);
	(void)sd_event_source_set_time_accuracy(l->keepalive_source, after_us / 20);
	(void)sd_event_source_set_enabled(l->keepalive_source, SD_EVENT_ONESHOT);
}

static int on_move(sd_event_source *source, void *userdata)
{
	struct transport_result result;
	struct loop *l = userdata;
	int r;

	(void)source;
	r = balloon_slice(l->balloon, &result);
	if (l->stopping)
		leave_slice(&l->leave, r, &result);
	return 0;
}

static void owner_move(void *ctx, bool on)
{
	struct loop *l = ctx;

	(void)sd_event_source_set_enabled(l->move_source, on ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void owner_look(void *ctx)
{
	loop_tick_soon(ctx);
}

static void owner_attached(void *ctx, const struct sample_balloon *b)
{
	struct balloon_view view;
	struct loop *l = ctx;

	journal_attached(&l->journal, b);
	balloon_view(l->balloon, &view);
	if (!view.reporting)
		orders_found(&l->orders, b->size);
	loop_resolve(l);
}

static void owner_lost(void *ctx)
{
	struct loop *l = ctx;

	if (l->stopping)
		(void)sd_event_exit(l->event, 0);
	loop_tick_soon(l);
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

/* --- the end --- */

static void on_restart_known(void *ctx, bool restart)
{
	struct loop *l = ctx;

	leave_restart(&l->leave, restart);
}

static int owner_ask_restart(void *ctx)
{
	struct loop *l = ctx;

	if (!l->bus || !notify_managed(&l->notify))
		return -ENOTCONN;
	return bus_ask_restart(l->bus, on_restart_known, l);
}

static int on_stop_period(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct loop *l = userdata;

	(void)usec;
	notify_stopping(&l->notify, leave_left(&l->leave), STOP_EXTEND_US);
	(void)sd_event_source_set_time_relative(source, STOP_PERIOD_US);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static void owner_giving_back(void *ctx)
{
	struct loop *l = ctx;

	(void)sd_event_source_set_time(l->stop_source, clock_boot_us());
	(void)sd_event_source_set_enabled(l->stop_source, SD_EVENT_ONESHOT);
}

static void owner_left(void *ctx)
{
	struct loop *l = ctx;

	(void)sd_event_exit(l->event, 0);
}

void loop_stop(struct loop *l)
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
	(void)sd_event_source_set_enabled(l->tick_source, SD_EVENT_OFF);
	if (leave_begin(&l->leave, &how))
		return;
	notify_stopping(&l->notify, 0, STOP_EXTEND_US);
	(void)sd_event_exit(l->event, 0);
}

static int on_swap(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct loop *l = userdata;

	(void)source, (void)fd, (void)revents;
	swap_in_answered(&l->swap_in);
	return 0;
}

static int swap_watch(void *ctx, int fd)
{
	struct loop *l = ctx;

	return sd_event_add_io(l->event, &l->swap_source, fd, EPOLLIN, on_swap, l);
}

int balloon_glue_init(struct loop *l)
{
	const struct opener_store store = {&l->notify, store_take, store_keep, store_forget};
	const struct balloon_owner owner = {
		.ctx = l,
		.now = owner_now,
		.watch = owner_watch,
		.renew_in = owner_renew_in,
		.move = owner_move,
		.look = owner_look,
		.attached = owner_attached,
		.lost = owner_lost,
	};
	const struct leave_owner leaving = {
		.ctx = l,
		.now = owner_now,
		.ask_restart = owner_ask_restart,
		.giving_back = owner_giving_back,
		.left = owner_left,
	};
	int r;

	swap_in_init(&l->swap_in, l->world.proc ?: "/proc", &l->problems, swap_watch, l);
	r = balloon_new(&owner, &l->world.transports, &store, &l->problems, &l->balloon);
	if (r < 0)
		return r;
	leave_init(&l->leave, l->balloon, &leaving);
	return 0;
}

int balloon_glue_sources(struct loop *l)
{
	int r;

	r = sd_event_add_time(l->event, &l->keepalive_source, CLOCK_BOOTTIME, 0, 0, on_keepalive,
			      l);
	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(l->keepalive_source, SD_EVENT_OFF);
	/* Before ticks: a late sample is harmless, a late renewal is not. */
	(void)sd_event_source_set_priority(l->keepalive_source, SD_EVENT_PRIORITY_IMPORTANT);

	r = sd_event_add_time(l->event, &l->stop_source, CLOCK_BOOTTIME, 0, 0, on_stop_period, l);
	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(l->stop_source, SD_EVENT_OFF);

	r = sd_event_add_defer(l->event, &l->move_source, on_move, l);
	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(l->move_source, SD_EVENT_OFF);
	return sd_event_source_set_priority(l->move_source, SD_EVENT_PRIORITY_IDLE);
}

void balloon_glue_done(struct loop *l)
{
	l->swap_source = sd_event_source_disable_unref(l->swap_source);
	swap_in_done(&l->swap_in);
	balloon_free(l->balloon);
	l->device_source = sd_event_source_disable_unref(l->device_source);
	l->move_source = sd_event_source_disable_unref(l->move_source);
	l->keepalive_source = sd_event_source_disable_unref(l->keepalive_source);
	l->stop_source = sd_event_source_disable_unref(l->stop_source);
}
