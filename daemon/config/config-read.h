/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config-read.h - the parts of the reader of balloond.conf
 *
 * Only config/ includes this.
 */
#pragma once

#include "config/config.h"

/*
 * One line more: "FILE:LINE: KEY: reason". line 0: the file as a whole; key may be NULL.
 * Without memory only e->no_memory is set.
 */
void config_errors_add(struct config_errors *e, const char *path, unsigned line, const char *key,
		       const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Takes path, which may be NULL for want of memory, in any case. Returns 0 or -ENOMEM. */
int config_files_add(struct config_files *f, char *path);
void config_files_done(struct config_files *f);

/*
 * The drop-ins of the file at path, in the order in which they are read. dirs is
 * as in config_load_from(). What an error says is in *errors; the others are found
 * all the same.
 */
int config_dropins_find(const char *path, const char *const dirs[], struct config_files *ret,
			struct config_errors *errors);

/* Is there a link at path that leads nowhere? */
bool config_is_dangling(const char *path);

/*
 * Returns 1 and the NUL-terminated text for the caller to free; 0 if there is no
 * such file, or if a drop-in is there only to mask another; or an error, which is
 * in *errors then.
 */
int config_text_read(const char *path, bool dropin, char **ret_text, struct config_errors *errors);
/* The same of a file that is open; the errors call it @name. 0 only for a drop-in that is empty. */
int config_text_read_fd(int fd, const char *name, bool dropin, char **ret_text,
			struct config_errors *errors);
