// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The trace reader, and the simulator on whatever it lets through.
 *
 * What is read must be in order and within bounds, with bad rows left out as
 * well as refused; then a short run must end and keep its books in order.
 */
#include <stdio.h>

#include "fuzz.h"
#include "sim/run.h"

/* Longer traces are only read. */
#define RUN_MAX_US 200000000ULL

static void check(const struct trace *t)
{
	uint64_t peak = 0;

	PROMISE(t->n_points >= 2 && t->points[0].t_us == 0);
	for (size_t i = 0; i < t->n_points; i++) {
		const struct trace_point *p = &t->points[i];

		PROMISE(i == 0 || p->t_us > p[-1].t_us);
		PROMISE(p->d.idle <= p->d.need);
		PROMISE(p->d.cold == GUEST_COLD_FILLS || p->d.cold <= 1ULL << 50);
		PROMISE(!t->ram || p->d.need <= t->ram + t->swap);
		if (p->d.need + p->d.hot > peak)
			peak = p->d.need + p->d.hot;
	}
	PROMISE(t->between == TRACE_LINEAR || t->between == TRACE_STEPS);
	PROMISE(trace_peak(t) == peak);
}

static void simulate(const struct trace *t)
{
	struct sim_setup setup;
	struct sim_check seen;
	struct score s;

	if (trace_duration(t) > RUN_MAX_US || t->ram < 16ULL << 20)
		return;
	sim_setup_default(&setup, t, t->ram, t->swap);
	setup.check = t->seen ? &seen : NULL;
	PROMISE(sim_run(&setup, &s) == 0);
	PROMISE(s.duration_us == trace_duration(t));
	PROMISE(s.late_us <= s.duration_us && s.short_us <= s.duration_us && s.relief_max_us <= s.short_us);
	PROMISE(s.mem_full_us <= s.mem_some_us && s.mem_some_us <= s.duration_us);
	/* Nobody beats the clairvoyant, but by being late. */
	PROMISE(s.late_us || s.reclaimed_bs <= s.bound_bs * 1.000001 + 1);
	if (!t->balloon_seen)
		return;
	setup.rival = &rival_recorded;
	PROMISE(sim_run(&setup, &s) == 0);
	PROMISE(s.duration_us == trace_duration(t));
	PROMISE(s.mem_full_us <= s.mem_some_us && s.mem_some_us <= s.duration_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int skip = 0; skip < 2; skip++) {
		struct trace_options o = { .swap = UINT64_MAX, .skip_bad = skip };
		FILE *f = size ? fmemopen((void *)data, size, "r") : NULL;
		struct trace *t = NULL;

		if (!f)
			return 0;
		if (trace_read(f, &o, &t) == 0) {
			PROMISE(skip || !t->n_bad);
			check(t);
			if (skip)
				simulate(t);
		}
		fclose(f);
		trace_free(t);
	}
	return 0;
}
