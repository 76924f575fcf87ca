// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The transport without a device of ours: what is claimed, pushed out and left alone, over control
 * groups made by the test and a kernel that is two numbers. That the real one does as it is
 * asked is for the VM tests.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "act/reporting.h"
#include "uballoon.h"

#define MIB (1ULL << 20)
#define RAM (1024 * MIB)
/* One part in 50 is never claimed. */
#define KEPT (RAM / 50 - RAM / 50 % (128 * 1024))
/* No limit that matters: the machine may be busy. */
#define SECOND 60000000

static char root[] = "/tmp/test-reporting-XXXXXX";

static struct {
	uint64_t unused;	/* MemFree */
	uint64_t cold;		/* the kernel finds so much */
	int error;		/* ... and then says this */
	bool old;		/* it does not know swappiness=0 */
	unsigned slow_us;	/* the next requests take so long, and bring nothing, ... */
	unsigned slow;		/* so many of them */
	unsigned requests, refused;
	uint64_t of_root, of_user, of_system, of_others; /* asked for */
	char last[64];
} machine;

static void memory(uint64_t *ret_ram, uint64_t *ret_free)
{
	*ret_ram = RAM;
	*ret_free = machine.unused;
}

static void note_whose(int fd, uint64_t bytes)
{
	char link[64], path[256];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	assert_true(n > 0);
	path[n] = '\0';
	assert_int_equal(strncmp(path, root, strlen(root)), 0);
	if (strcmp(path + strlen(root), "/memory.reclaim") == 0)
		machine.of_root += bytes;
	else if (strstr(path, "user.slice"))
		machine.of_user += bytes;
	else if (strstr(path, "system.slice"))
		machine.of_system += bytes;
	else
		machine.of_others += bytes;
}

static int reclaim(int fd, const char *text)
{
	unsigned long long bytes;
	char word[32] = "";

	assert_true(fd >= 0);
	assert_true(sscanf(text, "%llu %31s", &bytes, word) >= 1);
	snprintf(machine.last, sizeof(machine.last), "%s", text);
	if (word[0] && machine.old) {
		machine.refused++;
		return -EINVAL;
	}
	machine.requests++;
	note_whose(fd, bytes);
	if (machine.slow) {
		usleep(machine.slow_us);
		machine.slow--;
		return -EAGAIN;
	}
	if (bytes > machine.cold) {
		machine.unused += machine.cold;
		machine.cold = 0;
		return machine.error ?: -EAGAIN;
	}
	machine.unused += bytes;
	machine.cold -= bytes;
	return 0;
}

static const struct reporting_kernel kernel = {
	.cgroup = root,
	.memory = memory,
	.reclaim = reclaim,
};

static void put(const char *group, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, group);
	(void)mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/%s", root, group, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* So much page cache, in two halves; so much in all; protected: at least one of low and min. */
static void group(const char *name, uint64_t cache, uint64_t current, const char *low,
		  const char *min)
{
	char text[256];

	snprintf(text, sizeof(text), "anon 1\nfile 2\ninactive_file %llu\nactive_file %llu\n",
		 (unsigned long long)cache / 2, (unsigned long long)(cache - cache / 2));
	put(name, "memory.stat", text);
	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)current);
	put(name, "memory.current", text);
	put(name, "memory.low", low);
	put(name, "memory.min", min);
	put(name, "memory.reclaim", "");
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	if (!mkdtemp(root))
		return -1;
	put(".", "memory.reclaim", "");
	/* 512 MiB, of which 4 KiB are still to be written. */
	put(".", "memory.stat", "inactive_file 536870912\nactive_file 4096\nfile_dirty 4096\n");
	group("system.slice", 512 * MIB, 600 * MIB, "0\n", "0\n");
	memset(&machine, 0, sizeof(machine));
	machine.unused = 200 * MIB;
	machine.cold = 400 * MIB;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return nftw(root, drop, 8, FTW_DEPTH | FTW_PHYS);
}

