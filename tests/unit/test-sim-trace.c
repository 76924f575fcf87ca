// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The trace reader: each format, each way in which a row can be bad, and what
 * lies between two points.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/recording.h"
#include "sim/trace.h"

#define KIB 1024ULL
#define SEC 1000000ULL

struct remarks {
	size_t bad;
	size_t notes;
	size_t first_bad_line;
	char first_bad[200];
};

static void remark(void *userdata, size_t line, const char *why, bool bad)
{
	struct remarks *r = userdata;

	if (!bad) {
		r->notes++;
		return;
	}
	if (!r->bad++) {
		r->first_bad_line = line;
		snprintf(r->first_bad, sizeof(r->first_bad), "%s", why);
	}
}

static int read_with(const char *text, struct trace_options o, struct remarks *r, struct trace **ret)
{
	FILE *f = fmemopen((void *)text, strlen(text), "r");
	int res;

	assert_non_null(f);
	*r = (struct remarks){ 0 };
	*ret = NULL;
	o.report = remark;
	o.userdata = r;
	res = trace_read(f, &o, ret);
	fclose(f);
	return res;
}

static const struct trace_options refuse = { .swap = UINT64_MAX };
static const struct trace_options skip = { .swap = UINT64_MAX, .skip_bad = true };

static void test_demand(void **state)
{
	struct remarks r;
	struct trace *t;

	(void)state;
	assert_int_equal(read_with("# a comment\n"
				   "t_s,need_kib\n"
				   "10,1000\n"
				   "\n"
				   "20.5,2000\n", refuse, &r, &t), 0);
	assert_int_equal(r.bad + r.notes, 0);
	assert_int_equal(t->format, TRACE_DEMAND);
	assert_int_equal(t->between, TRACE_LINEAR);
	assert_int_equal(t->n_points, 2);
	assert_int_equal(t->points[0].t_us, 0);
	assert_int_equal(t->points[1].t_us, 10500000);
	assert_int_equal(t->points[1].d.need, 2000 * KIB);
	assert_true(t->points[0].d.cold == GUEST_COLD_FILLS);
	assert_int_equal(t->points[0].d.fill_rate, 0);
	assert_int_equal(t->ram, 0);
	assert_int_equal(trace_peak(t), 2000 * KIB);
	trace_free(t);
}

static void test_demand_all_columns(void **state)
{
	struct remarks r;
	struct trace *t;

	(void)state;
	/* Any order, blanks around the fields, DOS line ends, settings in comments. */
	assert_int_equal(read_with("# interpolation: steps\r\n# ram_kib: 8192\r\n# swap_kib = 100\r\n"
				   "cold_cache_kib, t_s ,need_kib,hot_cache_kib,idle_kib,committed_kib\r\n"
				   "4,0,1,2,1,9\r\n"
				   "40 , 1, 10 ,20,5,90\r\n", refuse, &r, &t), 0);
	assert_int_equal(r.bad + r.notes, 0);
	assert_int_equal(t->between, TRACE_STEPS);
	assert_int_equal(t->ram, 8192 * KIB);
	assert_int_equal(t->swap, 100 * KIB);
	assert_true(t->swap_known);
	assert_int_equal(t->points[1].d.need, 10 * KIB);
	assert_int_equal(t->points[1].d.hot, 20 * KIB);
	assert_int_equal(t->points[1].d.cold, 40 * KIB);
	assert_int_equal(t->points[1].d.idle, 5 * KIB);
	assert_int_equal(t->points[1].d.committed, 90 * KIB);
	assert_int_equal(trace_peak(t), 30 * KIB);
	trace_free(t);
}

/* A demand that is known, and how a real guest fared with it. */
static void test_demand_seen(void **state)
{
	struct remarks r;
	struct trace *t;

	(void)state;
	assert_int_equal(read_with("t_s,need_kib,mem_available_kib,balloon_kib,mem_some_us\n"
				   "0,10,500,20,1000\n1,20,490,30,1234\n", refuse, &r, &t), 0);
	assert_int_equal(r.bad + r.notes, 0);
	assert_non_null(t->seen);
	assert_int_equal(t->seen[1].available, 490 * KIB);
	assert_int_equal(t->seen[1].balloon, 30 * KIB);
	assert_int_equal(t->seen[1].count[TRACE_MEM_SOME], 234);
	trace_free(t);
	assert_int_equal(read_with("t_s,need_kib,balloon_kib\n0,10,1\n1,20,2\n", refuse, &r, &t), 0);
	assert_null(t->seen);
	trace_free(t);
}

