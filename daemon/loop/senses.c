// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * senses.c - what a tick sees beside the balloon
 *
 * Puts a sample together: the kernel's numbers, whether the guest starts something, and which PSI
 * trigger has fired since the last look. What is missing is said, and is no number.
 *
 * Leaves out: where the numbers come from (sense/), and what the balloon adds to them
 * (act/balloon.c).
 */
#include "loop/senses.h"

#include <errno.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/log.h"

void senses_init(struct senses *s, const struct loop_world *world, struct events *events,
		 struct startup *startup, struct problems *problems)
{
	*s = (struct senses){
		.world = world,
		.events = events,
		.startup = startup,
		.problems = problems,
	};
}

static const char *why_unarmed(int r)
{
	switch (-r) {
	case ENOENT:
		return "the kernel has no /proc/pressure";
	case EOPNOTSUPP:
		return "it is switched off; boot with psi=1";
	case EPERM:
	case EACCES:
		return "not permitted; CAP_SYS_RESOURCE is needed";
	}
	return strerror(-r);
}

void senses_arm(struct senses *s, const struct config *c)
{
	const struct config_trigger *triggers[] = {&c->psi_early, &c->psi_emergency};
	static const enum sample_trigger which[] = {TRIGGER_EARLY, TRIGGER_EMERGENCY};
	int failed = 0;

	for (unsigned i = 0; i < 2; i++) {
		int r;

		(void)events_watch_pressure(s->events, which[i], -1);
		if (triggers[i]->stall_us == 0)
			continue;
		r = s->world->arm(s->world->ctx, which[i], triggers[i]);
		if (r >= 0)
			r = events_watch_pressure(s->events, which[i], r);
		if (r < 0)
			failed = r;
	}
	if (failed < 0)
		problem_set(s->problems, PROBLEM_PSI, LOG_WARNING,
			    "no memory pressure trigger (%s); stalls are seen only by looking, "
			    "once per interval", why_unarmed(failed));
	else
		(void)problem_clear(s->problems, PROBLEM_PSI, "memory pressure triggers are set");
}

bool senses_pressure(struct senses *s, enum sample_trigger which, bool lost)
{
	if (lost) {
		problem_set(s->problems, PROBLEM_PSI, LOG_WARNING,
			    "the kernel withdrew a memory pressure trigger; stalls are seen only "
			    "by looking, once per interval. A reload sets it up again");
		return false;
	}
	/*
	 * An emergency is not made smaller by an early warning in the same turn. The look that is
	 * due must not be put off by more of the same.
	 */
	if (s->fired >= which)
		return false;
	s->fired = which;
	return true;
}

void senses_look(struct senses *s, struct sample *ret)
{
	const char *news;
	int r;

	r = s->world->read(s->world->ctx, ret);
	while ((news = s->world->news(s->world->ctx)))
		log_warning("%s", news);
	if (r < 0 || !sample_has_mem(ret, MEM_AVAILABLE))
		problem_set(s->problems, PROBLEM_DATA, LOG_ERR,
			    "MemAvailable cannot be read from /proc/meminfo, or not from "
			    "/sys/class/misc/uballoon; nothing is moved without it. Check that "
			    "both are there and readable");
	else
		(void)problem_clear(s->problems, PROBLEM_DATA, "MemAvailable can be read again");

	if (ret->time_us == 0)
		ret->time_us = clock_boot_us();
	ret->start = startup_look(s->startup, ret->time_us);
	ret->trigger = s->fired;
	ret->psi_armed = events_has_pressure(s->events);
	s->fired = TRIGGER_NONE;
}
