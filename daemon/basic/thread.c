// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * thread.c - a thread for what may have to wait
 *
 * Leaves out: what it does, and how it ends.
 */
#include "basic/thread.h"

#include <signal.h>

/* Far more than reading and writing files needs; the sanitizers' interceptors need it. */
#define STACK_BYTES (256 * 1024)

int thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r;

	r = pthread_attr_init(&attr);
	if (r != 0)
		return -r;
	r = pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (r == 0)
		r = pthread_create(ret, &attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}
