/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keep.h - what is kept in files: history, metrics, the operator's hold, when memory was needed
 *
 * A directory that is missing, or a disk that is full, is no error of the daemon: what is not kept
 * is said as a problem.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "basic/cleanup.h"
#include "basic/problem.h"
#include "serve/hold.h"
#include "serve/tick.h"

struct keep;

/*
 * dir is the state directory; NULL: nothing survives a restart. Both are kept but not owned;
 * PROBLEM_HOLD, PROBLEM_PEAKS, PROBLEM_HISTORY and PROBLEM_METRICS are its own. Fails only for want
 * of memory. Call with the signals blocked that the loop waits for.
 */
int keep_new(const char *dir, struct problems *problems, struct keep **ret);
/*
 * Write what is left, what was learned included (NULL: nothing was), and end: after two seconds at
 * most if the disk hangs.
 */
void keep_free(struct keep *k, const struct policy_state *learned);

/* Once a tick, after it was shown. */
void keep_tick(struct keep *k, const struct tick *t);

/* Something happened: a line of the history. Cut to what fits. */
__attribute__((format(printf, 2, 3)))
void keep_note(struct keep *k, const char *format, ...);
/* A new descriptor of the history, read-only, for the caller to close; or -errno. */
int keep_open_history(const struct keep *k);

/*
 * Make *h survive a restart, or forget it if it is over. Whether it is as asked; waits for the disk
 * for a fraction of a second, but not for the end of one.
 */
bool keep_hold(struct keep *k, const struct hold *h);
/* Whether one has survived: then *ret, and for how long it goes on, UINT64_MAX = until released. */
bool keep_load_hold(struct keep *k, struct hold *ret, uint64_t *ret_left_us);
/* What was learned before the restart, if there is anything. */
void keep_load_learned(struct keep *k, struct policy_state *st);
/* Everything handed over is written. For tests. */
void keep_flush(struct keep *k);
