/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bounds.h - what a balloon may be at all
 *
 * Internal to decide/. Bytes; lo <= hi.
 */
#pragma once

#include "decide/view.h"

struct bounds {
	uint64_t lo; /* relief goes no lower */
	uint64_t hi;
	enum policy_reason hi_reason;
	uint64_t spare; /* what the floors alone would allow; nothing else lowers it */
};

/* Not more than that, whoever wants it; not less than lo. */
void bounds_cap(struct bounds *b, uint64_t hi, enum policy_reason reason);

void bounds_make(const struct policy_config *c, const struct sample *s, const struct view *v,
		 struct bounds *ret);
