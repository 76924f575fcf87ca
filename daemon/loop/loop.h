/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.h - orders, sense, decide, act, tell: once a tick and whenever something happens
 */
#pragma once

#include <stdbool.h>

#include "basic/cleanup.h"
#include "basic/problem.h"
#include "config/config.h"
#include "loop/world.h"
#include "serve/order.h"
#include "serve/tick.h"

struct loop;

struct loop_options {
	const char *config_path;
	bool config_required;	/* named by the user: a missing file is an error */
	int mode;		/* enum policy_mode over the file's, -1 = the file's */
	int log_level;		/* over the file's, -1 = the file's */
	bool foreground;	/* one line a tick on stdout */
	bool no_bus;
	const char *bus_address; /* NULL = system bus */
	const char *state_dir;	/* for what survives a restart; NULL = nothing does */
};

/*
 * Start with *config as loaded. Everything is kept but not owned. SIGTERM,
 * SIGINT and SIGHUP must be blocked.
 */
int loop_new(const struct loop_options *options, const struct loop_world *world,
	     const struct config *config, struct loop **ret);
/*
 * Take an order, and answer it at once: what it changes is in force, and a tick follows. The one
 * door for whoever wants something of the daemon.
 */
void loop_order(struct loop *l, const struct order *order, struct order_answer *ret);
/* The last tick, and how things are by now; until the next one. */
const struct tick *loop_look(struct loop *l);
/* What is wrong. Owned by l. */
const struct problems *loop_problems(const struct loop *l);
/* Until SIGTERM or SIGINT. 0, or a negative errno if the loop itself broke. */
int loop_run(struct loop *l);
void loop_free(struct loop *l);
DEFINE_CLEANUP(struct loop *, loop_free)