static struct transport *open_it(void)
{
	struct transport *t = NULL;

	assert_int_equal(reporting_open(&kernel, false, &t), 0);
	return t;
}

static void move(struct transport *t, int64_t step, bool may_reclaim, int64_t moved, uint32_t stop)
{
	struct transport_result result;

	assert_int_equal(t->ops->move(t, step, may_reclaim, SECOND, &result), 0);
	assert_int_equal(result.moved, moved);
	assert_int_equal(result.stop, stop);
	assert_int_equal(result.refused, 0);
}

static uint64_t size(struct transport *t)
{
	struct sample_balloon b = {};

	assert_int_equal(t->ops->state(t, &b), 0);
	assert_true(b.valid);
	assert_true(b.claim);
	assert_int_equal(b.ram, RAM);
	assert_int_equal(b.firm, 0);
	assert_int_equal(b.kept, KEPT);
	return b.size;
}

static void claims_what_is_free(void **state)
{
	struct transport *t = open_it();

	(void)state;
	assert_int_equal(size(t), 0);
	move(t, 100 * MIB, true, 100 * MIB, UBALLOON_STOP_DONE);
	assert_int_equal(machine.requests, 0);
	/* Who may not push out stops where the kernel likes to have some. */
	move(t, 500 * MIB, false, 100 * MIB - KEPT, UBALLOON_STOP_NOMEM);
	assert_int_equal(machine.requests, 0);
	assert_int_equal(size(t), 200 * MIB - KEPT);
	/* Down it goes at once, and not below nothing. */
	move(t, -(int64_t)(50 * MIB), false, -(int64_t)(50 * MIB), UBALLOON_STOP_DONE);
	move(t, INT64_MIN, false, -(int64_t)(150 * MIB - KEPT), UBALLOON_STOP_DONE);
	assert_int_equal(size(t), 0);
	t->ops->free(t);
}

static void pushes_out_what_is_missing(void **state)
{
	struct transport *t = open_it();

	(void)state;
	move(t, 300 * MIB, true, 300 * MIB, UBALLOON_STOP_DONE);
	assert_int_equal(machine.unused, 300 * MIB + KEPT);
	assert_int_equal(machine.cold, 300 * MIB - KEPT);
	assert_non_null(strstr(machine.last, " swappiness=0"));
	/* Somebody uses some: it is not the balloon's any more. */
	machine.unused -= 120 * MIB;
	assert_int_equal(size(t), 180 * MIB);
	machine.unused = 0;
	assert_int_equal(size(t), 0);
	t->ops->free(t);
}

static void asks_old_kernels_plainly(void **state)
{
	struct transport *t = open_it();

	(void)state;
	machine.old = true;
	move(t, 300 * MIB, true, 300 * MIB, UBALLOON_STOP_DONE);
	assert_null(strstr(machine.last, "swappiness"));
	/* Found out once. */
	assert_int_equal(machine.refused, 1);
	t->ops->free(t);
}

static void stops_where_nothing_is_cold(void **state)
{
	struct transport *t = open_it();

	(void)state;
	machine.cold = 30 * MIB;
	/* All that came of it counts, if the last request was not met, too. */
	move(t, 300 * MIB, true, 230 * MIB - KEPT, UBALLOON_STOP_FLOOR);
	t->ops->free(t);
	t = open_it();
	machine.error = -EINTR;
	machine.unused = 200 * MIB;
	move(t, 300 * MIB, true, 200 * MIB - KEPT, UBALLOON_STOP_INTERRUPTED);
	t->ops->free(t);
}

