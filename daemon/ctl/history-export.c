// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * history-export.c - the history as a file for other programs and as a picture
 *
 * CSV: everything, one record a line; a value that is not known is empty. The
 * text of a note is quoted (RFC 4180), all other fields are numbers or words.
 *
 * Picture: at most one point a pixel. Of the records that share a pixel, memory
 * shows the last, pressure and refaults the largest, since it is the spikes that are
 * looked for. Where the daemon recorded nothing for longer than it
 * ever waits, there is a gap and no line across it.
 */
#include "ctl/history-export.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/svg.h"

#define SEC 1000000ULL
/* Pixels of the picture's time axis. */
#define POINTS_MAX 900
/* The daemon decides once a minute at least. */
#define GAP_S 90.0

static void put_number(FILE *f, uint64_t v)
{
	putc(',', f);
	if (v != UINT64_MAX)
		fprintf(f, "%" PRIu64, v);
}

static void put_time(FILE *f, uint64_t time_us)
{
	time_t t = (time_t)(time_us / SEC);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(f, "%s.%03uZ", text, (unsigned int)(time_us % SEC / 1000));
}

static void put_decision(FILE *f, const struct history_record *r)
{
	const struct history_numbers *n = &r->n;

	fprintf(f, ",decision,%s,%s,%s,%d,%s,%s", n->mode, n->law, n->reason,
		!!(r->flags & HISTORY_CHANGED), history_data_move(r), history_data_trigger(r));
	put_number(f, n->ram);
	put_number(f, r->flags & HISTORY_NO_BALLOON ? UINT64_MAX : n->size);
	put_number(f, n->target);
	put_number(f, n->goal);
	put_number(f, n->host_target);
	put_number(f, n->available);
	put_number(f, n->available_min);
	put_number(f, n->free);
	put_number(f, n->cached);
	put_number(f, n->headroom);
	put_number(f, n->floor);
	put_number(f, n->hold_off_left_us);
	put_number(f, n->refault_rate);
	put_number(f, n->mem_some_permille);
	put_number(f, n->mem_full_permille);
	put_number(f, n->io_some_permille);
	put_number(f, (uint64_t)n->relieved_kib << 10);
	fputs(",\n", f);
}

static void put_note(FILE *f, const struct history_record *r)
{
	fputs(",note,,,,,,,,,,,,,,,,,,,,,,,,\"", f);
	for (const char *s = r->text; *s; s++) {
		if (*s == '"')
			putc('"', f);
		putc(*s, f);
	}
	fputs("\"\n", f);
}

void history_export_csv(FILE *f, const struct history_data *h)
{
	fputs("time,kind,mode,law,reason,changed,move,trigger,ram_bytes,balloon_bytes,target_bytes,"
	      "goal_bytes,host_target_bytes,available_bytes,available_min_bytes,free_bytes,"
	      "cached_bytes,headroom_bytes,floor_bytes,hold_off_left_us,refaults_per_s,"
	      "mem_some_permille,mem_full_permille,io_some_permille,relieved_bytes,text\n", f);
	for (size_t i = 0; i < h->n; i++) {
		put_time(f, h->records[i].time_us);
		if (h->records[i].kind == HISTORY_NOTE)
			put_note(f, &h->records[i]);
		else
			put_decision(f, &h->records[i]);
	}
}

enum column {
	X,
	KEPT,		/* used; areas are stacked, each begins where the one before ends */
	CACHE,
	FREE,
	RAM,
	TARGET,
	HOST,
	SOME,
	FULL,
	IO,
	REFAULTS,
	_COLUMN_MAX,
};

struct drawing {
	double *column[_COLUMN_MAX];
	size_t n;
};

static double number(uint64_t v)
{
	return v == UINT64_MAX ? NAN : (double)v;
}

static void add_gap(struct drawing *d, double x)
{
	for (int i = 0; i < _COLUMN_MAX; i++)
		d->column[i][d->n] = i == X ? x : NAN;
	d->n++;
}

