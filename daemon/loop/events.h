/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * events.h - what the loop waits for: timers, files, signals
 *
 * Knows when something has come, and what comes first; not what it means. Microseconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "basic/cleanup.h"
#include "sense/sample.h"

struct events;

/* What has come. Each is called from events_run() only. */
struct events_handlers {
	void *ctx;
	void (*tick)(void *ctx);
	/* Nothing better is to be done. */
	void (*idle)(void *ctx);
	void (*renew)(void *ctx);
	/* hung_up: an error, or a hangup. */
	void (*device)(void *ctx, bool hung_up);
	void (*swap)(void *ctx);
	/* A device may have come or gone. */
	void (*announced)(void *ctx);
	/* A trigger has fired; or, lost, is none any more. */
	void (*pressure)(void *ctx, enum sample_trigger which, bool lost);
	/* SIGTERM or SIGINT; SIGHUP. */
	void (*stop)(void *ctx, int signal);
	void (*reload)(void *ctx);
	/* A sign of life is due; how far leaving has got is to be told. */
	void (*alive)(void *ctx);
	void (*leaving)(void *ctx);
};

/*
 * Handlers are copied. announce_fd is kept but not owned, -1 = nobody announces. watchdog_us: a
 * sign of life is missed after so long, 0 = never. SIGTERM, SIGINT and SIGHUP must be blocked.
 * Nothing else is waited for yet.
 */
int events_new(const struct events_handlers *handlers, int announce_fd, uint64_t watchdog_us,
	       struct events **ret);
void events_free(struct events *e);
DEFINE_CLEANUP(struct events *, events_free)

/* Until events_end(). 0, or a negative errno if waiting itself broke. */
int events_run(struct events *e);
void events_end(struct events *e);
/* For connections that have events of their own (serve/). Owned by e. */
sd_event *events_sd(struct events *e);

/* tick() after so long, once, in place of what was said before; may be late by a twentieth. */
void events_tick_in(struct events *e, uint64_t after_us);
void events_no_tick(struct events *e);
/* renew() after so long, once; 0 = not at all. */
void events_renew_in(struct events *e, uint64_t after_us);
/* idle() again and again, whenever nothing else has come; or no longer. */
void events_idle(struct events *e, bool on);
/* leaving() from now on, once a second. */
void events_leaving(struct events *e);

/* device() when fd has news, fd -1 = no longer. Before fd is closed. 0 or a negative errno. */
int events_watch_device(struct events *e, int fd);
/* The same for swap(). */
int events_watch_swap(struct events *e, int fd);
/* The same for pressure(); fd belongs to e, whatever is returned. */
int events_watch_pressure(struct events *e, enum sample_trigger which, int fd);
/* Whether any trigger is watched. */
bool events_has_pressure(const struct events *e);
