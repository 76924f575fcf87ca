/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * settle.h - waiting until an inflate has shown what it does
 *
 * Internal to decide/. Microseconds.
 */
#pragma once

#include "decide/view.h"

/* Only settle.c writes it. */
struct settle {
	bool active;
	bool masks; /* the inflate was so large that a low A after it means nothing */
	uint64_t since_us;
	uint64_t last_us; /* last sample that counted */
	uint32_t healthy; /* samples in a row */
};

/* An inflate has ended. masks: it was a large one. */
void settle_start(const struct policy_config *c, struct settle *w, const struct view *v,
		  bool masks);

/* Once a decision: count healthy samples. headroom: what should be available, bytes. */
void settle_note(const struct policy_config *c, struct settle *w, const struct view *v,
		 uint64_t headroom);

void settle_end(struct settle *w);

/* A and refaults are distorted by the inflate. */
bool settle_masks(const struct settle *w);
