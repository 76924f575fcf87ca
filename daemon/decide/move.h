/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move.h - the move under way
 *
 * Internal to decide/; the fields live in policy-state.h. At most one move is
 * remembered (target_valid).
 */
#pragma once

#include "decide/policy.h"
#include "decide/law.h"

/* The unit of every step. */
#define MOVE_PAGE 4096ULL
/* Estimates move in whole 2 MiB pages, the size that hosts like best. */
#define MOVE_GRAIN (2ULL << 20)

/* Move to target for this reason. g: the goal behind it, NULL for relief. */
void move_to(struct policy_state *st, const struct view *v, uint64_t target,
	     enum policy_reason reason, const struct law_goal *g);

/* Memory is being given back because the guest is short of it. */
bool move_is_urgent(const struct policy_state *st);

/* Forget the move if it has arrived; begin to settle if it was an inflate. */
void move_arrive(const struct policy_config *c, struct policy_state *st, const struct view *v);

/* Settle: count healthy samples. */
void move_settle(const struct policy_config *c, struct policy_state *st, const struct view *v,
		 uint64_t headroom);

/* A and refaults are distorted by a large inflate. */
bool move_masks(const struct policy_state *st);

/*
 * Compare what was asked for with what was moved. Sets stuck_sign and
 * stuck_reason when asking on is pointless for a while, and forgets the move
 * unless it is urgent.
 */
void move_progress(const struct policy_config *c, struct policy_state *st, const struct sample *s,
		   const struct view *v);