static void test_capacity(void **state)
{
	struct remarks r;
	struct trace *t;

	(void)state;
	assert_int_equal(read_with("t_s,capacity_kib,active_kib,disk_read_kib_s,disk_write_kib_s\n"
				   "0,1000,10,5,6\n"
				   "300,1000,1000,5,6\n", refuse, &r, &t), 0);
	assert_int_equal(r.bad + r.notes, 0);
	assert_int_equal(t->format, TRACE_CAPACITY);
	assert_int_equal(t->between, TRACE_LINEAR);
	assert_int_equal(t->ram, 1000 * KIB);
	assert_int_equal(t->points[1].d.need, 1000 * KIB);
	assert_int_equal(t->points[1].d.fill_rate, (5 + 6) * KIB);
	trace_free(t);

	/* No capacity is a capacity, too. */
	assert_int_equal(read_with("t_s,capacity_kib,active_kib\n0,1000,10\n1,0,10\n2,1000,1\n", skip,
				   &r, &t), 0);
	assert_string_equal(r.first_bad, "usage is above the capacity (RAM and swap)");
	assert_int_equal(t->n_points, 2);
	trace_free(t);

	/* The capacity may change; the guest is as large as its largest. */
	assert_int_equal(read_with("t_s,capacity_kib,active_kib\n0,1000,10\n300,2000,1500\n", refuse,
				   &r, &t), 0);
	assert_int_equal(r.notes, 1);
	assert_int_equal(t->ram, 2000 * KIB);
	trace_free(t);
}

