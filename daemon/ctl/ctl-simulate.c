// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-simulate.c - balloonctl simulate
 *
 * Reads traces, runs them through the daemon's own policy code against a
 * simulated guest (sim/), and prints the scores. Needs neither balloond nor
 * root. A trace that cannot be used is reported and fails the command in the
 * end; the others are still run. What is written to files is complete before
 * the first of them is opened: a run that fails leaves them as they are.
 *
 * Leaves out: the model (sim/) and what the numbers mean (balloon-trace(5)).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/cleanup.h"
#include "basic/printable.h"
#include "basic/units.h"
#include "config/config.h"
#include "ctl/ctl.h"
#include "ctl/files.h"
#include "ctl/simulate-report.h"
#include "sim/picture.h"

enum {
	OPT_CONFIG,
	OPT_LAW,
	OPT_RAM,
	OPT_SWAP,
	OPT_COMPARE,
	OPT_SVG,
	OPT_CSV,
	OPT_SKIP_BAD,
	OPT_INTERPOLATE,
	OPT_DISK,
	OPT_IOPS,
	OPT_HOT_PERIOD,
	OPT_TOUCH_RATE,
	OPT_RECLAIM_RATE,
};

static const struct ctl_option options[] = {
	[OPT_CONFIG] = { "config", "FILE", "with the settings of this file, not the defaults" },
	[OPT_LAW] = { "law", "NAME", "adaptive, committed, one of --compare, or recorded" },
	[OPT_RAM] = { "ram", "SIZE", "the guest's RAM (default: what the trace says)" },
	[OPT_SWAP] = { "swap", "SIZE", "the guest's swap (default: what the trace says, or none)" },
	[OPT_COMPARE] = { "compare", NULL, "run the laws of others, too" },
	[OPT_SVG] = { "svg", "FILE",
		      "draw the run, - = standard output (one TRACE only)" },
	[OPT_CSV] = { "csv", "FILE", "write each row, - = standard output (one TRACE only)" },
	[OPT_SKIP_BAD] = { "skip-bad", NULL, "leave bad rows out, instead of refusing the trace" },
	[OPT_INTERPOLATE] = { "interpolate", "HOW", "linear or steps, whatever the trace says" },
	[OPT_DISK] = { "disk", "RATE", "its disk (default: what the trace says, or 125MiB/s)" },
	[OPT_IOPS] = { "iops", "N", "requests a second (default: as in the trace, or 3000)" },
	[OPT_HOT_PERIOD] = { "hot-period", "TIME", "all of the hot cache is looked at once in TIME (60s)" },
	[OPT_TOUCH_RATE] = { "touch-rate", "RATE", "programs touch new memory so fast (2GiB/s)" },
	[OPT_RECLAIM_RATE] = { "reclaim-rate", "RATE", "kswapd reclaims so fast (as recorded, or the touch rate)" },
	{ 0 },
};
_Static_assert(sizeof(options) / sizeof(options[0]) <= CTL_OPTIONS_MAX, "options fit");

/* Less is a typing error, and no kernel of today starts with it. */
#define RAM_MIN (16ULL << 20)

/* Reports after which a broken file has made its point. */
#define REPORTS_MAX 20

/* Enough for a picture 900 pixels wide. */
#define PICTURE_BUCKETS 900

/* Own law, static, and every rival. */
#define RESULTS_MAX 16

struct request {
	struct config config;
	const struct rival *rival;	/* NULL = the policy itself */
	const char *law;		/* its name */
	uint64_t ram;			/* 0 = from the trace */
	uint64_t swap;			/* UINT64_MAX = from the trace */
	struct guest_speed speed;	/* 0 = from the trace */
	enum trace_between between;
	bool skip_bad;
	bool compare;
	const char *svg;
	const char *csv;
	bool no_scores;			/* the standard output has one of these */
};

struct reporter {
	const char *file;
	size_t n_bad;
	bool in_line;		/* one of them is a line's, and not the whole file's */
	bool skip_bad;
};

DEFINE_CLEANUP(struct trace *, trace_free);

/* As messages and reports name it. */
static const char *shown(const char *path)
{
	return files_is_standard(path) ? FILES_STDIN : path;
}

static void report_row(void *userdata, size_t line, const char *why, bool bad)
{
	struct reporter *r = userdata;

	r->in_line |= bad && line;
	if (bad && ++r->n_bad > REPORTS_MAX)
		return;
	if (line)
		ctl_fail(CTL_FAILED, "%s:%zu: %s", r->file, line, why);
	else
		ctl_fail(CTL_FAILED, "%s: %s", r->file, why);
}

