/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * evict.h - how much an order pushes out at a time
 *
 * Internal to decide/. Bytes, microseconds.
 */
#pragma once

#include "decide/view.h"

/* Only evict.c writes it. */
struct evict {
	uint64_t step; /* the last one; 0 = none yet */
	uint64_t target; /* the balloon that it leads to; 0 = it has arrived */
	uint64_t next_us; /* until then its effects are waited for */
	uint64_t size; /* the balloon at the last look: what is gone since has other reasons */
};

/* There is no order any more. */
void evict_forget(struct evict *e);

/*
 * The balloon that an order for so many bytes leads to now; the present one while it is to be
 * seen what the last step did. lost: tasks wait for what was pushed out.
 */
uint64_t evict_towards(const struct policy_config *c, struct evict *e, const struct view *v,
		       uint64_t order, bool lost);
