/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress.h - does the transport do what it is asked?
 *
 * Internal to decide/. Microseconds.
 */
#pragma once

#include "decide/view.h"

/*
 * Values of enum uballoon_stop that the policy looks at, part of the module's ABI. decide/ does
 * not include its header; the unit tests assert that they agree.
 */
#define POLICY_STOP_NOMEM   3
#define POLICY_STOP_FLOOR   4
#define POLICY_STOP_REFUSED 5

/* Only progress.c writes it. */
struct progress {
	uint64_t last_us; /* when it last was as asked, or nothing was; 0 = never */
	int stuck_sign; /* direction that is stuck: -1 deflating, 0 = none, 1 inflating */
	enum policy_reason stuck_reason;
	uint64_t stuck_until_us; /* asked again then */
};

/*
 * Once a decision: compare what was asked for with what was moved. True if asking on has just
 * become pointless for a while.
 */
bool progress_note(const struct policy_config *c, struct progress *p, const struct sample *s,
		   const struct view *v);

/* How long the last step took says nothing. */
void progress_interrupt(struct progress *p);

/* Moving this way (move_direction()) is pointless for now. */
bool progress_is_stuck(const struct progress *p, int sign);
