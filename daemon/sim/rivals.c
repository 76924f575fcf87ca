// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rivals.c - what the laws of others have in common
 *
 * A law looks at the guest at its own interval and sets the size that the
 * guest should have; between two looks the size stands, and the balloon driver
 * goes on trying to reach it, as those of virtio and Xen do.
 *
 * Leaves out: host side pressure. Where the original scales its target with
 * the host's shortage, the host here always wants memory.
 */
#include <string.h>

#include "sim/rivals.h"

const struct rival *const rivals[] = {
	&rival_selfballoon, &rival_mom,	&rival_proxmox, &rival_senpai, &rival_vm0,
	&rival_reporting, &rival_static, &rival_recorded, NULL,
};

const struct rival *rival_find(const char *name)
{
	for (const struct rival *const *r = rivals; *r; r++)
		if (!strcmp((*r)->name, name))
			return *r;
	return NULL;
}

void rival_init(struct rival_state *st, uint64_t ram, uint64_t floor, uint64_t fixed)
{
	*st = (struct rival_state) { .ram = ram, .floor = floor, .size = ram, .fixed = fixed };
}

uint64_t rival_decide(const struct rival *r, struct rival_state *st, const struct sample *s)
{
	if (s->time_us >= st->next_us) {
		r->look(st, s);
		st->next_us = s->time_us + r->interval_us;
		if (st->size > st->ram)
			st->size = st->ram;
		if (st->size < st->floor)
			st->size = st->floor;
	}
	return st->ram - st->size;
}
