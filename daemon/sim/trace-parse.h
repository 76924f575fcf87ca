/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trace-parse.h - what the two halves of the trace reader share
 *
 * Private to trace-*.c. Functions that judge text return NULL, or what is
 * wrong with it, to stand behind its name.
 */
#pragma once

#include "sim/trace.h"

/* Digits with an optional fraction, times unit, rounded down. */
const char *trace_number(const char *s, uint64_t unit, uint64_t *ret);

/* Drop blanks before end. */
void trace_trim(const char *begin, char *end);

/*
 * A comment that may be a setting of the trace: "# NAME: VALUE". It has to
 * stand before the column names. *ret_key is its name, in line.
 */
const char *trace_setting(struct trace *t, char *line, bool late, const char **ret_key);

/*
 * What went through the page cache of a recorded guest, from what its lists,
 * as they were read, gained and what reclaim took from them meanwhile.
 */
void trace_recorded_stream(struct trace *t);

/* How fast kswapd reclaimed there, if neither the options nor the file tell and the counters do. */
void trace_recorded_pace(struct trace *t);

/* The counter of hot cache that came back: it had been active, or is at once. */
static inline enum trace_counter trace_came_back_hot(const struct trace *t)
{
	return t->counted & 1U << TRACE_RESTORE_FILE ? TRACE_RESTORE_FILE : TRACE_ACTIVATE_FILE;
}

/*
 * The points of a recording, read as the kernel's lists were, become demand:
 * what comes back within a hot period was missed, what leaves the active list
 * meanwhile was not. 0 or a negative errno.
 */
int trace_recorded_demand(struct trace *t);
