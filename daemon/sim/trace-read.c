// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace-read.c - from CSV to points
 *
 * One pass, one line at a time. The column names decide the format; each row
 * is taken whole or not at all, and each row that is not taken is reported
 * with its line. A number is decimal digits with an optional fraction: no
 * sign, no exponent, nothing behind it.
 *
 * Leaves out: settings in comments, and what a number is (trace-settings.c);
 * quoting (no column has text that needs it) and guessing of any kind: a file
 * without usable column names is refused.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "basic/arith.h"
#include "basic/cleanup.h"
#include "sim/trace.h"
#include "sim/trace-parse.h"

#define COLUMNS_MAX 256
#define LINE_BYTES_MAX (64 * 1024)
#define KIB 1024ULL
#define SECOND_US 1000000ULL

/* A time that is further off is a typing error, and would take hours to simulate. */
#define DURATION_MAX_US (10 * 366 * 86400 * SECOND_US)

enum column {
	COL_T,
	COL_NEED,
	COL_HOT,
	COL_COLD,
	COL_IDLE,
	COL_COMMITTED,
	COL_CAPACITY,
	COL_ACTIVE,
	COL_RAM,
	COL_TOTAL,
	COL_FREE,
	COL_AVAILABLE,
	COL_ACTIVE_FILE,
	COL_INACTIVE_FILE,
	COL_SWAP_TOTAL,
	COL_SWAP_FREE,
	COL_BALLOON,
	COL_COUNTER,		/* one for each enum trace_counter, in its order */
	COL_COUNTER_LAST = COL_COUNTER + _TRACE_COUNTER_MAX - 1,
	COL_DISK_READ,
	COL_DISK_WRITE,
	COL_STREAM,
	_COL_MAX,
};

#define FOR(format) (1U << (format))

static const struct {
	const char *name;
	unsigned int needed;	/* formats that cannot do without */
	unsigned int used;	/* formats that use it */
	unsigned int may_be_empty; /* formats in which an empty cell means 0 */
	uint64_t unit;
} columns[_COL_MAX] = {
	[COL_T] = { "t_s", ~0U, ~0U, 0, SECOND_US },
	[COL_NEED] = { "need_kib", FOR(TRACE_DEMAND), FOR(TRACE_DEMAND), 0, KIB },
	[COL_HOT] = { "hot_cache_kib", 0, FOR(TRACE_DEMAND) | FOR(TRACE_CAPACITY), 0, KIB },
	[COL_COLD] = { "cold_cache_kib", 0, FOR(TRACE_DEMAND) | FOR(TRACE_CAPACITY), 0, KIB },
	[COL_IDLE] = { "idle_kib", 0, FOR(TRACE_DEMAND) | FOR(TRACE_CAPACITY), 0, KIB },
	[COL_COMMITTED] = { "committed_kib", 0, ~0U, FOR(TRACE_RECORDING), KIB },
	[COL_CAPACITY] = { "capacity_kib", FOR(TRACE_CAPACITY),
			   FOR(TRACE_CAPACITY) | FOR(TRACE_DEMAND), 0, KIB },
	[COL_ACTIVE] = { "active_kib", FOR(TRACE_CAPACITY), FOR(TRACE_CAPACITY), 0, KIB },
	[COL_RAM] = { "ram_kib", 0, FOR(TRACE_RECORDING), FOR(TRACE_RECORDING), KIB },
	[COL_TOTAL] = { "mem_total_kib", FOR(TRACE_RECORDING), FOR(TRACE_RECORDING), 0, KIB },
	[COL_FREE] = { "mem_free_kib", 0, FOR(TRACE_RECORDING), FOR(TRACE_RECORDING), KIB },
	[COL_AVAILABLE] = { "mem_available_kib", FOR(TRACE_RECORDING),
			    FOR(TRACE_RECORDING) | FOR(TRACE_DEMAND), 0, KIB },
	[COL_ACTIVE_FILE] = { "active_file_kib", FOR(TRACE_RECORDING), FOR(TRACE_RECORDING), 0, KIB },
	[COL_INACTIVE_FILE] = { "inactive_file_kib", FOR(TRACE_RECORDING), FOR(TRACE_RECORDING),
				0, KIB },
	[COL_SWAP_TOTAL] = { "swap_total_kib", 0, FOR(TRACE_RECORDING), FOR(TRACE_RECORDING), KIB },
	[COL_SWAP_FREE] = { "swap_free_kib", 0, FOR(TRACE_RECORDING), FOR(TRACE_RECORDING), KIB },
	[COL_BALLOON] = { "balloon_kib", 0, FOR(TRACE_RECORDING) | FOR(TRACE_DEMAND),
			  FOR(TRACE_RECORDING), KIB },
	/* Their names are trace_counter_name()'s. */
	[COL_COUNTER ... COL_COUNTER_LAST] = { NULL, 0, FOR(TRACE_RECORDING) | FOR(TRACE_DEMAND),
					       FOR(TRACE_RECORDING), 1 },
	[COL_DISK_READ] = { "disk_read_kib_s", 0, FOR(TRACE_DEMAND) | FOR(TRACE_CAPACITY), 0, KIB },
	[COL_DISK_WRITE] = { "disk_write_kib_s", 0, FOR(TRACE_DEMAND) | FOR(TRACE_CAPACITY), 0, KIB },
	[COL_STREAM] = { "stream_kib_s", 0, FOR(TRACE_DEMAND) | FOR(TRACE_CAPACITY), 0, KIB },
};

