// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace.c - traces as points in memory
 *
 * Holds the points and answers what the demand is at a time. Points are in
 * order of time, the first at 0; nothing here changes them after reading.
 *
 * Leaves out: files and their formats (trace-read.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/cleanup.h"
#include "sim/trace.h"

const char *trace_counter_name(enum trace_counter c)
{
	static const char *const names[_TRACE_COUNTER_MAX] = {
		[TRACE_MEM_SOME] = "mem_some_us",
		[TRACE_MEM_FULL] = "mem_full_us",
		[TRACE_IO_SOME] = "io_some_us",
		[TRACE_IO_FULL] = "io_full_us",
		[TRACE_REFAULT_FILE] = "refault_file_pages",
		[TRACE_REFAULT_ANON] = "refault_anon_pages",
		[TRACE_ACTIVATE_FILE] = "activate_file_pages",
		[TRACE_RESTORE_FILE] = "restore_file_pages",
		[TRACE_RESTORE_ANON] = "restore_anon_pages",
		[TRACE_PSWPOUT] = "pswpout_pages",
		[TRACE_PGSCAN_KSWAPD] = "pgscan_kswapd_pages",
		[TRACE_PGSCAN_DIRECT] = "pgscan_direct_pages",
		[TRACE_PGSTEAL_KSWAPD] = "pgsteal_kswapd_pages",
		[TRACE_PGSTEAL_DIRECT] = "pgsteal_direct_pages",
	};

	return names[c];
}

void trace_free(struct trace *t)
{
	if (!t)
		return;
	free(t->points);
	free(t->seen);
	free(t);
}

int trace_new(const struct trace_point *points, size_t n, enum trace_between between,
	      uint64_t ram, uint64_t swap, struct trace **ret)
{
	struct trace *t;

	if (n < 2)
		return -ENODATA;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	*t = (struct trace) {
		.format = TRACE_DEMAND,
		.between = between,
		.ram = ram,
		.swap = swap,
		.swap_known = true,
		.points = calloc(n, sizeof(*points)),
		.n_points = n,
	};
	if (!t->points) {
		free(t);
		return -ENOMEM;
	}
	memcpy(t->points, points, n * sizeof(*points));
	*ret = t;
	return 0;
}

uint64_t trace_peak(const struct trace *t)
{
	uint64_t peak = 0;

	for (size_t i = 0; i < t->n_points; i++) {
		uint64_t v = t->points[i].d.need + t->points[i].d.hot;

		if (v > peak)
			peak = v;
	}
	return peak;
}

static uint64_t between(uint64_t a, uint64_t b, uint64_t part, uint64_t whole)
{
	if (a <= b)
		return a + (uint64_t)((unsigned __int128)(b - a) * part / whole);
	return a - (uint64_t)((unsigned __int128)(a - b) * part / whole);
}

static void interpolate(const struct trace *t, size_t i, uint64_t now_us, struct guest_demand *ret)
{
	const struct trace_point *a = &t->points[i], *b = a + 1;
	uint64_t part, whole;

	if (t->between == TRACE_STEPS || i + 1 == t->n_points || now_us <= a->t_us) {
		*ret = a->d;
		return;
	}
	part = now_us - a->t_us;
	whole = b->t_us - a->t_us;
	*ret = (struct guest_demand) {
		.need = between(a->d.need, b->d.need, part, whole),
		.idle = between(a->d.idle, b->d.idle, part, whole),
		.hot = between(a->d.hot, b->d.hot, part, whole),
		.cold = a->d.cold == GUEST_COLD_FILLS || b->d.cold == GUEST_COLD_FILLS ?
			GUEST_COLD_FILLS : between(a->d.cold, b->d.cold, part, whole),
		.committed = between(a->d.committed, b->d.committed, part, whole),
		.fill_rate = between(a->d.fill_rate, b->d.fill_rate, part, whole),
		/* From this row until the next one. */
		.stream = a->d.stream,
		.again = a->d.again,
		.back = between(a->d.back, b->d.back, part, whole),
		.drop = a->d.drop,
	};
}

void trace_at(struct trace_cursor *c, uint64_t now_us, struct guest_demand *ret)
{
	const struct trace *t = c->t;

	while (c->i + 1 < t->n_points && t->points[c->i + 1].t_us <= now_us)
		c->i++;
	interpolate(t, c->i, now_us, ret);
}

void trace_before(const struct trace_cursor *c, uint64_t now_us, struct guest_demand *ret)
{
	const struct trace *t = c->t;
	size_t i = c->i;

	if (t->between == TRACE_STEPS) {
		*ret = t->points[i].d;
		return;
	}
	if (i + 1 < t->n_points && now_us > t->points[i + 1].t_us)
		now_us = t->points[i + 1].t_us;
	interpolate(t, i, now_us, ret);
}

uint64_t trace_next(const struct trace_cursor *c)
{
	return c->i + 1 < c->t->n_points ? c->t->points[c->i + 1].t_us : UINT64_MAX;
}
