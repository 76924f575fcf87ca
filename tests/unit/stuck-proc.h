/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stuck-proc.h - a /proc with one process whose mappings cannot be looked at for now
 *
 * Its smaps is a FIFO without a writer: who opens it waits, as for the lock of a process.
 */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STUCK_PID 4711

/* A limit for hangs only. */
#define PATIENCE_MS 60000

struct stuck_proc {
	char root[32];
	char smaps[64];
	char status[64];
};

static inline void stuck_proc_make(struct stuck_proc *p)
{
	char folder[48];
	FILE *f;

	strcpy(p->root, "/tmp/stuck-proc-XXXXXX");
	assert_non_null(mkdtemp(p->root));
	snprintf(folder, sizeof(folder), "%s/%d", p->root, STUCK_PID);
	snprintf(p->smaps, sizeof(p->smaps), "%s/smaps", folder);
	snprintf(p->status, sizeof(p->status), "%s/status", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(mkfifo(p->smaps, 0600), 0);
	f = fopen(p->status, "w");
	assert_non_null(f);
	fputs("VmSwap:\t    4096 kB\n", f);
	assert_int_equal(fclose(f), 0);
}

/* If somebody looks at the mappings: a file that keeps it waiting until it is closed; else -1. */
static inline int stuck_proc_hold(const struct stuck_proc *p)
{
	return open(p->smaps, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

/* Until somebody looks at the mappings: the same. */
static inline int stuck_proc_wait(const struct stuck_proc *p)
{
	int fd = -1;

	for (int i = 0; fd < 0 && i < PATIENCE_MS; i++) {
		fd = stuck_proc_hold(p);
		if (fd < 0)
			usleep(1000);
	}
	if (fd < 0)
		fail_msg("nobody looks at the mappings");
	return fd;
}

static inline void stuck_proc_drop(struct stuck_proc *p)
{
	char folder[48];

	snprintf(folder, sizeof(folder), "%s/%d", p->root, STUCK_PID);
	unlink(p->smaps);
	unlink(p->status);
	rmdir(folder);
	rmdir(p->root);
}