static const char *column_name(int k)
{
	return columns[k].name ?: trace_counter_name(k - COL_COUNTER);
}

struct reader {
	const struct trace_options *o;
	struct trace *t;
	size_t line;
	size_t allocated;
	size_t n_fields;	/* of the header; 0 = not seen yet */
	signed char kind[COLUMNS_MAX];	/* enum column of each field, -1 = not used */
	bool has[_COL_MAX];
	bool has_seen;		/* rows tell how a real guest fared */
	uint64_t capacity_max;
	uint64_t capacity_min;
	uint64_t first_us;
	uint64_t first_count[_TRACE_COUNTER_MAX];
};

DEFINE_CLEANUP(struct trace *, trace_free);

__attribute__((format(printf, 3, 4)))
static void report(const struct reader *r, bool bad, const char *format, ...)
{
	char why[200];
	va_list ap;

	if (!r->o->report)
		return;
	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	r->o->report(r->o->userdata, r->line, why, bad);
}

/* Split at commas, in place; blanks around a field are dropped. Returns the number of fields. */
static size_t split(char *line, char *fields[COLUMNS_MAX])
{
	size_t n = 0;
	char *p = line;

	for (;;) {
		char *end;

		p += strspn(p, " \t");
		end = strchrnul(p, ',');
		if (n == COLUMNS_MAX)
			return n + 1;
		fields[n++] = p;
		trace_trim(p, end);
		if (!*end)
			return n;
		*end = '\0';
		p = end + 1;
	}
}

/* A setting, or any other comment. */
static int read_comment(struct reader *r, char *line)
{
	const char *why, *key = NULL;

	why = trace_setting(r->t, line, r->n_fields > 0, &key);
	if (!why)
		return 0;
	report(r, true, "%s %s", key, why);
	return -EBADMSG;
}

static int choose_format(struct reader *r)
{
	const char *missing = NULL;

	if (r->has[COL_NEED] && r->has[COL_ACTIVE]) {
		report(r, true, "both need_kib and active_kib; which of them is the demand?");
		return -EBADMSG;
	}
	if (r->has[COL_NEED])
		r->t->format = TRACE_DEMAND;
	else if (r->has[COL_ACTIVE])
		r->t->format = TRACE_CAPACITY;
	else if (r->has[COL_TOTAL])
		r->t->format = TRACE_RECORDING;
	else
		missing = "need_kib, active_kib or mem_total_kib";
	for (int i = 0; i < _COL_MAX && !missing; i++)
		if (columns[i].needed & FOR(r->t->format) && !r->has[i])
			missing = column_name(i);
	if (!missing)
		return 0;
	report(r, true, "no column %s; the first line must name the columns, see balloon-trace(5)",
	       missing);
	return -EBADMSG;
}

