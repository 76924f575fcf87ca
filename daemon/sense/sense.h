/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sense.h - one look at the machine
 *
 * Owns the files that stay open. Works without privileges; a source or field
 * that is missing is absent from the samples (see sample.h) and is told once
 * by sense_news(). Not thread-safe.
 */
#pragma once

#include "sense/sample.h"

struct sense;

/*
 * root: where /proc is; NULL means "/proc". Another root serves tests: all but
 * the values of meminfo, which libproc2 reads from the real /proc, come from
 * there, zram's files (zramN/mm_stat) as well. module_root: see module.h, for tests as well. Both
 * must live as long. Fails only for lack of memory (-ENOMEM).
 */
int sense_open(const char *root, const char *module_root, struct sense **ret);
/* NULL is fine. */
void sense_free(struct sense *s);

/*
 * Read everything. *ret is cleared first; ram, trigger, psi_armed and balloon
 * are left clear for the caller to fill in. Allocates only when a file has
 * outgrown the largest one so far.
 *
 * -ENODATA: MemAvailable could not be read. *ret is valid all the same.
 */
int sense_read(struct sense *s, struct sample *ret);

/*
 * What has gone missing and has not been told yet: one sentence for the log,
 * or NULL if there is nothing (more). Each is told once. Call after
 * sense_read().
 */
const char *sense_news(struct sense *s);
