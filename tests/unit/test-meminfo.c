// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /proc/meminfo by libproc2, and the sample as a whole.
 *
 * The values are those of the machine that runs the test; which fields there
 * are comes from fixtures.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "sense/meminfo.h"
#include "sense/sense.h"

#define ALL_MEMINFO ((1U << MEM_WATERMARK_HIGH) - 1)

static void test_present_in_real_kernels(void **state)
{
	static const char *const files[] = {"proc-6.1/meminfo", "proc-6.12/meminfo",
					    "proc-6.18/meminfo"};
	struct fixture_text t;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		fixture_load(files[i], &t);
		assert_int_equal(meminfo_present(t.data, t.len), ALL_MEMINFO);
	}
}

static uint32_t present(const char *text)
{
	return meminfo_present(text, strlen(text));
}

static void test_present(void **state)
{
	(void)state;
	assert_int_equal(present(""), 0);
	assert_int_equal(present("MemFree: 12 kB\n"), 1U << MEM_FREE);
	assert_int_equal(present("MemFree: kB\n"), 0);
	assert_int_equal(present("MemFree 12 kB\n"), 0);
	assert_int_equal(present("MemAvailable: 12 kB"), 0);
	/* A sum needs all of its parts. */
	assert_int_equal(present("Dirty: 1 kB\n"), 0);
	assert_int_equal(present("Dirty: 1 kB\nWriteback: 0 kB\n"), 1U << MEM_DIRTY);
	assert_int_equal(present("SwapCached: 0 kB\nCached: 5 kB\nBuffers: 1 kB\n"), 0);
	assert_int_equal(present("Cached: 5 kB\nBuffers: 1 kB\nShmem: 1 kB\n"),
			 1U << MEM_CACHED | 1U << MEM_SHMEM);
}

static uint64_t meminfo_kib(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long v = 0;
	char line[128];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			v = strtoull(line + strlen(name), NULL, 10);
	fclose(f);
	return v;
}

static void test_values_here(void **state)
{
	struct sense *sense;
	struct sample s;

	(void)state;
	assert_int_equal(sense_open(NULL, NULL, &sense), 0);
	assert_int_equal(sense_read(sense, &s), 0);
	assert_true(s.time_us > 0);
	assert_int_equal(s.mem[MEM_TOTAL], meminfo_kib("MemTotal:") * 1024);
	assert_int_equal(s.mem[MEM_SWAP_TOTAL], meminfo_kib("SwapTotal:") * 1024);
	assert_true(s.mem[MEM_AVAILABLE] > 0 && s.mem[MEM_AVAILABLE] <= s.mem[MEM_TOTAL]);
	assert_true(s.mem[MEM_FREE] > 0 && s.mem[MEM_ANON] > 0);
	assert_true(sample_has_mem(&s, MEM_WATERMARK_HIGH));
	assert_true(s.mem[MEM_WATERMARK_HIGH] > 0);
	assert_true(sample_has_vm(&s, VM_PGSCAN_DIRECT) && sample_has_vm(&s, VM_ALLOCSTALL));
	/* What the caller fills in is clear. */
	assert_true(s.ram == 0 && s.trigger == TRIGGER_NONE && !s.balloon.valid && !s.psi_armed);
	sense_free(sense);
	sense_free(NULL);
}

/* The library caches nothing for us: a new read sees what has just been allocated. */
static void test_every_read_is_new(void **state)
{
	const size_t size = 64 << 20;
	struct sense *sense;
	struct sample a, b;
	bool seen = false;
	char *p;

	(void)state;
	assert_int_equal(sense_open(NULL, NULL, &sense), 0);
	/* Others may free as much at the same moment, but not every time. */
	for (int i = 0; i < 5 && !seen; i++) {
		sense_read(sense, &a);
		p = malloc(size);
		assert_non_null(p);
		memset(p, 1, size);
		sense_read(sense, &b);
		free(p);
		assert_true(b.time_us >= a.time_us);
		seen = b.mem[MEM_ANON] >= a.mem[MEM_ANON] + size / 2;
	}
	assert_true(seen);
	sense_free(sense);
}