static void test_bad_rows(void **state)
{
	static const struct {
		const char *row;
		const char *why;
	} table[] = {
		{ "5", "1 fields, the header has 3" },
		{ "5,6", "2 fields, the header has 3" },
		{ "5,6,7,8", "4 fields, the header has 3" },
		{ "5,,7", "need_kib is empty" },
		{ "5,x,7", "need_kib is not a number" },
		{ "5,1x,7", "need_kib has trailing garbage" },
		{ "5,1 2,7", "need_kib has trailing garbage" },
		{ "5,1e3,7", "need_kib has trailing garbage" },
		{ "5,0x10,7", "need_kib has trailing garbage" },
		{ "5,nan,7", "need_kib is not a number" },
		{ "5,inf,7", "need_kib is not a number" },
		{ "5,-1,7", "need_kib is negative" },
		{ "5,+1,7", "need_kib is not a number" },
		{ "5,1.,7", "need_kib has no digit behind its point" },
		{ "5,.5,7", "need_kib is not a number" },
		{ "5,1,000,7", "4 fields, the header has 3" },
		{ "5,99999999999999999999,7", "need_kib is too large" },
		{ "5,9007199254740993,7", "need_kib is too large" },
		{ "5,1,-7", "hot_cache_kib is negative" },
		{ "x,1,7", "t_s is not a number" },
		{ "1,1,7", "time does not go forward" },
		{ "0,1,7", "time does not go forward" },
		{ "0.5,1,7", "time does not go forward" },
		{ "5,1001,7", "usage is above the capacity (RAM and swap)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct remarks r;
		struct trace *t;
		char text[300];

		snprintf(text, sizeof(text),
			 "# ram_kib: 1000\nt_s,need_kib,hot_cache_kib\n0.25,100,0\n1,200,0\n%s\n9,300,0\n",
			 table[i].row);
		/* Refused as a whole ... */
		assert_int_equal(read_with(text, refuse, &r, &t), -EBADMSG);
		assert_null(t);
		assert_int_equal(r.bad, 1);
		assert_int_equal(r.first_bad_line, 5);
		assert_string_equal(r.first_bad, table[i].why);
		/* ... or without that row, and said so. */
		assert_int_equal(read_with(text, skip, &r, &t), 0);
		assert_int_equal(r.bad, 1);
		assert_int_equal(t->n_bad, 1);
		assert_int_equal(t->n_points, 3);
		assert_int_equal(t->points[2].d.need, 300 * KIB);
		trace_free(t);
	}
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *text;
		int error;
	} table[] = {
		{ "\n", -EBADMSG },
		{ "# only a comment\n", -EBADMSG },
		{ "0,1\n1,2\n", -EBADMSG },
		{ "t_s,need\n0,1\n1,2\n", -EBADMSG },
		{ "need_kib\n1\n2\n", -EBADMSG },
		{ "t_s,need_kib,t_s\n0,1,0\n", -EBADMSG },
		{ "t_s,need_kib,active_kib\n0,1,1\n1,2,2\n", -EBADMSG },
		{ "t_s,active_kib\n0,1\n1,2\n", -EBADMSG },
		{ "t_s,mem_total_kib\n0,1\n1,2\n", -EBADMSG },
		{ "t_s,need_kib\n", -ENODATA },
		{ "t_s,need_kib\n0,1\n", -ENODATA },
		{ "# interpolation: cubic\nt_s,need_kib\n0,1\n1,2\n", -EBADMSG },
		{ "# ram_kib: lots\nt_s,need_kib\n0,1\n1,2\n", -EBADMSG },
		{ "t_s,need_kib\n# ram_kib: 5\n0,1\n1,2\n", -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct remarks r;
		struct trace *t;

		assert_int_equal(read_with(table[i].text, skip, &r, &t), table[i].error);
		assert_null(t);
		assert_int_equal(r.bad, 1);
	}
}

static void test_extremes(void **state)
{
	static const char header[] = "\xef\xbb\xbft_s,need_kib\r\n0,1\r\n1,2\r\n";
	char *text = malloc(sizeof(header) + 70000);
	struct remarks r;
	struct trace *t;

	(void)state;
	/* A spreadsheet's file, with a line that never ends. */
	assert_non_null(text);
	strcpy(text, header);
	memset(text + sizeof(header) - 1, '#', 70000);
	text[sizeof(header) - 1 + 70000] = '\0';
	assert_int_equal(read_with(text, skip, &r, &t), -EBADMSG);
	assert_int_equal(r.first_bad_line, 4);
	assert_string_equal(r.first_bad, "a line of more than 64 KiB: this is no trace");
	text[sizeof(header) + 60000] = '\0';
	assert_int_equal(read_with(text, refuse, &r, &t), 0);
	assert_int_equal(t->n_points, 2);
	trace_free(t);
	free(text);

	/* A typing error in a time must not cost a day; nor may an origin in 1970. */
	assert_int_equal(read_with("t_s,need_kib\n1700000000,1\n17000000010,2\n1700000020,3\n", skip,
				   &r, &t), 0);
	assert_string_equal(r.first_bad, "time is more than ten years after the first row");
	assert_int_equal(trace_duration(t), 20 * SEC);
	trace_free(t);

	/* 1 PiB is the most. */
	assert_int_equal(read_with("t_s,need_kib\n0,1099511627776\n1,1099511627777\n2,0\n", skip, &r,
				   &t), 0);
	assert_string_equal(r.first_bad, "need_kib is too large");
	assert_true(t->points[0].d.need == 1ULL << 50);
	trace_free(t);
}

static void test_not_text(void **state)
{
	static const char data[] = "t_s,need_kib\n0,1\n1,\0002\n3,4\n";
	struct trace_options o = skip;
	struct remarks r = { 0 };
	struct trace *t = NULL;
	FILE *f = fmemopen((void *)data, sizeof(data) - 1, "r");

	(void)state;
	o.report = remark;
	o.userdata = &r;
	assert_int_equal(trace_read(f, &o, &t), -EBADMSG);
	assert_int_equal(r.first_bad_line, 3);
	fclose(f);
}

static void test_remarks(void **state)
{
	struct remarks r;
	struct trace *t;

	(void)state;
	/* A column that nobody knows, and a last line that may have lost its tail. */
	assert_int_equal(read_with("t_s,need_kib,hot_kib\n0,1,2\n1,2,3", refuse, &r, &t), 0);
	assert_int_equal(r.notes, 2);
	assert_int_equal(t->n_points, 2);
	assert_int_equal(t->points[1].d.hot, 0);
	trace_free(t);
}

static void test_options(void **state)
{
	static const char text[] = "# interpolation: steps\n# ram_kib: 1000\nt_s,need_kib\n0,1\n1,500\n";
	struct trace_options o = { .ram = 400 * KIB, .swap = 0, .between = TRACE_LINEAR };
	struct remarks r;
	struct trace *t;

	(void)state;
	assert_int_equal(read_with(text, o, &r, &t), -EBADMSG);
	o.swap = 100 * KIB;
	assert_int_equal(read_with(text, o, &r, &t), 0);
	assert_int_equal(t->ram, 400 * KIB);
	assert_int_equal(t->swap, 100 * KIB);
	assert_int_equal(t->between, TRACE_LINEAR);
	trace_free(t);
}

/* What the file says of the machine; options go first, one by one. */
static void test_speed(void **state)
{
	static const char text[] = "# disk_kib_s: 1000\n# iops: 200\n# hot_period_s: 0.5\n"
				   "# touch_kib_s = 65536\n# reclaim_kib_s: 70\nt_s,need_kib\n0,1\n1,5\n";
	static const char *const bad[] = {
		"# iops: 0", "# iops: many", "# disk_kib_s: 1", "# hot_period_s: 0.01",
		"# hot_period_s: 99999999", "# touch_kib_s: 9999999999999", "# reclaim_kib_s: -5",
	};
	struct trace_options o = refuse;
	struct remarks r;
	struct trace *t;

	(void)state;
	assert_int_equal(read_with(text, o, &r, &t), 0);
	assert_int_equal(t->speed.disk_rate, 1000 * KIB);
	assert_int_equal(t->speed.iops, 200);
	assert_int_equal(t->speed.hot_period_us, SEC / 2);
	assert_int_equal(t->speed.touch_rate, 65536 * KIB);
	assert_int_equal(t->speed.reclaim_rate, 70 * KIB);
	trace_free(t);
	o.speed = (struct guest_speed){ .iops = 77, .hot_period_us = 9 * SEC };
	assert_int_equal(read_with(text, o, &r, &t), 0);
	assert_int_equal(t->speed.iops, 77);
	assert_int_equal(t->speed.hot_period_us, 9 * SEC);
	assert_int_equal(t->speed.disk_rate, 1000 * KIB);
	trace_free(t);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char with[200];

		snprintf(with, sizeof(with), "%s\nt_s,need_kib\n0,1\n1,5\n", bad[i]);
		assert_int_equal(read_with(with, refuse, &r, &t), -EBADMSG);
		assert_int_equal(r.first_bad_line, 1);
	}
}

