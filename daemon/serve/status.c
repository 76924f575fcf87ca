// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * status.c - what the daemon shows of itself, made of a tick
 *
 * Invariant: all of the status is written each time, so that nothing of a tick before shows.
 *
 * Leaves out: who is shown it (bus.c, notify.c, metrics.c).
 */
#include "serve/status.h"

#include <stdio.h>

#include "basic/problem.h"
#include "serve/account.h"
#include "serve/tick.h"

static void fill_policy(const struct tick *t, struct status *s)
{
	const struct policy_decision *d = &t->decision;

	snprintf(s->mode, sizeof(s->mode), "%s", policy_mode_name(t->mode));
	snprintf(s->law, sizeof(s->law), "%s", policy_law_name(t->law));
	s->target = d->target;
	s->goal = d->goal;
	s->manual_target = t->manual_target;
	s->limit = t->limit;
	s->floor = d->n.floor;
	s->headroom = d->n.headroom;
	s->available = d->n.available;
	snprintf(s->reason, sizeof(s->reason), "%s", policy_reason_name(d->reason));
	snprintf(s->reason_text, sizeof(s->reason_text), "%s",
		 policy_reason_text_in(t->mode, d->reason));
	s->mem_some_permille = d->n.mem_some_permille;
	s->mem_full_permille = d->n.mem_full_permille;
	s->io_some_permille = d->n.io_some_permille;
	s->refault_rate = d->n.refault_rate;
	s->hold_off_left_us = d->n.hold_off_left_us;
	s->expected = d->n.forecast.need ?: UINT64_MAX;
	s->expected_lost_us = d->n.forecast.lost_us;
	s->expected_left_us = d->n.forecast.left_us;
	s->expected_weeks = d->n.forecast.weeks;
	s->expected_kept = d->n.forecast.worth ? d->n.forecast.need : 0;
	s->host_excess = d->host_excess;
	snprintf(s->host_takes, sizeof(s->host_takes), "%s", policy_taken_name(d->taken));
	s->takes_nothing = d->taken == TAKEN_NOTHING;
	s->emergencies = t->emergencies;
}

static void fill_balloon(const struct tick *t, struct status *s)
{
	const struct sample_balloon *b = &t->sample.balloon;

	snprintf(s->host, sizeof(s->host), "%s", t->attached ? t->host : "");
	s->capabilities = t->attached ? t->capabilities : 0;
	s->size = b->size;
	s->host_target = b->host_target_valid ? b->host_target : UINT64_MAX;
	s->lease_left_us = t->lease_left_us;
	s->inflated_total = t->inflated;
	s->deflated_total = t->deflated;
	s->relief_events = b->relief_events;
	s->rescue_events = b->rescue_events;
	s->rescued = b->oom_given + b->lease_given;
	s->relief_line = b->relief_line;
	s->relieved = b->relieved;
	s->relieved_direct = b->relieved_direct;
	s->proofs_taken = b->proofs_taken;
	s->proofs_kept = b->proofs_kept;
	account_describe(b, s);
}

void status_fill(const struct tick *t, const struct problems *p, struct status *ret)
{
	const struct sample *sample = &t->sample;

	*ret = (struct status){
		.ram = sample->ram,
		.free = sample_has_mem(sample, MEM_FREE) ? sample->mem[MEM_FREE] : UINT64_MAX,
		.cached = sample_has_mem(sample, MEM_CACHED) ? sample->mem[MEM_CACHED] : UINT64_MAX,
		.held_left_us = t->hold.held ? t->hold_left_us : UINT64_MAX,
		.ticks = t->n,
	};
	fill_policy(t, ret);
	fill_balloon(t, ret);
	snprintf(ret->held, sizeof(ret->held), "%s", t->hold.held ? t->hold.reason : "");
	snprintf(ret->config_file, sizeof(ret->config_file), "%s", t->config_file);
	snprintf(ret->config_error, sizeof(ret->config_error), "%s", t->config_error);
	snprintf(ret->problem, sizeof(ret->problem), "%s", problem_first(p));
}
