/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * turn.h - how long to wait before a balloon that came down goes up again
 *
 * Internal to decide/; the fields live in policy-state.h.
 */
#pragma once

#include "decide/policy.h"
#include "decide/view.h"

/* Once a decision, before the move under way is forgotten: see which way the balloon went.
 * cheap: by relief that met the demand, which counts as no turn. */
void turn_note(struct policy_state *st, const struct view *v, bool cheap);

/* So many bytes could be taken now, and are not yet. */
void turn_forgo(struct policy_state *st, const struct view *v, uint64_t bytes);

/*
 * For how long so many bytes are still to be left alone; 0 = they may be taken. Never 0 within the
 * hold-off after a deflate.
 */
uint64_t turn_wait(const struct policy_config *c, const struct policy_state *st,
		   const struct view *v, uint64_t bytes);
