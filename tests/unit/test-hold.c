// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The operator's hold on disk: what is saved is loaded, what is damaged is no hold, and the
 * wall clock cannot make it longer than it was asked for.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/hold.h"

#define SEC 1000000ULL
#define T0  (1700000000 * SEC)

static char dir[] = "/tmp/test-hold-XXXXXX";
static char path[64];
static struct writer *writer;

static int setup(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(writer_new(&writer), 0);
	snprintf(path, sizeof(path), "%s/hold", dir);
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

/* The outcome, however long it takes. */
static int save(const char *where, const struct hold *h)
{
	int r = hold_save(writer, where, h);

	return r ?: writer_wait(writer, WRITER_HOLD, 600 * SEC);
}

static int forget(const char *where)
{
	int r = hold_forget(writer, where);

	return r ?: writer_wait(writer, WRITER_HOLD, 600 * SEC);
}

static void put(const char *text, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fwrite(text, 1, n, f);
	fclose(f);
}

static void saved_is_loaded(void **state)
{
	struct hold a = {.held = true, .since_us = T0, .until_us = T0 + 60 * SEC}, b = {};

	(void)state;
	assert_int_equal(hold_load(dir, &b), 0);
	strcpy(a.reason, "migration of the array, \"Überstunden\" \\n");
	assert_int_equal(save(dir, &a), 0);
	assert_int_equal(hold_load(dir, &b), 1);
	assert_true(b.held && b.since_us == a.since_us && b.until_us == a.until_us);
	assert_string_equal(b.reason, a.reason);

	/* The second replaces the first. */
	memset(a.reason, 'x', HOLD_REASON_MAX);
	a.until_us = 0;
	assert_int_equal(save(dir, &a), 0);
	assert_int_equal(hold_load(dir, &b), 1);
	assert_int_equal(b.until_us, 0);
	assert_string_equal(b.reason, a.reason);

	assert_int_equal(forget(dir), 0);
	assert_int_equal(hold_load(dir, &b), 0);
	assert_int_equal(forget(dir), 0);
}

static void damaged_is_no_hold(void **state)
{
	static const char *const texts[] = {
		"", "\n", "balloond hold 2\n1\n0\nx\n", "balloond hold 1\n", "balloond hold 1\n1\n0\n",
		"balloond hold 1\n1\n0\n\n", "balloond hold 1\n1\n0\nx", "balloond hold 1\n1\n0\nx\ny\n",
		"balloond hold 1\na\n0\nx\n", "balloond hold 1\n9\n8\nx\n",
		"balloond hold 1\n1\n99999999999999999\nx\n", "balloond hold 1\n1\n0\nx\033[2J\n",
		"balloond hold 1\n1\n0\n\xff\n",
	};
	struct hold h = {.since_us = 42};
	char large[600];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put(texts[i], strlen(texts[i]));
		assert_int_equal(hold_load(dir, &h), -EBADMSG);
	}
	put("balloond hold 1\n1\n0\nx\0y\n", 24);
	assert_int_equal(hold_load(dir, &h), -EBADMSG);
	memset(large, 'x', sizeof(large));
	memcpy(large, "balloond hold 1\n1\n0\n", 20);
	put(large, sizeof(large));
	assert_int_equal(hold_load(dir, &h), -EBADMSG);
	assert_int_equal(h.since_us, 42);
}

static void no_place_to_save(void **state)
{
	struct hold h = {.held = true, .reason = "x"};

	(void)state;
	assert_int_equal(save("/nonexistent", &h), -ENOENT);
	assert_int_equal(hold_load("/nonexistent", &h), 0);
}

static void time_left(void **state)
{
	struct hold h = {.held = true, .since_us = T0, .until_us = T0 + 100 * SEC};

	(void)state;
	assert_int_equal(hold_left(&h, T0), 100 * SEC);
	assert_int_equal(hold_left(&h, T0 + 40 * SEC), 60 * SEC);
	assert_int_equal(hold_left(&h, T0 + 100 * SEC), 0);
	assert_int_equal(hold_left(&h, T0 + 1000 * SEC), 0);
	/* A clock that was set back while the daemon was away. */
	assert_int_equal(hold_left(&h, T0 - 86400 * SEC), 100 * SEC);
	h.until_us = 0;
	assert_true(hold_left(&h, T0) == UINT64_MAX);
}

static void reasons(void **state)
{
	char text[HOLD_REASON_MAX + 2];

	(void)state;
	assert_null(hold_reason_check("backup"));
	assert_null(hold_reason_check("\xe2\x82\xac 5"));
	assert_non_null(hold_reason_check(""));
	assert_non_null(hold_reason_check("two\nlines"));
	assert_non_null(hold_reason_check("bell\a"));
	assert_non_null(hold_reason_check("\xc2\x9b"));
	assert_non_null(hold_reason_check("\xed\xa0\x80"));
	assert_non_null(hold_reason_check("cut \xe2\x82"));
	memset(text, 'a', sizeof(text));
	text[HOLD_REASON_MAX] = '\0';
	assert_null(hold_reason_check(text));
	text[HOLD_REASON_MAX] = 'a';
	text[HOLD_REASON_MAX + 1] = '\0';
	assert_non_null(hold_reason_check(text));
}

static void other_places(void **state)
{
	char longer[PATH_MAX];
	struct hold h = {.held = true, .since_us = 1, .reason = "x"}, got = {};

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(save(longer, &h), -ENAMETOOLONG);
	assert_int_equal(hold_load(longer, &got), -ENAMETOOLONG);
	assert_int_equal(forget(longer), -ENAMETOOLONG);
	/* ".new" has no room. */
	longer[sizeof(longer) - 1 - strlen("/hold") - 2] = '\0';
	assert_int_equal(save(longer, &h), -ENAMETOOLONG);
	assert_int_equal(save("/dev/null", &h), -ENOTDIR);
	assert_int_equal(hold_load("/dev/null", &got), -ENOTDIR);
	assert_int_equal(forget("/dev/null"), -ENOTDIR);

	/* A folder is no hold, and is not written over. */
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(save(dir, &h), -EISDIR);
	assert_int_equal(hold_load(dir, &got), -EISDIR);
	assert_int_equal(forget(dir), -EISDIR);
	assert_int_equal(rmdir(path), 0);
	/* Nor is a link followed. */
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(hold_load(dir, &got), -ELOOP);
	assert_int_equal(forget(dir), 0);
	assert_int_equal(forget(dir), 0);
	/* Of what could not be saved nothing is left: teardown() removes the folder. */
	assert_false(got.held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(saved_is_loaded),
		T(damaged_is_no_hold),
		T(no_place_to_save),
		T(other_places),
		T(time_left),
		T(reasons),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
