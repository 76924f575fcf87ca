// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rivals-host.c - managers that run on the host
 *
 * They see the guest through the statistics of its balloon device. Free memory
 * is taken as MemAvailable (with MemFree, a guest whose cache fills what is
 * free would never give anything).
 *
 * MOM (oVirt): every 10 s; the guest should have a fifth of its memory free;
 * at most 5 % less at a time, changes under 0.25 % are dropped, growth is not
 * limited. Proxmox (pvestatd): every 10 s, 100 MiB towards 80 % use, within 10
 * MiB nothing. vm0: every 5 s, above 384 MiB available it takes the excess,
 * at most 256 MiB; below 192 MiB it gives back to 384 MiB (how much it gives is
 * not published).
 */
#include "sim/rivals.h"

#define MIB (1ULL << 20)
#define HOST_INTERVAL_US 10000000

static uint64_t used(const struct sample *s)
{
	return s->mem[MEM_TOTAL] - s->mem[MEM_AVAILABLE];
}

static void mom_look(struct rival_state *st, const struct sample *s)
{
	uint64_t have = s->mem[MEM_TOTAL];
	uint64_t want = used(s) + have / 5;
	uint64_t least = have - have / 20;
	uint64_t change;

	if (want < least)
		want = least;
	change = want > have ? want - have : have - want;
	if (change * 400 >= have)
		st->size = want;
}

const struct rival rival_mom = {
	.name = "mom",
	.source = "oVirt MOM, balloon.rules",
	.interval_us = HOST_INTERVAL_US,
	.look = mom_look,
};

static void proxmox_look(struct rival_state *st, const struct sample *s)
{
	uint64_t have = s->mem[MEM_TOTAL];
	uint64_t want = used(s) * 5 / 4;

	if (want > have + 10 * MIB)
		st->size = have + (want - have < 100 * MIB ? want - have : 100 * MIB);
	else if (have > want + 10 * MIB)
		st->size = have - (have - want < 100 * MIB ? have - want : 100 * MIB);
}

const struct rival rival_proxmox = {
	.name = "proxmox",
	.source = "Proxmox VE pvestatd, auto-ballooning",
	.interval_us = HOST_INTERVAL_US,
	.look = proxmox_look,
};

static void vm0_look(struct rival_state *st, const struct sample *s)
{
	uint64_t have = s->mem[MEM_TOTAL], available = s->mem[MEM_AVAILABLE];

	if (available > 384 * MIB) {
		uint64_t excess = available - 384 * MIB;

		st->size = have - (excess < 256 * MIB ? excess : 256 * MIB);
	} else if (available < 192 * MIB) {
		st->size = have + 384 * MIB - available;
	}
}

const struct rival rival_vm0 = {
	.name = "vm0",
	.source = "vm0",
	.interval_us = 5000000,
	.look = vm0_look,
};
