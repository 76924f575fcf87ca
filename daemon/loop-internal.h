/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop-internal.h - the one state that loop*.c share
 *
 * loop.c: timers, ticks, signals. loop-balloon.c: what act/ waits for. loop-orders.c: what others
 * ask for.
 */
#pragma once

#include <systemd/sd-event.h>

#include "act/balloon.h"
#include "act/leave.h"
#include "act/swap-in.h"
#include "basic/problem.h"
#include "loop.h"
#include "serve/bus.h"
#include "serve/hold.h"
#include "serve/journal.h"
#include "serve/keep.h"
#include "serve/notify.h"
#include "serve/show.h"
#include "serve/startup.h"
#include "serve/tick.h"

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
	bool manual_set;		/* by the operator; else the balloon as it was found */

	struct policy_state state;
	struct tick tick;		/* the last one */
	enum sample_trigger trigger;	/* fired since the last tick */
	uint64_t ram;			/* that `policy` was made for */

	struct balloon *balloon;
	struct leave leave;
	struct swap_in swap_in;
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
	struct notify notify;
	struct startup *startup;	/* NULL: nobody is asked */
	struct bus *bus;
	char config_error[256];
	struct keep *keep;
	struct journal journal;
	struct show show;
};

/* loop.c */

/* Run a tick as soon as the event that is being handled is done. */
void loop_tick_soon(struct loop *l);
/* Make l->policy from the configuration and what was changed at run time. */
void loop_resolve(struct loop *l);
/* Bring l->tick up to date with all but what only a tick learns. */
void loop_write_down(struct loop *l);
/* Show the present state without a tick. */
void loop_publish(struct loop *l);
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

/* loop-orders.c */

extern const struct bus_methods order_methods;
/* Read the file again. What was in force stays if it is wrong. */
void order_reload(struct loop *l, struct bus_answer *ret);
/* End a hold whose time is over. */
void order_expire(struct loop *l);