static void test_between(void **state)
{
	const struct trace_point points[] = {
		{ 0, { .need = 100, .hot = 10, .cold = GUEST_COLD_FILLS } },
		{ 10 * SEC, { .need = 200, .hot = 0, .cold = 50 } },
		{ 20 * SEC, { .need = 0, .hot = 0, .cold = 150 } },
	};
	struct guest_demand d;
	struct trace *t;

	(void)state;
	assert_int_equal(trace_new(points, 3, TRACE_LINEAR, 0, 0, &t), 0);
	struct trace_cursor c = { .t = t };

	trace_at(&c, 5 * SEC, &d);
	assert_int_equal(d.need, 150);
	assert_int_equal(d.hot, 5);
	assert_true(d.cold == GUEST_COLD_FILLS);
	assert_int_equal(trace_next(&c), 10 * SEC);
	trace_before(&c, 10 * SEC, &d);
	assert_int_equal(d.need, 200);
	trace_at(&c, 15 * SEC, &d);
	assert_int_equal(d.need, 100);
	assert_int_equal(d.cold, 100);
	trace_at(&c, 20 * SEC, &d);
	assert_int_equal(d.need, 0);
	assert_true(trace_next(&c) == UINT64_MAX);
	trace_free(t);

	assert_int_equal(trace_new(points, 3, TRACE_STEPS, 0, 0, &t), 0);
	c = (struct trace_cursor){ .t = t };
	trace_at(&c, 9 * SEC, &d);
	assert_int_equal(d.need, 100);
	trace_before(&c, 10 * SEC, &d);
	assert_int_equal(d.need, 100);
	trace_at(&c, 10 * SEC, &d);
	assert_int_equal(d.need, 200);
	trace_free(t);
	assert_int_equal(trace_new(points, 1, TRACE_STEPS, 0, 0, &t), -ENODATA);
}

