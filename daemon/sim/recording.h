/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recording.h - what `balloonctl record` writes: one sample a line, as CSV
 *
 * The column names carry the units. An empty cell is a number that could not
 * be read; it is never written as 0. balloon-trace(5) lists the columns.
 */
#pragma once

#include <stddef.h>

#include "sense/sample.h"

/* Longest header or line that the functions below write, newline included. */
#define RECORDING_LINE_MAX 2048

/* What the sample cannot say about the daemon. Empty strings if there is none. */
struct recording_daemon {
	bool valid;
	uint64_t target;	/* bytes */
	const char *reason;	/* "" or a reason's name */
};

/* Write the column names with a newline. Returns the length. */
size_t recording_header(char *buf, size_t n);

/* Write one line, with the time as seconds since start_us. Returns the length. */
size_t recording_line(char *buf, size_t n, uint64_t start_us, const struct sample *s,
		      const struct recording_daemon *d);
