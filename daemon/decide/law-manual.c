// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Law manual: the operator's number.
 *
 * The allocation may evict cache: whoever named the number wants it reached.
 * Floor, limits and relief are the tail's and stay on.
 */
#include "decide/law.h"

void law_manual(const struct policy_config *c, const struct view *v, struct law_goal *ret)
{
	*ret = (struct law_goal){
		.goal = min_u64(c->manual_target, v->ram),
		.reason = REASON_MANUAL,
		.order = true,
		.may_reclaim = true,
		.at_once = UINT64_MAX,
	};
}
