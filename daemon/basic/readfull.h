/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * readfull.h - a file or a stream from where it stands, up to a limit
 *
 * Leaves out files that change while they are read (sense/procfile.c), and those read at an
 * offset (history-file.c).
 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

/* Up to n bytes into buf: how many there were before the end, or -errno. */
static inline ssize_t readfull(int fd, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = read(fd, (char *)buf + done, n - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}
