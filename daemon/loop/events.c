// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * events.c - what the loop waits for: timers, files, signals
 *
 * All of it comes in one thread, one thing at a time, and this is the order: a sign of life for the
 * service manager, whose own clock has run on during a standstill; the renewal of the lease, since
 * a late sample is harmless and a late renewal is not; signals; everything else; and at the lowest
 * priority the next slice of a step, so that nothing ever waits for a move but its slice.
 *
 * The clock is CLOCK_BOOTTIME: leases, hold-offs and rates must see the time
 * that the machine slept. The manager's is CLOCK_MONOTONIC.
 *
 * Signs of life are fed from the loop itself: a loop that hangs is a daemon that hangs. Not by
 * sd_event_set_watchdog(), which waits for a manager that is slow to listen.
 *
 * Leaves out: what is done then (loop.c).
 */
#include "loop/events.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "basic/clock.h"

/* Of the time that the service manager waits for a sign of life: a guest that stands still for all
 * but one of these parts is not taken for a daemon that hangs. */
#define WATCHDOG_PARTS 12
/* A device that always has news must not keep the loop busy. */
#define DEVICE_EVENTS 20
#define DEVICE_EVENTS_PERIOD_US (1000 * 1000)
/* Between two messages of how far leaving has got. */
#define LEAVING_PERIOD_US (1000 * 1000)

struct events {
	struct events_handlers to;
	uint64_t watchdog_us;
	sd_event *event;

	sd_event_source *tick;
	sd_event_source *renew;
	sd_event_source *idle;
	sd_event_source *leaving;
	sd_event_source *watchdog;
	sd_event_source *device;
	sd_event_source *swap;
	sd_event_source *announce;
	sd_event_source *signals[3];
	sd_event_source *pressure[2];	/* early, emergency */
};

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct events *e = userdata;

	(void)source, (void)usec;
	e->to.tick(e->to.ctx);
	return 0;
}

static int on_renew(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct events *e = userdata;

	(void)source, (void)usec;
	e->to.renew(e->to.ctx);
	return 0;
}

static int on_idle(sd_event_source *source, void *userdata)
{
	struct events *e = userdata;

	(void)source;
	e->to.idle(e->to.ctx);
	return 0;
}

