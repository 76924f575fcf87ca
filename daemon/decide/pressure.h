/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pressure.h - is the guest short of memory?
 *
 * Internal to decide/. The same judgement for every mode and law.
 */
#pragma once

#include "decide/policy.h"
#include "decide/view.h"

enum pressure {
	PRESSURE_NONE,
	PRESSURE_WATCH, /* one signal alone: look closer, move nothing */
	PRESSURE_SHORT, /* stalls, confirmed by a second signal */
	PRESSURE_CRITICAL, /* everything back */
};

/*
 * headroom: what the guest should have available. critical_seen: samples in a
 * row, this one included, in which A was below pressure_critical_level().
 * While v->settling, a dip of A by itself means nothing.
 *
 * Rising stall figures never lower the result.
 */
enum pressure pressure_judge(const struct policy_config *c, const struct view *v,
			     enum sample_trigger trigger, uint64_t headroom,
			     uint32_t critical_seen);

/*
 * MemAvailable below this confirms that stalls are a shortage. From what every guest needs, not
 * from the headroom learned: a guest with large bursts is not short because it keeps much.
 */
uint64_t pressure_low_level(const struct view *v);

/* MemAvailable below this is critical if anything else confirms it. */
uint64_t pressure_critical_level(const struct view *v);
