// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Settling after an inflate.
 *
 * A large inflate distorts what is seen for a while: MemAvailable dips and the
 * cache that was pushed out is missed. So it is followed by settling, until
 * three samples in a row are healthy, and a low A is not judged meanwhile
 * (masks). A small one cannot explain a low A and masks nothing.
 *
 * Leaves out: what is not done meanwhile (gate.c, pressure.c, law-adaptive.c).
 */
#include "decide/settle.h"

#define SEC 1000000ULL

#define SETTLE_SAMPLES	  3
#define SETTLE_SPACING_US (SEC * 9 / 10)

void settle_start(const struct policy_config *c, struct settle *w, const struct view *v, bool masks)
{
	if (!c->settle_us)
		return;
	*w = (struct settle){
		.active = true,
		.masks = masks,
		.since_us = v->now_us,
		.last_us = v->now_us,
	};
}

void settle_note(const struct policy_config *c, struct settle *w, const struct view *v,
		 uint64_t headroom)
{
	bool unwell =
		v->available < headroom / 2 || v->mem_some >= c->pressure_permille || v->paying;

	if (!w->active)
		return;
	if (unwell) {
		w->healthy = 0;
		w->last_us = v->now_us;
	} else if (v->now_us - w->last_us >= SETTLE_SPACING_US) {
		w->healthy++;
		w->last_us = v->now_us;
	}
	if (w->healthy >= SETTLE_SAMPLES || v->now_us - w->since_us >= c->settle_us)
		settle_end(w);
}

void settle_end(struct settle *w)
{
	w->active = false;
}

bool settle_masks(const struct settle *w)
{
	return w->active && w->masks;
}
