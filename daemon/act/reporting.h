/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reporting.h - the transport without a device of ours: push out, and let the kernel report
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "act/transport.h"

/* As the kernel has them; tests bring their own. */
struct reporting_kernel {
	const char *cgroup; /* root of the control groups, version 2: "/sys/fs/cgroup" */
	/* Bytes of RAM that the kernel manages, and of those that are free. */
	void (*memory)(uint64_t *ret_ram, uint64_t *ret_free);
	/* Write text to memory.reclaim, open as fd. 0 or a negative errno; -EAGAIN: not all of it. */
	int (*reclaim)(int fd, const char *text);
};

extern const struct reporting_kernel reporting_kernel;

/*
 * Whether the host takes free page reports is for the caller to know (basic/machine.h).
 * read_only: nothing can be pushed out.
 *
 * -EOPNOTSUPP: no memory.reclaim in the root of the control groups (version 2, Linux 5.19 or
 * later). -EACCES: no permission to write to it. -ENOMEM.
 */
int reporting_open(const struct reporting_kernel *kernel, bool read_only, struct transport **ret);
