/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * standstill.h - nobody looked for far longer than was meant
 *
 * Internal to decide/. Microseconds.
 */
#pragma once

#include "decide/view.h"

/* Only standstill.c writes it. */
struct standstill {
	uint64_t due_us; /* the next look was to come by then; 0 = there was none yet */
	uint64_t late_us; /* when a look last came far too late, for whatever reason; 0 = never */
	uint64_t seen_us; /* when the last standstill was found; 0 = never */
};

/*
 * Once a decision: for how long nobody looked who should have; 0 = the look comes in time, or the
 * guest is taken to have run meanwhile.
 */
uint64_t standstill_note(struct standstill *st, uint64_t now_us, bool ran);
/* At its end: the next look is due after next_us. */
void standstill_expect(struct standstill *st, uint64_t now_us, uint64_t next_us);

/* What woke the daemon, if it is to be believed so soon after a standstill. */
enum sample_trigger standstill_trigger(const struct standstill *st, const struct sample *s);
