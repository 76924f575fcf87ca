/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * swap.h - bring back what was swapped out
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Where the next call goes on. All 0 at first, but for advise. */
struct swapper {
	pid_t pid;
	uint64_t address;
	/* As swap_advise(); tests bring their own. */
	int (*advise)(pid_t pid, uint64_t start, uint64_t length);
};

/* Tell the kernel that this memory of a process will be needed. 0 or a negative errno. */
int swap_advise(pid_t pid, uint64_t start, uint64_t length);

/*
 * Ask for up to so many bytes of anonymous memory of any process below proc ("/proc") to be read
 * back from swap. *ret_asked: how many that can be at most; less than asked for if there
 * was not more, or too much to look at in one call. 0 or a negative errno; -EPERM: a capability
 * is missing, -ENOSYS: the kernel has no process_madvise().
 */
int swap_bring_back(struct swapper *s, const char *proc, uint64_t bytes, uint64_t *ret_asked);
