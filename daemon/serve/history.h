/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history.h - the last 24 hours of samples and decisions
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "basic/cleanup.h"
#include "basic/history-file.h"
#include "decide/policy.h"
#include "serve/writer.h"

/* One record a period at least; what changes in between has a budget, see history.c. */
#define HISTORY_PERIOD_US (10 * 1000000ULL)
/* 24 h of both, and the burst that the budget allows. */
#define HISTORY_CAPACITY 18432
/* Without a file: kept in memory, hence less. */
#define HISTORY_MEMORY_CAPACITY 4096

struct history;

struct history_opened {
	bool in_file;		/* survives a restart */
	uint32_t records;	/* found */
	uint32_t torn;		/* of them not readable: the machine crashed while they were written */
	char news[320];		/* to be logged as a warning; "" = nothing to say */
};

/*
 * dir is the state directory, NULL if there is none. Whatever is wrong with the file or
 * the directory, a history is opened: a file that is damaged is renamed to
 * history.damaged; where no file can be had, it is kept in memory. Fails only
 * for want of memory. w is kept but not owned, and must be freed first.
 */
int history_open(const char *dir, struct writer *w, struct history **ret,
		 struct history_opened *ret_opened);
void history_free(struct history *h);
DEFINE_CLEANUP(struct history *, history_free)

/* After each decision; records it if it is time or if it differs from the one before. */
void history_decision(struct history *h, uint64_t now_us, uint64_t real_us, const struct sample *s,
		      const struct policy_decision *d, enum policy_mode mode, enum policy_law law);

/* Something happened. Cut to what fits. */
void history_note(struct history *h, uint64_t real_us, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A new descriptor of the file, read-only, for the caller to close; or -errno. */
int history_open_reader(const struct history *h);

/* 0 if the last record was written or is about to be; why not, otherwise (-ENOBUFS: the disk is behind). */
int history_result(struct history *h);