static int read_header(struct reader *r, char *line)
{
	char *fields[COLUMNS_MAX];
	size_t n = split(line, fields);
	int res;

	if (n > COLUMNS_MAX) {
		report(r, true, "more than %d columns", COLUMNS_MAX);
		return -EBADMSG;
	}
	for (size_t i = 0; i < n; i++) {
		r->kind[i] = -1;
		for (int k = 0; k < _COL_MAX; k++) {
			if (strcmp(fields[i], column_name(k)))
				continue;
			if (r->has[k]) {
				report(r, true, "column %s stands there twice", fields[i]);
				return -EBADMSG;
			}
			r->has[k] = true;
			r->kind[i] = k;
		}
	}
	res = choose_format(r);
	if (res < 0)
		return res;
	for (size_t i = 0; i < n; i++) {
		if (r->kind[i] >= 0 && columns[(int)r->kind[i]].used & FOR(r->t->format))
			continue;
		if (r->t->format != TRACE_RECORDING)
			report(r, false, "column %.60s is not used", fields[i]);
		r->kind[i] = -1;
	}
	r->n_fields = n;
	r->has_seen = r->has[COL_AVAILABLE] && r->t->format != TRACE_CAPACITY;
	return 0;
}

static int add_point(struct reader *r, const struct trace_point *p, const struct trace_seen *seen)
{
	struct trace *t = r->t;

	if (t->n_points == TRACE_POINTS_MAX) {
		report(r, true, "more than %lu rows", TRACE_POINTS_MAX);
		return -E2BIG;
	}
	if (t->n_points == r->allocated) {
		size_t n = r->allocated ? r->allocated * 2 : 1024;
		void *m = reallocarray(t->points, n, sizeof(*t->points));

		if (!m)
			return -ENOMEM;
		t->points = m;
		if (seen) {
			m = reallocarray(t->seen, n, sizeof(*t->seen));
			if (!m)
				return -ENOMEM;
			t->seen = m;
		}
		r->allocated = n;
	}
	if (seen)
		t->seen[t->n_points] = *seen;
	t->points[t->n_points++] = *p;
	return 0;
}

/*
 * A recorded guest: what it could not have given away is its need. What is hot and what is idle is
 * what the lists say, until trace_recorded_demand() knows better.
 */
static const char *from_recording(const uint64_t v[_COL_MAX], uint64_t ram, struct trace_point *p,
				  struct trace_seen *seen)
{
	uint64_t swapped, file = v[COL_ACTIVE_FILE] + v[COL_INACTIVE_FILE];

	if (v[COL_AVAILABLE] > v[COL_TOTAL])
		return "mem_available_kib is above mem_total_kib";
	if (v[COL_SWAP_FREE] > v[COL_SWAP_TOTAL])
		return "swap_free_kib is above swap_total_kib";
	swapped = v[COL_SWAP_TOTAL] - v[COL_SWAP_FREE];
	p->d = (struct guest_demand) {
		.need = guest_need_seen(ram, v[COL_TOTAL], v[COL_AVAILABLE], file) + swapped,
		.idle = swapped,
		.hot = v[COL_ACTIVE_FILE],
		.cold = v[COL_INACTIVE_FILE],
		.committed = v[COL_COMMITTED],
	};
	/* What is missing from MemTotal is exact; the daemon's word is as old as its last look. */
	if (v[COL_TOTAL] < ram)
		seen->balloon = ram - v[COL_TOTAL];
	return NULL;
}

/* Counters since the first row; one that is missing in some row is none. */
static const char *from_counters(struct reader *r, const uint64_t v[_COL_MAX], uint64_t filled,
				 struct trace_seen *seen)
{
	const struct trace *t = r->t;
	static const char *const back[_TRACE_COUNTER_MAX] = {
		"mem_some_us goes back", "mem_full_us goes back",
		"io_some_us goes back", "io_full_us goes back",
		"refault_file_pages goes back", "refault_anon_pages goes back",
		"activate_file_pages goes back", "restore_file_pages goes back",
		"restore_anon_pages goes back", "pswpout_pages goes back",
		"pgscan_kswapd_pages goes back", "pgscan_direct_pages goes back",
		"pgsteal_kswapd_pages goes back", "pgsteal_direct_pages goes back",
	};

	for (int i = 0; i < _TRACE_COUNTER_MAX; i++) {
		uint64_t before = t->n_points ? t->seen[t->n_points - 1].count[i] : 0;

		if (!(filled & 1ULL << (COL_COUNTER + i))) {
			seen->count[i] = before;
			continue;
		}
		if (t->n_points && v[COL_COUNTER + i] < r->first_count[i] + before)
			return back[i];
		seen->count[i] = v[COL_COUNTER + i] - (t->n_points ? r->first_count[i] : v[COL_COUNTER + i]);
	}
	return NULL;
}

