// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /dev/uballoon where it is none: files that are something else, or are not there, are refused by what
 * they say, and closed. What a real one does is for the tests in guests.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "act/device.h"

static unsigned open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void what_cannot_be_opened(void **state)
{
	struct transport *t = NULL;

	(void)state;
	assert_int_equal(device_open("/dev/no-such-device", false, &t), -ENODEV);
	assert_int_equal(device_open("/dev/null/x", false, &t), -ENOTDIR);
	assert_int_equal(device_open("/dev", false, &t), -EISDIR);
	assert_null(t);
}

static void another_device_is_no_balloon(void **state)
{
	struct transport *t = NULL;
	unsigned before = open_files();

	(void)state;
	assert_int_equal(device_open("/dev/null", false, &t), -EPROTONOSUPPORT);
	assert_int_equal(device_open("/dev/null", true, &t), -EPROTONOSUPPORT);
	assert_int_equal(device_adopt(open("/dev/null", O_RDWR | O_CLOEXEC), &t), -EPROTONOSUPPORT);
	assert_null(t);
	assert_int_equal(open_files(), before);
}

static void handed_over_but_of_no_use(void **state)
{
	struct transport *t = NULL;
	unsigned before = open_files();

	(void)state;
	assert_int_equal(device_adopt(open("/dev/null", O_RDONLY | O_CLOEXEC), &t), -EBADF);
	assert_int_equal(device_adopt(open("/dev/null", O_WRONLY | O_CLOEXEC), &t), -EBADF);
	assert_int_equal(device_adopt(open("/dev/null", O_PATH | O_CLOEXEC), &t), -EBADF);
	assert_int_equal(device_adopt(1000000, &t), -EBADF);
	assert_null(t);
	assert_int_equal(open_files(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_opened),
		cmocka_unit_test(another_device_is_no_balloon),
		cmocka_unit_test(handed_over_but_of_no_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
