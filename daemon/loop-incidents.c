// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop-incidents.c - what happened to the guest without the daemon's doing, for the journal
 *
 * Standstills, leases that ran out, the module's last resort, a host that does not
 * let go: each is a line that says what happened and what follows. What lasts is a
 * problem, too. The module's counters tell, not its calls' answers, so that nothing
 * is missed whoever looks first.
 *
 * Leaves out: what the policy makes of it (decide/).
 */
#include "loop-internal.h"

#include <inttypes.h>

#include "basic/log.h"
#include "basic/units.h"

static void say_standstill(struct loop *l, const struct policy_decision *d)
{
	char text[UNITS_MAX];

	if (d->stood_still_us == 0)
		return;
	units_format_time(text, sizeof(text), d->stood_still_us / 1000000 * 1000000);
	log_notice("nothing ran here for %s: the host let the guest stand still, or it slept. What "
		   "was counted meanwhile is not taken for a shortage", text);
	keep_note(l, "nothing ran for %s", text);
}

static void say_lease(struct loop *l, const struct sample_balloon *b)
{
	char given[UNITS_MAX], lease[UNITS_MAX];

	units_format_size(given, sizeof(given), b->lease_given - l->seen.lease_given);
	units_format_time(lease, sizeof(lease), l->config.lease_us);
	log_warning("the lease ran out: the daemon did not run for %s, and the module gives the "
		    "balloon back, so far %s of it. It grows again when that is paid for", lease,
		    given);
	keep_note(l, "the lease ran out, %s given back", given);
}

static void say_oom(struct loop *l, const struct sample_balloon *b)
{
	uint64_t given = b->oom_given - l->seen.oom_given;
	char text[UNITS_MAX];

	units_format_size(text, sizeof(text), given);
	if (given > 0)
		log_warning("out of memory: the module gave %s back before a program was killed",
			    text);
	else
		log_warning("out of memory, and the module had nothing to give back: programs are "
			    "killed");
	keep_note(l, "out of memory, %s given back", text);
}

static void say_module(struct loop *l)
{
	const struct sample_balloon *b = &l->sample.balloon;

	if (b->valid && l->seen.valid && b->lease_events > l->seen.lease_events)
		say_lease(l, b);
	if (b->valid && l->seen.valid && b->oom_events > l->seen.oom_events)
		say_oom(l, b);
	l->seen = *b;
}

void incidents_attached(struct loop *l, const struct sample_balloon *b)
{
	l->seen = *b;
}

void incidents_tick(struct loop *l)
{
	const struct policy_decision *d = &l->decision;

	say_standstill(l, d);
	say_module(l);
	if (d->host_excess > 0)
		problem_set(&l->problems, PROBLEM_HOST, LOG_WARNING,
			    "the host asks for more memory than the guest can spare, and does not let "
			    "go of it; programs may be killed. Have it ask for less, or let go "
			    "(virtio: deflate-on-oom=on), or give the guest more");
	else
		(void)problem_clear(&l->problems, PROBLEM_HOST,
				    "what the host asks for can be spared again");
}