/* What record writes, simulate reads; an empty cell stays empty. */
static void test_recording(void **state)
{
	char text[3 * RECORDING_LINE_MAX];
	const struct recording_daemon none = { 0 };
	struct recording_daemon there = { .valid = true, .target = 5ULL << 20, .reason = "steady" };
	struct sample s = { .time_us = 77 * SEC, .mem_have = ~0U, .vm_have = ~0U, .psi_have = ~0U };
	struct remarks r;
	struct trace *t;
	size_t n;

	(void)state;
	s.mem[MEM_TOTAL] = 1024ULL << 20;
	s.mem[MEM_AVAILABLE] = 600ULL << 20;
	s.mem[MEM_ACTIVE_FILE] = 30ULL << 20;
	s.mem[MEM_INACTIVE_FILE] = 70ULL << 20;
	s.mem[MEM_SWAP_TOTAL] = 10ULL << 20;
	s.mem[MEM_SWAP_FREE] = 4ULL << 20;
	s.mem[MEM_COMMITTED_AS] = 500ULL << 20;
	s.mem[MEM_SWAP_ROOM] = 2ULL << 20;
	s.mem[MEM_ZRAM] = 3ULL << 20;
	s.psi[PSI_MEM_SOME_US] = 1000;
	n = recording_header(text, sizeof(text));
	assert_true(n > 0);
	assert_non_null(strstr(text, ",watermark_high_kib,swap_room_kib,zram_kib,pswpin_pages"));
	n += recording_line(text + n, sizeof(text) - n, 77 * SEC, &s, &none);
	assert_non_null(strstr(text, ",10240,4096,0,2048,3072,0"));
	s.time_us += SEC;
	s.psi[PSI_MEM_SOME_US] = 1500;
	s.balloon = (struct sample_balloon){ .valid = true, .size = 1024ULL << 20, .limit = UINT64_MAX };
	s.ram = 2048ULL << 20;
	n += recording_line(text + n, sizeof(text) - n, 77 * SEC, &s, &there);

	assert_int_equal(read_with(text, refuse, &r, &t), 0);
	assert_int_equal(r.bad, 0);
	assert_int_equal(t->format, TRACE_RECORDING);
	assert_int_equal(t->ram, 2048ULL << 20);
	assert_int_equal(t->swap, 10ULL << 20);
	assert_int_equal(t->points[1].t_us, SEC);
	assert_int_equal(t->points[1].d.idle, 6ULL << 20);
	assert_int_equal(t->points[1].d.hot, 30ULL << 20);
	assert_int_equal(t->points[1].d.cold, 70ULL << 20);
	assert_int_equal(t->points[1].d.committed, 500ULL << 20);
	assert_non_null(t->seen);
	assert_int_equal(t->seen[0].balloon, 0);
	assert_int_equal(t->seen[1].balloon, 1024ULL << 20);
	assert_int_equal(t->seen[1].available, 600ULL << 20);
	assert_int_equal(t->seen[1].count[TRACE_MEM_SOME], 500);
	trace_free(t);

	/* Without MemAvailable there is nothing to be learned from a row. */
	s.time_us += SEC;
	s.mem_have &= ~(1U << MEM_AVAILABLE);
	recording_line(text + n, sizeof(text) - n, 77 * SEC, &s, &there);
	assert_int_equal(read_with(text, refuse, &r, &t), -EBADMSG);
	assert_string_equal(r.first_bad, "mem_available_kib is empty");

	/* A buffer that is too small gives no half line. */
	assert_int_equal(recording_header(text, 100), 0);
	assert_int_equal(recording_line(text, 100, 77 * SEC, &s, &there), 0);
}

#define RECORDED "t_s,ram_kib,mem_total_kib,mem_available_kib,active_file_kib,inactive_file_kib," \
		 "swap_total_kib,swap_free_kib,activate_file_pages,refault_anon_pages\n"