static void add_point(struct drawing *d, double x, const struct history_record *r, bool same_pixel)
{
	const struct history_numbers *n = &r->n;
	bool known = n->ram > 0 && n->free != UINT64_MAX && n->cached != UINT64_MAX;
	double size = r->flags & HISTORY_NO_BALLOON ? 0 : (double)n->size;
	double values[_COLUMN_MAX];

	values[X] = x;
	values[RAM] = n->ram > 0 ? (double)n->ram : NAN;
	values[FREE] = known ? fmax((double)n->ram - size, 0) : NAN;
	values[CACHE] = known ? fmax(values[FREE] - (double)n->free, 0) : NAN;
	values[KEPT] = known ? fmax(values[CACHE] - (double)n->cached, 0) : NAN;
	values[TARGET] = (double)n->ram - (double)n->target;
	values[HOST] = n->host_target == UINT64_MAX ? NAN : (double)n->ram - number(n->host_target);
	values[SOME] = n->mem_some_permille / 10.0;
	values[FULL] = n->mem_full_permille / 10.0;
	values[IO] = n->io_some_permille / 10.0;
	values[REFAULTS] = (double)n->refault_rate;
	if (same_pixel) {
		d->n--;
		values[X] = d->column[X][d->n];
		for (int i = SOME; i < _COLUMN_MAX; i++)
			values[i] = fmax(values[i], d->column[i][d->n]);
	}
	for (int i = 0; i < _COLUMN_MAX; i++)
		d->column[i][d->n] = values[i];
	d->n++;
}

static void fill(struct drawing *d, const struct history_data *h, uint64_t to_us)
{
	double width = 0, last = NAN;

	for (size_t i = 0; i < h->n; i++) {
		const struct history_record *r = &h->records[i];
		double x = ((double)r->time_us - (double)to_us) / SEC;

		if (r->kind != HISTORY_DECISION)
			continue;
		if (width == 0)
			width = -x / POINTS_MAX;
		/* The clock was set back: what is drawn already stays. */
		if (d->n > 0 && !(x > last))
			continue;
		if (d->n > 0 && x - last > GAP_S) {
			add_gap(d, last + 1);
			add_point(d, x, r, false);
		} else {
			add_point(d, x, r, d->n > 0 && !isnan(d->column[RAM][d->n - 1]) &&
					   x - d->column[X][d->n - 1] < width);
		}
		last = x;
	}
}

static int draw(FILE *f, const struct history_data *h, const struct drawing *d, uint64_t to_us)
{
	char subtitle[96], until[48];
	time_t t = (time_t)(to_us / SEC);
	struct tm tm;
	const struct svg_series memory[] = {
		{ "used", SVG_AREA, SVG_ORANGE, NULL, d->column[KEPT] },
		{ "cache", SVG_AREA, SVG_SKY, d->column[KEPT], d->column[CACHE] },
		{ "free", SVG_AREA, SVG_GREEN, d->column[CACHE], d->column[FREE] },
		{ "balloon", SVG_AREA, SVG_GREY, d->column[FREE], d->column[RAM] },
		{ "target", SVG_DASHED, SVG_BLACK, NULL, d->column[TARGET] },
		{ "host's target", SVG_DASHED, SVG_PURPLE, NULL, d->column[HOST] },
	};
	const struct svg_series pressure[] = {
		{ "some", SVG_LINE, SVG_ORANGE, NULL, d->column[SOME] },
		{ "full", SVG_LINE, SVG_RED, NULL, d->column[FULL] },
		{ "I/O", SVG_LINE, SVG_BLUE, NULL, d->column[IO] },
	};
	const struct svg_series refaults[] = {
		{ NULL, SVG_LINE, SVG_BLUE, NULL, d->column[REFAULTS] },
	};
	const struct svg_panel panels[] = {
		{ "Memory of the guest", SVG_BYTES, 0, 260, memory, 6 },
		{ "Time stalled", SVG_PERCENT, 0, 90, pressure, 3 },
		{ "Working set read again, pages per second", SVG_NUMBER, 0, 70, refaults, 1 },
	};
	struct svg_chart chart = {
		.title = "What balloond saw and did",
		.subtitle = subtitle,
		.x = d->column[X],
		.n = d->n,
		.panels = panels,
		.n_panels = 3,
	};

	snprintf(until, sizeof(until), "until now");
	if (localtime_r(&t, &tm))
		strftime(until, sizeof(until), "until %Y-%m-%d %H:%M:%S %z", &tm);
	snprintf(subtitle, sizeof(subtitle), "%zu records %s", h->n, until);
	return svg_write(f, &chart);
}

int history_export_svg(FILE *f, const struct history_data *h, uint64_t to_us)
{
	/* A gap may take a point of its own. */
	size_t room = h->n * 2 + 1;
	struct drawing d = { 0 };
	double *all;
	int r;

	all = calloc(room * _COLUMN_MAX, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (int i = 0; i < _COLUMN_MAX; i++)
		d.column[i] = all + (size_t)i * room;
	fill(&d, h, to_us);
	r = d.n < 2 ? -ENODATA : draw(f, h, &d, to_us);
	free(all);
	return r;
}
