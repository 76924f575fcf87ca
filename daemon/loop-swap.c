// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop-swap.c - bringing back from swap, beside the ticks
 *
 * A law may ask in each tick; who is still busy with the last request is not asked again. The
 * thread is made when it is needed first, which in most guests is never.
 *
 * Leaves out: how it is done (act/swap.c) and why nobody waits for it (act/swap-thread.c).
 */
#include "loop-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "basic/log.h"

/* Longer than a disk takes for what is asked for at a time. */
#define SWAP_SLOW_US (30ULL * 1000 * 1000)

static void say(struct loop *l, int r)
{
	if (r == -EPERM)
		problem_set(&l->problems, PROBLEM_SWAP, LOG_WARNING,
			    "no permission to bring back what was swapped out; "
			    "committed.self_shrink needs CAP_SYS_NICE and CAP_SYS_PTRACE, see "
			    "balloond.conf(5)");
	else if (r < 0)
		problem_set(&l->problems, PROBLEM_SWAP, LOG_WARNING,
			    "what was swapped out cannot be brought back: %s", strerror(-r));
	else
		(void)problem_clear(&l->problems, PROBLEM_SWAP,
				    "what was swapped out can be brought back");
}

static int on_answer(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct loop *l = userdata;
	uint64_t asked;
	int r;

	(void)source, (void)fd, (void)revents;
	r = swap_thread_answer(l->swap, &asked);
	if (r != -EAGAIN)
		say(l, r);
	return 0;
}

static int start(struct loop *l)
{
	_cleanup_(swap_thread_freep) struct swap_thread *s = NULL;
	int r;

	r = swap_thread_new(l->world.proc ?: "/proc", swap_advise, &s);
	if (r < 0)
		return r;
	r = sd_event_add_io(l->event, &l->swap_source, swap_thread_fd(s), EPOLLIN, on_answer, l);
	if (r < 0)
		return r;
	l->swap = steal_pointer(s);
	return 0;
}

void swap_in_ask(struct loop *l, const struct policy_decision *d)
{
	int r = 0;

	if (!l->policy.self_shrink)
		(void)problem_clear(&l->problems, PROBLEM_SWAP, "nothing is brought back from swap");
	if (d->swap_in == 0 || l->read_only || l->stopping)
		return;
	if (!l->swap)
		r = start(l);
	if (r < 0) {
		say(l, r);
		return;
	}
	r = swap_thread_ask(l->swap, d->swap_in);
	if (r == 0)
		l->swap_asked_us = loop_now();
	else if (loop_now() - l->swap_asked_us > SWAP_SLOW_US)
		problem_set(&l->problems, PROBLEM_SWAP, LOG_NOTICE,
			    "what was swapped out cannot be brought back for now: a process keeps "
			    "the lock of its mappings, or the disk is slow");
}

void swap_in_done(struct loop *l)
{
	l->swap_source = sd_event_source_disable_unref(l->swap_source);
	swap_thread_free(l->swap);
	l->swap = NULL;
}
