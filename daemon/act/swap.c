// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swap.c - bring back what was swapped out
 *
 * What frontswap's self-shrink did with unuse, by means of today: the kernel
 * reads pages of another process into the swap cache when told that they will
 * be needed (mm/madvise.c: MADV_WILLNEED is one of the few pieces of advice
 * that process_madvise() takes, and the only one that reads swap). They are in
 * RAM then, mapped at the first touch, and dropped again without being written if nobody
 * comes.
 *
 * /proc/PID/smaps says which mappings have how much in swap, not where. So a
 * mapping with little is advised whole, one with more in a stretch no longer than
 * what is left: never more than was asked for, if slowly through a thin one.
 * Calls go on where the last one ended, process by process.
 *
 * Leaves out: mappings of files (advice would read the file) and of shared
 * memory, and when it is time (decide/law-committed.c).
 */
#include "act/swap.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "basic/cleanup.h"

/* In one call: processes looked at, and those of them whose mappings are. */
#define PROCESSES_MAX 512
#define MAPPED_MAX 8

int swap_advise(pid_t pid, uint64_t start, uint64_t length)
{
	struct iovec range = {.iov_base = (void *)(uintptr_t)start, .iov_len = length};
	int fd, r = 0;

	fd = pidfd_open(pid, 0);
	if (fd < 0)
		return -errno;
	if (process_madvise(fd, &range, 1, MADV_WILLNEED, 0) < 0)
		r = -errno;
	close(fd);
	return r;
}

static FILE *open_file(const char *proc, pid_t pid, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%d/%s", proc, pid, name);
	return fopen(path, "re");
}

/* "Name:   123 kB" in bytes; 0 if the line is another. */
static uint64_t amount(const char *line, const char *name)
{
	size_t n = strlen(name);
	uint64_t kib;

	if (strncmp(line, name, n) != 0 || sscanf(line + n, "%" SCNu64 " kB", &kib) != 1 ||
	    kib > UINT64_MAX / 1024)
		return 0;
	return kib * 1024;
}

static bool has_swap(const char *proc, pid_t pid)
{
	_cleanup_fclose_ FILE *f = open_file(proc, pid, "status");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "VmSwap:", 7) == 0)
			return amount(line, "VmSwap:") > 0;
	return false;
}

/* Vanished, exiting, or without memory of its own (kernel threads). */
static bool gone(int r)
{
	return r == -ESRCH || r == -ENOENT || r == -EINVAL || r == -ENOMEM;
}

static int bring_back_of(struct swapper *s, const char *proc, uint64_t *left)
{
	_cleanup_fclose_ FILE *f = open_file(proc, s->pid, "smaps");
	uint64_t start = 0, end = 0, swapped, inode = 1, length;
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int r;

	if (!f)
		return -errno;
	while (*left && getline(&line, &size, f) > 0) {
		uint64_t a, b, i;

		/* Half of such a line is enough to spoil what the last one said. */
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64, &a, &b, &i) == 3) {
			start = a;
			end = b;
			inode = i;
			continue;
		}
		swapped = amount(line, "Swap:");
		if (!swapped || inode || end <= s->address || start >= end)
			continue;
		if (start < s->address)
			start = s->address;
		length = end - start;
		if (swapped > *left && length > *left)
			length = *left;
		r = s->advise(s->pid, start, length);
		if (r < 0)
			return r;
		*left -= swapped < length ? (swapped < *left ? swapped : *left) : length;
		s->address = start + length;
	}
	return ferror(f) ? -EIO : 0;
}

static int by_number(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

static int list(const char *proc, pid_t **ret, size_t *ret_n)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0, allocated = 0;
	struct dirent *e;
	DIR *d;

	d = opendir(proc);
	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		char *rest;
		long pid = strtol(e->d_name, &rest, 10);
		void *more;

		if (*rest || pid <= 0 || pid > INT32_MAX)
			continue;
		if (n == allocated) {
			allocated = allocated ? allocated * 2 : 256;
			more = reallocarray(pids, allocated, sizeof(*pids));
			if (!more) {
				closedir(d);
				return -ENOMEM;
			}
			pids = more;
		}
		pids[n++] = (pid_t)pid;
	}
	closedir(d);
	if (n)
		qsort(pids, n, sizeof(*pids), by_number);
	*ret = steal_pointer(pids);
	*ret_n = n;
	return 0;
}

int swap_bring_back(struct swapper *s, const char *proc, uint64_t bytes, uint64_t *ret_asked)
{
	_cleanup_free_ pid_t *pids = NULL;
	uint64_t left = bytes;
	size_t n = 0, first = 0, mapped = 0;
	int r, refused = 0;

	r = list(proc, &pids, &n);
	if (r < 0)
		return r;
	while (first < n && pids[first] < s->pid)
		first++;
	for (size_t i = 0; i < n && i < PROCESSES_MAX && mapped < MAPPED_MAX; i++) {
		pid_t pid = pids[(first + i) % n];

		if (pid != s->pid)
			s->address = 0;
		s->pid = pid;
		if (pid == getpid() || !has_swap(proc, pid))
			continue;
		mapped++;
		r = bring_back_of(s, proc, &left);
		if (r == -ENOSYS)
			return r;
		/* One process may be closed to us that the next is not. */
		if (r < 0 && !gone(r))
			refused = r == -EACCES ? -EPERM : r;
		if (!left)
			break;
	}
	/* To the next process, unless this one has more. */
	if (left) {
		s->pid++;
		s->address = 0;
	}
	if (left == bytes && refused < 0)
		return refused;
	*ret_asked = bytes - left;
	return 0;
}
