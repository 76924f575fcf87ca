// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When memory was needed, on disk: what is saved is loaded, and a file that is not whole, or not
 * of this version or time, says so and is left alone.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/history-file.h"
#include "serve/peaks-file.h"

#define SEC 1000000ULL
#define DAY (86400 * SEC)
#define T0  (1700000000 * SEC)

static char dir[] = "/tmp/test-peaks-XXXXXX";
static char path[64];
static struct writer *writer;
static struct peaks_memory memory;
static unsigned char bytes[8192];
static size_t n_bytes;

static int setup(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/peaks", dir);
	assert_int_equal(writer_new(&writer), 0);
	memory = (struct peaks_memory){.hours = 7};
	memory.slot[3] = (struct peaks_slot){
		.need = 1ULL << 32, .lost_us = 20 * SEC, .stamp = 7, .weeks = 2, .missed = 1};
	memory.slot[PEAKS_SLOTS - 1] = (struct peaks_slot){.need = 1, .stamp = 1};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	writer_free(writer);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static int save(void)
{
	int r = peaks_file_save(writer, dir, T0, &memory);

	writer_flush(writer);
	return r < 0 ? r : writer_replace_result(writer, WRITER_PEAKS);
}

static int load(uint64_t now_us, struct peaks_memory *ret)
{
	const char *why = NULL;
	int r = peaks_file_load(dir, now_us, ret, &why);

	assert_true(r < 0 ? why && *why : !why);
	return r;
}

static void get(void)
{
	FILE *f = fopen(path, "re");

	assert_non_null(f);
	n_bytes = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
}

static void put(size_t n)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fwrite(bytes, 1, n, f);
	fclose(f);
}

/* Checked as it is, whatever has been written into it. */
static void seal(void)
{
	uint32_t sum = history_checksum(bytes, n_bytes - 4);

	memcpy(bytes + n_bytes - 4, &sum, sizeof(sum));
	put(n_bytes);
}

static void saved_is_loaded(void **state)
{
	struct peaks_memory got = {};
	struct stat st;

	(void)state;
	assert_int_equal(load(T0, &got), 0);
	assert_int_equal(save(), 0);
	assert_int_equal(load(T0, &got), 1);
	assert_memory_equal(&got, &memory, sizeof(got));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* Old is not wrong. */
	assert_int_equal(load(T0 + 4000 * DAY, &got), 1);
	/* The second replaces the first. */
	memory.slot[5] = memory.slot[3];
	assert_int_equal(save(), 0);
	assert_int_equal(load(T0, &got), 1);
	assert_memory_equal(&got, &memory, sizeof(got));
}

static void damaged_is_not_used(void **state)
{
	struct peaks_memory got = {.hours = 42};

	(void)state;
	assert_int_equal(save(), 0);
	get();
	assert_true(n_bytes > sizeof(memory));
	for (size_t n = 0; n < n_bytes; n += n < 64 ? 1 : 97) {
		put(n);
		assert_int_equal(load(T0, &got), -EBADMSG);
	}
	put(n_bytes + 1);
	assert_int_equal(load(T0, &got), -EBADMSG);
	for (size_t i = 0; i < n_bytes; i++) {
		bytes[i] ^= 1 << i % 8;
		put(n_bytes);
		assert_true(load(T0, &got) < 0);
		bytes[i] ^= 1 << i % 8;
	}
	assert_int_equal(got.hours, 42);
	/* And is not touched. */
	bytes[n_bytes / 2] ^= 1;
	put(n_bytes);
	assert_int_equal(load(T0, &got), -EBADMSG);
	bytes[n_bytes / 2] ^= 1;
	put(n_bytes);
	assert_int_equal(load(T0, &got), 1);
}

static void another_version_is_not_used(void **state)
{
	struct peaks_memory got;
	uint32_t version;

	(void)state;
	assert_int_equal(save(), 0);
	get();
	for (version = 0; version < 4; version++) {
		memcpy(bytes + 8, &version, sizeof(version));
		seal();
		assert_int_equal(load(T0, &got), version == 1 ? 1 : -EPROTONOSUPPORT);
	}
	/* Whatever its size may be. */
	put(100);
	assert_int_equal(load(T0, &got), -EPROTONOSUPPORT);
}

static void the_future_is_not_used(void **state)
{
	struct peaks_memory got;

	(void)state;
	assert_int_equal(save(), 0);
	assert_int_equal(load(T0 - DAY, &got), 1);
	assert_int_equal(load(T0 - DAY - 1, &got), -ETIME);
	assert_int_equal(load(0, &got), -ETIME);
}

static void nonsense_is_not_used(void **state)
{
	struct peaks_memory got;

	(void)state;
	memory.slot[3].stamp = 8;
	assert_int_equal(save(), 0);
	assert_int_equal(load(T0, &got), -EBADMSG);
	memory.slot[3].stamp = 7;
	memory.slot[3].weeks = PEAKS_WEEKS_MAX + 1;
	assert_int_equal(save(), 0);
	assert_int_equal(load(T0, &got), -EBADMSG);
}

static void no_place_to_save(void **state)
{
	char far[PATH_MAX + 8];
	struct peaks_memory got;
	const char *why;

	(void)state;
	assert_int_equal(peaks_file_save(writer, "/nonexistent", T0, &memory), 0);
	writer_flush(writer);
	assert_int_equal(writer_replace_result(writer, WRITER_PEAKS), -ENOENT);
	assert_int_equal(peaks_file_load("/nonexistent", T0, &got, &why), 0);
	memset(far, 'x', sizeof(far) - 1);
	far[sizeof(far) - 1] = '\0';
	assert_int_equal(peaks_file_save(writer, far, T0, &memory), -ENAMETOOLONG);
	assert_int_equal(peaks_file_load(far, T0, &got, &why), -ENAMETOOLONG);
	/* Laid there by somebody else: not ours to follow. */
	assert_int_equal(symlink("/dev/zero", path), 0);
	assert_int_equal(load(T0, &got), -ELOOP);
	/* The metrics are another matter. */
	assert_int_equal(writer_replace_result(writer, WRITER_METRICS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(saved_is_loaded),
		T(damaged_is_not_used),
		T(another_version_is_not_used),
		T(the_future_is_not_used),
		T(nonsense_is_not_used),
		T(no_place_to_save),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
