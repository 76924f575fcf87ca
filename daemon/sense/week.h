/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * week.h - the time of the local week
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/*
 * Seconds since Monday 00:00 local time, on the clock on the wall: summer time and whoever sets
 * the clock make it jump. False if the clock has never been set. Call tzset() once before.
 */
bool week_second(time_t real_s, uint32_t *ret);
