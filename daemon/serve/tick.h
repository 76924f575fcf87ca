/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tick.h - one tick of the daemon, as plain data
 *
 * Written by the loop when it has acted; what is logged (journal.c), shown (show.c) and kept
 * (keep.c) is made of this and of nothing else. Bytes and microseconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decide/policy.h"
#include "sense/sample.h"
#include "serve/hold.h"

struct tick {
	uint64_t n;			/* how many there have been */
	uint64_t now_us;		/* when this was written: since boot, sleep included */
	uint64_t wall_us;		/* ... by the clock on the wall */
	bool stopping;			/* the daemon is about to end: there will be no other */

	struct sample sample;
	struct policy_decision decision;
	uint64_t emergencies;		/* that have begun */
	const struct policy_state *learned; /* the loop's, until the next tick */

	/* What is wanted. */
	enum policy_mode mode;
	enum policy_law law;
	uint64_t manual_target;
	uint64_t limit;			/* of the balloon; UINT64_MAX = none is known */
	struct hold hold;
	uint64_t hold_left_us;		/* UINT64_MAX = until released */
	uint64_t lease_us;		/* as configured, 0 = off */
	uint64_t proof_interval_us;
	const char *metrics_file;	/* "" = none */
	const char *config_file;
	const char *config_error;	/* why the last reload failed; "" = it did not */

	/* The device. */
	bool attached;			/* there is one */
	bool read_only;			/* ... opened to look at it */
	bool reporting;			/* ... that is none of ours, but what serves meanwhile */
	char host[16];			/* of the last one there was */
	uint64_t capabilities;		/* UBALLOON_CAP_* */
	uint64_t lease_left_us;
	uint64_t inflated;		/* since the start */
	uint64_t deflated;
};
