/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * insist.h - the host does not let go of what the guest has not got
 *
 * Internal to decide/. Bytes, microseconds.
 */
#pragma once

#include "decide/bounds.h"
#include "decide/pressure.h"

/* Only insist.c writes it. */
struct insist {
	uint64_t since_us; /* it has been so since then; 0 = it is not */
	uint64_t last_us; /* when it last was */
	uint64_t excess; /* what has been said */
};

/*
 * Once a decision: what the host asks for beyond what the guest can spare, where it does not let
 * go; 0 = nothing, or not for long enough. b: the bounds of now. headroom: what should be available.
 */
uint64_t insist_note(struct insist *i, const struct sample *s, const struct view *v,
		     const struct bounds *b, enum pressure level, uint64_t headroom);
/* Nobody looked until now: what has been said holds until it is known to be over. */
void insist_resume(struct insist *i, uint64_t now_us);
