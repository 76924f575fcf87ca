// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * svg.c - a chart over time as a picture
 *
 * Every pixel position follows from the data and the constants below; nothing
 * is measured (text widths are estimated generously).
 *
 * Leaves out: what the data means, interaction, and every other kind of chart.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "basic/units.h"
#include "basic/utf8.h"
#include "sim/svg.h"

#define WIDTH 1000.0
#define LEFT 80.0
#define RIGHT 20.0
#define TOP 52.0
#define PANEL_GAP 44.0
#define BOTTOM 36.0
#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)
#define CHAR_WIDTH 6.6
#define TICKS 6

struct frame {
	FILE *f;
	const struct svg_chart *c;
	const struct svg_panel *p;
	double top;
	double y_max;
};

/* U+FFFE and U+FFFF, the only characters of several bytes that XML 1.0 does not have. */
static bool is_noncharacter(const char *s)
{
	return strncmp(s, "\xef\xbf\xbe", 3) == 0 || strncmp(s, "\xef\xbf\xbf", 3) == 0;
}

/* May be anybody's, and cut anywhere; a picture stays well-formed. */
static void text(FILE *f, const char *s)
{
	size_t n;

	for (; *s; s += n ?: 1) {
		n = utf8_sequence((const unsigned char *)s);
		if (n == 0 || is_noncharacter(s)) {
			fputc('?', f);
			continue;
		}
		if (n > 1) {
			fwrite(s, 1, n, f);
			continue;
		}
		switch (*s) {
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		default:
			if ((unsigned char)*s >= ' ')
				fputc(*s, f);
		}
	}
}

static void label(FILE *f, double x, double y, const char *anchor, int size, const char *colour,
		  const char *s)
{
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\" fill=\"%s\">", x, y,
		anchor, size, colour);
	text(f, s);
	fputs("</text>\n", f);
}

static double x_of(const struct frame *fr, double t)
{
	const struct svg_chart *c = fr->c;

	return LEFT + (t - c->x[0]) / (c->x[c->n - 1] - c->x[0]) * PLOT_WIDTH;
}

static double y_of(const struct frame *fr, double v)
{
	v = fmax(fmin(v, fr->y_max), 0);
	return fr->top + fr->p->height * (1 - v / fr->y_max);
}

static double panel_max(const struct svg_chart *c, const struct svg_panel *p)
{
	double max = 0;

	if (p->y_max > 0)
		return p->y_max;
	for (size_t i = 0; i < p->n_series; i++)
		for (size_t k = 0; k < c->n; k++)
			if (p->series[i].y[k] > max)
				max = p->series[i].y[k];
	return max > 0 ? max * 1.05 : 1;
}

/* The smallest of 1, 2, 4, 5 times a power that gives at most TICKS steps. */
static double tick_distance(double max, enum svg_unit unit)
{
	double base = unit == SVG_BYTES ? 2 : 10, d;

	d = pow(base, floor(log(max / TICKS) / log(base)));
	if (unit == SVG_BYTES)
		return d * TICKS < max ? d * 2 : d;
	for (int i = 0; i < 3; i++) {
		static const double factor[] = { 1, 2, 5 };

		if (d * factor[i] * TICKS >= max)
			return d * factor[i];
	}
	return d * 10;
}

static void format_value(char *buf, size_t n, double v, enum svg_unit unit)
{
	switch (unit) {
	case SVG_BYTES:
		units_format_size(buf, n, v);
		return;
	case SVG_PERCENT:
		snprintf(buf, n, "%g %%", v);
		return;
	case SVG_NUMBER:
		snprintf(buf, n, "%g", v);
		return;
	}
}

static void draw_y_axis(const struct frame *fr)
{
	double d = tick_distance(fr->y_max, fr->p->unit);

	for (double v = 0; v <= fr->y_max * 1.0001; v += d) {
		char buf[32];
		double y = y_of(fr, v);

		fprintf(fr->f, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#e4e4e4\"/>\n", LEFT, y,
			WIDTH - RIGHT);
		format_value(buf, sizeof(buf), v, fr->p->unit);
		label(fr->f, LEFT - 6, y + 4, "end", 11, "#555", buf);
	}
}

static void format_time(char *buf, size_t n, double t, double distance)
{
	if (distance >= 86400)
		snprintf(buf, n, "%g d", t / 86400);
	else if (distance >= 3600)
		snprintf(buf, n, "%g h", t / 3600);
	else if (distance >= 60)
		snprintf(buf, n, "%g min", t / 60);
	else
		snprintf(buf, n, "%g s", t);
}

static void draw_x_axis(const struct frame *fr, double bottom)
{
	static const double distances[] = { 0.1,  0.2,	0.5,   1,     2,     5,	     10,     30,
					    60,	  120,	300,   600,   1800,  3600,   7200,   21600,
					    43200, 86400, 172800, 604800, 1209600, 2592000, 7776000 };
	const struct svg_chart *c = fr->c;
	double span = c->x[c->n - 1] - c->x[0], d = 0;

	for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
		d = distances[i];
		if (span / d <= 12)
			break;
	}
	while (span / d > 24)
		d *= 2;
	for (double t = ceil(c->x[0] / d) * d; t <= c->x[c->n - 1] * 1.0001; t += d) {
		char buf[32];
		double x = x_of(fr, t);

		fprintf(fr->f, "<path d=\"M%.1f %.1fv5\" stroke=\"#555\"/>\n", x, bottom);
		format_time(buf, sizeof(buf), t, d);
		label(fr->f, x, bottom + 18, "middle", 11, "#555", t == 0 ? "0" : buf);
	}
}

