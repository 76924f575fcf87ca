/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * law.h - what a law tells the tail
 *
 * Internal to decide/. A law is a function of configuration, view and its own
 * memory, which it declares in a header of its own if it has any. It knows
 * nothing of limits, hold-offs and rates that are common to all: it says where
 * it wants the balloon to be.
 */
#pragma once

#include "decide/ratelimit.h"
#include "decide/view.h"

struct law_goal {
	uint64_t goal; /* what the balloon should be, bytes */
	enum policy_reason reason;
	bool order; /* somebody asked for it: no dead band, settling, half steps */
	bool may_reclaim; /* inflating may evict cache */
	uint64_t at_once; /* largest inflate in one move */
	uint64_t inflate_rate; /* bytes a second, 0 = unlimited; on top of the configured one */
	uint64_t deflate_rate;
	uint64_t swap_in; /* bring back from swap, bytes */
};

/* The last step was the host's order: how far it came decides on the rates of the next ones. */
void law_host_feedback(struct ratelimit *r, const struct sample_balloon *b);

void law_host(const struct ratelimit *r, const struct view *v, const struct sample *s,
	      struct law_goal *ret);
void law_manual(const struct policy_config *c, const struct view *v, struct law_goal *ret);
