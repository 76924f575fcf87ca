/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * orders.h - what is wanted: by the configuration, and by orders
 *
 * Bytes and microseconds. now_us is since boot, sleep included; wall_us is of the clock on the
 * wall.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "basic/problem.h"
#include "config/config.h"
#include "serve/hold.h"
#include "serve/keep.h"
#include "serve/order.h"
#include "serve/tick.h"

struct orders_options {
	const char *config_path;
	bool config_required;	/* a file that is missing is an error */
	int mode;		/* enum policy_mode over the file's, -1 = the file's */
	int log_level;		/* over the file's, -1 = the file's */
};

/* Only orders.c writes it. */
struct orders {
	struct orders_options options;
	struct problems *problems;
	struct keep *keep;

	struct config config;		/* as in the file, or the defaults */
	enum policy_mode mode;
	enum policy_law law;
	uint64_t manual_target;
	bool manual_set;		/* by the operator; else the balloon as it was found */
	struct hold hold;
	uint64_t hold_until_us;		/* since boot; UINT64_MAX = until released */
	char config_error[256];		/* why the last reload failed; "" = it did not */
};

/* What an order has changed, as bits. */
enum {
	ORDERS_CHANGED = 1 << 0,	/* something, or the same was asked for again */
	ORDERS_TRIGGERS = 1 << 1,	/* the PSI triggers are to be set up again */
	ORDERS_LEASE = 1 << 2,		/* the module is to be told of another lease */
};

/*
 * With *config as loaded, and the hold that has survived, if any. Texts, problems and keep are kept
 * but not owned; PROBLEM_CONFIG is its own.
 */
void orders_init(struct orders *o, const struct orders_options *options,
		 const struct config *config, struct keep *keep, struct problems *problems,
		 uint64_t now_us);

/*
 * Take one order, by what is known from the last tick. *ret is the answer, in any case. Returns
 * what has changed, 0 if nothing has. Never moves anything by itself.
 */
unsigned orders_take(struct orders *o, const struct order *order, const struct tick *last,
		     uint64_t now_us, uint64_t wall_us, struct order_answer *ret);
/* End a hold whose time is over. Whether there was one. */
bool orders_expire(struct orders *o, uint64_t now_us);
/* A balloon was found that is so large: who named no size means it. */
void orders_found(struct orders *o, uint64_t size);

/* Into the record of a tick, of which now_us is there: what is wanted. Texts stay the orders'. */
void orders_write_down(const struct orders *o, struct tick *t);
/* What the policy is to go by, for a guest of so much RAM. */
void orders_resolve(const struct orders *o, uint64_t ram, struct policy_config *ret);
/* Value of key i of the configuration in force, in buf; its name, NULL behind the last. */
const char *orders_config_value(const struct orders *o, size_t i, char *buf, size_t n);
