/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * law-committed.h - what programs have committed to
 *
 * Internal to decide/. Bytes, microseconds.
 */
#pragma once

#include "decide/law.h"

/* Only law-committed.c writes it. */
struct committed {
	uint64_t last_us; /* when the goal was computed; 0 = never */
	uint64_t goal; /* ... bytes of balloon */
	bool swap_known; /* the following are */
	uint64_t swap_used; /* at the last interval, bytes */
	uint64_t swap_left; /* of it, not brought back yet */
	uint32_t swap_quiet; /* intervals in a row without growth */
};

/* headroom: what is to stay available when something is brought back from swap, bytes. */
void law_committed(const struct policy_config *c, struct committed *m, const struct view *v,
		   const struct sample *s, uint64_t headroom, struct law_goal *ret);
