/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * round.h - what one decision is made from
 *
 * Internal to decide/. policy.c fills it from top to bottom; the parts of a
 * decision that weigh one thing against another take it as a whole.
 */
#pragma once

#include "decide/bounds.h"
#include "decide/policy.h"

struct round {
	const struct policy_config *c;
	struct policy_state *st;
	const struct sample *s;
	const struct view *v;
	struct relief relief; /* what the module gave back since the last sample */
	struct bounds b;
	enum pressure level;
	uint64_t headroom; /* what the guest should have available, bytes */
};
