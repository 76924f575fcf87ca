/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * relief.h - the relief line, and what the module has given by it
 *
 * Internal to decide/.
 */
#pragma once

#include "decide/view.h"

/* The module's counters at the last sample that was noted. Only relief_note() writes it. */
struct relief_seen {
	bool valid; /* there was a balloon, and the following are its */
	uint64_t rescues; /* times that it was a last resort, cumulative */
	uint64_t relieved; /* bytes given by the relief line, cumulative, when it last was an event */
};

/* What the module has done by itself since the last sample. */
struct relief {
	bool given; /* memory, worth a decision */
	bool rescued; /* by its last resort: out of memory, or the lease */
	uint64_t bytes; /* given to programs that asked, by the relief line */
};

/* Whether the module's last resort has acted since the last sample: then the guest did run. */
bool relief_has_rescued(const struct relief_seen *seen, const struct sample *s);

/* Once a decision: what has happened since the one before. */
void relief_note(struct relief_seen *seen, const struct sample *s, const struct view *v,
		 struct relief *ret);

/*
 * MemAvailable below which the module gives memory back by itself, bytes. keeps: what has to be
 * available so that nobody waits for cache, bytes; 0 = not known.
 */
uint64_t relief_line(const struct sample *s, const struct view *v, uint64_t headroom,
		     uint64_t keeps);
