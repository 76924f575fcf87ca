// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rivals-senpai.c - senpai, applied to a whole guest
 *
 * senpai squeezes a cgroup until memory stalls say stop: each second it adds
 * up PSI some; over 10 ms since the last change it backs off at once, by the
 * error over 20, at most doubling; 6 s without that it takes a share that
 * falls with the stall, at most 1 %. Here memory.high is the guest's size.
 */
#include "sim/rivals.h"

#define PRESSURE_US 10000
#define INTERVALS 6
#define COEFF_PROBE 10
#define COEFF_BACKOFF 20

static void senpai_look(struct rival_state *st, const struct sample *s)
{
	uint64_t psi = s->psi[PSI_MEM_SOME_US];
	double factor, error;

	if (!st->psi_us)
		st->quiet = INTERVALS;
	else
		st->stall_us += psi + 1 - st->psi_us;
	st->psi_us = psi + 1;

	if (st->stall_us > PRESSURE_US) {
		error = (double)st->stall_us / PRESSURE_US;
		factor = error / COEFF_BACKOFF;
		if (factor > 1)
			factor = 1;
	} else if (st->quiet) {
		st->quiet--;
		return;
	} else {
		error = (double)PRESSURE_US / (st->stall_us ?: 1);
		factor = error / COEFF_PROBE;
		if (factor > 0.01)
			factor = 0.01;
		factor = -factor;
	}
	st->size = s->mem[MEM_TOTAL] * (1 + factor);
	st->stall_us = 0;
	st->quiet = INTERVALS;
}

const struct rival rival_senpai = {
	.name = "senpai",
	.source = "facebookincubator/senpai",
	.interval_us = 1000000,
	.look = senpai_look,
};