/* Hot is what is read again, whatever the lists hold at the moment; idle is what stays in swap. */
static void test_recorded_demand(void **state)
{
	/* A balloon has evicted half of the hot cache; 400 MiB of it come back within the minute. */
	static const char missed[] = RECORDED
		"0,2097152,1048576,700000,409600,0,1048576,524288,5000,100\n"
		"30,2097152,1048576,700000,409600,0,1048576,524288,56200,100\n"
		"60,2097152,1048576,700000,409600,0,1048576,524288,107400,25700\n"
		"300,2097152,1048576,700000,409600,0,1048576,524288,107400,25700\n";
	/* The active list is let go, and nothing of it comes back. */
	static const char stale[] = RECORDED
		"0,2097152,2097152,1500000,819200,100,0,0,77,0\n"
		"60,2097152,2097152,1500000,102400,100,0,0,77,0\n"
		"90,2097152,2097152,1500000,204800,100,0,0,77,0\n";
	struct trace_options o = refuse;
	struct remarks r;
	struct trace *t;

	(void)state;
	assert_int_equal(read_with(missed, refuse, &r, &t), 0);
	assert_int_equal(t->points[0].d.hot, (409600 + 102400 * 4) * KIB);
	assert_int_equal(t->points[1].d.hot, (409600 + 51200 * 4) * KIB);
	assert_int_equal(t->points[2].d.hot, 409600 * KIB);
	/* 100 of 512 MiB came back from swap. */
	assert_int_equal(t->points[0].d.idle, (524288 - 25600 * 4) * KIB);
	assert_int_equal(t->points[2].d.idle, 524288 * KIB);
	trace_free(t);
	/* A shorter period sees less of it come back. */
	o.speed.hot_period_us = 30 * SEC;
	assert_int_equal(read_with(missed, o, &r, &t), 0);
	assert_int_equal(t->points[0].d.hot, (409600 + 51200 * 4) * KIB);
	trace_free(t);

	assert_int_equal(read_with(stale, refuse, &r, &t), 0);
	assert_int_equal(t->points[0].d.hot, 102400 * KIB);
	assert_int_equal(t->points[0].d.cold, (100 + 819200 - 102400) * KIB);
	assert_int_equal(t->points[2].d.hot, 204800 * KIB);
	trace_free(t);
}

#define STREAMED "t_s,ram_kib,mem_total_kib,mem_free_kib,mem_available_kib,active_file_kib,inactive_file_kib," \
		 "refault_file_pages,restore_file_pages,restore_anon_pages,pswpout_pages,pgscan_kswapd_pages," \
		 "pgscan_direct_pages,pgsteal_kswapd_pages,pgsteal_direct_pages,mem_some_us\n"

/* What came in: by what the lists have grown, and what reclaim took of them, hot cache aside. */
static void test_recorded_stream(void **state)
{
	static const char text[] = STREAMED
		"0,2097152,2097152,1000000,1600000,100000,400000,50,7,0,0,100,0,100,0,0\n"
		"2,2097152,2097152,1000000,1600000,100000,500000,5050,1007,0,2000,20100,0,20100,4000,700000\n"
		"3,2097152,2097152,1000000,1600000,100000,300000,5050,1007,0,2000,20100,0,20100,4000,700000\n"
		"4,2097152,2097152,1000000,1600000,100000,300000,5050,1007,0,2000,45100,0,45100,4000,900000\n"
		"5,2097152,2097152,1000000,1600000,100000,300000,5050,1007,0,9000,75100,0,52100,4000,1800000\n";
	struct guest_demand d;
	struct trace_cursor c;
	struct trace_options o = refuse;
	struct remarks r;
	struct trace *t;

	(void)state;
	assert_int_equal(read_with(text, refuse, &r, &t), 0);
	/* 25000 pages more on the lists, 24000 taken, 2000 of them swapped, 1000 hot: 46000 in 2 s. */
	assert_int_equal(t->points[0].d.stream, 46000 * 4096ULL / 2);
	assert_int_equal(t->points[0].d.again, 4000 * 4096ULL / 2);
	assert_int_equal(t->points[0].d.drop, 0);
	/* 50000 pages gone, and nobody took them. */
	assert_int_equal(t->points[1].d.stream, 1);
	assert_int_equal(t->points[1].d.drop, 50000 * 4096ULL);
	assert_int_equal(t->points[2].d.stream, 25000 * 4096ULL);
	/* The restored pages are the hot cache that was missing. */
	assert_int_equal(t->points[0].d.hot, 100000 * KIB + 1000 * 4096);
	assert_int_equal(t->points[0].d.back, 1000 * 4096);
	assert_int_equal(t->points[1].d.back, 0);
	/* What is neither free nor in need is cache, on the lists or not. */
	assert_true(t->points[0].d.cold + t->points[0].d.need + 100000 * KIB + 1000000 * KIB == t->ram);
	assert_int_equal(t->points[1].d.cold, 500000 * KIB);
	/* It flows from one row to the next, whatever the rows after it say. */
	c = (struct trace_cursor){ .t = t };
	trace_at(&c, SEC, &d);
	assert_int_equal(d.stream, 46000 * 4096ULL / 2);
	trace_before(&c, 2 * SEC, &d);
	assert_int_equal(d.stream, 46000 * 4096ULL / 2);
	trace_at(&c, 2 * SEC, &d);
	assert_int_equal(d.stream, 1);
	/* kswapd alone worked in one second: nothing was restored then, and nothing swapped. */
	assert_true(t->pace_seen);
	assert_int_equal(t->speed.reclaim_rate, 25000 * 4096ULL * 5);
	trace_free(t);
	/* Who says it knows better. */
	o.speed.reclaim_rate = 7 << 20;
	assert_int_equal(read_with(text, o, &r, &t), 0);
	assert_true(!t->pace_seen && t->speed.reclaim_rate == 7 << 20);
	trace_free(t);
}