static enum ctl_exit read_config(const char *path, struct config *ret)
{
	_cleanup_(config_origins_done) struct config_origins origins;
	struct config_errors errors = { 0 };
	enum ctl_exit code = CTL_OK;
	int r;

	if (files_is_standard(path))
		r = config_load_fd(STDIN_FILENO, FILES_STDIN, ret, &origins, &errors);
	else
		r = config_load_from(path, NULL, ret, &origins, &errors);
	if (r < 0) {
		for (size_t i = 0; i < errors.n; i++)
			fprintf(stderr, "%s\n", errors.lines[i]);
		code = ctl_fail(CTL_CONFIG, "%s is not valid; nothing was simulated%s",
				shown(path), files_config_advice(path));
	} else if (r == 0) {
		code = ctl_fail(CTL_CONFIG, "%s: there is no such file", path);
	}
	config_errors_done(&errors);
	return code;
}

static enum ctl_exit choose_law(const char *name, struct request *q)
{
	enum policy_law law;

	if (policy_law_parse(name, &law) >= 0) {
		q->config.policy.law = law;
		q->config.policy.mode = MODE_AUTO;
		return CTL_OK;
	}
	q->rival = rival_find(name);
	if (q->rival)
		return CTL_OK;
	fprintf(stderr, "balloonctl: laws:");
	for (int i = 0; i < _LAW_MAX; i++)
		fprintf(stderr, " %s", policy_law_name(i));
	for (const struct rival *const *r = rivals; *r; r++)
		fprintf(stderr, " %s", (*r)->name);
	fputc('\n', stderr);
	return ctl_fail(CTL_USAGE, "'%s' is not a law; name one of these", name);
}

static enum ctl_exit parse_size(const char *option, const char *text, uint64_t least, uint64_t *ret)
{
	const char *why = NULL;

	if (units_parse_size(text, 0, ret, &why) < 0)
		return ctl_fail(CTL_USAGE, "--%s '%s': %s", option, text, why);
	if (*ret < least)
		return ctl_fail(CTL_USAGE, "--%s '%s': too small for a guest", option, text);
	if (*ret > 1ULL << 50)
		return ctl_fail(CTL_USAGE, "--%s '%s': too large for a guest", option, text);
	return CTL_OK;
}

/* The number is one; its unit and its range are right. */
static enum ctl_exit judge(const char *option, const char *text, const char *why, uint64_t v,
			   uint64_t least, uint64_t most)
{
	if (!why && v < least)
		why = "too small";
	if (!why && v > most)
		why = "too large";
	return why ? ctl_fail(CTL_USAGE, "--%s '%s': %s", option, text, why) : CTL_OK;
}

static enum ctl_exit parse_rate(const char *option, const char *text, uint64_t *ret)
{
	const char *why = NULL;

	if (!text)
		return CTL_OK;
	units_parse_rate(text, ret, &why);
	return judge(option, text, why, *ret, GUEST_RATE_MIN, GUEST_RATE_MAX);
}

static enum ctl_exit parse_iops(const char *text, uint64_t *ret)
{
	size_t digits;

	if (!text)
		return CTL_OK;
	digits = strspn(text, "0123456789");
	if (!digits || text[digits])
		return judge("iops", text, "not a number", 0, 0, 0);
	*ret = strtoull(text, NULL, 10);
	return judge("iops", text, NULL, *ret, 1, GUEST_IOPS_MAX);
}

static enum ctl_exit parse_period(const char *text, uint64_t *ret)
{
	const char *why = NULL;

	if (!text)
		return CTL_OK;
	units_parse_time(text, ret, &why);
	return judge("hot-period", text, why, *ret, GUEST_PERIOD_MIN_US, GUEST_PERIOD_MAX_US);
}

static enum ctl_exit parse_speed(const struct ctl_args *args, struct guest_speed *ret)
{
	enum ctl_exit code = parse_rate("disk", args->option[OPT_DISK], &ret->disk_rate);

	if (code == CTL_OK)
		code = parse_iops(args->option[OPT_IOPS], &ret->iops);
	if (code == CTL_OK)
		code = parse_period(args->option[OPT_HOT_PERIOD], &ret->hot_period_us);
	if (code == CTL_OK)
		code = parse_rate("touch-rate", args->option[OPT_TOUCH_RATE], &ret->touch_rate);
	if (code == CTL_OK)
		code = parse_rate("reclaim-rate", args->option[OPT_RECLAIM_RATE], &ret->reclaim_rate);
	return code;
}

