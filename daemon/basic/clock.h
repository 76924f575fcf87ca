/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clock.h - the time, for those who may look at a clock
 *
 * Leaves out: who may. decide/ is told, and what act/ and serve/ keep over time is told as well.
 */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Microseconds since boot, sleep included: what leases, hold-offs and rates go by. */
static inline uint64_t clock_boot_us(void)
{
	return clock_us(CLOCK_BOOTTIME);
}

/* Microseconds of the clock on the wall, which may jump. */
static inline uint64_t clock_wall_us(void)
{
	return clock_us(CLOCK_REALTIME);
}
