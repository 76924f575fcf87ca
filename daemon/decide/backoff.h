/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backoff.h - hold-offs that double while inflating again turns out wrong
 *
 * Internal to decide/. Microseconds.
 */
#pragma once

#include <stdint.h>

/* A hold-off that grows when the inflation after it did not hold. Only backoff.c writes it. */
struct backoff {
	uint64_t until_us; /* no inflation before */
	uint64_t length_us; /* of the last one, 0 = never tripped, or what followed has held */
	uint64_t inflated_us; /* first inflation after it, 0 = none yet */
	uint32_t level; /* trips in a row without an inflation that held */
};

/*
 * Hold off from now on. base_us the first time; twice the last length if the
 * inflation after the last one did not hold, at most max_us (but never less
 * than base_us).
 */
void backoff_trip(struct backoff *b, uint64_t now_us, uint64_t base_us, uint64_t max_us);

/* Hold off for so long from now on at least, whatever the series has come to. */
void backoff_extend(struct backoff *b, uint64_t now_us, uint64_t length_us);

/* The balloon is being inflated again. */
void backoff_inflated(struct backoff *b, uint64_t now_us);

/* Once a decision: an inflation that held as long as the hold-off before it ends the series. */
void backoff_prove(struct backoff *b, uint64_t now_us);
