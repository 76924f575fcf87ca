// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading a /proc file that stays open.
 *
 * Keeping the fd saves the path walk a tick, and works when the daemon is out
 * of fds. The kernel makes the text anew for a read at offset 0; a file longer
 * than one read is fetched in pieces until read() says that it has ended, so
 * that a long /proc/vmstat is never cut.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sense/procfile.h"

#define FIRST_SIZE (16 * 1024)
#define MAX_SIZE   (4 * 1024 * 1024)

int procfile_open(const char *root, const char *name)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", root, name);
	int fd;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static int grow(struct procfile_buffer *b)
{
	size_t size = b->size ? 2 * b->size : FIRST_SIZE;
	char *data;

	if (size > MAX_SIZE)
		return -EFBIG;
	data = realloc(b->data, size);
	if (!data)
		return -ENOMEM;
	*b = (struct procfile_buffer){data, size};
	return 0;
}

long procfile_read(int fd, struct procfile_buffer *b)
{
	size_t len = 0;
	ssize_t n;
	int r;

	for (;;) {
		if (len == b->size) {
			r = grow(b);
			if (r < 0)
				return r;
		}
		n = pread(fd, b->data + len, b->size - len, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return len;
		len += n;
	}
}
