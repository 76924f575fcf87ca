// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swap-in.c - bringing back from swap, beside the ticks
 *
 * A law may ask in each tick; who is still busy with the last request is not asked again. The
 * thread is made when it is needed first, which in most guests is never.
 *
 * Leaves out: how it is done (swap.c) and why nobody waits for it (swap-thread.c).
 */
#include "act/swap-in.h"

#include <errno.h>
#include <string.h>

#include "act/swap.h"
#include "basic/log.h"

/* Longer than a disk takes for what is asked for at a time. */
#define SLOW_US (30ULL * 1000 * 1000)

void swap_in_init(struct swap_in *s, const char *proc, struct problems *problems,
		  int (*watch)(void *ctx, int fd), void *ctx)
{
	*s = (struct swap_in){.proc = proc, .problems = problems, .watch = watch, .ctx = ctx};
}

static void say(struct swap_in *s, int r)
{
	if (r == -EPERM)
		problem_set(s->problems, PROBLEM_SWAP, LOG_WARNING,
			    "no permission to bring back what was swapped out; "
			    "committed.self_shrink needs CAP_SYS_NICE and CAP_SYS_PTRACE, see "
			    "balloond.conf(5)");
	else if (r < 0)
		problem_set(s->problems, PROBLEM_SWAP, LOG_WARNING,
			    "what was swapped out cannot be brought back: %s", strerror(-r));
	else
		(void)problem_clear(s->problems, PROBLEM_SWAP,
				    "what was swapped out can be brought back");
}

void swap_in_answered(struct swap_in *s)
{
	uint64_t asked;
	int r;

	r = swap_thread_answer(s->thread, &asked);
	if (r != -EAGAIN)
		say(s, r);
}

static int start(struct swap_in *s)
{
	_cleanup_(swap_thread_freep) struct swap_thread *thread = NULL;
	int r;

	r = swap_thread_new(s->proc, swap_advise, &thread);
	if (r < 0)
		return r;
	r = s->watch(s->ctx, swap_thread_fd(thread));
	if (r < 0)
		return r;
	s->thread = steal_pointer(thread);
	return 0;
}

void swap_in_ask(struct swap_in *s, uint64_t bytes, uint64_t now_us)
{
	int r = 0;

	if (bytes == 0)
		return;
	if (!s->thread)
		r = start(s);
	if (r < 0) {
		say(s, r);
		return;
	}
	r = swap_thread_ask(s->thread, bytes);
	if (r == 0)
		s->asked_us = now_us;
	else if (now_us - s->asked_us > SLOW_US)
		problem_set(s->problems, PROBLEM_SWAP, LOG_NOTICE,
			    "what was swapped out cannot be brought back for now: a process keeps "
			    "the lock of its mappings, or the disk is slow");
}

void swap_in_unwanted(struct swap_in *s)
{
	(void)problem_clear(s->problems, PROBLEM_SWAP, "nothing is brought back from swap");
}

void swap_in_done(struct swap_in *s)
{
	swap_thread_free(s->thread);
	s->thread = NULL;
}