/* What is read is not written. */
static enum ctl_exit judge_input(const struct request *q, const char *input)
{
	const char *option = files_would_overwrite(q->csv, input) ? "--csv" :
			     files_would_overwrite(q->svg, input) ? "--svg" : NULL;

	if (!option)
		return CTL_OK;
	return ctl_fail(CTL_USAGE, "%s would overwrite what is read from %s; name another file",
			option, shown(input));
}

/* Each file, and each standard stream, is for one thing. */
static enum ctl_exit judge_files(const struct ctl_args *args, struct request *q)
{
	int read = files_is_standard(args->option[OPT_CONFIG]);
	enum ctl_exit code = judge_input(q, args->option[OPT_CONFIG]);

	for (int i = 0; i < args->argc && code == CTL_OK; i++) {
		read += files_is_standard(args->argv[i]);
		code = judge_input(q, args->argv[i]);
	}
	if (code != CTL_OK)
		return code;
	if (read > 1)
		return ctl_fail(CTL_USAGE, "the standard input can be read as one file only");
	if (files_same_outputs(q->svg, q->csv))
		return ctl_fail(CTL_USAGE, "--svg and --csv need two different files");
	q->no_scores = files_is_standard(q->svg) || files_is_standard(q->csv);
	if (q->no_scores && args->json)
		return ctl_fail(CTL_USAGE, "%s - and --json cannot both have the standard output",
				files_is_standard(q->svg) ? "--svg" : "--csv");
	return CTL_OK;
}

static enum ctl_exit parse_request(const struct ctl_args *args, struct request *q)
{
	enum ctl_exit code;

	*q = (struct request){
		.swap = UINT64_MAX,
		.svg = args->option[OPT_SVG],
		.csv = args->option[OPT_CSV],
	};
	config_default(&q->config);
	code = judge_files(args, q);
	if (code == CTL_OK && args->option[OPT_CONFIG])
		code = read_config(args->option[OPT_CONFIG], &q->config);
	/* Observing would move nothing, and whoever simulates wants to see what would be moved. */
	if (q->config.policy.mode == MODE_OBSERVE)
		q->config.policy.mode = MODE_AUTO;
	if (code == CTL_OK && args->option[OPT_LAW])
		code = choose_law(args->option[OPT_LAW], q);
	if (code == CTL_OK && args->option[OPT_RAM])
		code = parse_size("ram", args->option[OPT_RAM], RAM_MIN, &q->ram);
	if (code == CTL_OK && args->option[OPT_SWAP])
		code = parse_size("swap", args->option[OPT_SWAP], 0, &q->swap);
	if (code == CTL_OK)
		code = parse_speed(args, &q->speed);
	if (code != CTL_OK)
		return code;
	if (args->option[OPT_INTERPOLATE]) {
		if (!strcmp(args->option[OPT_INTERPOLATE], "linear"))
			q->between = TRACE_LINEAR;
		else if (!strcmp(args->option[OPT_INTERPOLATE], "steps"))
			q->between = TRACE_STEPS;
		else
			return ctl_fail(CTL_USAGE, "--interpolate '%s': neither linear nor steps",
					args->option[OPT_INTERPOLATE]);
	}
	q->law = q->rival ? q->rival->name :
		 q->config.policy.mode == MODE_AUTO ? policy_law_name(q->config.policy.law) :
						      policy_mode_name(q->config.policy.mode);
	q->skip_bad = args->option[OPT_SKIP_BAD];
	q->compare = args->option[OPT_COMPARE];
	if ((q->svg || q->csv) && args->argc > 1)
		return ctl_fail(CTL_USAGE, "--svg and --csv are for one trace, and there are %d",
				args->argc);
	return CTL_OK;
}

static enum ctl_exit read_trace(const struct request *q, const char *path, struct trace **ret)
{
	const char *name = shown(path);
	struct reporter reporter = { .file = name, .skip_bad = q->skip_bad };
	const struct trace_options o = {
		.ram = q->ram,
		.swap = q->swap,
		.speed = q->speed,
		.between = q->between,
		.skip_bad = q->skip_bad,
		.report = report_row,
		.userdata = &reporter,
	};
	FILE *f = files_open(path, "r");
	int r;

