// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * simulate-report.c - scores for people and for programs
 *
 * For people a table, one line a law, with the bound as the last line; for
 * programs every number of struct score in bytes, seconds and shares of one.
 * Both say the same; what the numbers mean is in balloon-trace(5).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "basic/cleanup.h"
#include "basic/printable.h"
#include "basic/units.h"
#include "ctl/simulate-report.h"

#define SIZE(v) units_format_size((char[UNITS_MAX]){ 0 }, UNITS_MAX, (v))
#define TIME(v) units_format_time((char[UNITS_MAX]){ 0 }, UNITS_MAX, (v))

static double hours(const struct score *s)
{
	return s->duration_us / 3.6e9;
}

static uint64_t average(double byte_seconds, const struct score *s)
{
	return s->duration_us ? byte_seconds / (s->duration_us / 1e6) : 0;
}

/* Tenths of a second are all that a person wants to know. */
static uint64_t rounded(uint64_t us)
{
	return us < 1000000 ? us / 1000 * 1000 : us / 100000 * 100000;
}

static void print_head(const struct simulate_report *r)
{
	const struct score *s = &r->results[0].score;
	_cleanup_free_ char *file = strdup(r->file);

	printf("%s: %s of RAM, ", file ? printable_line(file) : "?", SIZE(r->ram));
	if (r->swap)
		printf("%s of swap, ", SIZE(r->swap));
	else
		printf("no swap, ");
	if (hours(s) >= 48)
		printf("%.1f days", hours(s) / 24);
	else if (hours(s) >= 2)
		printf("%.1f h", hours(s));
	else
		printf("%.1f min", hours(s) * 60);
	printf(", %zu rows (%s)", r->trace->n_points,
	       r->trace->between == TRACE_STEPS ? "steps" : "linear");
	if (r->trace->n_bad)
		printf(", %zu bad rows left out", r->trace->n_bad);
	printf("\n  disk %s/s, %" PRIu64 " requests/s; hot cache looked at once in %s\n",
	       SIZE(r->speed->disk_rate), r->speed->iops, TIME(r->speed->hot_period_us));
	if (r->trace->pace_seen)
		printf("  kswapd reclaims %s/s, by the recorded stalls\n", SIZE(r->speed->reclaim_rate));
	putchar('\n');
}

static const char *size_or_none(char buf[UNITS_MAX], uint64_t bytes)
{
	return bytes ? units_format_size(buf, UNITS_MAX, bytes) : "-";
}

static void print_result(const struct simulate_result *r)
{
	const struct score *s = &r->score;

	printf("  %-12s %9s %6.1f %%", r->law, SIZE(average(s->reclaimed_bs, s)),
	       100 * score_share(s));
	printf(" %9.2f %7s", score_beyond_gib_h(s), TIME(rounded(s->lost_us)));
	printf(" %7.3f %% %7s", 100 * score_short_share(s), TIME(rounded(s->relief_max_us)));
	printf(" %7s %7s %7s %7s %7s", TIME(rounded(s->mem_some_us)), TIME(rounded(s->mem_full_us)),
	       TIME(rounded(s->own_us)), TIME(rounded(s->kswapd_us)), TIME(rounded(s->io_full_us)));
	printf(" %8s", size_or_none((char[UNITS_MAX]){ 0 }, s->refault + s->swapin));
	printf(" %3" PRIu64 " %6" PRIu64 " %7" PRIu64 " %6.2f\n", s->oom_kills, s->rescues,
	       s->reliefs, score_reversals_per_hour(s));
}

static void print_check(const struct sim_check *c, const char *what)
{
	if (!c || !c->rows)
		return;
	printf("\n  Against the recording, %s, %" PRIu64 " rows:\n", what, c->rows);
	printf("    MemAvailable differs by %s on average, %s at most\n",
	       SIZE(c->available_error_sum / c->rows), SIZE(c->available_error_max));
	printf("    the balloon differs by %s on average, %s at most\n",
	       SIZE(c->balloon_error_sum / c->rows), SIZE(c->balloon_error_max));
	for (int i = 0; i < _TRACE_COUNTER_MAX; i++) {
		uint64_t seen = c->seen[i], model = c->model[i];

		if (!(c->have & 1U << i))
			continue;
		printf("    %s: ", trace_counter_name(i));
		if (i <= TRACE_IO_FULL)
			printf("%s recorded, %s in the model", TIME(rounded(seen)),
			       TIME(rounded(model)));
		else
			printf("%" PRIu64 " recorded, %" PRIu64 " in the model", seen, model);
		printf(seen ? " (%.2f times)\n" : "\n", seen ? (double)model / seen : 0);
	}
}

void simulate_print(const struct simulate_report *r)
{
	const struct score *s = &r->results[0].score;

	print_head(r);
	printf("  %-12s %9s %8s %9s %7s %9s %7s %7s %7s %7s %7s %7s %8s %3s %6s %7s %6s\n",
	       "law", "reclaimed", "of bound", "GiB x h", "lost", "short", "longest", "some",
	       "full", "own", "kswapd", "I/O", "re-read", "OOM", "rescue", "reliefs", "rev/h");
	for (size_t i = 0; i < r->n_results; i++)
		print_result(&r->results[i]);
	printf("  %-12s %9s %6.1f %%\n", "clairvoyant", SIZE(average(s->bound_bs, s)), 100.0);
	print_check(r->guest_check, "the guest, given the recorded balloon");
	print_check(r->check, "guest and law");
	putchar('\n');
}

