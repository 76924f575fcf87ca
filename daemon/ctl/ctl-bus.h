/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl-bus.h - talk to balloond
 *
 * Each function returns CTL_OK, or the exit status that the failure deserves;
 * ctl_bus_why() is then one sentence that says what to do about it. Every call
 * is bounded: a daemon that does not answer within CTL_BUS_TIMEOUT_US is an
 * error, not a wait.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctl/ctl-props.h"
#include "ctl/ctl.h"

/* Long enough for a daemon on a machine that thrashes, short enough for a person: 10 s. */
#define CTL_BUS_TIMEOUT_US (10 * 1000000ULL)

/* Which of the two refusals CTL_REFUSED is, for callers that can say more. */
enum ctl_refusal {
	CTL_REFUSAL_NONE,
	CTL_REFUSAL_FLOOR,
	CTL_REFUSAL_LIMIT,
	CTL_REFUSAL_HELD,
};

struct sd_bus;

struct ctl_bus {
	struct sd_bus *bus;
	char *why;
	enum ctl_refusal refusal;
	const char *host;	/* by ssh, which carries no files; NULL: not */
	bool changed;		/* a signal of the daemon has come since ctl_bus_wait() began */
};

/* Close with ctl_bus_done(), also after a failure. */
enum ctl_exit ctl_bus_open(struct ctl_bus *b, const struct ctl_where *where);
void ctl_bus_done(struct ctl_bus *b);

/* For one who would rather hear soon that the daemon does not answer. */
void ctl_bus_set_timeout(struct ctl_bus *b, uint64_t timeout_us);

/* Never NULL after a failure. */
const char *ctl_bus_why(const struct ctl_bus *b);

/* All properties at once. *ret must be initialised, and is replaced only on success. */
enum ctl_exit ctl_bus_read(struct ctl_bus *b, struct ctl_props *ret);
/*
 * Open and read, for a verb that shows what there is. Prints its own failure. *ret need not be
 * initialised; ctl_props_done() and ctl_bus_done() in any case.
 */
enum ctl_exit ctl_bus_ask(struct ctl_bus *b, const struct ctl_where *where, struct ctl_props *ret);

/* CTL_REFUSED: see b->refusal. */
enum ctl_exit ctl_bus_set_target(struct ctl_bus *b, uint64_t balloon);
enum ctl_exit ctl_bus_set_mode(struct ctl_bus *b, const char *mode);
/* CTL_CONFIG: the file is not valid and the old configuration stays. */
enum ctl_exit ctl_bus_reload(struct ctl_bus *b);

enum ctl_exit ctl_bus_set_law(struct ctl_bus *b, const char *law);
/* @for_us 0: until released. */
enum ctl_exit ctl_bus_hold(struct ctl_bus *b, const char *reason, uint64_t for_us, bool *ret_kept);
enum ctl_exit ctl_bus_release(struct ctl_bus *b, bool *ret_was_held);
/* The history's file, for the caller to close. */
enum ctl_exit ctl_bus_open_history(struct ctl_bus *b, int *ret_fd);
/* OpenMetrics text, for the caller to free. */
enum ctl_exit ctl_bus_metrics(struct ctl_bus *b, char **ret);
/* Each key of the configuration in force. */
enum ctl_exit ctl_bus_config(struct ctl_bus *b,
			     void (*each)(void *ctx, const char *key, const char *value), void *ctx);

/* Ask for the daemon's change signals; once, before the first ctl_bus_wait(). */
enum ctl_exit ctl_bus_subscribe(struct ctl_bus *b);
/*
 * Sleep until a property changes, the daemon comes or goes, a signal handler
 * runs, or @timeout_us is over, whatever is first: all of them are CTL_OK.
 */
enum ctl_exit ctl_bus_wait(struct ctl_bus *b, uint64_t timeout_us);
