// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-history.c - balloonctl history
 *
 * For people a table of at most two dozen lines, whatever the time asked for: in each the
 * extremes and the reason that held longest, and what happened in between. For programs
 * and eyes everything, as CSV, JSON and as a picture (history-export.c, history-json.c).
 *
 * Files are written completely or said to be broken; "-" is the standard output.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "basic/cleanup.h"
#include "basic/units.h"
#include "basic/when.h"
#include "ctl/ctl.h"
#include "ctl/files.h"
#include "ctl/history-data.h"
#include "ctl/history-export.h"
#include "ctl/history-json.h"
#include "ctl/pager.h"
#include "ctl/term.h"

#define SEC 1000000ULL
#define LINES_MAX 24
#define REASONS_MAX 32

enum {
	OPT_SINCE,
	OPT_UNTIL,
	OPT_SVG,
	OPT_CSV,
};

static const struct ctl_option options[] = {
	[OPT_SINCE] = { "since", "WHEN",
			"only from then on: yesterday, -2h, \"2026-11-28 14:30\"" },
	[OPT_UNTIL] = { "until", "WHEN", "only until then" },
	[OPT_SVG] = { "svg", "FILE", "draw a picture; - is the standard output" },
	[OPT_CSV] = { "csv", "FILE", "write every record, with units; - is the standard output" },
	{ 0 },
};

/* What one line of the table says. */
struct bucket {
	uint64_t from_us;
	unsigned int n;
	uint64_t size_min, size_max;
	uint64_t available_min;
	uint32_t some_max, full_max;
	uint64_t ram;
	bool observed; /* its mode moves nothing; a line has one mode, a note ends it */
	struct {
		const char *name;
		unsigned int n;
	} reasons[REASONS_MAX];
};

static void bucket_add(struct bucket *b, const struct history_record *r)
{
	const struct history_numbers *n = &r->n;
	uint64_t size = r->flags & HISTORY_NO_BALLOON ? 0 : n->size;

	if (b->n == 0 || size < b->size_min)
		b->size_min = size;
	if (b->n == 0 || size > b->size_max)
		b->size_max = size;
	if (b->n == 0 || n->available_min < b->available_min)
		b->available_min = n->available_min;
	if (n->mem_some_permille > b->some_max)
		b->some_max = n->mem_some_permille;
	if (n->mem_full_permille > b->full_max)
		b->full_max = n->mem_full_permille;
	b->ram = n->ram;
	b->observed = strcmp(n->mode, "observe") == 0;
	b->n++;
	for (int i = 0; i < REASONS_MAX; i++) {
		if (b->reasons[i].name && strcmp(b->reasons[i].name, n->reason) != 0)
			continue;
		b->reasons[i].name = n->reason;
		b->reasons[i].n++;
		return;
	}
}

static void print_bucket(const struct bucket *b)
{
	char time[32], low[UNITS_MAX], high[UNITS_MAX], range[2 * UNITS_MAX + 4], least[UNITS_MAX];
	int most = 0;

	if (b->n == 0)
		return;
	for (int i = 1; i < REASONS_MAX && b->reasons[i].name; i++)
		if (b->reasons[i].n > b->reasons[most].n)
			most = i;
	units_format_size(low, sizeof(low), b->size_min);
	units_format_size(high, sizeof(high), b->size_max);
	if (strcmp(low, high) == 0)
		snprintf(range, sizeof(range), "%s", low);
	else
		snprintf(range, sizeof(range), "%s - %s", low, high);
	printf("%s  %-21s  %10s  %4u.%u%%  %4u.%u%%  %s%s\n",
	       history_data_time(time, sizeof(time), b->from_us), range,
	       b->available_min == UINT64_MAX ? "unknown" :
		       units_format_size(least, sizeof(least), b->available_min),
	       b->some_max / 10, b->some_max % 10, b->full_max / 10, b->full_max % 10,
	       b->observed ? "would be: " : "", b->reasons[most].name);
}

/* The shortest usual time that makes at most LINES_MAX lines of @span. */
static uint64_t bucket_length(uint64_t span)
{
	static const uint64_t minutes[] = { 1, 2, 5, 10, 15, 30, 60, 120, 360, 720 };

	for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++)
		if (span <= minutes[i] * 60 * SEC * LINES_MAX)
			return minutes[i] * 60 * SEC;
	return span / LINES_MAX + SEC;
}