static void json_result(struct json *j, const struct simulate_result *r)
{
	const struct score *s = &r->score;

	json_object_begin(j, NULL);
	json_string(j, "law", r->law);
	json_uint(j, "reclaimed_avg", average(s->reclaimed_bs, s));
	json_real(j, "share_of_bound", score_share(s));
	json_real(j, "beyond_bound_gib_h", score_beyond_gib_h(s));
	json_real(j, "lost_s", s->lost_us / 1e6);
	json_real(j, "short_s", s->short_us / 1e6);
	json_real(j, "short_share", score_short_share(s));
	json_uint(j, "shortages", s->shortages);
	json_real(j, "relief_max_s", s->relief_max_us / 1e6);
	json_uint(j, "depth_max", s->depth_max);
	json_uint(j, "depth_avg", s->short_us ? s->short_bs / (s->short_us / 1e6) : 0);
	json_uint(j, "oom_kills", s->oom_kills);
	json_uint(j, "rescues", s->rescues);
	json_uint(j, "reliefs", s->reliefs);
	json_uint(j, "relieved", s->relieved);
	json_uint(j, "emergencies", s->emergencies);
	json_uint(j, "reversals", s->reversals);
	json_real(j, "reversals_per_hour", score_reversals_per_hour(s));
	json_uint(j, "overshoot_max", s->overshoot_max);
	json_uint(j, "overshoot_avg", s->deflations ? s->overshoot_sum / s->deflations : 0);
	json_uint(j, "inflated", s->inflated);
	json_uint(j, "deflated", s->deflated);
	json_real(j, "mem_some_s", s->mem_some_us / 1e6);
	json_real(j, "mem_full_s", s->mem_full_us / 1e6);
	json_real(j, "tasks_full_s", s->tasks_full_us / 1e6);
	json_real(j, "own_s", s->own_us / 1e6);
	json_real(j, "kswapd_s", s->kswapd_us / 1e6);
	json_real(j, "io_some_s", s->io_some_us / 1e6);
	json_real(j, "io_full_s", s->io_full_us / 1e6);
	json_real(j, "stall_max_s", s->stall_max_us / 1e6);
	json_uint(j, "swapped_in", s->swapin);
	json_uint(j, "read_back", s->refault);
	json_uint(j, "ticks", s->ticks);
	json_object_end(j);
}

/* What was recorded and what the model says; times in seconds. */
static void json_counter(struct json *j, enum trace_counter counter, uint64_t seen, uint64_t model)
{
	const char *name = trace_counter_name(counter), *unit = strrchr(name, '_');
	bool is_time = counter <= TRACE_IO_FULL;
	double one = is_time ? 1e6 : 1;
	char key[64];

	snprintf(key, sizeof(key), "%.*s_recorded%s", (int)(unit - name), name, is_time ? "_s" : "");
	json_real(j, key, seen / one);
	snprintf(key, sizeof(key), "%.*s_model%s", (int)(unit - name), name, is_time ? "_s" : "");
	json_real(j, key, model / one);
	if (!seen)
		return;
	snprintf(key, sizeof(key), "%.*s_ratio", (int)(unit - name), name);
	json_real(j, key, (double)model / seen);
}

static void json_check(struct json *j, const char *key, const struct sim_check *c)
{
	if (!c || !c->rows)
		return;
	json_object_begin(j, key);
	json_uint(j, "rows", c->rows);
	json_uint(j, "available_error_avg", c->available_error_sum / c->rows);
	json_uint(j, "available_error_max", c->available_error_max);
	json_uint(j, "balloon_error_avg", c->balloon_error_sum / c->rows);
	json_uint(j, "balloon_error_max", c->balloon_error_max);
	for (int i = 0; i < _TRACE_COUNTER_MAX; i++)
		if (c->have & 1U << i)
			json_counter(j, i, c->seen[i], c->model[i]);
	json_object_end(j);
}

void simulate_json(struct json *j, const struct simulate_report *r)
{
	const struct score *s = &r->results[0].score;

	json_object_begin(j, NULL);
	json_string(j, "trace", r->file);
	json_uint(j, "rows", r->trace->n_points);
	json_uint(j, "bad_rows", r->trace->n_bad);
	json_string(j, "interpolation", r->trace->between == TRACE_STEPS ? "steps" : "linear");
	json_real(j, "duration_s", s->duration_us / 1e6);
	json_uint(j, "ram", r->ram);
	json_uint(j, "swap", r->swap);
	json_uint(j, "disk_rate", r->speed->disk_rate);
	json_uint(j, "iops", r->speed->iops);
	json_real(j, "hot_period_s", r->speed->hot_period_us / 1e6);
	json_uint(j, "touch_rate", r->speed->touch_rate);
	json_uint(j, "reclaim_rate", r->speed->reclaim_rate);
	json_uint(j, "floor", s->floor);
	json_uint(j, "bound_avg", average(s->bound_bs, s));
	json_array_begin(j, "laws");
	for (size_t i = 0; i < r->n_results; i++)
		json_result(j, &r->results[i]);
	json_array_end(j);
	json_check(j, "guest_against_recording", r->guest_check);
	json_check(j, "against_recording", r->check);
	json_object_end(j);
}
