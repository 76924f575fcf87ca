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
#include "decide/law-adaptive.h"
#include "decide/law-committed.h"
#include "decide/move.h"
#include "decide/pressure.h"
#include "decide/progress.h"
#include "decide/ratelimit.h"
#include "decide/relief.h"
#include "decide/settle.h"
#include "decide/turn.h"
#include "decide/view.h"

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

	struct adaptive adaptive;
	struct committed committed;
	struct ratelimit rate; /* of law host */
};
