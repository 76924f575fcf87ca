/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop-internal.h - the one state that loop*.c share
 *
 * loop.c: timers, ticks, signals. loop-attach.c: getting a transport. loop-device.c:
 * its life, moves, giving everything back. loop-prove.c: whether the host takes them.
 * loop-swap.c: what comes back from swap. loop-serve.c: what others see. loop-orders.c:
 * what they ask for. loop-keep.c: what is kept in files (history, metrics, hold, peaks).
 * loop-incidents.c: what others did to the guest.
 */
#pragma once

#include <systemd/sd-event.h>

#include "act/mover.h"
#include "act/swap-thread.h"
#include "act/swap.h"
#include "basic/problem.h"
#include "loop.h"
#include "serve/bus.h"
#include "serve/history.h"
#include "serve/hold.h"
#include "serve/notify.h"
#include "serve/startup.h"
#include "serve/status.h"
#include "serve/writer.h"

struct loop {
	struct loop_options options;
	struct loop_world world;
	sd_event *event;

	struct config config;		/* as in the file, or the defaults */
	struct policy_config policy;	/* ... for this RAM, mode and manual target */
	enum policy_mode mode;
	uint64_t manual_target;
	enum policy_law law;
	struct hold hold;
	uint64_t hold_until_us;		/* of our clock; UINT64_MAX = until released */
	bool hold_pending;		/* its file was handed over to be written */
	bool manual_set;		/* by the operator; else the balloon as it was found */

	struct policy_state state;
	struct sample sample;		/* the last one */
	struct policy_decision decision;
	enum sample_trigger trigger;	/* fired since the last tick */
	uint64_t ram;			/* that `policy` was made for */

	struct transport *transport;	/* NULL = no device */
	struct transport_info info;
	bool read_only;			/* opened in mode observe */
	bool reporting;			/* it is none of ours, but what serves meanwhile */
	uint64_t reopen_us;		/* not before, after a failure */
	uint64_t reopen_delay_us;
	uint64_t refused_us;		/* not permitted to open it since then; 0 = not so */
	uint64_t attached_us;
	struct mover mover;
	enum sample_proof proof;	/* for the next sample */
	struct swap_thread *swap;	/* NULL: was not needed yet */
	uint64_t swap_asked_us;
	uint64_t lease_renewed_us;
	struct transport_target told;	/* what the module was told last */
	struct sample_balloon seen;	/* whose counters have been told of */

	bool stopping;
	uint64_t stop_deadline_us;
	uint64_t stop_progress_us;	/* last time that the balloon became smaller */
	uint64_t stop_left;

	sd_event_source *tick_source;
	sd_event_source *keepalive_source;
	sd_event_source *move_source;
	sd_event_source *stop_source;
	sd_event_source *device_source;
	sd_event_source *swap_source;
	sd_event_source *announce_source;
	sd_event_source *watchdog_source;
	sd_event_source *signal_sources[3];
	sd_event_source *psi_sources[2];

	struct problems problems;
	struct status status;
	struct notify notify;
	struct startup *startup;	/* NULL: nobody is asked */
	struct bus *bus;
	int bus_result;			/* of the last bus_maintain() */
	uint64_t bus_retry_us;
	uint64_t inflated_total;
	uint64_t deflated_total;
	uint64_t emergencies;
	uint64_t ticks;
	struct writer *writer;
	struct history *history;
	uint32_t peaks_stamp;		/* of what is in the file */
	uint64_t metrics_us;		/* last time that the file was handed over */
	char noted_problem[256];

	int said_sign;			/* direction and reason of the move that was logged last */
	enum policy_reason said_reason;
	uint64_t said_us;
};

/* loop.c */

/* Microseconds of CLOCK_BOOTTIME. */
uint64_t loop_now(void);
/* Run a tick as soon as the event that is being handled is done. */
void loop_tick_soon(struct loop *l);
/* Make l->policy from the configuration and what was changed at run time. */
void loop_resolve(struct loop *l);
/* Open, or close, the PSI triggers as configured. */
void loop_arm(struct loop *l);

/* loop-attach.c */

/* Get a transport that fits the mode, if there is one to be had. */
void device_maintain(struct loop *l);

/* loop-device.c */

/*
 * The lease on giving up: the module goes on by itself after this. None that is configured is so
 * short, so the next daemon knows it by that.
 */
#define DEVICE_STOP_LEASE_US (1000 * 1000)

int device_init(struct loop *l);
void device_done(struct loop *l);
/* Let go of the file, which the service manager may keep for the next daemon. The balloon stays. */
void device_detach(struct loop *l);
/* The transport answered with r < 0 to `what`: it ends, and is opened anew some time later. */
void device_failed(struct loop *l, const char *what, int r);
/* Tell the transport its bounds, and what else it is to know. */
int device_bounds(struct loop *l, uint64_t ceiling, uint64_t floor, uint64_t lease_us);
/* Renew the lease in time from now on. */
void device_keep(struct loop *l);
/* Fill b, and take the result of the last step with it. */
void device_sense(struct loop *l, struct sample_balloon *b);
/* Begin to carry out the decision. */
void device_act(struct loop *l, const struct policy_decision *d);
/* Tell the module the lease of the configuration. */
void device_lease_changed(struct loop *l);
/* Leave: give back or keep, then end the event loop. The second call ends it at once. */
void device_stop(struct loop *l);

/* loop-prove.c */

/* Ask the host for the proof that the decision wants, and say what is known by now. */
void prove_tick(struct loop *l, const struct policy_decision *d);

/* loop-swap.c */

/* Have brought back from swap what the decision allows, beside what follows. */
void swap_in_ask(struct loop *l, const struct policy_decision *d);
void swap_in_done(struct loop *l);

/* loop-serve.c */

int serve_init(struct loop *l);
void serve_done(struct loop *l);
/* Once a tick. */
void serve_tick(struct loop *l);
/* Show the present state without a tick. */
void serve_publish(struct loop *l);
/* The largest balloon that configuration, host and module allow; UINT64_MAX = no limit known. */
uint64_t serve_limit(const struct loop *l);

/* loop-orders.c */

extern const struct bus_methods order_methods;
/* Read the file again. What was in force stays if it is wrong. */
void order_reload(struct loop *l, struct bus_answer *ret);
/* End a hold whose time is over. */
void order_expire(struct loop *l);

/* loop-incidents.c */

/* A transport is there, and its balloon is like this. */
void incidents_attached(struct loop *l, const struct sample_balloon *b);
/* Once a tick, after the decision. */
void incidents_tick(struct loop *l);

/* loop-keep.c */

/* Microseconds of the wall clock. */
uint64_t keep_clock(void);
int keep_init(struct loop *l);
void keep_done(struct loop *l);
/* Once a tick. */
void keep_tick(struct loop *l);
/* Make l->hold survive a restart, or forget it if it is over. Whether it is as asked. */
bool keep_hold(struct loop *l);
__attribute__((format(printf, 2, 3)))
void keep_note(struct loop *l, const char *format, ...);
