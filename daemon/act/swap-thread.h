/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * swap-thread.h - bring back what was swapped out, without waiting for it
 *
 * As swap_bring_back(), which a thread of its own calls: the answer comes by a file that
 * becomes readable.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "basic/cleanup.h"

struct swap_thread;

/*
 * proc is kept but not owned; advise as in struct swapper. Call with the signals blocked that the
 * loop waits for.
 */
int swap_thread_new(const char *proc, int (*advise)(pid_t pid, uint64_t start, uint64_t length),
		    struct swap_thread **ret);
/* Does not wait either: a thread that is busy frees all of it when it is done. */
void swap_thread_free(struct swap_thread *s);
DEFINE_CLEANUP(struct swap_thread *, swap_thread_free)

/* Ask for so many bytes. 0, or -EBUSY: the last time is not over, or its answer not taken. */
int swap_thread_ask(struct swap_thread *s, uint64_t bytes);
/* Readable when there is an answer. Owned by s. */
int swap_thread_fd(const struct swap_thread *s);
/* Take the answer: what swap_bring_back() returned, and its *ret_asked. -EAGAIN: there is none. */
int swap_thread_answer(struct swap_thread *s, uint64_t *ret_asked);