static void print_table(const struct history_data *h, bool titles)
{
	uint64_t length = bucket_length(h->records[h->n - 1].time_us - h->records[0].time_us);
	struct bucket b = { 0 };

	if (titles)
		printf("%s%-15s  %-21s  %10s  %6s  %6s  %s%s\n", term_style(TERM_BOLD), "from",
		       "balloon", "available", "some", "full", "reason", term_style(TERM_PLAIN));
	for (size_t i = 0; i < h->n; i++) {
		const struct history_record *r = &h->records[i];
		char time[32];

		/* Earlier than the line begins: the clock was set back. */
		if (b.n > 0 && (r->time_us >= b.from_us + length || r->time_us < b.from_us)) {
			print_bucket(&b);
			b = (struct bucket){ 0 };
		}
		if (r->kind == HISTORY_NOTE) {
			print_bucket(&b);
			b = (struct bucket){ 0 };
			printf("%s%s  %s%s\n", term_style(TERM_FAINT),
			       history_data_time(time, sizeof(time), r->time_us), r->text,
			       term_style(TERM_PLAIN));
			continue;
		}
		if (b.n == 0)
			b.from_us = r->time_us;
		bucket_add(&b, r);
	}
	print_bucket(&b);
}

/* All of it, before the file is opened: one that is there stays as it is if there is nothing to write. */
static int render(const struct history_data *h, uint64_t end_us, bool svg, char **ret,
		  size_t *ret_n)
{
	FILE *f = open_memstream(ret, ret_n);
	int r = 0;

	if (!f)
		return -errno;
	if (svg)
		r = history_export_svg(f, h, end_us);
	else
		history_export_csv(f, h);
	if (fclose(f) != 0 && r == 0)
		r = -errno;
	return r;
}

/* Renders, and writes to @path; prints its own failure. */
static enum ctl_exit to_file(const char *path, const struct history_data *h, uint64_t end_us,
			     bool svg)
{
	_cleanup_free_ char *text = NULL;
	size_t n = 0;
	int r;

	r = render(h, end_us, svg, &text, &n);
	if (r == -ENODATA)
		return ctl_fail(CTL_FAILED, "there is not enough history for a picture yet; wait 20 "
				"seconds, or ask for a longer time");
	if (r == 0)
		r = files_write(path, text, n);
	if (r < 0)
		return ctl_fail(CTL_FAILED, "%s cannot be written: %s", path, strerror(-r));
	return CTL_OK;
}

static void print_json(const struct history_data *h, enum json_form form)
{
	struct json j;

	json_init(&j, stdout, form);
	json_array_begin(&j, NULL);
	for (size_t i = 0; i < h->n; i++)
		history_json_record(&j, &h->records[i]);
	json_array_end(&j);
}

static enum ctl_exit show(const struct ctl_args *args, const struct history_data *h,
			  uint64_t until_us)
{
	const char *svg = args->option[OPT_SVG], *csv = args->option[OPT_CSV];
	uint64_t now_us = history_data_now(), end_us = until_us < now_us ? until_us : now_us;
	enum ctl_exit code = CTL_OK;

	if (csv)
		code = to_file(csv, h, end_us, false);
	if (svg && code == CTL_OK)
		code = to_file(svg, h, end_us, true);
	if (csv || svg)
		return code;
	pager_open();
	if (args->json)
		print_json(h, args->json);
	else if (h->n == 0)
		printf("nothing was recorded in that time\n");
	else
		print_table(h, !args->no_legend);
	return CTL_OK;
}

static enum ctl_exit run(const struct ctl_args *args)
{
	uint64_t since_us = 0, until_us = UINT64_MAX;
	struct history_data h = { 0 };
	struct ctl_bus bus;
	enum ctl_exit code;

	if (history_data_when("since", args->option[OPT_SINCE], &since_us) != CTL_OK ||
	    history_data_when("until", args->option[OPT_UNTIL], &until_us) != CTL_OK)
		return CTL_USAGE;
	if (since_us > until_us)
		return ctl_fail(CTL_USAGE, "--since '%s' is later than --until '%s'",
				args->option[OPT_SINCE], args->option[OPT_UNTIL]);
	if (files_same_outputs(args->option[OPT_SVG], args->option[OPT_CSV]))
		return ctl_fail(CTL_USAGE, "--svg and --csv need two different files");
	if (args->json && (args->option[OPT_SVG] || args->option[OPT_CSV]))
		return ctl_fail(CTL_USAGE, "--json is in the place of --svg and --csv");
	code = ctl_bus_open(&bus, &args->where);
	if (code != CTL_OK)
		ctl_fail(code, "%s", ctl_bus_why(&bus));
	else
		code = history_data_load(&bus, &h);
	ctl_bus_done(&bus);
	if (code == CTL_OK) {
		history_data_trim(&h, since_us, until_us);
		code = show(args, &h, until_us);
	}
	history_data_done(&h);
	return code;
}

const struct ctl_verb ctl_verb_history = {
	.name = "history",
	.args = "",
	.summary = "show the last 24 hours",
	.help = "Show what balloond saw and did in the last 24 hours: as a table, with --csv as a\n"
		"file for other programs, with --svg as a picture. A line of the table shows the\n"
		"range of the balloon, the least memory available, the largest share of time\n"
		"stalled (some, full) and the reason that held longest. Everyone may ask.\n\n"
		"WHEN is " WHEN_HELP ".\n",
	.traits = CTL_ASKS | CTL_AFAR | CTL_SHOWS | CTL_LONG | CTL_TITLES,
	.options = options,
	.run = run,
};
