// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace-recorded.c - what a recorded guest wanted, from what came back to it
 *
 * The kernel's lists alone mislead: the active one holds much that nobody has
 * looked at for hours, and where a balloon was too large, what is missing is on
 * no list. What happened afterwards tells. Hot is what stays on the active list
 * for a period to come, and what comes back to it within that time. What leaves
 * it and does not come back was cold. The same for swap: what comes back in a
 * period was not idle.
 *
 * Leaves out: a page that comes and goes more than once in a period is counted
 * each time, so the period should be about the workload's; what was hot, and was
 * dropped because the program has ended, is cold a period too early.
 */
#include <errno.h>
#include <stdlib.h>

#include "basic/arith.h"
#include "basic/cleanup.h"
#include "sim/trace-parse.h"

#define PAGE 4096ULL

/* Of the windows that begin at each row and are a period long: the smallest active list. */
static void least_hot(const struct trace *t, uint64_t period_us, size_t *queue, uint64_t *ret)
{
	size_t head = 0, tail = 0, next = 0;

	/* queue[head..tail) are rows of the window, their values rising. */
	for (size_t i = 0; i < t->n_points; i++) {
		for (; next < t->n_points && t->points[next].t_us <= t->points[i].t_us + period_us; next++) {
			while (tail > head && t->points[queue[tail - 1]].d.hot >= t->points[next].d.hot)
				tail--;
			queue[tail++] = next;
		}
		if (queue[head] < i)
			head++;
		ret[i] = t->points[queue[head]].d.hot;
	}
}

/* What a counter of pages grows by from row i to the end of the window, in bytes. */
static uint64_t came_back(const struct trace *t, enum trace_counter c, size_t i, size_t end)
{
	if (!(t->counted & 1U << c))
		return 0;
	return min_u64(t->seen[end].count[c] - t->seen[i].count[c], t->ram / PAGE) * PAGE;
}

int trace_recorded_demand(struct trace *t)
{
	_cleanup_free_ size_t *queue = calloc(t->n_points, sizeof(*queue));
	_cleanup_free_ uint64_t *least = calloc(t->n_points, sizeof(*least));
	uint64_t reserve = guest_reserve(t->ram);
	struct guest_config c;
	enum trace_counter back = trace_came_back_hot(t);
	size_t end = 0;

	if (!queue || !least)
		return -ENOMEM;
	guest_config_default(&c, t->ram, t->swap);
	guest_config_speed(&c, &t->speed);
	least_hot(t, c.speed.hot_period_us, queue, least);
	for (size_t i = 0; i < t->n_points; i++) {
		struct guest_demand *d = &t->points[i].d;
		uint64_t room = sub_sat(t->ram, d->need - d->idle + reserve);

		while (end + 1 < t->n_points &&
		       t->points[end + 1].t_us <= t->points[i].t_us + c.speed.hot_period_us)
			end++;
		d->idle -= min_u64(d->idle, came_back(t, TRACE_REFAULT_ANON, i, end));
		if (!(t->counted & 1U << back))
			continue;
		d->cold += d->hot - least[i];
		/* No more than the guest could have had without a balloon. */
		d->hot = max_u64(least[i], min_u64(least[i] + came_back(t, back, i, end), room));
		d->back = d->hot - least[i];
	}
	return 0;
}
