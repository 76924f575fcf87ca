// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * failnth.c - does one thing again and again, and each time the next allocation in it fails
 *
 *	failnth load FILE [PARAMETERS]		loads a module; it is unloaded in between
 *	failnth write FILE TEXT [UNDO-FILE]	writes; TEXT goes to UNDO-FILE before each try
 *	failnth open				opens /dev/uballoon for writing
 *	failnth calls				all its calls, on one file
 *
 * Linux counts for a task (/proc/thread-self/fail-nth, with CONFIG_FAULT_INJECTION). Ends with the
 * first try in which nothing was left to fail, which must succeed, and says
 * "points=N failed=N": in so many tries something failed, and so often that was an error of the
 * whole. Exit status 0 then, 1 if the last try failed, 3 if the kernel cannot do that.
 *
 * Left out: what other tasks and the kernel's own threads allocate.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uballoon.h"

#define DEVICE	"/dev/uballoon"
/* More points than anything here has: something does not end. */
#define MOST	20000

static char **args;

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* ---- what is done, and undone ---- */

static int load(void)
{
	int fd = open(args[0], O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = syscall(SYS_finit_module, fd, args[1] ?: "", 0) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static void unload(void)
{
	while (syscall(SYS_delete_module, "uballoon", 0) < 0 && errno != ENOENT)
		usleep(10000);
}

static int write_it(void)
{
	return put(args[0], args[1]);
}

static void unwrite_it(void)
{
	/* It need not be there: the last try may have failed. */
	if (args[2])
		put(args[2], args[1]);
}

static int open_it(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int call(int fd, unsigned long nr, void *arg)
{
	return ioctl(fd, nr, arg) < 0 ? -errno : 0;
}

/* All are called, whatever became of the ones before; the first error counts. */
static int calls(void)
{
	struct uballoon_info info = { .size = sizeof(info) };
	struct uballoon_state state = { .size = sizeof(state) };
	struct uballoon_target target = { .size = sizeof(target), .ceiling_pages = 8192,
					  .lease_ms = 60000 };
	struct uballoon_move move = { .size = sizeof(move), .budget_ms = 2000, .pages = 1024 };
	struct uballoon_pop pop = { .size = sizeof(pop) };
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC), r, first;

	if (fd < 0)
		return -errno;
	first = call(fd, UBALLOON_IOC_GET_INFO, &info);
	r = call(fd, UBALLOON_IOC_SET_TARGET, &target);
	first = first ?: r;
	for (unsigned int i = 0; i < 8; i++) {
		move.page_order = i & 1 ? UBALLOON_ORDER_2M : UBALLOON_ORDER_4K;
		move.flags = i & 4 ? 0 : i & 2 ? UBALLOON_MOVE_CANSLEEP : UBALLOON_MOVE_NOSLEEP;
		r = call(fd, i & 4 ? UBALLOON_IOC_UNLOCK : UBALLOON_IOC_LOCK, &move);
		first = first ?: r;
	}
	r = call(fd, UBALLOON_IOC_KEEPALIVE, NULL);
	first = first ?: r;
	r = call(fd, UBALLOON_IOC_GET_STATE, &state);
	first = first ?: r;
	r = call(fd, UBALLOON_IOC_POP, &pop);
	first = first ?: r;
	close(fd);
	return first;
}

static void nothing(void)
{
}

static const struct {
	const char *name;
	int min_args, max_args;
	int (*run)(void);
	void (*undo)(void);
} things[] = {
	{ "load", 1, 2, load, unload },
	{ "write", 2, 3, write_it, unwrite_it },
	{ "open", 0, 0, open_it, nothing },
	{ "calls", 0, 0, calls, nothing },
};

/* ---- failing ---- */

/* By itself the kernel spares those that may sleep. */
static void spare_nobody(void)
{
	static const char *const lines[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
	};
	char path[96];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", lines[i][0]);
		put(path, lines[i][1]);
	}
}

/* Runs it with the @n-th allocation failing. Whether there was one is @ret_hit. */
static int run(int (*thing)(void), int fd, unsigned int n, bool *ret_hit)
{
	char text[16] = "";
	int r;

	snprintf(text, sizeof(text), "%u", n);
	if (pwrite(fd, text, strlen(text), 0) < 0) {
		perror("fail-nth");
		exit(3);
	}
	r = thing();
	memset(text, 0, sizeof(text));
	/* Where copies fail as well, it may be this one: then the thing had left it. */
	*ret_hit = pread(fd, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0;
	pwrite(fd, "0", 1, 0);
	return r;
}

int main(int argc, char **argv)
{
	unsigned int n, failed = 0;
	bool hit = true;
	size_t i;
	int fd, r = 0;

	for (i = 0; i < sizeof(things) / sizeof(things[0]); i++)
		if (argc >= 2 && !strcmp(argv[1], things[i].name) &&
		    argc - 2 >= things[i].min_args && argc - 2 <= things[i].max_args)
			break;
	if (i == sizeof(things) / sizeof(things[0])) {
		fprintf(stderr, "usage: failnth load FILE [PARAMETERS] | "
			"write FILE TEXT [UNDO-FILE] | open | calls\n");
		return 2;
	}
	args = argv + 2;
	fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "failnth: this kernel has no fail-nth (CONFIG_FAULT_INJECTION)\n");
		return 3;
	}
	spare_nobody();
	for (n = 1; hit && n < MOST; n++) {
		things[i].undo();
		r = run(things[i].run, fd, n, &hit);
		failed += hit && r < 0;
	}
	printf("points=%u failed=%u last=%s\n", n - 2, failed, r < 0 ? strerrorname_np(-r) : "OK");
	return hit || r < 0;
}
