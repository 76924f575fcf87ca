/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ratelimit.h - the allocation rates of the VMware balloon, as a pure controller
 *
 * While there is no pressure, allocation does not sleep and is not limited. A
 * failure makes the next four cycles slow: they may sleep (reclaim) and run at
 * 512 to 2048 pages a second, 16 more for each cycle that met its goal, half
 * for each that did not. Freeing runs at 512 to 16384 pages a second, with the
 * same increments. A cycle is one decision that asked for a move; rates are a
 * second's worth, whatever the length of the cycle.
 *
 * Pages are 4 KiB. The figures are those of the first version of the driver.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RATELIMIT_ALLOC_MIN_PAGES 512
#define RATELIMIT_ALLOC_MAX_PAGES 2048
#define RATELIMIT_FREE_MIN_PAGES  512
#define RATELIMIT_FREE_MAX_PAGES  16384
#define RATELIMIT_INCREMENT_PAGES 16
#define RATELIMIT_SLOW_CYCLES	  4

struct ratelimit {
	uint32_t alloc_pages; /* a second, while slow */
	uint32_t free_pages; /* a second */
	uint32_t slow_cycles; /* left */
};

void ratelimit_init(struct ratelimit *r);

/* The last cycle asked for so many bytes (> 0 inflate) and moved so many. asked == 0: no cycle. */
void ratelimit_feedback(struct ratelimit *r, int64_t asked, int64_t moved);

/* Bytes a second that the next cycle may allocate, 0 = unlimited; whether it may sleep. */
uint64_t ratelimit_alloc(const struct ratelimit *r, bool *ret_may_reclaim);

/* Bytes a second that the next cycle may free; never 0. */
uint64_t ratelimit_free(const struct ratelimit *r);
