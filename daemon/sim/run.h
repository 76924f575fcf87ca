/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * run.h - the closed loop: trace -> guest model -> law -> balloon -> guest model
 *
 * The laws of decide/ run here as they run in the daemon: the same
 * policy_decide() on the same struct sample, woken by the same PSI triggers.
 * Deterministic: the same setup gives the same score on every machine.
 */
#pragma once

#include <stdint.h>

#include "decide/policy.h"
#include "sim/guest.h"
#include "sim/rivals.h"
#include "sim/score.h"
#include "sim/trace.h"

/* What a picture needs: the run, condensed into buckets of equal time. */
struct timeline_bucket {
	uint64_t us;			/* time in it; 0 = it lies within a longer step */
	double demand_sum;		/* bytes x microseconds */
	double usable_sum;		/* RAM - balloon */
	uint64_t demand_max;
	uint64_t usable_max;
	uint64_t mem_some_us;
	uint64_t mem_full_us;
};

struct timeline {
	struct timeline_bucket *buckets;
	size_t n_buckets;
	uint64_t bucket_us;
};

/*
 * The model against a recording (a trace with trace.seen): at every row, what
 * the guest said and what the model says. Bytes.
 */
struct sim_check {
	uint64_t rows;
	double available_error_sum;	/* of absolute errors */
	uint64_t available_error_max;
	double balloon_error_sum;
	uint64_t balloon_error_max;
	uint32_t have;			/* 1U << enum trace_counter, as trace.counted */
	uint64_t seen[_TRACE_COUNTER_MAX]; /* over the whole recording */
	uint64_t model[_TRACE_COUNTER_MAX];
};

/* The guest at a row of the trace. */
struct sim_row {
	uint64_t t_us;
	uint64_t need;
	uint64_t available;
	uint64_t balloon;
	uint64_t count[_TRACE_COUNTER_MAX]; /* since the beginning */
	const struct trace_seen *seen;	/* what the recorded guest had; NULL = no recording */
};

/* For every row of the trace but the first. */
typedef void (*sim_row_observer)(void *userdata, const struct sim_row *row);

/* For every decision of the law, in order of time; NULL = not wanted. */
typedef void (*sim_observer)(void *userdata, const struct sample *s,
			     const struct policy_decision *d);

struct sim_setup {
	const struct trace *trace;
	struct guest_config guest;
	struct policy_config policy;	/* used if rival is NULL */
	const struct rival *rival;
	uint64_t static_size;		/* for rival_static */
	uint64_t floor;			/* for the bound and for the rivals */
	uint64_t early_us;		/* PSI some in 1 s that wakes the law; 0 = never */
	uint64_t emergency_us;		/* PSI full in 1 s */
	struct sim_check *check;	/* NULL = not wanted; cleared here */
	struct timeline *timeline;	/* NULL = not wanted; buckets are cleared here */
	sim_observer observer;		/* NULL = not wanted, both of them */
	sim_row_observer row_observer;
	void *userdata;
};

/* Defaults for a trace: RAM and swap from it, the standard rates, triggers and floor. */
void sim_setup_default(struct sim_setup *s, const struct trace *t, uint64_t ram, uint64_t swap);

/*
 * RAM for a trace that names none: a quarter more than its peak, in steps of
 * 64 MiB, as if provisioned for 80 % use at the peak.
 */
uint64_t sim_ram_for(const struct trace *t);

/* Run the whole trace. 0 or a negative errno. */
int sim_run(const struct sim_setup *s, struct score *ret);

int timeline_init(struct timeline *t, size_t n_buckets);
void timeline_done(struct timeline *t);
