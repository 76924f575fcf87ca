// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * picture.c - a simulated run as a picture
 *
 * Two panels: memory (what is demanded, what the guest has, what the balloon
 * holds, all under the line of RAM) and the share of time in which tasks
 * stalled. Areas are averages; peaks of demand and of what the guest had then
 * stand above them, so that a burst shorter than a bucket does not look like a
 * shortage. A bucket of time without a value of its own (steps longer than a
 * bucket) repeats the one before it.
 *
 * Leaves out: scales, labels and colours as such (svg.c).
 */
#include <errno.h>
#include <stdlib.h>

#include "basic/cleanup.h"
#include "sim/picture.h"
#include "sim/svg.h"

enum row {
	ROW_X,
	ROW_RAM,
	ROW_USABLE,
	ROW_DEMAND,
	ROW_PEAK,
	ROW_USABLE_PEAK,
	ROW_SOME,
	ROW_FULL,
	_ROW_MAX,
};

static void fill(double *rows[_ROW_MAX], const struct timeline *t, uint64_t ram, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct timeline_bucket *b = &t->buckets[i];
		double us = b->us ?: 1;

		rows[ROW_X][i] = i * (t->bucket_us / 1e6);
		rows[ROW_RAM][i] = ram;
		rows[ROW_USABLE][i] = b->usable_sum / us;
		rows[ROW_DEMAND][i] = b->demand_sum / us;
		rows[ROW_PEAK][i] = b->demand_max;
		rows[ROW_USABLE_PEAK][i] = b->usable_max;
		if (!b->us && i > 0)
			for (int k = ROW_USABLE; k <= ROW_USABLE_PEAK; k++)
				rows[k][i] = rows[k][i - 1];
		rows[ROW_SOME][i] = 100 * b->mem_some_us / us;
		rows[ROW_FULL][i] = 100 * b->mem_full_us / us;
	}
}

int picture_write(FILE *f, const struct timeline *t, uint64_t ram, uint64_t duration_us,
		  const char *title, const char *subtitle)
{
	size_t n = (duration_us + t->bucket_us - 1) / t->bucket_us;
	_cleanup_free_ double *data = NULL;
	double *rows[_ROW_MAX];

	if (n > t->n_buckets)
		n = t->n_buckets;
	data = calloc(n, sizeof(*data) * _ROW_MAX);
	if (!data)
		return -ENOMEM;
	for (int i = 0; i < _ROW_MAX; i++)
		rows[i] = data + i * n;
	fill(rows, t, ram, n);

	struct svg_series memory[] = {
		{ "balloon", SVG_AREA, SVG_SKY, rows[ROW_USABLE], rows[ROW_RAM] },
		{ "demand, peak", SVG_AREA, "#dddddd", NULL, rows[ROW_PEAK] },
		{ "demand", SVG_AREA, SVG_GREY, NULL, rows[ROW_DEMAND] },
		{ "guest memory, peak", SVG_LINE, SVG_BLUE, NULL, rows[ROW_USABLE_PEAK] },
		{ "RAM", SVG_DASHED, SVG_BLACK, NULL, rows[ROW_RAM] },
	};
	struct svg_series stalls[] = {
		{ "some", SVG_AREA, SVG_ORANGE, NULL, rows[ROW_SOME] },
		{ "full", SVG_AREA, SVG_RED, NULL, rows[ROW_FULL] },
	};
	struct svg_panel panels[] = {
		{ "Memory", SVG_BYTES, ram * 1.05, 300, memory, 5 },
		{ "Memory stalls (PSI)", SVG_PERCENT, 0, 110, stalls, 2 },
	};
	struct svg_chart chart = {
		.title = title,
		.subtitle = subtitle,
		.x = rows[ROW_X],
		.n = n,
		.panels = panels,
		.n_panels = 2,
	};

	return svg_write(f, &chart);
}
