// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rivals-xen.c - selfballooning, and two ways of not ballooning at all
 *
 * selfballoon: the Xen self-ballooning driver that Linux had until 5.2
 * (drivers/xen/xen-selfballoon.c), with its defaults: every 5 s, need =
 * Committed_AS; give up an eighth of what is above it, take back all that is
 * below it. Frontswap, which made its shortages cheap, is gone and not here.
 * The original did not start without swap; here it runs all the same.
 *
 * static: one size for ever, given from outside: the smallest that never
 * hurts. It needs to know the future, as an administrator pretends to.
 *
 * reporting: no balloon; the host gets what the guest happens to have free
 * (free page reporting).
 */
#include "sim/rivals.h"

#define DOWN_HYSTERESIS 8
#define UP_HYSTERESIS 1

static void selfballoon_look(struct rival_state *st, const struct sample *s)
{
	uint64_t have = s->mem[MEM_TOTAL];
	uint64_t need = s->mem[MEM_COMMITTED_AS];

	if (have > need)
		st->size = have - (have - need) / DOWN_HYSTERESIS;
	else
		st->size = have + (need - have) / UP_HYSTERESIS;
}

const struct rival rival_selfballoon = {
	.name = "selfballoon",
	.source = "Linux 5.2 drivers/xen/xen-selfballoon.c",
	.interval_us = 5000000,
	.look = selfballoon_look,
};

static void static_look(struct rival_state *st, const struct sample *s)
{
	(void)s;
	st->size = st->fixed;
}

const struct rival rival_static = {
	.name = "static",
	.source = "the smallest fixed size that never hurts",
	.interval_us = 3600000000,
	.look = static_look,
};

/* What the balloon did is in the trace, not in what the guest shows: run.c moves it. */
static void recorded_look(struct rival_state *st, const struct sample *s)
{
	(void)s;
	st->size = st->ram;
}

const struct rival rival_recorded = {
	.name = "recorded",
	.source = "the recording itself",
	.interval_us = 3600000000,
	.look = recorded_look,
};

static void reporting_look(struct rival_state *st, const struct sample *s)
{
	(void)s;
	st->size = st->ram;
}

const struct rival rival_reporting = {
	.name = "reporting",
	.source = "free page reporting, no balloon",
	.interval_us = 3600000000,
	.counts_free = true,
	.look = reporting_look,
};