static const char *from_values(struct reader *r, const uint64_t v[_COL_MAX],
			       struct trace_point *p, struct trace_seen *seen, uint64_t *ret_ram)
{
	uint64_t ram = r->o->ram ?: r->has[COL_CAPACITY] ? v[COL_CAPACITY] : r->t->ram;
	const char *why;

	seen->available = v[COL_AVAILABLE];
	seen->balloon = v[COL_BALLOON];
	p->d = (struct guest_demand) {
		.need = v[r->t->format == TRACE_DEMAND ? COL_NEED : COL_ACTIVE],
		.hot = v[COL_HOT],
		.cold = r->has[COL_COLD] ? v[COL_COLD] : GUEST_COLD_FILLS,
		.idle = v[COL_IDLE],
		.committed = v[COL_COMMITTED],
		/* Known to be nothing is not unknown. */
		.fill_rate = r->has[COL_DISK_READ] ? max_u64(v[COL_DISK_READ] + v[COL_DISK_WRITE], 1) : 0,
		.stream = r->has[COL_STREAM] ? max_u64(v[COL_STREAM], 1) : 0,
	};
	if (r->t->format == TRACE_RECORDING) {
		/* A daemon that went away may have left its balloon. */
		ram = v[COL_RAM] ?: max_u64(v[COL_TOTAL] + v[COL_BALLOON], r->capacity_max);
		why = from_recording(v, ram, p, seen);
		if (why)
			return why;
		ram = r->o->ram ?: ram;
	}
	/* Without a capacity of any kind the peak will make one. */
	if ((ram || r->has[COL_CAPACITY]) && p->d.need > ram + r->t->swap)
		return "usage is above the capacity (RAM and swap)";
	if (p->d.idle > p->d.need)
		return "idle_kib is above need_kib";
	*ret_ram = ram;
	return NULL;
}

static const char *judge_time(const struct reader *r, uint64_t now)
{
	const struct trace *t = r->t;

	if (now < r->first_us || now - r->first_us <= t->points[t->n_points - 1].t_us)
		return "time does not go forward";
	return now - r->first_us > DURATION_MAX_US ? "time is more than ten years after the first row" : NULL;
}

/*
 * The RAM of a row. Where that is only the largest MemTotal so far, and this one is larger than
 * ever, so much more was missing from it in all rows before.
 */
static void note_capacity(struct reader *r, uint64_t ram, bool from_total)
{
	uint64_t more = from_total ? sub_sat(ram, r->capacity_max) : 0;

	for (size_t i = 0; more && i < r->t->n_points; i++)
		r->t->seen[i].balloon += more;
	r->capacity_max = max_u64(r->capacity_max, ram);
	r->capacity_min = min_u64(r->capacity_min, ram);
}

/* NULL, or what is wrong with the row; *ret_error if it is not the row's fault. */
static const char *read_row(struct reader *r, char *line, char *why, size_t n_why, int *ret_error)
{
	char *fields[COLUMNS_MAX];
	uint64_t v[_COL_MAX] = {}, ram = 0, filled = 0;
	size_t n = split(line, fields);
	struct trace *t = r->t;
	struct trace_point p;
	struct trace_seen seen = {};
	const char *s;

	if (n != r->n_fields) {
		snprintf(why, n_why, "%zu fields, the header has %zu", n, r->n_fields);
		return why;
	}
	for (size_t i = 0; i < n; i++) {
		int k = r->kind[i];

		if (k < 0 || (!*fields[i] && columns[k].may_be_empty & FOR(t->format)))
			continue;
		s = trace_number(fields[i], columns[k].unit, &v[k]);
		if (s) {
			snprintf(why, n_why, "%s %s", column_name(k), s);
			return why;
		}
		filled |= 1ULL << k;
	}
	s = t->n_points ? judge_time(r, v[COL_T]) : NULL;
	if (s)
		return s;
	if (t->format == TRACE_RECORDING && !r->t->swap_known && v[COL_SWAP_TOTAL] > t->swap)
		t->swap = v[COL_SWAP_TOTAL];
	s = from_values(r, v, &p, &seen, &ram);
	if (!s && r->has_seen)
		s = from_counters(r, v, filled, &seen);
	if (s)
		return s;
	if (!t->n_points) {
		r->first_us = v[COL_T];
		r->capacity_min = r->capacity_max = ram;
		t->counted = ~0U;
		t->first_free = filled & 1ULL << COL_FREE ? v[COL_FREE] : UINT64_MAX;
		memcpy(r->first_count, &v[COL_COUNTER], sizeof(r->first_count));
	}
	t->counted &= filled >> COL_COUNTER;
	p.t_us = v[COL_T] - r->first_us;
	note_capacity(r, ram, t->format == TRACE_RECORDING && !v[COL_RAM] && !r->o->ram);
	*ret_error = add_point(r, &p, r->has_seen ? &seen : NULL);
	return NULL;
}

