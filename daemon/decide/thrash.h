/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * thrash.h - what was pushed out and is waited for, and how far the balloon may go since
 *
 * Internal to decide/. The same for every mode and law.
 */
#pragma once

#include "decide/view.h"

/* What thrash has cost. Only thrash.c writes it. */
struct thrash {
	uint64_t ram; /* of the guest, bytes */
	uint64_t lost_us; /* tasks' time, beyond what is ordinary, lately */
	bool capped; /* the balloon hurt, and goes no further than cap ... */
	uint64_t cap; /* ... bytes */
	bool reached; /* it has come down to that */
	uint64_t keeps; /* available with that, bytes: in use, as far as it is cache */
	uint64_t wanted; /* what it would be without, bytes */
	bool mends; /* what was lost is still being read again */
	uint64_t came_back; /* what was read again since the last answer, bytes */
	uint64_t answer; /* what was given back last, bytes; 0 = a larger balloon was tried since */
	uint64_t hurt; /* the size at which it did, bytes ... */
	uint32_t times; /* ... and how often about there, in a row */
	uint64_t cost_us; /* time that all tasks lost by it the last time */
	uint64_t foregone; /* what was left alone for that, bytes x milliseconds */
	uint64_t next_step_us; /* the cap is not raised before */
};

/* Once a decision: whether tasks wait for what was evicted. */
bool thrash_note(const struct policy_config *c, struct thrash *t, const struct view *v);

/* Tasks wait just now, for the working set among other things, or for the most part. */
bool thrash_is_part(const struct policy_config *c, const struct thrash *t, const struct view *v);
bool thrash_is_most(const struct policy_config *c, const struct thrash *t, const struct view *v);

/*
 * Give some back, at least so much: the balloon comes down, not below lo, and has a cap from now
 * on. Bytes.
 */
void thrash_answer(const struct policy_config *c, struct thrash *t, const struct view *v,
		   uint64_t least, uint64_t lo);

/*
 * The largest balloon that is not known to hurt, bytes; UINT64_MAX: none does. headroom: what the
 * guest should have available, bytes.
 */
uint64_t thrash_cap(const struct thrash *t, const struct view *v, uint64_t headroom);

/* So much must be available, or programs wait for their cache, bytes; 0 = not known. */
uint64_t thrash_keeps(const struct thrash *t);

/*
 * The balloon would be so large but for the cap: once that has been dearer than what trying has
 * cost, it is tried, in small steps.
 */
void thrash_forgo(const struct policy_config *c, struct thrash *t, const struct view *v,
		  uint64_t wanted);

/*
 * For how long the balloon is not going to be larger than the cap, microseconds; 0 = it may, or
 * does not want to.
 */
uint64_t thrash_wait(const struct policy_config *c, const struct thrash *t, const struct view *v);
