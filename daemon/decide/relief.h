/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * relief.h - the relief line, and what the module has given by it
 *
 * Internal to decide/; the fields live in policy-state.h.
 */
#pragma once

#include "decide/policy.h"
#include "decide/view.h"

/* What the module has done by itself since the last sample. */
struct relief {
	bool given; /* memory, worth a decision */
	bool rescued; /* by its last resort: out of memory, or the lease */
	bool cheap; /* the balloon has become smaller, by the relief line for the most part */
	uint64_t bytes; /* given to programs that asked, by the relief line */
};

/* Once a decision: what has happened since the one before. */
void relief_note(struct policy_state *st, const struct sample *s, const struct view *v,
		 struct relief *ret);

/* MemAvailable below which the module gives memory back by itself, bytes. */
uint64_t relief_line(const struct sample *s, const struct view *v, uint64_t headroom);
