// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The VMware allocation-rate controller.
 *
 * Models the rates only: additive increase, multiplicative decrease, and the
 * few slow cycles after a failure. What a cycle is and when it runs is the
 * caller's. Leaves out the driver's limit of 16384 pages a second on
 * allocation that does not sleep; its later version dropped it, too.
 */
#include "decide/ratelimit.h"

#define PAGE_BYTES 4096ULL

void ratelimit_init(struct ratelimit *r)
{
	*r = (struct ratelimit){
		.alloc_pages = RATELIMIT_ALLOC_MAX_PAGES,
		.free_pages = RATELIMIT_FREE_MAX_PAGES,
	};
}

static uint32_t adapt(uint32_t rate, bool met, uint32_t min, uint32_t max)
{
	if (met)
		return rate + RATELIMIT_INCREMENT_PAGES > max ? max
							      : rate + RATELIMIT_INCREMENT_PAGES;
	return rate / 2 < min ? min : rate / 2;
}

void ratelimit_feedback(struct ratelimit *r, int64_t asked, int64_t moved)
{
	if (asked > 0) {
		bool met = moved >= asked;

		/* The rate is learned by slow cycles only; fast ones say nothing about it. */
		if (r->slow_cycles) {
			r->alloc_pages = adapt(r->alloc_pages, met, RATELIMIT_ALLOC_MIN_PAGES,
					       RATELIMIT_ALLOC_MAX_PAGES);
			r->slow_cycles--;
		}
		if (!met)
			r->slow_cycles = RATELIMIT_SLOW_CYCLES;
	} else if (asked < 0) {
		r->free_pages = adapt(r->free_pages, moved <= asked, RATELIMIT_FREE_MIN_PAGES,
				      RATELIMIT_FREE_MAX_PAGES);
	}
}

uint64_t ratelimit_alloc(const struct ratelimit *r, bool *ret_may_reclaim)
{
	*ret_may_reclaim = r->slow_cycles > 0;
	return r->slow_cycles ? r->alloc_pages * PAGE_BYTES : 0;
}

uint64_t ratelimit_free(const struct ratelimit *r)
{
	return r->free_pages * PAGE_BYTES;
}
