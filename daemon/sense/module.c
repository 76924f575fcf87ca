// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The balloon taken out of what /proc/meminfo says.
 *
 * How much of the balloon MemAvailable contains is for the module alone to
 * compute (kmod/accounts.c): it depends on the kernel's rounding and must be looked at
 * in one instant. So its answer replaces the one of /proc/meminfo. It counts 4 KiB, whatever the
 * kernel's page.
 *
 * The module comes and goes: its files are opened again when they are gone.
 * Leaves out: the device itself (act/).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "sense/module.h"
#include "sense/procfile.h"
#include "sense/text.h"

void module_init(struct module *m, const char *root)
{
	*m = (struct module){.root = root ? root : MODULE_ROOT, .available_fd = -1, .counted_fd = -1};
}

static void forget(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void module_done(struct module *m)
{
	forget(&m->available_fd);
	forget(&m->counted_fd);
}

/* 1: *ret is the number; 0: there is no such file; or a negative errno. */
static int read_number(const char *root, const char *name, int *fd, uint64_t *ret)
{
	char buf[32];
	struct text t, line, word;
	ssize_t n;

	/* An open file of a module that has gone, or gone and come back, says ENODEV. */
	for (int again = 0; again < 2; again++) {
		if (*fd < 0)
			*fd = procfile_open(root, name);
		if (*fd < 0)
			return *fd == -ENOENT || *fd == -ENOTDIR ? 0 : *fd;
		n = pread(*fd, buf, sizeof(buf), 0);
		if (n >= 0)
			break;
		n = -errno;
		forget(fd);
		if (n != -ENODEV)
			return n;
	}
	if (n < 0)
		return 0;
	t = (struct text){buf, buf + n};
	if (!text_line(&t, &line) || !text_word(&line, &word) || !text_u64(word, ret))
		return -EBADMSG;
	return 1;
}

int module_leave_out(struct module *m, struct sample *s)
{
	uint64_t available = 0, counted = 0;
	int r, q;

	r = read_number(m->root, "mem_available_pages", &m->available_fd, &available);
	q = read_number(m->root, "available_pages", &m->counted_fd, &counted);
	if (r == 0 && q == 0)
		return 0;
	if (r <= 0 || q <= 0 || available > UINT64_MAX / SAMPLE_PAGE_BYTES ||
	    counted > UINT64_MAX / SAMPLE_PAGE_BYTES) {
		s->mem_have &= ~(1U << MEM_AVAILABLE | 1U << MEM_TOTAL);
		return -ENODATA;
	}
	if (sample_has_mem(s, MEM_AVAILABLE))
		s->mem[MEM_AVAILABLE] = available * SAMPLE_PAGE_BYTES;
	if (sample_has_mem(s, MEM_TOTAL)) {
		counted *= SAMPLE_PAGE_BYTES;
		s->mem[MEM_TOTAL] -= counted < s->mem[MEM_TOTAL] ? counted : s->mem[MEM_TOTAL];
	}
	return 0;
}