static void draw_line(const struct frame *fr, const struct svg_series *s, const char *extra)
{
	bool open = false;

	fprintf(fr->f, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" stroke-linejoin=\"round\"%s d=\"",
		s->colour, extra);
	for (size_t i = 0; i < fr->c->n; i++) {
		if (isnan(s->y[i])) {
			open = false;
			continue;
		}
		if (open && s->kind == SVG_DASHED)
			fprintf(fr->f, "H%.1f", x_of(fr, fr->c->x[i]));
		fprintf(fr->f, "%c%.1f %.1f", open ? 'L' : 'M', x_of(fr, fr->c->x[i]),
			y_of(fr, s->y[i]));
		open = true;
	}
	fputs("\"/>\n", fr->f);
}

static void draw_area(const struct frame *fr, const struct svg_series *s)
{
	const struct svg_chart *c = fr->c;
	size_t i = 0;

	fprintf(fr->f, "<path fill=\"%s\" fill-opacity=\"0.55\" stroke=\"%s\" stroke-width=\"0.5\" d=\"", s->colour,
		s->colour);
	while (i < c->n) {
		size_t from, to;

		for (from = i; from < c->n && isnan(s->y[from]); from++)
			;
		for (to = from; to < c->n && !isnan(s->y[to]); to++)
			fprintf(fr->f, "%c%.1f %.1f", to == from ? 'M' : 'L', x_of(fr, c->x[to]),
				y_of(fr, s->y[to]));
		for (size_t k = to; k-- > from;)
			fprintf(fr->f, "L%.1f %.1f", x_of(fr, c->x[k]),
				y_of(fr, s->low ? s->low[k] : 0));
		if (to > from)
			fputc('Z', fr->f);
		i = to + 1;
	}
	fputs("\"/>\n", fr->f);
}

static void draw_series(const struct frame *fr, const struct svg_series *s)
{
	switch (s->kind) {
	case SVG_LINE:
		draw_line(fr, s, "");
		return;
	case SVG_DASHED:
		draw_line(fr, s, " stroke-dasharray=\"5 4\"");
		return;
	case SVG_AREA:
		draw_area(fr, s);
		return;
	}
}

/* Right above the panel, from its right end leftwards. */
static void draw_legend(const struct frame *fr)
{
	double x = WIDTH - RIGHT, y = fr->top - 8;

	for (size_t i = fr->p->n_series; i-- > 0;) {
		const struct svg_series *s = &fr->p->series[i];
		size_t n = 0;

		if (!s->name)
			continue;
		for (const char *p = s->name; *p; p++)
			n++;
		x -= n * CHAR_WIDTH;
		label(fr->f, x, y, "start", 11, SVG_BLACK, s->name);
		x -= 18;
		if (s->kind == SVG_AREA)
			fprintf(fr->f, "<path fill=\"%s\" fill-opacity=\"0.55\" d=\"M%.1f %.1fh13v-9h-13z\"/>\n",
				s->colour, x, y);
		else
			fprintf(fr->f, "<path stroke=\"%s\" stroke-width=\"2\"%s d=\"M%.1f %.1fh13\"/>\n",
				s->colour, s->kind == SVG_DASHED ? " stroke-dasharray=\"5 4\"" : "", x,
				y - 4);
		x -= 12;
	}
}

int svg_write(FILE *f, const struct svg_chart *c)
{
	double height = TOP + BOTTOM - PANEL_GAP, top = TOP;

	if (c->n < 2 || !(c->x[c->n - 1] > c->x[0]))
		return -EINVAL;
	for (size_t i = 0; i < c->n_panels; i++)
		height += c->panels[i].height + PANEL_GAP;
	if (!c->subtitle)
		top -= 16;
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\""
		" font-family=\"system-ui, sans-serif\">\n",
		WIDTH, height + 20, WIDTH, height + 20);
	fputs("<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n", f);
	label(f, LEFT, 22, "start", 15, SVG_BLACK, c->title);
	if (c->subtitle)
		label(f, LEFT, 40, "start", 11, "#555", c->subtitle);
	top += 20;
	for (size_t i = 0; i < c->n_panels; i++) {
		const struct svg_panel *p = &c->panels[i];
		struct frame fr = { f, c, p, top, panel_max(c, p) };

		label(f, LEFT, top - 8, "start", 12, SVG_BLACK, p->title);
		draw_y_axis(&fr);
		for (size_t k = 0; k < p->n_series; k++)
			draw_series(&fr, &p->series[k]);
		fprintf(f, "<path d=\"M%.1f %.1fV%.1fH%.1f\" fill=\"none\" stroke=\"#555\"/>\n", LEFT,
			top, top + p->height, WIDTH - RIGHT);
		draw_legend(&fr);
		if (i + 1 == c->n_panels)
			draw_x_axis(&fr, top + p->height);
		top += p->height + PANEL_GAP;
	}
	fputs("</svg>\n", f);
	if (fflush(f) || ferror(f))
		return -(errno ?: EIO);
	return 0;
}
