/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy-state.h - what the controller remembers between decisions
 *
 * Plain data of fixed size without pointers: it may be copied, compared and
 * stored. Included by policy.h only; only decide/ reads the fields.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decide/backoff.h"
#include "decide/move.h"
#include "decide/pressure.h"
#include "decide/progress.h"
#include "decide/ratelimit.h"
#include "decide/relief.h"
#include "decide/settle.h"
#include "decide/turn.h"
#include "decide/view.h"

/* Slots of the window that remembers the largest need of the last hold-off time. */
#define POLICY_PEAK_SLOTS 8
/* Slots of the window over which the growth of the need is measured. */
#define POLICY_GROWTH_SLOTS 8

struct policy_state {
	int mode; /* of the last decision; a change drops the move under way */
	int law;

	struct view_past past;

	struct move move;
	struct settle settle;
	struct progress progress;

	struct pressure_past pressure;

	/* Not inflating again too soon. */
	struct backoff hold; /* after a deflate of the law */
	struct backoff alarm; /* after pressure, emergency, relief: holds orders, too */
	uint64_t fast_until_us; /* look every 100 ms */
	uint64_t need_seen; /* at the last sample; 0 = it had no data */
	struct turn turn;
	uint64_t answered_us; /* last time that confirmed stalls were; 0 = never */
	struct relief_seen relief;

	/* Law adaptive. */
	uint64_t burst; /* envelope of the growth of the need, bytes */
	uint64_t burst_us; /* when it was last decayed */
	uint64_t growth_time_us[POLICY_GROWTH_SLOTS];
	uint64_t growth_need[POLICY_GROWTH_SLOTS];
	uint32_t growth_n; /* filled so far */
	uint64_t peak[POLICY_PEAK_SLOTS];
	uint64_t peak_slot; /* number of the newest slot since boot */
	uint64_t next_probe_us;
	uint64_t lean; /* least A with which the guest has been content; 0 = not known */
	uint64_t lean_us; /* when that was last seen */
	uint64_t lean_since_us; /* begin of the stretch that is being watched; 0 = none */
	uint64_t lean_most; /* ... and the largest A within it */
	uint64_t shortfall_us; /* last deflate of the law ... */
	uint64_t shortfall; /* ... and its size */

	/* Law committed. */
	uint64_t committed_us; /* last time that the goal was computed */
	uint64_t committed_goal;
	bool swap_known; /* the following are */
	uint64_t swap_used; /* at the last interval */
	uint64_t swap_left; /* of it, not brought back yet */
	uint32_t swap_quiet; /* intervals in a row without growth */

	/* Law host. */
	struct ratelimit rate;
};
