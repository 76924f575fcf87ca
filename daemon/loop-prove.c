// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop-prove.c - whether the host takes what it is given
 *
 * The policy says when to ask, and makes something of the answer in the next tick. Here the
 * transport is asked, for a fraction of a second at most, and what came out is said.
 *
 * Leaves out: what a proof is (kmod/prove.c), and what follows from it (decide/proof.c).
 */
#include "loop-internal.h"

#include <errno.h>

#include "basic/log.h"
#include "basic/units.h"

/* A page takes milliseconds. Who answers later than that has one more in the balloon instead. */
#define PROVE_BUDGET_US (100 * 1000)

static void ask(struct loop *l, uint64_t hold_us)
{
	enum sample_proof proof;
	int r;

	if (!l->transport->ops->prove)
		return;
	r = l->transport->ops->prove(l->transport, PROVE_BUDGET_US, hold_us, &proof);
	/* A host, or a module of before, of which nothing can be proven. */
	if (r == -EOPNOTSUPP || r == -ENOTTY)
		return;
	if (r < 0)
		device_failed(l, "prove that the host takes memory", r);
	else
		l->proof = proof;
}

static void say(struct loop *l, enum policy_taken taken)
{
	char often[UNITS_MAX];

	if (taken == TAKEN_NOTHING)
		problem_set(&l->problems, PROBLEM_NOT_TAKEN, LOG_WARNING,
			    "the host takes nothing: it answers, but keeps what it is given (locked "
			    "memory, huge pages, a device passed through?). What it does not insist on is "
			    "given back; the host is asked again every %s",
			    units_format_time(often, sizeof(often), l->policy.proof_interval_us));
	else if (taken == TAKEN_PROVEN)
		(void)problem_clear(&l->problems, PROBLEM_NOT_TAKEN, "the host takes memory again");
	else if (taken == TAKEN_UNKNOWN)
		(void)problem_clear(&l->problems, PROBLEM_NOT_TAKEN,
				    "whether the host takes memory is no longer known");
}

void prove_tick(struct loop *l, const struct policy_decision *d)
{
	say(l, d->taken);
	if (d->prove && l->transport && !l->read_only && !l->stopping)
		ask(l, d->prove_hold_us);
}
