/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A thread that hangs: it is stopped as a debugger would stop it. Include behind cmocka's headers.
 */
#pragma once

#include <dirent.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t stopper;
static int let_go = -1;

/* The only other thread. */
static pid_t writer_thread(void)
{
	DIR *d = opendir("/proc/self/task");
	const struct dirent *e;
	pid_t found = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && atoi(e->d_name) != getpid())
			found = atoi(e->d_name);
	closedir(d);
	assert_true(found > 0);
	return found;
}

/* Until let_go is closed. */
static void stop_thread(pid_t thread)
{
	int ready[2], end[2], status;
	char c;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(end), 0);
	(void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	stopper = fork();
	assert_true(stopper >= 0);
	if (stopper == 0) {
		close(end[1]);
		if (ptrace(PTRACE_SEIZE, thread, 0, 0) < 0 ||
		    ptrace(PTRACE_INTERRUPT, thread, 0, 0) < 0 ||
		    waitpid(thread, &status, __WALL) != thread || write(ready[1], "!", 1) != 1)
			_exit(1);
		/* Ends with the test, however that ends. */
		_exit(read(end[0], &c, 1) == 0 ? 0 : 1);
	}
	close(ready[1]);
	close(end[0]);
	/* A machine without ptrace() has nothing to say here: that is a failure, not a pass. */
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	let_go = end[1];
}

static void release_thread(void)
{
	int status;

	close(let_go);
	assert_int_equal(waitpid(stopper, &status, 0), stopper);
	assert_int_equal(status, 0);
}
