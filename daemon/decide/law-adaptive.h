/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * law-adaptive.h - what the guest needs plus what it may suddenly want
 *
 * Internal to decide/. Bytes, microseconds.
 */
#pragma once

#include "decide/law.h"

/* Slots of the window over which the growth of the need is measured. */
#define ADAPTIVE_GROWTH_SLOTS 8

/* What was learned of the guest. Only law-adaptive.c writes it. */
struct adaptive {
	uint64_t burst; /* envelope of the growth of the need, bytes */
	uint64_t burst_us; /* when it was last decayed */

	/* The need over the last seconds, oldest first. */
	uint64_t growth_time_us[ADAPTIVE_GROWTH_SLOTS];
	uint64_t growth_need[ADAPTIVE_GROWTH_SLOTS];
	uint32_t growth_n; /* filled so far */

	uint64_t next_probe_us; /* no probe of the cache before */

	uint64_t lean; /* least A that has proved to be enough; 0 = not known */
	uint64_t lean_us; /* when that was */
	uint64_t lean_least; /* least A of late ... */
	uint64_t lean_since_us; /* ... and when; nothing has been missed since; 0 = something was */

	uint64_t shortfall; /* last deflate of the law, bytes ... */
	uint64_t shortfall_us; /* ... and when; 0 = never */
};

/*
 * Learn, in every mode, so that it is there when the mode changes. trust: N is what the guest
 * needs, not distorted by an inflate just made.
 */
void law_adaptive_learn(const struct policy_config *c, struct adaptive *a, const struct view *v,
			bool trust);
/* N is not known: growth is measured afresh. */
void law_adaptive_interrupt(struct adaptive *a);
/* Page cache has grown by so many bytes into what had been taken: the guest was content before. */
void law_adaptive_lapse(const struct policy_config *c, struct adaptive *a, const struct view *v,
			uint64_t bytes);
/* The guest was not content with so little after all. */
void law_adaptive_disprove(struct adaptive *a);
/* No probe of the cache before this time. */
void law_adaptive_next_probe(struct adaptive *a, uint64_t time_us);

/* MemAvailable that the guest should keep, from what was learned. */
uint64_t law_adaptive_headroom(const struct adaptive *a, const struct view *v);
/* By how much the need has risen within the last seconds. */
uint64_t law_adaptive_growth(const struct adaptive *a, const struct view *v);

void law_adaptive(const struct policy_config *c, struct adaptive *a, const struct view *v,
		  struct law_goal *ret);
