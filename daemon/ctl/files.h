/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * files.h - files that are named on the command line, where "-" is the standard one
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* Shown instead of "-" where a name and a line are, as compilers do. */
#define FILES_STDIN "<stdin>"

/* @path may be NULL. */
bool files_is_standard(const char *path);
/* fopen() with close-on-exec; "-" is the standard input or output, by @mode ("r" or "w"). */
FILE *files_open(const char *path, const char *mode);
/* Flush; close what is no standard stream. 0, or the negative errno of what was not written. */
int files_close(FILE *f);
