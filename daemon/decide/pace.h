/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pace.h - when to look again
 *
 * Internal to decide/. Microseconds.
 */
#pragma once

#include "decide/view.h"

struct round;

/* Only pace.c writes it. */
struct pace {
	uint64_t fast_until_us; /* look as often as is of use */
	uint64_t need_seen; /* N at the last sample, bytes; 0 = it had no data */
};

/* Once a decision: look closer if the need grows fast. */
void pace_note(struct pace *p, const struct view *v);
/* N is not known. */
void pace_interrupt(struct pace *p);
/* After a trigger or a shortage. */
void pace_look_closer(struct pace *p, uint64_t now_us);

/* Look again after this, at the latest. reason: of the decision. */
uint64_t pace_next_us(const struct round *r, enum policy_reason reason);
