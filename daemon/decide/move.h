/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move.h - the move under way
 *
 * Internal to decide/. At most one move is remembered. Bytes, microseconds.
 */
#pragma once

#include "decide/law.h"

/* The unit of every step. */
#define MOVE_PAGE 4096ULL
/* Estimates move in whole 2 MiB pages, the size that hosts like best. */
#define MOVE_GRAIN (2ULL << 20)

/* Only move.c writes it. What is said of a move stays readable after it has ended. */
struct move {
	bool valid; /* there is one under way */
	int sign; /* -1 deflates, 1 inflates */
	bool order; /* follows an order, not an estimate */
	bool may_reclaim; /* allocation may evict cache */
	bool masks; /* an inflate so large that a low A after it means nothing */
	uint64_t target; /* where it leads, bytes of balloon */
	enum policy_reason reason;
	uint64_t since_us; /* when a move last began; 0 = never */
};

/* Which way it is from one size to another: -1 deflates, 1 inflates. */
int move_direction(uint64_t from, uint64_t to);

/* Move to target for this reason. g: the goal behind it, NULL for relief. */
void move_to(struct move *m, const struct view *v, uint64_t target, enum policy_reason reason,
	     const struct law_goal *g);

bool move_is_up(const struct move *m);
bool move_is_down(const struct move *m);
/* Memory is being given back because the guest is short of it. */
bool move_is_urgent(const struct move *m);
/* It gives back ahead of the relief line what that would have given a moment later. */
bool move_is_cheap(const struct move *m, const struct view *v);
/* A and refaults are distorted by it. */
bool move_masks(const struct move *m);

/* Lead no higher than this. */
void move_lower(struct move *m, uint64_t target);
/* Bounds may have moved since it began: it leads no further than they allow. */
void move_bound(struct move *m, const struct view *v, uint64_t lo, uint64_t hi);

/* Forget it if it has arrived. Whether it was an inflate that has. */
bool move_arrive(struct move *m, const struct view *v);
/* Forget it for lack of progress, unless it is urgent. Whether it was an inflate. */
bool move_give_up(struct move *m);
void move_drop(struct move *m);
/* It was not carried out at all, and leaves nothing to wait for. */
void move_undo(struct move *m);

/* What is to be moved now, > 0 inflates: as much as is left and the rates of *c and *g allow. */
int64_t move_step(const struct policy_config *c, const struct move *m, const struct view *v,
		  const struct law_goal *g);
