/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shortage.h - what is done when memory is short, or was given back already
 *
 * Internal to decide/.
 */
#pragma once

#include <stdint.h>

#include "decide/policy-config.h"

struct round;

/* Only shortage.c writes it. */
struct shortage {
	uint64_t answered_us; /* last time that confirmed stalls were answered; 0 = never */
};

/*
 * Shortage and relief, ahead of every goal; _REASON_MAX if there is neither, else it has decided.
 * goal: what the law would have the balloon be, within the bounds, bytes.
 */
enum policy_reason shortage_decide(const struct round *r, uint64_t goal);
