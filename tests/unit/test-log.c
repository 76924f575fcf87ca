// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Log lines: what goes to whom, and how it is marked. Standard error is a file or a socket of the
 * test; each case is a process of its own, for where lines go is a matter of the process.
 *
 * Not tested here: the journal (test-log-journal.c).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/log.h"

/* What write_lines() says, in a process with @stderr_fd and these in its environment. */
static void child(int stderr_fd, const char *stream, const char *invocation, int level)
{
	static const char *const fields[] = {"BALLOON=1", NULL};
	pid_t pid;
	int status;

	/* The child ends as a program does, and must not say again what waits here. */
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(stderr_fd, STDERR_FILENO);
		if (stream)
			setenv("JOURNAL_STREAM", stream, 1);
		else
			unsetenv("JOURNAL_STREAM");
		if (invocation)
			setenv("INVOCATION_ID", invocation, 1);
		else
			unsetenv("INVOCATION_ID");
		log_open();
		log_set_level(level);
		errno = EBUSY;
		log_write(LOG_ERR, fields, "number %d", 3);
		log_write(LOG_WARNING, NULL, "four");
		log_write(LOG_NOTICE, NULL, "five");
		log_write(LOG_INFO, NULL, "six");
		log_write(LOG_DEBUG, NULL, "seven");
		/* Who logs an error goes on to return it. */
		exit(errno == EBUSY && log_get_level() == level ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void says(const char *stream, const char *invocation, int level, const char *want)
{
	char got[1024];
	int ends[2];
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	child(ends[1], stream, invocation, level);
	close(ends[1]);
	n = recv(ends[0], got, sizeof(got) - 1, MSG_WAITALL);
	assert_true(n >= 0);
	got[n] = '\0';
	close(ends[0]);
	assert_string_equal(got, want);
}

static void plain_for_people(void **state)
{
	(void)state;
	says(NULL, NULL, LOG_DEBUG,
	     "balloond: error: number 3\nballoond: warning: four\nballoond: five\nballoond: six\n"
	     "balloond: debug: seven\n");
	/* A shell below a unit, whose standard error is something else: a pipe that is no socket ... */
	says(NULL, "0123", LOG_ERR, "balloond: error: number 3\n");
}

static void marked_for_a_manager(void **state)
{
	(void)state;
	/* ... and a socket, but another one than the journal's. */
	says("1:1", "0123", LOG_INFO, "<3>number 3\n<4>four\n<5>five\n<6>six\n");
	says("nonsense", "0123", LOG_WARNING, "<3>number 3\n<4>four\n");
	says("1:1", NULL, LOG_ERR, "balloond: error: number 3\n");
}

static void plain_in_a_file(void **state)
{
	char path[] = "/tmp/test-log-XXXXXX", got[256];
	int fd = mkstemp(path);
	ssize_t n;

	(void)state;
	assert_true(fd >= 0);
	child(fd, "1:1", "0123", LOG_ERR);
	n = pread(fd, got, sizeof(got) - 1, 0);
	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, "balloond: error: number 3\n");
	close(fd);
	unlink(path);
	/* What cannot be written is lost, and is nobody's error. */
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	child(fd, NULL, NULL, LOG_DEBUG);
	close(fd);
}

static void levels(void **state)
{
	int level = -1;

	(void)state;
	for (int i = LOG_ERR; i <= LOG_DEBUG; i++) {
		assert_int_equal(log_level_parse(log_level_name(i), &level), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
	assert_int_equal(level, LOG_DEBUG);
	assert_null(log_level_name(LOG_ERR - 1));
	assert_null(log_level_name(LOG_DEBUG + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_for_people),
		cmocka_unit_test(marked_for_a_manager),
		cmocka_unit_test(plain_in_a_file),
		cmocka_unit_test(levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
