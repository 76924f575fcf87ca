// SPDX-License-Identifier: GPL-2.0-or-later
/* /proc/pressure: the totals, and how triggers fail. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "sense/psi.h"

static struct psi_totals parse(const char *text)
{
	struct psi_totals t;

	psi_parse(text, strlen(text), &t);
	return t;
}

static void test_real_kernels(void **state)
{
	struct fixture_text f;
	struct psi_totals t;

	(void)state;
	fixture_load("proc-6.1/pressure/memory", &f);
	psi_parse(f.data, f.len, &t);
	assert_true(t.has_some && t.has_full);
	assert_int_equal(t.some_us, 16314);
	assert_int_equal(t.full_us, 10610);
	fixture_load("proc-6.12/pressure/memory", &f);
	psi_parse(f.data, f.len, &t);
	assert_true(t.has_some && t.has_full && t.some_us >= t.full_us && t.full_us > 0);
	fixture_load("proc-6.18/pressure/io", &f);
	psi_parse(f.data, f.len, &t);
	assert_true(t.has_some && t.has_full);
}

static void test_text(void **state)
{
	struct psi_totals t;

	(void)state;
	t = parse("some avg10=1.00 avg60=2.00 avg300=3.00 total=12\n");
	assert_true(t.has_some && !t.has_full && t.some_us == 12);
	t = parse("full total=18446744073709551615\n");
	assert_true(!t.has_some && t.has_full && t.full_us == UINT64_MAX);
	t = parse("some avg10=1.00 avg60=2.00 avg300=3.00\n");
	assert_true(!t.has_some && !t.has_full);
	t = parse("some total=1.5\nfull total=\n");
	assert_true(!t.has_some && !t.has_full);
	t = parse("some total=-1\nfull total=18446744073709551616\n");
	assert_true(!t.has_some && !t.has_full);
	t = parse("somewhat total=5\nfuller total=6\n");
	assert_true(!t.has_some && !t.has_full);
	t = parse("some avg10=0.00 total=12");
	assert_true(!t.has_some);
	t = parse("");
	assert_true(!t.has_some && !t.has_full);
}

static void test_trigger_without_psi(void **state)
{
	int fd = -42;
	uint64_t window = 0;

	(void)state;
	assert_int_equal(
		psi_trigger_open("/nonexistent", "memory", false, 70000, 1000000, &fd, &window),
		-ENOENT);
	assert_int_equal(fd, -42);
	assert_int_equal(window, 0);
}

static void test_trigger_arguments(void **state)
{
	int fd;
	uint64_t window;

	(void)state;
	assert_int_equal(psi_trigger_open("/proc", "memory", false, 0, 1000000, &fd, &window),
			 -EINVAL);
	assert_int_equal(psi_trigger_open("/proc", "memory", false, 2, 1, &fd, &window), -EINVAL);
	assert_int_equal(psi_trigger_open("/proc", "memory", false, 1, UINT64_MAX, &fd, &window),
			 -EINVAL);
}

/* Whatever this machine allows: a window is taken, or a code says why not. */
static void test_trigger_here(void **state)
{
	static const uint64_t asked_us[] = {1000000, 1500000, 3600000000};
	int fd, r;
	uint64_t window;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		r = psi_trigger_open("/proc", "memory", i & 1, asked_us[i] / 14, asked_us[i], &fd,
				     &window);
		if (r == 0) {
			assert_true(window == asked_us[i] || window == 1000000 ||
				    window == 2000000);
			/* An hour is beyond every kernel: it fell back. */
			assert_true(i != 2 || window <= 2000000);
			close(fd);
		} else {
			assert_true(r == -ENOENT || r == -EOPNOTSUPP || r == -EPERM);
		}
	}
}

/* The specification as written, on a file that takes anything. */
static void test_trigger_text(void **state)
{
	char dir[] = "/tmp/test-psi-XXXXXX", path[64], text[64] = "";
	int fd;
	uint64_t window;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pressure", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/pressure/memory", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(psi_trigger_open(dir, "memory", true, 70000, 1000000, &fd, &window), 0);
	assert_int_equal(window, 1000000);
	assert_int_equal(pread(fd, text, sizeof(text), 0), strlen("full 70000 1000000") + 1);
	assert_string_equal(text, "full 70000 1000000");
	close(fd);
	unlink(path);
	snprintf(path, sizeof(path), "%s/pressure", dir);
	rmdir(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_kernels),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_trigger_without_psi),
		cmocka_unit_test(test_trigger_arguments),
		cmocka_unit_test(test_trigger_here),
		cmocka_unit_test(test_trigger_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
