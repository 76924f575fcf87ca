/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * thread.h - a thread for what may have to wait
 *
 * Small, and deaf to signals: those are the loop's.
 */
#pragma once

#include <pthread.h>

/* As pthread_create(), but with all signals blocked and a stack of 256 KiB. 0 or a negative errno. */
int thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg);
