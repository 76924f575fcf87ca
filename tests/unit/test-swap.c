// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which memory is asked back from swap, over a /proc made by the test; and that
 * the kernel takes the advice for a real process.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "act/swap.h"

#define KIB 1024ULL
#define MIB (1ULL << 20)

static struct {
	pid_t pid;
	uint64_t start, length;
} advised[64];
static int n_advised, answer;

static int advise(pid_t pid, uint64_t start, uint64_t length)
{
	if (answer < 0)
		return answer;
	assert_true(n_advised < 64);
	advised[n_advised].pid = pid;
	advised[n_advised].start = start;
	advised[n_advised++].length = length;
	return 0;
}

static void put(const char *root, int pid, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d", root, pid);
	(void)mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%d/%s", root, pid, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* 20: nothing in swap. 31: 64 KiB, 3 MiB of 16 MiB, and a file's. 100: 8 MiB of 8 MiB. */
static int make_proc(void **state)
{
	char *root = strdup("/tmp/test-swap-XXXXXX");

	if (!root || !mkdtemp(root))
		return -1;
	put(root, 20, "status", "Name:\tquiet\nVmRSS:\t 100 kB\nVmSwap:\t       0 kB\n");
	put(root, 20, "smaps", "7f0000000000-7f0000100000 rw-p 00000000 00:00 0\nSwap: 64 kB\n");
	put(root, 31, "status", "Name:\tVmSwap: 0 kB\nVmSwap:\t    4096 kB\n");
	put(root, 31, "smaps",
	    "10000000-10100000 rw-p 00000000 00:00 0                  [heap]\n"
	    "Rss:    12 kB\nAnonymous:  12 kB\nFilePmdMapped:   0 kB\n"
	    "Swap:                 64 kB\nSwapPss: 64 kB\n"
	    "20000000-21000000 rw-p 00000000 00:00 0\nSwap:               3072 kB\n"
	    "30000000-30100000 rw-p 00000000 fd:01 1234      /usr/lib/libx.so\nSwap:    960 kB\n"
	    "40000000-40100000 r--p 00000000 00:00 0\nSwap:                  0 kB\n");
	put(root, 100, "status", "VmSwap:\t    8192 kB\n");
	put(root, 100, "smaps", "50000000-50800000 rw-p 00000000 00:00 0\nSwap: 8192 kB\n");
	put(root, 300, "status", "Name:\tkthreadd\n");
	*state = root;
	n_advised = answer = 0;
	return 0;
}

static int drop_proc(void **state)
{
	char command[300];

	snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
	free(*state);
	return system(command);
}

static void expect(int i, pid_t pid, uint64_t start, uint64_t length)
{
	assert_true(i < n_advised);
	assert_int_equal(advised[i].pid, pid);
	assert_int_equal(advised[i].start, start);
	assert_int_equal(advised[i].length, length);
}

static void test_all_of_it(void **state)
{
	struct swapper s = {.advise = advise};
	uint64_t asked;

	assert_int_equal(swap_bring_back(&s, *state, 64 * MIB, &asked), 0);
	assert_int_equal(n_advised, 3);
	expect(0, 31, 0x10000000, 1 * MIB);
	expect(1, 31, 0x20000000, 16 * MIB);
	expect(2, 100, 0x50000000, 8 * MIB);
	assert_int_equal(asked, 64 * KIB + 3 * MIB + 8 * MIB);
}

/* Never more than asked for, and the next call goes on where this one ended. */
static void test_in_parts(void **state)
{
	struct swapper s = {.advise = advise};
	uint64_t asked;

	assert_int_equal(swap_bring_back(&s, *state, 2 * MIB, &asked), 0);
	assert_int_equal(asked, 2 * MIB);
	assert_int_equal(n_advised, 2);
	expect(0, 31, 0x10000000, 1 * MIB);
	expect(1, 31, 0x20000000, 2 * MIB - 64 * KIB);
	assert_int_equal(swap_bring_back(&s, *state, 1 * MIB, &asked), 0);
	assert_int_equal(n_advised, 3);
	expect(2, 31, 0x20000000 + 2 * MIB - 64 * KIB, 1 * MIB);
	/* Over the end, and round to the first again. */
	assert_int_equal(swap_bring_back(&s, *state, 100 * MIB, &asked), 0);
	assert_int_equal(swap_bring_back(&s, *state, 64 * KIB, &asked), 0);
	expect(n_advised - 1, 31, 0x10000000, 1 * MIB);
}

static void test_refused(void **state)
{
	struct swapper s = {.advise = advise};
	uint64_t asked = 7;

	answer = -EPERM;
	assert_int_equal(swap_bring_back(&s, *state, 1 * MIB, &asked), -EPERM);
	assert_int_equal(asked, 7);
	answer = -ENOSYS;
	assert_int_equal(swap_bring_back(&s, *state, 1 * MIB, &asked), -ENOSYS);
	/* It has ended meanwhile. */
	answer = -ESRCH;
	assert_int_equal(swap_bring_back(&s, *state, 1 * MIB, &asked), 0);
	assert_int_equal(asked, 0);
	assert_int_equal(swap_bring_back(&s, "/nonexistent", 1 * MIB, &asked), -ENOENT);
}

static void test_the_kernel_takes_it(void **state)
{
	void *m = mmap(NULL, 1 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t child;
	int r;

	(void)state;
	assert_true(m != MAP_FAILED);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		pause();
		_exit(0);
	}
	r = swap_advise(child, (uint64_t)(uintptr_t)m, 1 * MIB);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	munmap(m, 1 * MIB);
	/* Without CAP_SYS_NICE it says so. */
	assert_true(r == 0 || r == -EPERM || r == -ENOSYS);
	if (geteuid() == 0 && r == -EPERM)
		print_message("# not permitted, even to root\n");
	assert_int_equal(swap_advise(child, 0, 4096), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_of_it, make_proc, drop_proc),
		cmocka_unit_test_setup_teardown(test_in_parts, make_proc, drop_proc),
		cmocka_unit_test_setup_teardown(test_refused, make_proc, drop_proc),
		cmocka_unit_test(test_the_kernel_takes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
