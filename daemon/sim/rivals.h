/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rivals.h - the balloon laws of others, for comparison
 *
 * Re-implemented from their published formulas and default numbers; each .c
 * names its source and what had to be chosen. They see the same samples as our
 * own laws and work by the same mechanism: the rates, the floor, the OOM notifier
 * and the shrinker of uballoon.ko. So laws are compared, not drivers; the stock
 * drivers have no floor (they take more) and give 1 MiB a call of the OOM notifier
 * (they give it later). Never used by the daemon.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sense/sample.h"

struct rival_state {
	uint64_t ram;
	uint64_t floor;
	uint64_t size;		/* what the guest should have, bytes */
	uint64_t next_us;	/* when the law looks again */
	uint64_t psi_us;	/* senpai: PSI some at the last look */
	uint64_t stall_us;	/* ... stall since the last change of size */
	uint32_t quiet;		/* ... looks left before it may take more */
	uint64_t fixed;		/* static: the size */
};

struct rival {
	const char *name;
	const char *source;
	uint64_t interval_us;
	bool counts_free;	/* what it reclaims is the guest's free memory, not a balloon */
	/* Set st->size from the sample. Called each interval_us; *s has all of meminfo and PSI. */
	void (*look)(struct rival_state *st, const struct sample *s);
};

extern const struct rival rival_selfballoon;
extern const struct rival rival_mom;
extern const struct rival rival_proxmox;
extern const struct rival rival_senpai;
extern const struct rival rival_vm0;
extern const struct rival rival_reporting;
extern const struct rival rival_static;
extern const struct rival rival_recorded; /* moved by run.c, as the recorded balloon was */

/* All of them, NULL-terminated, in the order of the tables. */
extern const struct rival *const rivals[];
const struct rival *rival_find(const char *name);

void rival_init(struct rival_state *st, uint64_t ram, uint64_t floor, uint64_t fixed);
/* Look if it is time; returns the balloon that the law wants, within [0, ram - floor]. */
uint64_t rival_decide(const struct rival *r, struct rival_state *st, const struct sample *s);
