// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * journal.c - what a tick gives to say, for the log and for the notes of the history
 *
 * Moves, and what happened to the guest without the daemon's doing: standstills, leases that ran
 * out, the module's last resort, a host that does not let go, or takes nothing. Each is a line that
 * says what happened and what follows; what lasts is a problem, too. The module's counters tell,
 * not its calls' answers, so that nothing is missed whoever looks first.
 *
 * Leaves out: what the policy makes of it (decide/), and what becomes of the transport, which
 * is said where it happens (act/).
 */
#include "serve/journal.h"

#include <inttypes.h>
#include <stdio.h>

#include "basic/log.h"
#include "basic/units.h"

/* A move that goes on, or begins again for the same reason, is logged this often. */
#define SAY_AGAIN_US (600ULL * 1000 * 1000)

void journal_init(struct journal *j, struct problems *problems, struct keep *keep)
{
	*j = (struct journal){.problems = problems, .keep = keep};
}

static void say_taken(struct journal *j, const struct tick *t)
{
	enum policy_taken taken = t->decision.taken;
	char often[UNITS_MAX];

	if (taken == TAKEN_NOTHING)
		problem_set(j->problems, PROBLEM_NOT_TAKEN, LOG_WARNING,
			    "the host takes nothing: it answers, but keeps what it is given "
			    "(locked memory, huge pages, a device passed through?). What it does "
			    "not insist on is given back; the host is asked again every %s",
			    units_format_time(often, sizeof(often), t->proof_interval_us));
	else if (taken == TAKEN_PROVEN)
		(void)problem_clear(j->problems, PROBLEM_NOT_TAKEN, "the host takes memory again");
	else if (taken == TAKEN_UNKNOWN)
		(void)problem_clear(j->problems, PROBLEM_NOT_TAKEN,
				    "whether the host takes memory is no longer known");
}

static void say_stuck(struct journal *j, const struct tick *t)
{
	const struct sample_balloon *b = &t->sample.balloon;

	if (t->decision.reason == REASON_STUCK)
		problem_set(j->problems, PROBLEM_STUCK, LOG_WARNING,
			    "the balloon device makes no progress; waiting before asking again. "
			    "Look at the host and at the counters of uballoon in debugfs");
	else if (b->asked != 0 && b->moved != 0)
		(void)problem_clear(j->problems, PROBLEM_STUCK, "the balloon moves again");
}

/* One line when the direction or its reason changes; the journal is no time series. */
static void say_move(struct journal *j, const struct tick *t)
{
	char from[UNITS_MAX], to[UNITS_MAX], field_from[64], field_to[64], field_why[64];
	const char *fields[] = {field_from, field_to, field_why, NULL};
	const struct policy_decision *d = &t->decision;
	uint64_t size = t->sample.balloon.size, at = t->sample.time_us;
	int sign = (d->step > 0) - (d->step < 0);

	if (sign == 0 || (sign == j->said_sign && d->reason == j->said_reason &&
			  at - j->said_us < SAY_AGAIN_US))
		return;
	j->said_us = at;
	j->said_sign = sign;
	j->said_reason = d->reason;
	snprintf(field_from, sizeof(field_from), "BALLOON_SIZE=%" PRIu64, size);
	snprintf(field_to, sizeof(field_to), "BALLOON_TARGET=%" PRIu64, d->target);
	snprintf(field_why, sizeof(field_why), "BALLOON_REASON=%s", policy_reason_name(d->reason));
	log_write(d->reason == REASON_EMERGENCY ? LOG_NOTICE : LOG_INFO, fields,
		  "balloon from %s to %s: %s", units_format_size(from, sizeof(from), size),
		  units_format_size(to, sizeof(to), d->target), policy_reason_text(d->reason));
}

static void say_standstill(struct journal *j, const struct tick *t)
{
	uint64_t stood_us = t->decision.stood_still_us;
	char text[UNITS_MAX];

	if (stood_us == 0)
		return;
	units_format_time(text, sizeof(text), stood_us / 1000000 * 1000000);
	log_notice("nothing ran here for %s: the host let the guest stand still, or it slept. What "
		   "was counted meanwhile is not taken for a shortage", text);
	keep_note(j->keep, "nothing ran for %s", text);
}

static void say_lease(struct journal *j, const struct tick *t)
{
	uint64_t given = t->sample.balloon.lease_given - j->seen.lease_given;
	char text[UNITS_MAX], lease[UNITS_MAX];

	units_format_size(text, sizeof(text), given);
	units_format_time(lease, sizeof(lease), t->lease_us);
	log_warning("the lease ran out: the daemon did not run for %s, and the module gives the "
		    "balloon back, so far %s of it. It grows again when that is paid for", lease,
		    text);
	keep_note(j->keep, "the lease ran out, %s given back", text);
}

static void say_oom(struct journal *j, const struct tick *t)
{
	uint64_t given = t->sample.balloon.oom_given - j->seen.oom_given;
	char text[UNITS_MAX];

	units_format_size(text, sizeof(text), given);
	if (given > 0)
		log_warning("out of memory: the module gave %s back before a program was killed",
			    text);
	else
		log_warning("out of memory, and the module had nothing to give back: programs are "
			    "killed");
	keep_note(j->keep, "out of memory, %s given back", text);
}

static void say_module(struct journal *j, const struct tick *t)
{
	const struct sample_balloon *b = &t->sample.balloon;

	if (b->valid && j->seen.valid && b->lease_events > j->seen.lease_events)
		say_lease(j, t);
	if (b->valid && j->seen.valid && b->oom_events > j->seen.oom_events)
		say_oom(j, t);
	j->seen = *b;
}

static void say_host(struct journal *j, const struct tick *t)
{
	if (t->decision.host_excess > 0)
		problem_set(j->problems, PROBLEM_HOST, LOG_WARNING,
			    "the host asks for more memory than the guest can spare, and does not "
			    "let go of it; programs may be killed. Have it ask for less, or let go "
			    "(virtio: deflate-on-oom=on), or give the guest more");
	else
		(void)problem_clear(j->problems, PROBLEM_HOST,
				    "what the host asks for can be spared again");
}

void journal_attached(struct journal *j, const struct sample_balloon *b)
{
	j->seen = *b;
}

void journal_tick(struct journal *j, const struct tick *t)
{
	say_taken(j, t);
	say_stuck(j, t);
	say_move(j, t);
	say_standstill(j, t);
	say_module(j, t);
	say_host(j, t);
}
