/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trace.h - demand over time, read from a file
 *
 * Three formats, told apart by their column names; balloon-trace(5) describes
 * them. Whatever the format, a trace is a list of points, each with what the
 * workload wants at that time, and a rule for what lies between (linear or
 * steps). Amounts are bytes, times microseconds since the first row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/guest.h"

enum trace_format {
	TRACE_DEMAND,		/* t_s,need_kib[,hot_cache_kib,cold_cache_kib,...] */
	TRACE_CAPACITY,		/* t_s,capacity_kib,active_kib[,...] */
	TRACE_RECORDING,	/* what `balloonctl record` writes */
};

enum trace_between {
	TRACE_AS_HEADER,	/* options only: as the file says, linear if it says nothing */
	TRACE_LINEAR,
	TRACE_STEPS,		/* a row holds until the next one */
};

struct trace_point {
	uint64_t t_us;
	struct guest_demand d;
};

/* What a guest counts of its troubles: stalls in microseconds, pages that came back. */
enum trace_counter {
	TRACE_MEM_SOME,
	TRACE_MEM_FULL,
	TRACE_IO_SOME,
	TRACE_IO_FULL,
	TRACE_REFAULT_FILE,
	TRACE_REFAULT_ANON,
	TRACE_ACTIVATE_FILE,	/* file pages that came back so soon that they were working set */
	TRACE_RESTORE_FILE,	/* ... and had been on the active list before */
	TRACE_RESTORE_ANON,
	TRACE_PSWPOUT,
	TRACE_PGSCAN_KSWAPD,
	TRACE_PGSCAN_DIRECT,
	TRACE_PGSTEAL_KSWAPD,
	TRACE_PGSTEAL_DIRECT,
	_TRACE_COUNTER_MAX,
};

/* Its column in a recording. */
const char *trace_counter_name(enum trace_counter c);

/* What the recorded guest itself showed, for comparison with the model. */
struct trace_seen {
	uint64_t available;
	uint64_t balloon;
	uint64_t count[_TRACE_COUNTER_MAX]; /* since the first row */
};

struct trace {
	enum trace_format format;
	enum trace_between between;
	uint64_t ram;		/* from the file or the options; 0 = neither says */
	uint64_t swap;
	bool swap_known;
	struct guest_speed speed; /* from the file or the options; 0 = neither says */
	uint64_t first_free;	/* MemFree of a recording's first row; UINT64_MAX = not known */
	bool pace_seen;		/* speed.reclaim_rate is what the recorded counters make it */
	struct trace_point *points;
	struct trace_seen *seen; /* NULL, or one for each point */
	bool balloon_seen;	/* ... which tells what the balloon was */
	uint32_t counted;	/* 1U << enum trace_counter: every row has it */
	size_t n_points;
	size_t n_bad;		/* rows left out */
};

struct trace_options {
	uint64_t ram;		/* 0 = from the file */
	uint64_t swap;		/* UINT64_MAX = from the file */
	struct guest_speed speed; /* 0 = from the file */
	enum trace_between between;
	bool skip_bad;		/* leave bad rows out; else one bad row fails the whole read */
	/*
	 * Called for every bad row and every other remark, line 0 = the file as a
	 * whole. *why is a sentence without a full stop.
	 */
	void (*report)(void *userdata, size_t line, const char *why, bool bad);
	void *userdata;
};

/*
 * Read a trace. Errors, each reported with its line:
 *   -EBADMSG  no usable header, or a bad row and !skip_bad
 *   -ENODATA  fewer than two usable rows
 *   -E2BIG    more than TRACE_POINTS_MAX rows
 * and those of reading and of memory.
 */
#define TRACE_POINTS_MAX (64UL << 20)
int trace_read(FILE *f, const struct trace_options *o, struct trace **ret);
void trace_free(struct trace *t);

/* Build a trace in memory; for tests and benchmarks. Takes a copy of the points. */
int trace_new(const struct trace_point *points, size_t n, enum trace_between between,
	      uint64_t ram, uint64_t swap, struct trace **ret);

/* The largest need + hot cache of the trace. */
uint64_t trace_peak(const struct trace *t);

static inline uint64_t trace_duration(const struct trace *t)
{
	return t->points[t->n_points - 1].t_us;
}

/* Walks forward through a trace. */
struct trace_cursor {
	const struct trace *t;
	size_t i;		/* points[i].t_us <= now */
};

/* Demand at now_us, which never goes back. At a step: what holds from there on. */
void trace_at(struct trace_cursor *c, uint64_t now_us, struct guest_demand *ret);
/* Demand just before now_us: differs from trace_at() only at a step. */
void trace_before(const struct trace_cursor *c, uint64_t now_us, struct guest_demand *ret);
/* Time of the next point after the last trace_at(); UINT64_MAX at the end. */
uint64_t trace_next(const struct trace_cursor *c);
