// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Law host: the hypervisor's target, at the rates of the VMware driver.
 *
 * Without a target there is no order, and the balloon stays as it is: a host
 * that has gone silent is no reason to move either way.
 */
#include "decide/law.h"
#include "decide/progress.h"

void law_host_feedback(struct ratelimit *r, const struct sample_balloon *b)
{
	uint32_t failure = b->asked > 0 ? POLICY_STOP_NOMEM : POLICY_STOP_REFUSED;

	/* Running out of time says nothing about the guest's memory. */
	ratelimit_feedback(r, b->asked, b->stop == failure ? b->moved : b->asked);
}

void law_host(const struct ratelimit *r, const struct view *v, const struct sample *s,
	      struct law_goal *ret)
{
	bool known = s->balloon.valid && s->balloon.host_target_valid;

	*ret = (struct law_goal){
		.goal = known ? s->balloon.host_target : v->size,
		.reason = known ? REASON_HOST : REASON_NO_DATA,
		.order = true,
		.at_once = UINT64_MAX,
		.deflate_rate = ratelimit_free(r),
	};
	ret->inflate_rate = ratelimit_alloc(r, &ret->may_reclaim);
}
