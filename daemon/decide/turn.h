/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * turn.h - how long to wait before a balloon that came down goes up again
 *
 * Internal to decide/.
 */
#pragma once

#include "decide/view.h"

/* What the balloon's way down has cost, and what leaving it there has cost since. */
struct turn {
	uint64_t size_seen; /* of the balloon, bytes, when it last changed by something ... */
	uint64_t need_seen; /* ... and what the guest needed then */
	bool claim_seen; /* ... and it was a claim */
	bool came_down; /* it became smaller last, and not by order */
	bool alarm; /* ... because programs needed it: orders wait for that, too */
	bool hurt; /* ... and they were short of it: what they lost is to be paid for */
	uint64_t given; /* what it has given back since it was last made larger, bytes */
	uint64_t lost_us; /* what all tasks have lost of their time since */
	uint64_t foregone; /* what has not been taken since x time, bytes x milliseconds */
};

/* What may lie behind a change of the size. */
struct turn_cause {
	bool deflating; /* a deflate is under way: all of it counts, however little */
	bool ordered; /* the move under way follows an order */
	bool claim; /* nobody holds it: page cache grows into it as well */
	bool none; /* there is no device that would tell a size */
};

/*
 * Once a decision, before the move under way is forgotten: see which way the balloon went. Returns how
 * many bytes nobody needed that it has lost all the same, to page cache.
 */
uint64_t turn_note(struct turn *t, const struct view *v, const struct turn_cause *cause);

/* The balloon goes up again: what there was to wait for is paid. */
void turn_upward(struct turn *t);

/* Programs need what comes back, or took it: orders wait as well. met: by relief, without harm. */
void turn_alarm(struct turn *t, bool met);

/* So many bytes could be taken now, and are not yet. */
void turn_forgo(struct turn *t, const struct view *v, uint64_t bytes);

/* For how long so many bytes are still to be left alone, microseconds; 0 = they may be taken. */
uint64_t turn_wait(const struct policy_config *c, const struct turn *t, const struct view *v,
		   uint64_t bytes);
