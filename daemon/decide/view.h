/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * view.h - a sample put into the policy's terms
 *
 * Internal to decide/. What the laws and the tail reason about: U, A, N, the
 * floor, and rates over the last second or two. Bytes, microseconds, permille;
 * rates in pages a second.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "basic/arith.h"
#include "decide/policy-config.h"
#include "sense/sample.h"

/* Cumulative counters at one time: the far end of a difference. */
struct view_ref {
	uint64_t time_us; /* 0 = empty */
	uint32_t vm_have;
	uint32_t psi_have;
	uint64_t vm[_VM_FIELD_MAX];
	uint64_t psi[_PSI_FIELD_MAX];
};

/* The samples before, as far as differences to them are of interest. view_remember() writes it. */
struct view_past {
	uint64_t last_us; /* time of the last sample; 0 = none */
	uint64_t free; /* MemFree above the high watermarks then */
	struct view_ref newer; /* about one second back ... */
	struct view_ref older; /* ... and two */
};

struct view {
	uint64_t now_us;
	uint64_t dt_us; /* since the last sample; 0 if it was the first */
	bool has_week; /* the time of the local week is known ... */
	uint32_t week_s; /* ... and is this, in seconds since Monday 00:00 */

	/* What the parts of the policy remember that bears on the rest; set by policy.c. */
	bool settling; /* A and refaults are distorted by a large inflate */
	bool growing; /* the need has just risen by a quarter of what is left */
	bool own_reclaim; /* the balloon itself has just been reclaiming */
	bool inflating; /* a move up has been under way; else nobody wanted it larger */
	uint64_t pending; /* what a deflate under way is about to add, bytes ... */
	enum policy_reason pending_reason; /* ... and why */
	uint64_t expected; /* the need that it is worth to be prepared for now, bytes; 0 = none */
	bool peak_ahead; /* ... which begins in some minutes */

	uint64_t ram;
	uint64_t page; /* the least that can be moved */
	uint64_t size; /* B; 0 without a device */
	uint64_t usable; /* U */
	uint64_t available; /* A */
	uint64_t need; /* N */
	bool has_free;
	uint64_t free; /* MemFree above the high watermarks */

	uint64_t floor;
	uint64_t headroom_min;
	uint64_t headroom_max;
	uint64_t worthwhile;
	uint64_t dead_band;
	/* Below a line the module gives programs memory by itself, and the balloon has as much. */
	bool relief;
	uint64_t lock_floor; /* MemAvailable that the module leaves when it takes, bytes; 0 = not known */
	uint64_t relievable; /* what it could give them so, bytes */

	/* Rates over the window; 0 if the flag says that there are none. */
	bool has_psi;
	uint32_t mem_some;
	uint32_t mem_full;
	uint32_t io_some;
	bool has_io;
	bool has_vm;
	uint64_t paying; /* tasks that reclaim for themselves: stalls and direct scans */
	uint64_t swapping; /* swapped in and out */
	uint64_t swapped_in; /* ... of that, what somebody waits for */
	uint64_t refaults; /* activations + restores */
	uint64_t restores;
	uint64_t file_restores; /* ... of those, what a disk has read: swap may be in memory */
	uint32_t lost; /* what all tasks lost of their time for want of memory, permille */
};

/*
 * Derive *ret, but for what is set by policy.c, from *s and its past.
 * False: a number without which nothing can be decided is missing or absurd;
 * *ret then has what is known, for display.
 */
bool view_make(const struct policy_config *c, const struct view_past *past, const struct sample *s,
	       struct view *ret);

/* The next sample is the first one again. */
void view_forget(struct view_past *past);

/* *s is not newer than the sample before it. */
bool view_is_stale(const struct view_past *past, const struct sample *s);

/*
 * Make *s, which *v was made of, the last sample, and a reference of later rates. Call at the end
 * of a decision.
 */
void view_remember(struct view_past *past, const struct sample *s, const struct view *v);