	if (!f)
		return ctl_fail(CTL_FAILED, "%s: %s", name, strerror(errno));
	r = trace_read(f, &o, ret);
	files_close(f);
	if (reporter.n_bad > REPORTS_MAX)
		ctl_fail(CTL_FAILED, "%s: and %zu more", name, reporter.n_bad - REPORTS_MAX);
	if (r == -EBADMSG)
		return ctl_fail(CTL_FAILED, "%s: not used%s", name,
				reporter.in_line && !q->skip_bad ?
					"; --skip-bad leaves out rows that are bad" : "");
	if (r == -ENODATA || r == -E2BIG)
		return ctl_fail(CTL_FAILED, "%s: not used", name);
	if (r < 0)
		return ctl_fail(CTL_FAILED, "%s: %s", name, strerror(-r));
	return CTL_OK;
}

static int run_one(struct sim_setup *s, const struct rival *rival, const char *name,
		   struct simulate_result *ret)
{
	ret->law = name;
	s->rival = rival;
	return sim_run(s, &ret->score);
}

/* Whether this law stands beside the one in question. */
static bool beside(const struct request *q, const struct rival *v, const struct trace *t)
{
	if (v == q->rival)
		return false;
	if (v == &rival_recorded)
		return t->balloon_seen;
	return q->compare || v == &rival_static;
}

static int run_all(const struct request *q, struct sim_setup *s, struct sim_check *guest_check,
		   struct simulate_result *results, size_t *ret_n)
{
	size_t n = 0;
	int r = run_one(s, q->rival, q->law, &results[n++]);

	/* Picture, rows and check are about the law in question. */
	s->timeline = NULL;
	s->row_observer = NULL;
	for (const struct rival *const *v = rivals; *v && r >= 0; v++) {
		s->check = *v == &rival_recorded ? guest_check : NULL;
		if (beside(q, *v, s->trace))
			r = run_one(s, *v, (*v)->name, &results[n++]);
	}
	*ret_n = n;
	return r;
}

/* Of a file, before it is one. */
struct text {
	FILE *f;
	char *data;
	size_t n;
};

static int text_open(struct text *t)
{
	t->f = open_memstream(&t->data, &t->n);
	return t->f ? 0 : -errno;
}

static enum ctl_exit text_to(struct text *t, const char *path)
{
	int r = fclose(t->f) == 0 ? 0 : -errno;

	t->f = NULL;
	if (r == 0)
		r = files_write(path, t->data, t->n);
	return r < 0 ? ctl_fail(CTL_FAILED, "%s: %s", path, strerror(-r)) : CTL_OK;
}

static void text_done(struct text *t)
{
	cleanup_fclose(&t->f);
	free(t->data);
}

static enum ctl_exit draw(const struct request *q, const char *trace, const struct timeline *t,
			  const struct simulate_result *result)
{
	_cleanup_(text_done) struct text out = { 0 };
	const struct score *s = &result->score;
	char title[200], subtitle[200];
	const char *base = strrchr(trace, '/');
	int r = text_open(&out);

	if (r < 0)
		return ctl_fail(CTL_FAILED, "%s: %s", q->svg, strerror(-r));
	snprintf(title, sizeof(title), "%s, law %s", base ? base + 1 : trace, result->law);
	(void)printable_line(title);
	snprintf(subtitle, sizeof(subtitle),
		 "reclaimed %.1f %% of what a clairvoyant could; short %.4f %% of the time",
		 100 * score_share(s), 100 * score_short_share(s));
	r = picture_write(out.f, t, s->ram, s->duration_us, title, subtitle);
	if (r < 0)
		return ctl_fail(CTL_FAILED, "%s: %s", q->svg, strerror(-r));
	return text_to(&out, q->svg);
}

static void write_row(void *userdata, const struct sim_row *row)
{
	const struct trace_seen *seen = row->seen;
	FILE *f = userdata;

	fprintf(f, "%" PRIu64 ".%03" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64,
		row->t_us / 1000000, row->t_us / 1000 % 1000, row->need >> 10,
		row->available >> 10, row->balloon >> 10);
	for (int i = 0; i < _TRACE_COUNTER_MAX; i++)
		fprintf(f, ",%" PRIu64, row->count[i]);
	if (seen) {
		fprintf(f, ",%" PRIu64 ",%" PRIu64, seen->available >> 10, seen->balloon >> 10);
		for (int i = 0; i < _TRACE_COUNTER_MAX; i++)
			fprintf(f, ",%" PRIu64, seen->count[i]);
	}
	fputc('\n', f);
}

static void write_header(FILE *f, const struct trace *t)
{
	fputs("t_s,need_kib,mem_available_kib,balloon_kib", f);
	for (int i = 0; i < _TRACE_COUNTER_MAX; i++)
		fprintf(f, ",%s", trace_counter_name(i));
	if (t->seen)
		fputs(",seen_mem_available_kib,seen_balloon_kib", f);
	for (int i = 0; i < _TRACE_COUNTER_MAX && t->seen; i++)
		fprintf(f, ",seen_%s", trace_counter_name(i));
	fputc('\n', f);
}

