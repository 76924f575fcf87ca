/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * svg.h - a chart over time as a picture
 *
 * Declarative: panels one above the other share the time axis, each has its
 * own unit and its series. The result stands alone (no script, no font, no
 * style sheet) and is the same for the same data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Colours that stay apart for the colour-blind (Okabe and Ito). */
#define SVG_BLUE "#0072b2"
#define SVG_SKY "#56b4e9"
#define SVG_GREEN "#009e73"
#define SVG_ORANGE "#e69f00"
#define SVG_RED "#d55e00"
#define SVG_PURPLE "#cc79a7"
#define SVG_GREY "#999999"
#define SVG_BLACK "#222222"

enum svg_kind {
	SVG_LINE,		/* y */
	SVG_DASHED,		/* y, which holds until the next point: an order, a bound */
	SVG_AREA,		/* between low and y; low NULL = the axis */
};

enum svg_unit {
	SVG_BYTES,
	SVG_PERCENT,
	SVG_NUMBER,
};

struct svg_series {
	const char *name;	/* in the legend; NULL = not there */
	enum svg_kind kind;
	const char *colour;
	const double *low;
	const double *y;	/* NAN = a gap */
};

struct svg_panel {
	const char *title;
	enum svg_unit unit;
	double y_max;		/* 0 = from the data */
	double height;		/* pixels */
	const struct svg_series *series;
	size_t n_series;
};

struct svg_chart {
	const char *title;
	const char *subtitle;	/* NULL = none */
	const double *x;	/* seconds, rising; the axis begins at x[0] */
	size_t n;		/* points of every series, at least 2 */
	const struct svg_panel *panels;
	size_t n_panels;
};

/* Write the picture. 0 or a negative errno; flushes but does not close. */
int svg_write(FILE *f, const struct svg_chart *c);
