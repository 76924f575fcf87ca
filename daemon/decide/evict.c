// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How much an order pushes out at a time.
 *
 * Who orders a larger balloon wants it whatever is pushed out for it, but not so that the guest
 * waits for its disk. Free memory is taken at once. Beyond that an order begins with as little
 * as a probe, looks for a second whether anybody wants it back, and then takes twice as much. Cache
 * that nobody uses is gone after half a dozen steps; of cache that is used only as much has
 * to be read again as the last step took, however slow the disk.
 *
 * Leaves out: what is given back where it hurts (thrash.c), and estimates, which have their
 * gates (gate.c).
 */
#include "decide/evict.h"
#include "decide/move.h"

#define SEC 1000000ULL

/* What comes back comes at once, or is not in use all the time. */
#define LOOK_US SEC

static uint64_t first_step(const struct policy_config *c, const struct view *v)
{
	return max_u64(scale(v->usable, c->probe_permille, 1000), v->worthwhile);
}

static bool arrived(const struct evict *e, const struct view *v)
{
	return add_sat(v->size, MOVE_PAGE - 1) >= e->target;
}

void evict_forget(struct evict *e)
{
	*e = (struct evict){};
}

uint64_t evict_towards(const struct policy_config *c, struct evict *e, const struct view *v,
		       uint64_t order, bool lost)
{
	/* Some is always free; and who waits while more is, waits for another's limit. */
	uint64_t unused = sub_sat(v->free, v->worthwhile);

	if (order <= v->size || !v->has_free || add_sat(v->size, MOVE_PAGE) <= e->size)
		evict_forget(e);
	e->size = v->size;
	if (order <= v->size || !v->has_free)
		return order;
	/* Who waited before this order began has to wait for something else. */
	if (lost && !unused && e->step) {
		e->step = e->target = 0;
		e->next_us = add_sat(v->now_us, c->probe_interval_us);
		return v->size;
	}
	if (e->target && !arrived(e, v))
		return min_u64(order, e->target);
	if (e->target) {
		e->target = 0;
		e->next_us = add_sat(v->now_us, LOOK_US);
	}
	if (order - v->size <= unused)
		return order;
	if (v->now_us < e->next_us)
		return v->size;
	e->step = e->step ? add_sat(e->step, e->step) : first_step(c, v);
	e->target = min_u64(order, add_sat(add_sat(v->size, unused), e->step));
	return e->target;
}
