/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * start.h - waiting while the guest boots, or starts services
 *
 * Internal to decide/. Microseconds.
 */
#pragma once

#include "decide/policy-config.h"
#include "sense/sample.h"

/* Only start.c writes it. */
struct start {
	enum sample_start what; /* of the last sample ... */
	uint64_t seen_us; /* ... and its time; 0 = none yet */
	uint64_t waited_us; /* for services, less what has passed without any since */
};

/* Once a decision. */
void start_note(const struct policy_config *c, struct start *w, const struct sample *s);

/* What starts may size itself by the memory that it finds: estimates take none now. */
bool start_waits(const struct policy_config *c, const struct start *w);
