/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop-internal.h - the one state that loop*.c share
 *
 * loop.c: timers, ticks, signals. loop-balloon.c: what act/ waits for. loop-prove.c: whether the host takes memory.
 * loop-serve.c: what others see. loop-orders.c: what they ask for. loop-keep.c: what is kept in
 * files (history, metrics, hold, peaks). loop-incidents.c: what others did to the guest.
 */
#pragma once

#include <systemd/sd-event.h>

#include "act/balloon.h"
#include "act/leave.h"
#include "act/swap-in.h"
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

	struct balloon *balloon;
	struct leave leave;
	struct swap_in swap_in;
	struct sample_balloon seen;	/* whose counters have been told of */
	bool stopping;

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

/* Run a tick as soon as the event that is being handled is done. */
void loop_tick_soon(struct loop *l);
/* Make l->policy from the configuration and what was changed at run time. */
void loop_resolve(struct loop *l);
/* Open, or close, the PSI triggers as configured. */
void loop_arm(struct loop *l);

/* loop-balloon.c */

/* The objects of act/. */
int balloon_glue_init(struct loop *l);
/* What they wait for, once there is l->event. */
int balloon_glue_sources(struct loop *l);
void balloon_glue_done(struct loop *l);
/* Leave: give back or keep, then end the event loop. The second call ends it at once. */
void loop_stop(struct loop *l);

/* loop-prove.c */

/* Say what is known of whether the host takes memory. */
void prove_say(struct loop *l, enum policy_taken taken);

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

int keep_init(struct loop *l);
void keep_done(struct loop *l);
/* Once a tick. */
void keep_tick(struct loop *l);
/* Make l->hold survive a restart, or forget it if it is over. Whether it is as asked. */
bool keep_hold(struct loop *l);
__attribute__((format(printf, 2, 3)))
void keep_note(struct loop *l, const char *format, ...);
