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
/* All of a file, as soon as there is all of it. 0, or a negative errno. */
int files_write(const char *path, const char *data, size_t n);
/* Whether what is written to both would meet in one place. Either may be NULL. */
bool files_same_outputs(const char *a, const char *b);
/* Whether writing to @output would destroy the file that @input is read from. The same. */
bool files_would_overwrite(const char *output, const char *input);
/* The end of a sentence about a configuration that cannot be read: more, if @path is no file. */
const char *files_config_advice(const char *path);
