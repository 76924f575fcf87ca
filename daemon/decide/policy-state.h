/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy-state.h - what the controller remembers between decisions
 *
 * Plain data of fixed size without pointers: it may be copied, compared and
 * stored. Included by policy.h only; only decide/ reads the fields.
 */
#pragma once

#include "decide/evict.h"
#include "decide/insist.h"
#include "decide/law-adaptive.h"
#include "decide/law-committed.h"
#include "decide/move.h"
#include "decide/pace.h"
#include "decide/peaks.h"
#include "decide/pressure.h"
#include "decide/progress.h"
#include "decide/proof.h"
#include "decide/ratelimit.h"
#include "decide/relief.h"
#include "decide/settle.h"
#include "decide/shortage.h"
#include "decide/standstill.h"
#include "decide/start.h"
#include "decide/thrash.h"
#include "decide/turn.h"
#include "decide/view.h"

/*
 * Each part is explained where it is declared, and written there only.
 */
struct policy_state {
	/* Of the last decision; policy.c. */
	enum policy_mode mode;
	enum policy_law law;

	struct view_past past; /* samples before */
	struct standstill standstill; /* whether the next one comes in time */

	struct move move; /* what is being carried out ... */
	struct evict evict; /* ... in which steps, if it is an order ... */
	struct settle settle; /* ... what it leaves behind ... */
	struct progress progress; /* ... and whether it gets anywhere */
	struct proof proof; /* ... or the host anything */

	struct pressure_past pressure; /* how long tasks have been stalling */
	struct thrash thrash; /* what they wait for, and what that has cost */
	struct shortage shortage; /* how that was answered */
	struct relief_seen relief; /* what the module has given back by itself */
	struct peaks peaks; /* when memory was needed */
	struct pace pace; /* whether to look closer */

	struct insist insist; /* whether the host does not let go of what is needed */
	struct start start; /* what starts, and how long that was waited for */
	struct turn turn; /* what turning round costs: not inflating again too soon */

	struct adaptive adaptive;
	struct committed committed;
	struct ratelimit rate; /* of law host */
};
