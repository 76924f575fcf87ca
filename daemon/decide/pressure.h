/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pressure.h - is the guest short of memory?
 *
 * Internal to decide/. The same judgement for every mode and law.
 */
#pragma once

#include "decide/view.h"

enum pressure {
	PRESSURE_NONE,
	PRESSURE_WATCH, /* one signal alone: look closer, move nothing */
	PRESSURE_SHORT, /* stalls, confirmed by a second signal */
	PRESSURE_CRITICAL, /* everything back */
};

/* For how long what has ended is still seen: the rates look back up to two seconds. */
#define PRESSURE_EFFECT_US 2500000ULL

/* What has gone on for how long. Only pressure.c writes it. */
struct pressure_past {
	uint64_t stall_since_us; /* begin of the stalls that have not stopped yet; 0 = none */
	uint64_t stall_last_us; /* when they were last seen */
	uint64_t own_until_us; /* stalls until then may be the balloon's own */
	uint32_t critical_samples; /* in a row below the critical level */
};

/*
 * Once a decision. headroom: what the guest should have available, bytes.
 * While v->settling, a dip of A by itself means nothing.
 *
 * Rising stall figures never lower the result.
 */
enum pressure pressure_judge(const struct policy_config *c, struct pressure_past *past,
			     const struct view *v, enum sample_trigger trigger, uint64_t headroom);

/* The balloon itself is going to reclaim for so long. */
void pressure_expect_own(struct pressure_past *past, uint64_t now_us, uint64_t length_us);

/* Stalls may be the balloon's own, for it has just been reclaiming. */
bool pressure_is_own(const struct pressure_past *past, uint64_t now_us);

/*
 * MemAvailable below this confirms that stalls are a shortage. From what every guest needs, not
 * from the headroom learned: a guest with large bursts is not short because it keeps much.
 */
uint64_t pressure_low_level(const struct view *v);