/* Writes the fixture tree with a line or a file missing. */
static void tree(char *dir, const char *drop_line, const char *drop_file)
{
	static const char *const files[] = {"meminfo", "vmstat", "zoneinfo", "pressure/memory",
					    "pressure/io"};
	char path[8192];

	strcpy(dir, "/tmp/test-sense-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pressure", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct fixture_text t;
		char *p, *nl;
		FILE *f;

		if (drop_file && strcmp(drop_file, files[i]) == 0)
			continue;
		snprintf(path, sizeof(path), "proc-6.1/%s", files[i]);
		fixture_load(path, &t);
		t.data[t.len] = 0;
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		f = fopen(path, "we");
		assert_non_null(f);
		for (p = t.data; (nl = strchr(p, '\n')); p = nl + 1)
			if (!drop_line || strncmp(p, drop_line, strlen(drop_line)) != 0)
				fwrite(p, 1, nl + 1 - p, f);
		fclose(f);
	}
	/* Of the machine that runs the test: the amounts are. */
	snprintf(path, sizeof(path), "ln -s /proc/swaps '%s'", dir);
	assert_int_equal(system(path), 0);
}

static void rm(const char *dir)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", dir);
	assert_int_equal(system(cmd), 0);
}

static void test_missing_is_absent_and_told_once(void **state)
{
	static const struct {
		const char *line;
		const char *file;
		const char *news; /* a part of the only one, NULL = none */
		uint32_t mem, vm, psi; /* absent */
	} rows[] = {
		{NULL, NULL, NULL, 0, 0, 0},
		{"MemAvailable:", NULL, "MemAvailable", 1U << MEM_AVAILABLE, 0, 0},
		{"MemFree:", NULL, "MemFree", 1U << MEM_FREE, 0, 0},
		{"Mlocked:", NULL, NULL, 1U << MEM_MLOCKED, 0, 0},
		{"pgscan_direct ", NULL, "working set", 0, 1U << VM_PGSCAN_DIRECT, 0},
		{NULL, "vmstat", "/proc/vmstat cannot", 0, ~0U, 0},
		{NULL, "zoneinfo", "watermarks", 1U << MEM_WATERMARK_HIGH, 0, 0},
		{NULL, "pressure/memory", "no /proc/pressure", 0, 0, ~0U},
		{NULL, "pressure/io", "pressure/io", 0, 0,
		 1U << PSI_IO_SOME_US | 1U << PSI_IO_FULL_US},
		{"full", NULL, NULL, 0, 0, 1U << PSI_MEM_FULL_US | 1U << PSI_IO_FULL_US},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sense *sense;
		struct sample s;
		const char *news;
		char dir[64];

		tree(dir, rows[i].line, rows[i].file);
		assert_int_equal(sense_open(dir, NULL, &sense), 0);
		assert_int_equal(sense_read(sense, &s),
				 rows[i].mem == 1U << MEM_AVAILABLE ? -ENODATA : 0);
		assert_int_equal(s.mem_have, ((1U << _MEM_FIELD_MAX) - 1) & ~rows[i].mem);
		/* This kernel has no zswap. */
		assert_int_equal(s.vm_have, ((1U << VM_ZSWPIN) - 1) & ~rows[i].vm);
		assert_int_equal(s.psi_have, ((1U << _PSI_FIELD_MAX) - 1) & ~rows[i].psi);
		news = sense_news(sense);
		if (rows[i].news) {
			assert_non_null(news);
			assert_non_null(strstr(news, rows[i].news));
		} else {
			assert_null(news);
		}
		assert_null(sense_news(sense));
		sense_read(sense, &s);
		assert_null(sense_news(sense));
		sense_free(sense);
		rm(dir);
	}
}

static void test_nothing_at_all(void **state)
{
	struct sense *sense;
	struct sample s;

	(void)state;
	assert_int_equal(sense_open("/nonexistent", NULL, &sense), 0);
	assert_int_equal(sense_read(sense, &s), -ENODATA);
	assert_true(s.mem_have == 0 && s.vm_have == 0 && s.psi_have == 0);
	sense_free(sense);
}

static unsigned int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_fds_are_constant_and_closed(void **state)
{
	unsigned int before = open_fds(), during;
	struct sense *sense;
	struct sample s;

	(void)state;
	assert_int_equal(sense_open(NULL, NULL, &sense), 0);
	sense_read(sense, &s);
	during = open_fds();
	for (int i = 0; i < 100; i++)
		sense_read(sense, &s);
	assert_int_equal(open_fds(), during);
	sense_free(sense);
	assert_int_equal(open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_present_in_real_kernels),
		cmocka_unit_test(test_present),
		cmocka_unit_test(test_values_here),
		cmocka_unit_test(test_every_read_is_new),
		cmocka_unit_test(test_missing_is_absent_and_told_once),
		cmocka_unit_test(test_nothing_at_all),
		cmocka_unit_test(test_fds_are_constant_and_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
