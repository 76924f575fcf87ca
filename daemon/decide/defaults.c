// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The default configuration and the floor curve.
 *
 * Sizes that depend on RAM are 0 here and derived in view.c, so that one
 * configuration serves guests from 512 MiB to 1 TiB.
 */
#include "basic/arith.h"
#include "decide/policy-config.h"

#define MIB (1ULL << 20)
#define SEC 1000000ULL

void policy_config_default(struct policy_config *c)
{
	*c = (struct policy_config){
		.mode = MODE_AUTO,
		.law = LAW_ADAPTIVE,
		.limit = UINT64_MAX,
		/* What a login shell and its tools need on top of the unreclaimable. */
		.reserve = 32 * MIB,

		.probe_interval_us = 6 * SEC,
		.probe_permille = 10,
		.probe_pressure_permille = 1,
		.pressure_permille = 70,
		.critical_permille = 100,

		.committed_interval_us = 5 * SEC,
		.committed_down = 8,
		.committed_up = 1,
		/* As the frontswap driver had them. */
		.shrink_inertia = 3,
		.shrink_hysteresis = 20,

		/* Longer than a boot takes, or the start of a large database. */
		.start_wait_us = 300 * SEC,
		.settle_us = 60 * SEC,
		.hold_off_us = 10 * SEC,
		.stall_price = 1024 * MIB,
		.stuck_us = 5 * SEC,
		.proof_interval_us = 600 * SEC,
		.interval_us = SEC,
		/* Headroom and triggers cover what happens in between. */
		.idle_interval_us = 5 * SEC,
	};
}

uint64_t policy_price_of_stall(const struct policy_config *c, uint64_t lost_us)
{
	return scale(c->stall_price, scale(lost_us, 3600, 1000), 1);
}

uint64_t policy_floor_curve(uint64_t ram)
{
	uint64_t floor;

	if (ram < 128 * MIB)
		floor = 8 * MIB + ram / 2;
	else if (ram < 512 * MIB)
		floor = 40 * MIB + ram / 4;
	else if (ram < 2048 * MIB)
		floor = 104 * MIB + ram / 8;
	else if (ram < 8192 * MIB)
		floor = 232 * MIB + ram / 16;
	else
		floor = 488 * MIB + ram / 32;
	return floor < ram ? floor : ram;
}
