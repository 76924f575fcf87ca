// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * files.c - files that are named on the command line, where "-" is the standard one
 *
 * Standard streams are flushed and never closed: main() has the last look at
 * the output. A file of this very name is ./-. Names are compared by what they
 * lead to, and those that lead nowhere yet by their folders.
 *
 * Leaves out record's file, which is cut back to whole lines, and the
 * configuration, which has a reader of its own.
 */
#include "ctl/files.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

int files_write(const char *path, const char *data, size_t n)
{
	FILE *f = files_open(path, "w");

	if (!f)
		return -errno;
	/* What is short of it is found when it is closed. */
	fwrite(data, 1, n, f);
	return files_close(f);
}

static bool look(const char *path, int standard_fd, struct stat *ret)
{
	return (files_is_standard(path) ? fstat(standard_fd, ret) : stat(path, ret)) == 0;
}

static bool same_inode(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The folder of what is not there yet; *ret_name is its name in there. */
static bool look_folder(const char *path, const char **ret_name, struct stat *ret)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];

	*ret_name = slash ? slash + 1 : path;
	if (!slash)
		return stat(".", ret) == 0;
	return snprintf(folder, sizeof(folder), "%.*s", (int)(slash + 1 - path), path) <
		       (int)sizeof(folder) &&
	       stat(folder, ret) == 0;
}

bool files_same_outputs(const char *a, const char *b)
{
	const char *name_a, *name_b;
	struct stat at, bt;
	bool there;

	if (!a || !b)
		return false;
	if (strcmp(a, b) == 0)
		return true;
	there = look(a, STDOUT_FILENO, &at);
	if (there != look(b, STDOUT_FILENO, &bt))
		return false;
	if (there)
		return same_inode(&at, &bt);
	return look_folder(a, &name_a, &at) && look_folder(b, &name_b, &bt) &&
	       same_inode(&at, &bt) && strcmp(name_a, name_b) == 0;
}

bool files_would_overwrite(const char *output, const char *input)
{
	struct stat out, in;

	return output && input && look(output, STDOUT_FILENO, &out) && S_ISREG(out.st_mode) &&
	       look(input, STDIN_FILENO, &in) && same_inode(&out, &in);
}

const char *files_config_advice(const char *path)
{
	struct stat st;

	if (files_is_standard(path) || stat(path, &st) < 0 || S_ISREG(st.st_mode) ||
	    S_ISDIR(st.st_mode))
		return "";
	return "; to have it read from a pipe, make that the standard input, and name it -";
}
