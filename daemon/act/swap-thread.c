// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * swap-thread.c - bring back what was swapped out, without waiting for it
 *
 * /proc/PID/smaps and process_madvise() take the lock of the mappings of that process (mmap_lock),
 * which somebody may hold for as long as it likes: a thread of it that maps gigabytes, or one that
 * waits for a disk, for FUSE or for userfaultfd in a page fault. So one thread does nothing but that.
 *
 * Invariants: one request at a time; the lock is never held across a call that may wait; the thread
 * blocks all signals. Who is the last one to see struct swap_thread frees it: swap_thread_free(), or
 * the thread if it was busy then.
 *
 * Leaves out: what is looked at and asked for (swap.c), and whether it is time (decide/).
 */
#include "act/swap-thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "act/swap.h"
#include "basic/thread.h"

enum state {
	IDLE,
	ASKED,
	BUSY,
	ANSWERED,
};

struct swap_thread {
	const char *proc;
	int fd; /* eventfd: an answer is there */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;

	/* All below: protected by lock. */
	enum state state;
	bool stop;
	uint64_t bytes;
	uint64_t asked;
	int result;

	/* The thread's own. */
	struct swapper swapper;
};

static void drop(struct swap_thread *s)
{
	close(s->fd);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Called with the lock held, and drops it meanwhile. */
static void work(struct swap_thread *s)
{
	uint64_t bytes = s->bytes, asked = 0;
	int r;

	s->state = BUSY;
	pthread_mutex_unlock(&s->lock);
	r = swap_bring_back(&s->swapper, s->proc, bytes, &asked);
	pthread_mutex_lock(&s->lock);
	s->state = ANSWERED;
	s->result = r;
	s->asked = asked;
	(void)eventfd_write(s->fd, 1);
}

static void *run(void *arg)
{
	struct swap_thread *s = arg;
	bool abandoned = false;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		if (s->state == ASKED) {
			work(s);
			abandoned = s->stop;
		} else {
			pthread_cond_wait(&s->wake, &s->lock);
		}
	}
	pthread_mutex_unlock(&s->lock);
	if (abandoned)
		drop(s);
	return NULL;
}

int swap_thread_new(const char *proc, int (*advise)(pid_t pid, uint64_t start, uint64_t length),
		    struct swap_thread **ret)
{
	struct swap_thread *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->proc = proc;
	s->swapper.advise = advise;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = s->fd < 0 ? -errno : thread_start(&s->thread, run, s);
	if (r < 0) {
		drop(s);
		return r;
	}
	*ret = s;
	return 0;
}

void swap_thread_free(struct swap_thread *s)
{
	pthread_t thread;
	bool busy;

	if (!s)
		return;
	thread = s->thread;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	busy = s->state == BUSY;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	if (busy) {
		/* It may be gone by now, and s with it. */
		pthread_detach(thread);
		return;
	}
	pthread_join(thread, NULL);
	drop(s);
}

int swap_thread_ask(struct swap_thread *s, uint64_t bytes)
{
	int r = -EBUSY;

	pthread_mutex_lock(&s->lock);
	if (s->state == IDLE) {
		s->state = ASKED;
		s->bytes = bytes;
		pthread_cond_signal(&s->wake);
		r = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

int swap_thread_fd(const struct swap_thread *s)
{
	return s->fd;
}

int swap_thread_answer(struct swap_thread *s, uint64_t *ret_asked)
{
	eventfd_t n;
	int r = -EAGAIN;

	pthread_mutex_lock(&s->lock);
	if (s->state == ANSWERED) {
		s->state = IDLE;
		(void)eventfd_read(s->fd, &n);
		r = s->result;
		if (r >= 0)
			*ret_asked = s->asked;
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}
