// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Charts: what stands in a picture is text and not markup, axes have ticks that can be read for any
 * span, gaps are gaps, and what cannot be written is told.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/svg.h"

#define POINTS 4

static double xs[POINTS] = {0, 10, 20, 30}, ys[POINTS] = {1, 2, 4, 8};
static struct svg_series series = {"load", SVG_LINE, SVG_BLUE, NULL, ys};
static struct svg_panel panel = {"Panel", SVG_NUMBER, 0, 100, &series, 1};
static struct svg_chart chart = {
	.title = "Title", .x = xs, .n = POINTS, .panels = &panel, .n_panels = 1,
};

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i < POINTS; i++) {
		xs[i] = 10 * i;
		ys[i] = 1 << i;
	}
	series = (struct svg_series){"load", SVG_LINE, SVG_BLUE, NULL, ys};
	panel = (struct svg_panel){"Panel", SVG_NUMBER, 0, 100, &series, 1};
	chart = (struct svg_chart){
		.title = "Title", .x = xs, .n = POINTS, .panels = &panel, .n_panels = 1,
	};
	return 0;
}

/* The caller frees it. */
static char *drawn(void)
{
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	assert_int_equal(svg_write(f, &chart), 0);
	fclose(f);
	return text;
}

static void contains(const char *want)
{
	char *text = drawn();

	if (!strstr(text, want))
		fail_msg("\"%s\" is not in %s", want, text);
	free(text);
}

static unsigned times(const char *what)
{
	char *text = drawn();
	unsigned n = 0;

	for (const char *s = text; (s = strstr(s, what)); s += strlen(what))
		n++;
	free(text);
	return n;
}

static void texts_are_no_markup(void **state)
{
	(void)state;
	chart.title = "a < b > c & d\ne";
	chart.subtitle = "<script>";
	contains(">a &lt; b &gt; c &amp; de</text>");
	contains(">&lt;script&gt;</text>");
	assert_int_equal(times("<script"), 0);
}

/* As a reader sees it at the bottom of the picture. */
static void spans(void **state)
{
	static const struct {
		double seconds;
		const char *tick, *none;
	} rows[] = {
		{0.9, ">0.1 s<", " min<"},
		{30, ">5 s<", " min<"},
		{1800, ">5 min<", " h<"},
		{24 * 3600, ">2 h<", " d<"},
		{30 * 86400, ">7 d<", " h<"},
		{86400 * 365 * 20.0, " d<", " h<"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int k = 0; k < POINTS; k++)
			xs[k] = rows[i].seconds / (POINTS - 1) * k;
		contains(rows[i].tick);
		assert_int_equal(times(rows[i].none), 0);
		/* Not so many that they lie upon one another. */
		assert_in_range(times("v5\""), 2, 26);
	}
}

static void values(void **state)
{
	static const struct {
		enum svg_unit unit;
		double max;
		const char *tick;
	} rows[] = {
		{SVG_NUMBER, 9, ">2<"}, {SVG_NUMBER, 30, ">10<"}, {SVG_NUMBER, 0.9, ">0.2<"},
		{SVG_PERCENT, 100, ">40 %<"}, {SVG_BYTES, 1 << 30, ">256 MiB<"},
		{SVG_BYTES, 700 << 20, ">256 MiB<"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		panel.unit = rows[i].unit;
		panel.y_max = rows[i].max;
		contains(rows[i].tick);
		contains(">0");
	}
	/* Nothing but zeros has an axis, too. */
	panel.y_max = 0;
	memset(ys, 0, sizeof(ys));
	panel.unit = SVG_NUMBER;
	contains(">1<");
}

static void gaps_are_gaps(void **state)
{
	(void)state;
	ys[1] = NAN;
	/* A line begins anew behind it. */
	assert_int_equal(times("L"), 1);
	series.kind = SVG_DASHED;
	contains("stroke-dasharray");
	/* An order holds until the next one: one step, from the third point to the fourth. */
	assert_int_equal(times("H"), 1 + times("stroke=\"#e4e4e4\"") + 1);
	/* An area is closed before it. */
	series.kind = SVG_AREA;
	assert_int_equal(times("Z"), 2);
	ys[3] = NAN;
	assert_int_equal(times("Z"), 2);
	ys[0] = ys[2] = NAN;
	assert_int_equal(times("Z"), 0);
}

static void a_legend_has_what_has_a_name(void **state)
{
	(void)state;
	contains(">load</text>");
	series.name = NULL;
	assert_int_equal(times(">load</text>"), 0);
}

static void no_chart_without_a_time(void **state)
{
	FILE *f = fopen("/dev/null", "w");

	(void)state;
	chart.n = 1;
	assert_int_equal(svg_write(f, &chart), -EINVAL);
	chart.n = POINTS;
	xs[POINTS - 1] = 0;
	assert_int_equal(svg_write(f, &chart), -EINVAL);
	fclose(f);
}

static void a_disk_that_is_full(void **state)
{
	FILE *f = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(f);
	assert_int_equal(svg_write(f, &chart), -ENOSPC);
	fclose(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		T(texts_are_no_markup),		 T(spans),
		T(values),			 T(gaps_are_gaps),
		T(a_legend_has_what_has_a_name), T(no_chart_without_a_time),
		T(a_disk_that_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
