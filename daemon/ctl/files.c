// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files.c - files that are named on the command line, where "-" is the standard one
 *
 * Standard streams are flushed and never closed: main() has the last look at
 * the output. A file of this very name is ./-.
 *
 * Leaves out record's file, which is cut back to whole lines, and the
 * configuration, which has a reader of its own.
 */
#include "ctl/files.h"

#include <errno.h>
#include <string.h>

bool files_is_standard(const char *path)
{
	return path && strcmp(path, "-") == 0;
}

FILE *files_open(const char *path, const char *mode)
{
	bool reads = *mode == 'r';

	if (files_is_standard(path))
		return reads ? stdin : stdout;
	return fopen(path, reads ? "re" : "we");
}

int files_close(FILE *f)
{
	int r = 0;

	if (f == stdin)
		return 0;
	if (fflush(f) != 0 || ferror(f))
		r = -(errno ?: EIO);
	if (f != stdout && fclose(f) != 0 && r == 0)
		r = -errno;
	return r;
}
