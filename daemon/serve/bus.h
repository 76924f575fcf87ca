/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bus.h - org.balloond1 on D-Bus
 *
 * Shows a copy of the last published status and passes the three methods on.
 * Decides nothing. A bus that is missing, or goes away, is no error of the
 * daemon: the owner calls bus_maintain() now and then and gets on with its work.
 */
#pragma once

#include <stdbool.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "basic/cleanup.h"
#include "serve/status.h"

/* Why a method refused; becomes the D-Bus error of the same meaning. */
enum bus_refusal {
	BUS_DONE,
	BUS_BELOW_FLOOR,
	BUS_OVER_LIMIT,
	BUS_INVALID,
	BUS_BAD_CONFIG,
	BUS_HELD,
	BUS_FAILED,		/* for want of memory, files, ... */
};

/* The answer of a method; why is one sentence for people, unused with BUS_DONE. */
struct bus_answer {
	enum bus_refusal refusal;
	char why[256];
};

struct bus_methods {
	void (*set_target)(void *ctx, uint64_t balloon, struct bus_answer *ret);
	void (*set_mode)(void *ctx, const char *mode, struct bus_answer *ret);
	void (*set_law)(void *ctx, const char *law, struct bus_answer *ret);
	/* for_us 0: until released. *ret_kept: it survives a restart. */
	void (*hold)(void *ctx, const char *reason, uint64_t for_us, bool *ret_kept,
		     struct bus_answer *ret);
	/* *ret_was: it was held. */
	void (*release)(void *ctx, bool *ret_was, struct bus_answer *ret);
	void (*reload)(void *ctx, struct bus_answer *ret);
	/* A new descriptor of the history, which the bus closes, or a negative errno. */
	int (*open_history)(void *ctx);
	/* Value of key i of the configuration in force, in buf; its name, NULL behind the last. */
	const char *(*config_value)(void *ctx, size_t i, char *buf, size_t n);
};

struct bus;

/* address NULL: the system bus. Does not connect yet. All pointers are kept but not owned. */
int bus_new(sd_event *event, const char *address, const struct bus_methods *methods, void *ctx,
	    struct bus **ret);
void bus_free(struct bus *b);
DEFINE_CLEANUP(struct bus *, bus_free)

/*
 * Connect if there is no connection. Never waits for the bus. Returns 1 if the
 * name is ours, 0 while that is under way, or why not: -EEXIST if somebody else
 * owns the name, -EACCES if the bus does not let us have it, or what connecting
 * said. The call after an error tries anew.
 */
int bus_maintain(struct bus *b);

/*
 * Ask the service manager whether this service is being stopped only to be
 * started again; answered() is called from the event loop within two seconds
 * or so, with false if the manager does not know or does not say. Negative
 * errno if there is no way to ask.
 */
int bus_ask_restart(struct bus *b, void (*answered)(void *ctx, bool restart), void *ctx);

/* Show *s from now on; one PropertiesChanged signal for all that differs. */
void bus_publish(struct bus *b, const struct status *s);