/* Whether what was asked for can be run on it. */
static enum ctl_exit judge_trace(const struct request *q, const char *path, const struct trace *t,
				 uint64_t ram)
{
	if (q->rival == &rival_recorded && !t->balloon_seen)
		return ctl_fail(CTL_FAILED, "%s: no balloon was recorded there, which --law recorded would need",
				path);
	if (ram < RAM_MIN)
		return ctl_fail(CTL_FAILED, "%s: not used: %" PRIu64 " KiB of RAM are too small for a guest; --ram sets another size",
				path, ram >> 10);
	return CTL_OK;
}

static enum ctl_exit simulate(const struct request *q, const char *path, struct json *j)
{
	_cleanup_(trace_freep) struct trace *t = NULL;
	_cleanup_(timeline_done) struct timeline timeline = { 0 };
	_cleanup_(text_done) struct text rows = { 0 };
	struct simulate_result results[RESULTS_MAX];
	struct sim_check check, guest_check;
	struct sim_setup setup;
	const char *name = shown(path);
	struct simulate_report report = { .file = name, .results = results };
	enum ctl_exit code = read_trace(q, path, &t);
	int r;

	if (code != CTL_OK)
		return code;
	report.trace = t;
	report.ram = t->ram ?: sim_ram_for(t);
	code = judge_trace(q, name, t, report.ram);
	if (code != CTL_OK)
		return code;
	report.swap = t->swap;
	sim_setup_default(&setup, t, report.ram, report.swap);
	report.speed = &setup.guest.speed;
	config_resolve(&q->config, report.ram, &setup.policy);
	setup.early_us = q->config.psi_early.stall_us;
	setup.emergency_us = q->config.psi_emergency.stall_us;
	if (t->seen)
		setup.check = &check;
	if (q->svg) {
		r = timeline_init(&timeline, PICTURE_BUCKETS);
		if (r < 0)
			return ctl_fail(CTL_FAILED, "%s: %s", name, strerror(-r));
		setup.timeline = &timeline;
	}
	if (q->csv) {
		r = text_open(&rows);
		if (r < 0)
			return ctl_fail(CTL_FAILED, "%s: %s", q->csv, strerror(-r));
		write_header(rows.f, t);
		setup.row_observer = write_row;
		setup.userdata = rows.f;
	}
	/* With the recorded law, guest and law are the guest. */
	*(q->rival == &rival_recorded ? &report.guest_check : &report.check) = setup.check;
	if (t->balloon_seen && q->rival != &rival_recorded)
		report.guest_check = &guest_check;
	r = run_all(q, &setup, &guest_check, results, &report.n_results);
	if (r < 0)
		return ctl_fail(CTL_FAILED, "%s: %s", name, strerror(-r));
	if (q->csv)
		code = text_to(&rows, q->csv);
	if (code != CTL_OK)
		return code;
	if (j)
		simulate_json(j, &report);
	else if (!q->no_scores)
		simulate_print(&report);
	return q->svg ? draw(q, name, &timeline, &results[0]) : CTL_OK;
}

static enum ctl_exit run(const struct ctl_args *args)
{
	enum ctl_exit code, worst = CTL_OK;
	struct request q;
	struct json j;

	code = parse_request(args, &q);
	if (code != CTL_OK)
		return code;
	if (args->json) {
		json_init(&j, stdout, args->json);
		json_array_begin(&j, NULL);
	}
	for (int i = 0; i < args->argc; i++) {
		code = simulate(&q, args->argv[i], args->json ? &j : NULL);
		if (code != CTL_OK)
			worst = code;
	}
	if (args->json)
		json_array_end(&j);
	return worst;
}

const struct ctl_verb ctl_verb_simulate = {
	.name = "simulate",
	.args = "TRACE...",
	.summary = "judge the policy by a recording",
	.help = "Replay memory demand over time through balloond's policy against a simulated\n"
		"guest, and print how much memory it would have given back, and how often the\n"
		"guest would have been short of it. TRACE is what 'balloonctl record' wrote, or a\n"
		"CSV file with the columns t_s,need_kib[,hot_cache_kib,cold_cache_kib]; all\n"
		"formats and all scores: balloon-trace(5). - is the standard input, also for\n"
		"--config. Needs neither balloond nor root.\n",
	.min_args = 1,
	.max_args = 10000,
	.traits = CTL_SHOWS,
	.options = options,
	.run = run,
};