static void leaves_the_protected_alone(void **state)
{
	static const char *const protections[][2] = {
		{"max\n", "0\n"}, {"0\n", "max\n"}, {"629145600\n", "0\n"}, {"1048576\n", "620756992\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(protections) / sizeof(protections[0]); i++) {
		struct transport *t = open_it();

		group("system.slice", 512 * MIB, 600 * MIB, protections[i][0], protections[i][1]);
		move(t, 300 * MIB, true, 200 * MIB - KEPT, UBALLOON_STOP_FLOOR);
		assert_int_equal(machine.requests, 0);
		t->ops->free(t);
	}
}

/* memory.min is the kernel's business; for memory.low each group is asked for its share. */
static void asks_each_group_for_its_share(void **state)
{
	struct transport_result result;
	struct transport *t = open_it();
	char path[256];

	(void)state;
	group("system.slice", 512 * MIB, 600 * MIB, "0\n", "0\n");
	group("user.slice", 256 * MIB, 300 * MIB, "0\n", "0\n");
	put(".", "memory.stat", "inactive_file 910163968\nactive_file 0\n");
	group("init.scope", 100 * MIB, 400 * MIB, "0\n", "419430400\n");
	move(t, 220 * MIB, true, 220 * MIB, UBALLOON_STOP_DONE);
	assert_true(machine.of_root >= 20 * MIB && !machine.of_user && !machine.of_system);

	machine.of_root = 0;
	group("init.scope", 100 * MIB, 400 * MIB, "419430400\n", "0\n");
	move(t, 120 * MIB, true, 120 * MIB, UBALLOON_STOP_DONE);
	assert_int_equal(machine.of_root, 0);
	assert_int_equal(machine.of_others, 0);
	assert_true(machine.of_system >= 80 * MIB && machine.of_system <= 90 * MIB);
	assert_true(machine.of_user >= 40 * MIB && machine.of_user <= 45 * MIB);

	/* One that was not given to us is left out, and the others go on. */
	snprintf(path, sizeof(path), "%s/system.slice/memory.reclaim", root);
	assert_int_equal(unlink(path), 0);
	machine.of_system = 0;
	move(t, 20 * MIB, true, 20 * MIB, UBALLOON_STOP_DONE);
	assert_int_equal(machine.of_system, 0);
	snprintf(path, sizeof(path), "%s/user.slice/memory.reclaim", root);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(t->ops->move(t, 20 * MIB, true, SECOND, &result), 0);
	assert_int_equal(result.stop, UBALLOON_STOP_FLOOR);
	/* What more came of the last time than was wanted. */
	assert_true(result.moved <= (int64_t)MIB);
	t->ops->free(t);
}

/* One group that has nothing, and no time for the others: that is no end of what is cold. */
static void is_not_through_with_one_group(void **state)
{
	struct transport_result result;
	struct transport *t = open_it();

	(void)state;
	group("system.slice", 256 * MIB, 600 * MIB, "0\n", "0\n");
	group("user.slice", 256 * MIB, 300 * MIB, "0\n", "0\n");
	group("init.scope", 100 * MIB, 400 * MIB, "max\n", "0\n");
	move(t, 100 * MIB, true, 100 * MIB, UBALLOON_STOP_DONE);
	machine.slow_us = 40000;
	machine.slow = 1;
	assert_int_equal(t->ops->move(t, 220 * MIB, true, 20000, &result), 0);
	assert_int_equal(result.stop, UBALLOON_STOP_BUDGET);
	/* The other one's turn comes. */
	machine.slow = 0;
	machine.of_system = machine.of_user = 0;
	move(t, 200 * MIB, true, 200 * MIB, UBALLOON_STOP_DONE);
	assert_true(machine.of_system && machine.of_user);
	/* But when each has been asked in vain it is, though there was never time for all. */
	machine.slow = UINT_MAX;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(t->ops->move(t, 220 * MIB, true, 20000, &result), 0);
		if (result.stop == UBALLOON_STOP_FLOOR)
			break;
	}
	assert_int_equal(result.stop, UBALLOON_STOP_FLOOR);
	/* That was then: the next time one of them is not all again. */
	assert_int_equal(t->ops->move(t, 220 * MIB, true, 20000, &result), 0);
	assert_int_equal(result.stop, UBALLOON_STOP_BUDGET);
	t->ops->free(t);
}

