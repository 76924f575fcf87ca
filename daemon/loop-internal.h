/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop-internal.h - the one state that loop*.c share
 *
 * loop.c: timers, ticks, signals. loop-balloon.c: what act/ waits for.
 */
#pragma once

#include <systemd/sd-event.h>

#include "act/balloon.h"
#include "act/leave.h"
#include "act/swap-in.h"
#include "basic/problem.h"
#include "loop.h"
#include "serve/bus.h"
#include "serve/journal.h"
#include "serve/keep.h"
#include "serve/notify.h"
#include "serve/orders.h"
#include "serve/show.h"
#include "serve/startup.h"
#include "serve/tick.h"

struct loop {
	struct loop_options options;
	struct loop_world world;
	sd_event *event;

	struct orders orders;
	struct policy_config policy;	/* as they have it, for this RAM */
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
	struct keep *keep;
	struct journal journal;
	struct show show;
};

/* loop.c */

/* Run a tick as soon as the event that is being handled is done. */
void loop_tick_soon(struct loop *l);
/* Make l->policy, and the balloon's settings, of what is wanted. */
void loop_resolve(struct loop *l);
/* Bring l->tick up to date with all but what only a tick learns. */
void loop_write_down(struct loop *l);

/* loop-balloon.c */

/* The objects of act/. */
int balloon_glue_init(struct loop *l);
/* What they wait for, once there is l->event. */
int balloon_glue_sources(struct loop *l);
void balloon_glue_done(struct loop *l);
/* Leave: give back or keep, then end the event loop. The second call ends it at once. */
void loop_stop(struct loop *l);
