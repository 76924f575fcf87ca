// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop-prove.c - whether the host takes what it is given
 *
 * Leaves out: what a proof is (kmod/prove.c), who asks for it (act/balloon.c), and what follows from
 * it (decide/proof.c).
 */
#include "loop-internal.h"

#include "basic/log.h"
#include "basic/units.h"

void prove_say(struct loop *l, enum policy_taken taken)
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
