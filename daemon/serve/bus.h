/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bus.h - org.balloond1 on D-Bus
 *
 * Shows a copy of the last published status and passes orders on.
 * Decides nothing. A bus that is missing, or goes away, is no error of the
 * daemon: the owner calls bus_maintain() now and then and gets on with its work.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "basic/cleanup.h"
#include "serve/order.h"
#include "serve/status.h"

/* Whom the bus asks. Everything is answered at once. */
struct bus_owner {
	void *ctx;
	/* Take an order; *ret is what the caller gets. */
	void (*order)(void *ctx, const struct order *order, struct order_answer *ret);
	/* A new descriptor of the history, which the bus closes, or a negative errno. */
	int (*open_history)(void *ctx);
	/* Value of key i of the configuration in force, in buf; its name, NULL behind the last. */
	const char *(*config_value)(void *ctx, size_t i, char *buf, size_t n);
};

struct bus;

/*
 * address NULL: the system bus. Does not connect yet. event, address and what *owner points to are
 * kept but not owned.
 */
int bus_new(sd_event *event, const char *address, const struct bus_owner *owner, struct bus **ret);
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