static int on_leaving(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct events *e = userdata;

	(void)usec;
	e->to.leaving(e->to.ctx);
	(void)sd_event_source_set_time_relative(source, LEAVING_PERIOD_US);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct events *e = userdata;

	(void)usec;
	e->to.alive(e->to.ctx);
	(void)sd_event_source_set_time_relative(source, e->watchdog_us / WATCHDOG_PARTS);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static int on_device(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct events *e = userdata;

	(void)source, (void)fd;
	e->to.device(e->to.ctx, revents & (EPOLLERR | EPOLLHUP));
	return 0;
}

static int on_swap(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct events *e = userdata;

	(void)source, (void)fd, (void)revents;
	e->to.swap(e->to.ctx);
	return 0;
}

static int on_announce(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct events *e = userdata;

	(void)source, (void)fd, (void)revents;
	e->to.announced(e->to.ctx);
	return 0;
}

static int on_pressure(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct events *e = userdata;
	bool lost = revents & EPOLLERR;
	unsigned i = source == e->pressure[0] ? 0 : 1;

	(void)fd;
	if (lost)
		e->pressure[i] = sd_event_source_disable_unref(e->pressure[i]);
	e->to.pressure(e->to.ctx, i == 0 ? TRIGGER_EARLY : TRIGGER_EMERGENCY, lost);
	return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	struct events *e = userdata;

	(void)source;
	e->to.stop(e->to.ctx, (int)si->ssi_signo);
	return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	struct events *e = userdata;

	(void)source, (void)si;
	e->to.reload(e->to.ctx);
	return 0;
}

void events_tick_in(struct events *e, uint64_t after_us)
{
	(void)sd_event_source_set_time(e->tick, clock_boot_us() + after_us);
	/* To share a wake-up with others. */
	(void)sd_event_source_set_time_accuracy(e->tick, after_us / 20 + 1000);
	(void)sd_event_source_set_enabled(e->tick, SD_EVENT_ONESHOT);
}

void events_no_tick(struct events *e)
{
	(void)sd_event_source_set_enabled(e->tick, SD_EVENT_OFF);
}

void events_renew_in(struct events *e, uint64_t after_us)
{
	if (after_us == 0) {
		(void)sd_event_source_set_enabled(e->renew, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time(e->renew, clock_boot_us() + after_us);
	(void)sd_event_source_set_time_accuracy(e->renew, after_us / 20);
	(void)sd_event_source_set_enabled(e->renew, SD_EVENT_ONESHOT);
}

void events_idle(struct events *e, bool on)
{
	(void)sd_event_source_set_enabled(e->idle, on ? SD_EVENT_ON : SD_EVENT_OFF);
}

void events_leaving(struct events *e)
{
	(void)sd_event_source_set_time(e->leaving, clock_boot_us());
	(void)sd_event_source_set_enabled(e->leaving, SD_EVENT_ONESHOT);
}

int events_watch_device(struct events *e, int fd)
{
	int r;

	e->device = sd_event_source_disable_unref(e->device);
	if (fd < 0)
		return 0;
	r = sd_event_add_io(e->event, &e->device, fd, EPOLLIN | EPOLLPRI, on_device, e);
	if (r < 0)
		return r;
	(void)sd_event_source_set_ratelimit(e->device, DEVICE_EVENTS_PERIOD_US, DEVICE_EVENTS);
	return 0;
}

int events_watch_swap(struct events *e, int fd)
{
	e->swap = sd_event_source_disable_unref(e->swap);
	return fd < 0 ? 0 : sd_event_add_io(e->event, &e->swap, fd, EPOLLIN, on_swap, e);
}

int events_watch_pressure(struct events *e, enum sample_trigger which, int fd)
{
	sd_event_source **source = &e->pressure[which == TRIGGER_EMERGENCY];
	int r;

	*source = sd_event_source_disable_unref(*source);
	if (fd < 0)
		return 0;
	r = sd_event_add_io(e->event, source, fd, EPOLLPRI, on_pressure, e);
	if (r < 0) {
		close(fd);
		return r;
	}
	(void)sd_event_source_set_io_fd_own(*source, true);
	return 0;
}

bool events_has_pressure(const struct events *e)
{
	return e->pressure[0] || e->pressure[1];
}

int events_run(struct events *e)
{
	return sd_event_loop(e->event);
}

void events_end(struct events *e)
{
	(void)sd_event_exit(e->event, 0);
}

sd_event *events_sd(struct events *e)
{
	return e->event;
}

static int add_timer(struct events *e, sd_event_source **ret, sd_event_time_handler_t handler)
{
	int r;

	r = sd_event_add_time(e->event, ret, CLOCK_BOOTTIME, 0, 0, handler, e);
	return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

static int add_watchdog(struct events *e)
{
	int r;

	if (e->watchdog_us == 0)
		return 0;
	r = sd_event_add_time(e->event, &e->watchdog, CLOCK_MONOTONIC, 0,
			      e->watchdog_us / WATCHDOG_PARTS / 10, on_watchdog, e);
	if (r < 0)
		return r;
	return sd_event_source_set_priority(e->watchdog, SD_EVENT_PRIORITY_IMPORTANT - 1);
}

static int add_signals(struct events *e)
{
	int r;

	r = sd_event_add_signal(e->event, &e->signals[0], SIGTERM, on_stop, e);
	if (r >= 0)
		r = sd_event_add_signal(e->event, &e->signals[1], SIGINT, on_stop, e);
	if (r >= 0)
		r = sd_event_add_signal(e->event, &e->signals[2], SIGHUP, on_reload, e);
	for (unsigned i = 0; r >= 0 && i < 2; i++)
		r = sd_event_source_set_priority(e->signals[i], SD_EVENT_PRIORITY_IMPORTANT);
	return r;
}

static int add_sources(struct events *e, int announce_fd)
{
	int r;

	r = add_timer(e, &e->tick, on_tick);
	if (r >= 0)
		r = add_timer(e, &e->renew, on_renew);
	if (r >= 0)
		r = sd_event_source_set_priority(e->renew, SD_EVENT_PRIORITY_IMPORTANT);
	if (r >= 0)
		r = add_timer(e, &e->leaving, on_leaving);
	if (r >= 0)
		r = sd_event_add_defer(e->event, &e->idle, on_idle, e);
	if (r >= 0)
		r = sd_event_source_set_enabled(e->idle, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(e->idle, SD_EVENT_PRIORITY_IDLE);
	if (r >= 0)
		r = add_signals(e);
	if (r >= 0)
		r = add_watchdog(e);
	if (r >= 0 && announce_fd >= 0)
		r = sd_event_add_io(e->event, &e->announce, announce_fd, EPOLLIN, on_announce, e);
	return r;
}

int events_new(const struct events_handlers *handlers, int announce_fd, uint64_t watchdog_us,
	       struct events **ret)
{
	_cleanup_(events_freep) struct events *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->to = *handlers;
	e->watchdog_us = watchdog_us;
	r = sd_event_new(&e->event);
	if (r >= 0)
		r = add_sources(e, announce_fd);
	if (r < 0)
		return r;
	*ret = steal_pointer(e);
	return 0;
}

void events_free(struct events *e)
{
	if (!e)
		return;
	for (unsigned i = 0; i < 2; i++)
		sd_event_source_disable_unref(e->pressure[i]);
	for (unsigned i = 0; i < 3; i++)
		sd_event_source_disable_unref(e->signals[i]);
	sd_event_source_disable_unref(e->announce);
	sd_event_source_disable_unref(e->swap);
	sd_event_source_disable_unref(e->device);
	sd_event_source_disable_unref(e->watchdog);
	sd_event_source_disable_unref(e->leaving);
	sd_event_source_disable_unref(e->idle);
	sd_event_source_disable_unref(e->renew);
	sd_event_source_disable_unref(e->tick);
	sd_event_unref(e->event);
	free(e);
}
