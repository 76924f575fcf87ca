// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Waiting while the guest boots, or starts services.
 *
 * Programs size caches and heaps by the memory that they find when they start.
 * A balloon that grows meanwhile makes them too small, or takes what they are
 * about to use. So no estimate inflates until the start has settled.
 *
 * A unit that never comes up must not keep the balloon away for ever: a boot is
 * waited for until the guest has been up for start_wait. For services start_wait
 * is a stock: waiting uses it up, time without starts fills it again as fast. A
 * service that hangs is thus waited for once and for so long, and one that fails
 * and is started again all day costs half of the time at most.
 *
 * Leaves out: how it is known that something starts (serve/startup.c), and orders.
 */
#include "basic/arith.h"
#include "decide/start.h"

void start_note(const struct policy_config *c, struct start *w, const struct sample *s)
{
	uint64_t dt_us = w->seen_us ? sub_sat(s->time_us, w->seen_us) : 0;

	/* Between two samples it was as the first one said. */
	if (w->what == SAMPLE_START_SERVICES)
		w->waited_us = min_u64(add_sat(w->waited_us, dt_us), c->start_wait_us);
	else
		w->waited_us = sub_sat(w->waited_us, dt_us);
	w->what = s->start;
	w->seen_us = s->time_us;
}

bool start_waits(const struct policy_config *c, const struct start *w)
{
	switch (w->what) {
	case SAMPLE_START_BOOT:
		/* The clock of samples begins with the boot. */
		return w->seen_us < c->start_wait_us;
	case SAMPLE_START_SERVICES:
		return w->waited_us < c->start_wait_us;
	case SAMPLE_START_NONE:
		break;
	}
	return false;
}
