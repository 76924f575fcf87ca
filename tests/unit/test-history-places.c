// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Places where no history can be kept: a full disk, and names that are taken by something else. The
 * daemon has one in memory then, says why, and leaves nothing lying about.
 *
 * What a history is, damaged ones included, is for test-history.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/history-file.h"
#include "serve/history.h"
#include "serve/writer.h"

static char dir[] = "/tmp/test-history-places-XXXXXX";
static struct writer *w;

static int setup(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	return writer_new(&w);
}

static int teardown(void **state)
{
	char command[80];

	(void)state;
	writer_free(w);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static const char *name(const char *suffix)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, suffix);
	return path;
}

/* It is in memory, for the reason @why, and takes a note. */
static void in_memory(const char *where, const char *why)
{
	struct history_opened opened;
	struct history_scan scan;
	struct history *h;
	int fd;

	assert_int_equal(history_open(where, w, &h, &opened), 0);
	assert_false(opened.in_file);
	if (!strstr(opened.news, "no history can be kept in ") || !strstr(opened.news, why))
		fail_msg("\"%s\", want \"%s\"", opened.news, why);
	history_note(h, 1, "a note");
	writer_flush(w);
	assert_int_equal(history_result(h), 0);
	fd = history_open_reader(h);
	assert_true(fd >= 0);
	assert_int_equal(history_scan(fd, NULL, NULL, &scan), 0);
	assert_int_equal(scan.records, 1);
	assert_int_equal(scan.capacity, HISTORY_MEMORY_CAPACITY);
	close(fd);
	history_free(h);
}

static void a_disk_that_is_full(void **state)
{
	struct rlimit before, small;

	(void)state;
	/* More than the one in memory takes, less than the file. */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 1 << 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	in_memory(dir, "File too large");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	/* Nothing is left of it. */
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
}

static void no_folder(void **state)
{
	(void)state;
	in_memory(name("missing"), "No such file or directory");
	in_memory("/dev/null", "Not a directory");
}

static void a_folder_of_its_name(void **state)
{
	struct history_opened opened;
	struct history *h;

	(void)state;
	assert_int_equal(mkdir(name("history"), 0700), 0);
	assert_int_equal(history_open(dir, w, &h, &opened), 0);
	assert_true(opened.in_file);
	assert_non_null(strstr(opened.news, "It is kept as history.damaged, and a new one begins"));
	history_free(h);
	/* Where that is taken, too, it stays as it is. */
	assert_int_equal(mkdir(name("history.damaged/x"), 0700), 0);
	assert_int_equal(unlink(name("history")), 0);
	assert_int_equal(mkdir(name("history"), 0700), 0);
	in_memory(dir, "Is a directory");
	assert_int_equal(rmdir(name("history")), 0);
	assert_int_equal(access(name("history.new"), F_OK), -1);
}

static void what_it_is_made_of_is_taken(void **state)
{
	(void)state;
	assert_int_equal(mkdir(name("history.new"), 0700), 0);
	in_memory(dir, "File exists");
	assert_int_equal(rmdir(name("history.new")), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_disk_that_is_full),
		T(no_folder),
		T(a_folder_of_its_name),
		T(what_it_is_made_of_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