/* A column of its own where the trace is written by hand. */
static void test_stream_column(void **state)
{
	struct remarks r;
	struct trace *t;

	(void)state;
	assert_int_equal(read_with("t_s,need_kib,stream_kib_s\n0,10,500\n1,20,0\n", refuse, &r, &t), 0);
	assert_int_equal(r.bad + r.notes, 0);
	assert_int_equal(t->points[0].d.stream, 500 * KIB);
	assert_int_equal(t->points[1].d.stream, 1);	/* known to be nothing */
	assert_true(t->points[0].d.cold == GUEST_COLD_FILLS);
	trace_free(t);
	assert_int_equal(read_with("t_s,need_kib\n0,10\n1,20\n", refuse, &r, &t), 0);
	assert_int_equal(t->points[0].d.stream, 0);
	trace_free(t);
}

/* Counters are compared from the first row on, if every row has them. */
static void test_counters(void **state)
{
	struct remarks r;
	struct trace *t;

	(void)state;
	assert_int_equal(read_with("t_s,need_kib,mem_available_kib,mem_full_us,io_some_us,refault_file_pages\n"
				   "0,10,500,100,5000,7\n1,20,490,150,5000,9\n2,20,490,150,6000,19\n",
				   refuse, &r, &t), 0);
	assert_int_equal(r.bad + r.notes, 0);
	assert_int_equal(t->counted, 1U << TRACE_MEM_FULL | 1U << TRACE_IO_SOME | 1U << TRACE_REFAULT_FILE);
	assert_int_equal(t->seen[0].count[TRACE_MEM_FULL], 0);
	assert_int_equal(t->seen[1].count[TRACE_MEM_FULL], 50);
	assert_int_equal(t->seen[2].count[TRACE_IO_SOME], 1000);
	assert_int_equal(t->seen[2].count[TRACE_REFAULT_FILE], 12);
	trace_free(t);

	/* A cell that could not be read: nothing is said of that counter. */
	assert_int_equal(read_with("t_s,mem_total_kib,mem_available_kib,active_file_kib,inactive_file_kib,"
				   "mem_some_us,io_full_us\n0,9000,500,1,1,5,7\n1,9000,500,1,1,,9\n",
				   refuse, &r, &t), 0);
	assert_int_equal(t->counted, 1U << TRACE_IO_FULL);
	assert_int_equal(t->seen[1].count[TRACE_IO_FULL], 2);
	trace_free(t);

	/* The machine was started anew. */
	assert_int_equal(read_with("t_s,need_kib,mem_available_kib,io_full_us\n0,1,5,70\n1,1,5,90\n2,1,5,80\n",
				   refuse, &r, &t), -EBADMSG);
	assert_string_equal(r.first_bad, "io_full_us goes back");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demand),
		cmocka_unit_test(test_demand_all_columns),
		cmocka_unit_test(test_demand_seen),
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_bad_rows),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_not_text),
		cmocka_unit_test(test_remarks),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_speed),
		cmocka_unit_test(test_between),
		cmocka_unit_test(test_recording),
		cmocka_unit_test(test_recorded_demand),
		cmocka_unit_test(test_recorded_stream),
		cmocka_unit_test(test_stream_column),
		cmocka_unit_test(test_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
