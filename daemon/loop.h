/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.h - sense, decide, act: once a tick and whenever something happens
 */
#pragma once

#include <stdbool.h>

#include "act/opener.h"
#include "basic/cleanup.h"
#include "config/config.h"
#include "sense/sample.h"
#include "serve/order.h"

struct loop;

/*
 * Where samples and transports come from. The daemon has one of these, over
 * /proc and /dev; tests bring their own.
 */
struct loop_world {
	void *ctx;
	/* Where other processes are looked at; NULL = "/proc". */
	const char *proc;
	struct opener_world transports;

	/* As sense_read(). */
	int (*read)(void *ctx, struct sample *ret);
	/* As sense_news(). */
	const char *(*news)(void *ctx);
	/* fd that polls EPOLLPRI when the trigger fires; negative errno as psi_trigger_open(). */
	int (*arm)(void *ctx, enum sample_trigger which, const struct config_trigger *t);
	/* Readable when devices come and go; -1 if nobody says. */
	int (*announce_fd)(void *ctx);
	/* As discover_dispatch(). */
	int (*announce_dispatch)(void *ctx);
};

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
 * Take an order, and answer it at once: what it changes is in force, and a tick follows. The one door
 * for whoever wants something of the daemon.
 */
void loop_order(struct loop *l, const struct order *order, struct order_answer *ret);
/* Until SIGTERM or SIGINT. 0, or a negative errno if the loop itself broke. */
int loop_run(struct loop *l);
void loop_free(struct loop *l);
DEFINE_CLEANUP(struct loop *, loop_free)