/* Cache that has to be written first is not asked for: the loop would wait for the disk. */
static void leaves_the_dirty_alone(void **state)
{
	struct transport *t = open_it();

	(void)state;
	put(".", "memory.stat", "inactive_file 536870912\nactive_file 0\nfile_dirty 400000000\n"
				"file_writeback 130000000\n");
	move(t, 300 * MIB, true, 200 * MIB - KEPT, UBALLOON_STOP_FLOOR);
	assert_int_equal(machine.requests, 0);
	t->ops->free(t);
}

/* What somebody else has left in the way of whole pages: no request is for less than a page. */
static void asks_for_whole_pages(void **state)
{
	struct transport *t = open_it();

	(void)state;
	machine.unused = 200 * MIB - 1024;
	move(t, 210 * MIB, true, 210 * MIB, UBALLOON_STOP_DONE);
	assert_int_equal(machine.of_root % (128 << 10), 0);
	assert_true(machine.requests <= 10);
	t->ops->free(t);
}

static void keeps_to_its_time(void **state)
{
	struct transport_result result;
	struct transport *t = open_it();

	(void)state;
	/* No time at all: what is free is taken all the same, nothing is pushed out. */
	assert_int_equal(t->ops->move(t, 300 * MIB, true, 0, &result), 0);
	assert_int_equal(result.stop, UBALLOON_STOP_BUDGET);
	assert_int_equal(result.moved, 200 * MIB - KEPT);
	assert_int_equal(machine.requests, 0);
	t->ops->free(t);
}

static void needs_its_file(void **state)
{
	struct reporting_kernel other = kernel;
	struct transport *t = NULL;
	char path[128];

	(void)state;
	other.cgroup = "/nonexistent";
	assert_int_equal(reporting_open(&other, false, &t), -EOPNOTSUPP);
	snprintf(path, sizeof(path), "%s/memory.reclaim", root);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(reporting_open(&kernel, false, &t), -EOPNOTSUPP);
	assert_int_equal(reporting_open(&kernel, true, &t), -EOPNOTSUPP);
	/* To look, no permission is needed, and nothing can be pushed out. */
	put(".", "memory.reclaim", "");
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(reporting_open(&kernel, true, &t), 0);
	move(t, 300 * MIB, true, 200 * MIB - KEPT, UBALLOON_STOP_FLOOR);
	t->ops->free(t);
	if (geteuid() == 0)
		return;
	assert_int_equal(reporting_open(&kernel, false, &t), -EACCES);
}

static void passes_on_what_it_is_told(void **state)
{
	struct transport *t = open_it();
	struct transport_target to = {
		.relief_line = 77 * MIB,
		.account = SAMPLE_ACCOUNT_GONE,
		.lease_us = SECOND,
	};
	struct transport_info info;
	struct sample_balloon b = {};

	(void)state;
	assert_int_equal(t->ops->info(t, &info), 0);
	assert_string_equal(info.host, "reporting");
	assert_int_equal(info.capabilities, UBALLOON_CAP_REPORTING);
	assert_int_equal(info.ram, RAM);
	assert_int_equal(t->ops->set_target(t, &to), 0);
	assert_int_equal(t->ops->keepalive(t), 0);
	assert_int_equal(t->ops->fd(t), -1);
	move(t, 100 * MIB, true, 100 * MIB, UBALLOON_STOP_DONE);
	assert_int_equal(t->ops->state(t, &b), 0);
	assert_int_equal(b.relief_line, 77 * MIB);
	assert_int_equal(t->ops->pop(t), 0);
	assert_int_equal(size(t), 0);
	t->ops->free(t);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(claims_what_is_free),
		T(pushes_out_what_is_missing),
		T(asks_old_kernels_plainly),
		T(stops_where_nothing_is_cold),
		T(leaves_the_protected_alone),
		T(asks_each_group_for_its_share),
		T(is_not_through_with_one_group),
		T(leaves_the_dirty_alone),
		T(asks_for_whole_pages),
		T(keeps_to_its_time),
		T(needs_its_file),
		T(passes_on_what_it_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
