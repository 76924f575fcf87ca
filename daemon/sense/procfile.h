/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * procfile.h - a file of /proc that is kept open and read again and again
 */
#pragma once

#include <stddef.h>

/* Open root/name for reading, close-on-exec. Returns an fd or a negative errno. */
int procfile_open(const char *root, const char *name);

/*
 * A buffer that grows to what the largest file needs and stays.
 * { NULL, 0 } is an empty one; free(data) when done.
 */
struct procfile_buffer {
	char *data;
	size_t size;
};

/*
 * Read all of the file from its start into *b. Returns the length, or a
 * negative errno: what read says (-EOPNOTSUPP: the kernel has switched the
 * source off), -EFBIG over 4 MiB, -ENOMEM.
 */
long procfile_read(int fd, struct procfile_buffer *b);
