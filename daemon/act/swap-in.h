/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * swap-in.h - bringing back from swap, beside the ticks
 */
#pragma once

#include <stdint.h>

#include "act/swap-thread.h"
#include "basic/problem.h"

struct swap_in {
	const char *proc;
	struct problems *problems;
	/* Call swap_in_answered() whenever fd is readable. Negative errno if that cannot be had. */
	int (*watch)(void *ctx, int fd);
	void *ctx;

	struct swap_thread *thread;	/* NULL: was not needed yet */
	uint64_t asked_us;
};

/*
 * proc ("/proc") and problems, of which PROBLEM_SWAP is its own, are kept but not owned. watch() is
 * called once at most; its fd is closed by swap_in_done(), which has to come after that is undone.
 */
void swap_in_init(struct swap_in *s, const char *proc, struct problems *problems,
		  int (*watch)(void *ctx, int fd), void *ctx);
void swap_in_done(struct swap_in *s);

/* Have so many bytes brought back at most; 0 = none. Who is still busy is not asked again. */
void swap_in_ask(struct swap_in *s, uint64_t bytes, uint64_t now_us);
void swap_in_answered(struct swap_in *s);
/* Nobody wants anything brought back any more. */
void swap_in_unwanted(struct swap_in *s);
