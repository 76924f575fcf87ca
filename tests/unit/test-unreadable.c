// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files of the kernel that are there and cannot be read, or are larger than anything that the kernel
 * writes, and places whose names are too long: each has its error, and no number is made up.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sense/module.h"
#include "sense/procfile.h"
#include "sense/psi.h"

static char dir[] = "/tmp/test-unreadable-XXXXXX";

static int setup(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static const char *name(const char *suffix)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, suffix);
	return path;
}

static const char *long_name(void)
{
	static char path[PATH_MAX + 16];

	memset(path, 'x', sizeof(path) - 1);
	return path;
}

static void no_file(void **state)
{
	struct procfile_buffer b = {};
	int fd;

	(void)state;
	assert_int_equal(procfile_open(dir, "missing"), -ENOENT);
	assert_int_equal(procfile_open(long_name(), "x"), -ENAMETOOLONG);
	fd = procfile_open("/", "");
	assert_true(fd >= 0);
	assert_int_equal(procfile_read(fd, &b), -EISDIR);
	close(fd);
	assert_int_equal(procfile_read(-1, &b), -EBADF);
	free(b.data);
}

static void grows_with_the_file_but_not_for_ever(void **state)
{
	struct procfile_buffer b = {};
	int fd = open(name("large"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(ftruncate(fd, 1000000), 0);
	assert_int_equal(procfile_read(fd, &b), 1000000);
	assert_true(b.size > 1000000);
	assert_int_equal(ftruncate(fd, 64 << 20), 0);
	assert_int_equal(procfile_read(fd, &b), -EFBIG);
	/* What there is of a buffer serves for the next one. */
	assert_int_equal(ftruncate(fd, 5), 0);
	assert_int_equal(procfile_read(fd, &b), 5);
	free(b.data);
	close(fd);
}

static void no_trigger(void **state)
{
	uint64_t window;
	int fd;

	(void)state;
	assert_int_equal(psi_trigger_open(long_name(), "memory", false, 1000, 1000, &fd, &window),
			 -ENAMETOOLONG);
	assert_int_equal(mkdir(name("pressure"), 0700), 0);
	assert_int_equal(psi_trigger_open(dir, "memory", false, 1000, 1000, &fd, &window), -ENOENT);
	/* What does not take it, and one that does not exist any more. */
	assert_int_equal(symlink("/dev/full", name("pressure/memory")), 0);
	assert_int_equal(psi_trigger_open(dir, "memory", false, 1000, 1000, &fd, &window), -ENOSPC);
	assert_int_equal(mkdir(name("pressure/io"), 0700), 0);
	assert_int_equal(psi_trigger_open(dir, "io", true, 1000, 1000, &fd, &window), -EISDIR);
}

/* What the sample says of the guest does not hold then. */
static void no_counts_of_the_module(void **state)
{
	struct sample s = {.mem_have = 1U << MEM_AVAILABLE | 1U << MEM_TOTAL | 1U << MEM_FREE};
	struct module m;

	(void)state;
	assert_int_equal(mkdir(name("mem_available_pages"), 0700), 0);
	assert_int_equal(mkdir(name("available_pages"), 0700), 0);
	module_init(&m, dir);
	assert_int_equal(module_leave_out(&m, &s), -ENODATA);
	assert_false(sample_has_mem(&s, MEM_AVAILABLE));
	assert_false(sample_has_mem(&s, MEM_TOTAL));
	assert_true(sample_has_mem(&s, MEM_FREE));
	module_done(&m);
	module_init(&m, long_name());
	s.mem_have |= 1U << MEM_AVAILABLE;
	assert_int_equal(module_leave_out(&m, &s), -ENODATA);
	assert_false(sample_has_mem(&s, MEM_AVAILABLE));
	module_done(&m);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(no_file), T(grows_with_the_file_but_not_for_ever), T(no_trigger),
		T(no_counts_of_the_module),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
