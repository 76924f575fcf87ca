/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * simulate-report.h - scores for people and for programs
 */
#pragma once

#include "ctl/json.h"
#include "sim/run.h"

/* One law at one trace. */
struct simulate_result {
	const char *law;
	struct score score;
};

/* One trace and everything that was run on it. */
struct simulate_report {
	const char *file;
	const struct trace *trace;
	uint64_t ram;
	uint64_t swap;
	const struct guest_speed *speed;
	const struct simulate_result *results;	/* the first is the law in question */
	size_t n_results;
	const struct sim_check *check;		/* NULL = the trace is no recording */
	const struct sim_check *guest_check;	/* ... with the recorded balloon; NULL = none was recorded */
};

void simulate_print(const struct simulate_report *r);
void simulate_json(struct json *j, const struct simulate_report *r);
