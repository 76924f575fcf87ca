// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The machine stood still while its clock ran on.
 *
 * A host that is overloaded, takes a snapshot or was stopped lets no vCPU run,
 * for seconds or minutes, and a guest that sleeps does not run either. What
 * counters grew by then is no rate: a task that waited for memory at that moment
 * has waited all the while (Linux kernel/sched/psi.c goes by the clock). Many
 * guests of one host see that in the same second, just when it has no memory to
 * give. So a look that comes far too late begins afresh, and the next one, a
 * moment later, is the first that compares.
 *
 * A daemon that was kept from running by a guest that thrashes sees that thrash a
 * moment later, too. If that moment is as long again, it is no standstill: a guest
 * that runs has to have run between two of them. And where the module's last resort has
 * acted meanwhile, the guest did run: its lease does not count the time in which nothing
 * does.
 *
 * PSI triggers measure by the same clock, and may fire for the gap after it.
 *
 * Leaves out: what the module does meanwhile (its lease), and the watchdog.
 */
#include "decide/standstill.h"

#define SEC 1000000ULL

/* A look is late by less on a machine that merely has other things to do. */
#define LATE_US (10 * SEC)
/* What the guest runs between two standstills, at least. */
#define RAN_US (30 * SEC)
/* A trigger that looks back over its window, 10 s at most, may still see the gap. */
#define TRIGGER_US (12 * SEC)

uint64_t standstill_note(struct standstill *st, uint64_t now_us, bool ran)
{
	uint64_t late_us = st->due_us ? sub_sat(now_us, st->due_us) : 0;
	bool again;

	if (late_us < LATE_US)
		return 0;
	again = st->late_us && st->due_us - st->late_us < RAN_US;
	st->late_us = now_us;
	if (ran || again)
		return 0;
	st->seen_us = now_us;
	return late_us;
}

void standstill_expect(struct standstill *st, uint64_t now_us, uint64_t next_us)
{
	st->due_us = add_sat(now_us, next_us);
}

enum sample_trigger standstill_trigger(const struct standstill *st, const struct sample *s)
{
	if (st->seen_us && s->time_us - st->seen_us < TRIGGER_US)
		return TRIGGER_NONE;
	return s->trigger;
}
