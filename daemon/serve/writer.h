/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writer.h - write to files without waiting for the disk
 *
 * The loop hands over what is to be written and goes on; a thread of its own waits for the
 * disk. Bounded: what does not fit into the queue is dropped and counted, since a
 * hole in the history is better than a policy that stands still.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "basic/cleanup.h"

/* Largest record, and largest file, that can be handed over. */
#define WRITER_RECORD_MAX 192
#define WRITER_FILE_MAX	  8192

/* Files that are replaced as a whole. */
enum writer_file {
	WRITER_METRICS, /* mode 0644: a collector of another user reads it */
	WRITER_PEAKS, /* mode 0600 */
	WRITER_HOLD, /* mode 0600 */
	_WRITER_FILE_MAX,
};

struct writer;

/* Call with the signals blocked that the loop waits for. */
int writer_new(struct writer **ret);
/* Writes out what is queued, but for 2 s at most; a disk that hangs does not hold up the exit. */
void writer_free(struct writer *w);
DEFINE_CLEANUP(struct writer *, writer_free)

/*
 * Write at most WRITER_RECORD_MAX bytes at offset of fd, which must stay open.
 * -ENOBUFS: the disk is behind and the record is lost.
 */
int writer_record(struct writer *w, int fd, const void *data, size_t n, off_t offset);

/*
 * Replace path by n bytes of data, so that readers see the old or the new file and never
 * half of one. Only the latest of each that is handed over counts. -E2BIG,
 * -ENAMETOOLONG.
 */
int writer_replace(struct writer *w, enum writer_file which, const char *path, const void *data,
		   size_t n);

/* Have no file there. As for what it replaces; that there was none is no error. */
int writer_remove(struct writer *w, enum writer_file which, const char *path);
/* Wait for what was handed over last, but no longer than that: its outcome, or -ETIMEDOUT. */
int writer_wait(struct writer *w, enum writer_file which, uint64_t timeout_us);

/* The last outcome of each: 0, or negative errno. */
int writer_record_result(struct writer *w);
int writer_replace_result(struct writer *w, enum writer_file which);
/* Everything queued is written. For tests. */
void writer_flush(struct writer *w);
