/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * picture.h - a simulated run as a picture
 */
#pragma once

#include <stdio.h>

#include "sim/run.h"

/*
 * Demand, guest memory and balloon over time, and the stalls below. title and
 * subtitle as in svg.h. 0 or a negative errno.
 */
int picture_write(FILE *f, const struct timeline *t, uint64_t ram, uint64_t duration_us,
		  const char *title, const char *subtitle);
