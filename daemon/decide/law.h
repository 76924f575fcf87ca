/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * law.h - what a law tells the tail
 *
 * Internal to decide/. A law is a function of configuration, state and view.
 * It may keep memory in its own fields of struct policy_state, and knows
 * nothing of limits, hold-offs and rates that are common to all: it says where
 * it wants the balloon to be.
 */
#pragma once

#include "decide/view.h"

struct policy_state;

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

/*
 * Memory of law adaptive that is learned in every mode, so that it is there
 * when the mode changes. trust: N is what the guest needs, not distorted by an
 * inflate just made.
 */
void law_adaptive_learn(const struct policy_config *c, struct policy_state *st,
			const struct view *v, bool trust);
/* MemAvailable that the guest should keep, from what was learned. */
uint64_t law_adaptive_headroom(const struct policy_state *st, const struct view *v);
/* By how much the need has risen within the last seconds. */
uint64_t law_adaptive_growth(const struct policy_state *st, const struct view *v);

void law_adaptive(const struct policy_config *c, struct policy_state *st, const struct view *v,
		  struct law_goal *ret);
void law_committed(const struct policy_config *c, struct policy_state *st, const struct view *v,
		   const struct sample *s, struct law_goal *ret);
void law_host(const struct policy_state *st, const struct view *v, const struct sample *s,
	      struct law_goal *ret);
void law_manual(const struct policy_config *c, const struct view *v, struct law_goal *ret);