static int read_line(struct reader *r, char *line)
{
	const char *bad;
	char why[120];
	int error = 0;

	/* The mark that spreadsheets put in front of UTF-8. */
	if (r->line == 1 && !strncmp(line, "\xef\xbb\xbf", 3))
		line += 3;
	line += strspn(line, " \t");
	if (!*line)
		return 0;
	if (*line == '#')
		return read_comment(r, line);
	if (!r->n_fields)
		return read_header(r, line);
	bad = read_row(r, line, why, sizeof(why), &error);
	if (bad) {
		report(r, true, "%s", bad);
		r->t->n_bad++;
	}
	return error;
}

/* Remarks on the file as a whole, and the settings that the options override. */
static int finish(struct reader *r)
{
	struct trace *t = r->t;

	r->line = 0;
	if (!r->n_fields) {
		report(r, true, "the file is empty");
		return -EBADMSG;
	}
	if (t->n_bad && !r->o->skip_bad)
		return -EBADMSG;
	if (t->n_points < 2) {
		report(r, true, "fewer than two usable rows");
		return -ENODATA;
	}
	if (r->capacity_min != r->capacity_max)
		report(r, false, "the capacity changes; the largest is taken as the guest's RAM");
	t->ram = r->capacity_max;
	t->balloon_seen = t->format == TRACE_RECORDING || (r->has_seen && r->has[COL_BALLOON]);
	t->counted &= r->has_seen ? (1U << _TRACE_COUNTER_MAX) - 1 : 0;
	if (t->between == TRACE_AS_HEADER)
		t->between = TRACE_LINEAR;
	return 0;
}

/* 1 and the line without its end, 0 at the end of the file, or a negative errno. */
static int next_line(struct reader *r, FILE *f, char buf[LINE_BYTES_MAX])
{
	size_t n = 0;
	int c;

	r->line++;
	while ((c = getc_unlocked(f)) != EOF && c != '\n') {
		if (!c) {
			report(r, true, "a zero byte: this is not text");
			return -EBADMSG;
		}
		if (n == LINE_BYTES_MAX - 1) {
			report(r, true, "a line of more than %d KiB: this is no trace",
			       LINE_BYTES_MAX / 1024);
			return -EBADMSG;
		}
		buf[n++] = c;
	}
	if (c == EOF && ferror(f))
		return -(errno ?: EIO);
	if (c == EOF && !n)
		return 0;
	if (c == EOF)
		report(r, false, "the last line has no newline: its last number may be cut");
	while (n && buf[n - 1] == '\r')
		n--;
	buf[n] = '\0';
	return 1;
}

int trace_read(FILE *f, const struct trace_options *o, struct trace **ret)
{
	_cleanup_(trace_freep) struct trace *t = calloc(1, sizeof(*t));
	_cleanup_free_ char *line = malloc(LINE_BYTES_MAX);
	struct reader r = { .o = o, .t = t };
	int res;

	if (!t || !line)
		return -ENOMEM;
	if (o->swap != UINT64_MAX) {
		t->swap = o->swap;
		t->swap_known = true;
	}
	errno = 0;
	while ((res = next_line(&r, f, line)) > 0) {
		res = read_line(&r, line);
		if (res < 0)
			break;
	}
	if (res < 0)
		return res;
	res = finish(&r);
	if (res < 0)
		return res;
	if (o->swap != UINT64_MAX)
		t->swap = o->swap;
	t->speed = guest_speed_or(&o->speed, &t->speed);
	if (t->format == TRACE_RECORDING) {
		/* First the stream: it needs the lists as they were. */
		trace_recorded_stream(t);
		trace_recorded_pace(t);
		res = trace_recorded_demand(t);
		if (res < 0)
			return res;
	}
	if (o->between != TRACE_AS_HEADER)
		t->between = o->between;
	*ret = steal_pointer(t);
	return 0;
}
