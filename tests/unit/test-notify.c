// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the service manager is told and keeps, with a socket in its place: one
 * that is read, one that is not, and one that has gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "serve/notify.h"

/* A test that takes longer waits for a manager. */
#define TEST_TIMEOUT_S 30
/* More than any queue of datagrams holds. */
#define MANY 5000

static char name[64];
static int manager = -1;
static struct notify n;

static int setup(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int len;

	(void)state;
	len = snprintf(name, sizeof(name), "@test-notify-%d", (int)getpid());
	memcpy(a.sun_path + 1, name + 1, (size_t)len - 1);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(manager, (struct sockaddr *)&a,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)) < 0)
		return -1;
	setenv("NOTIFY_SOCKET", name, 1);
	unsetenv("LISTEN_FDS");
	unsetenv("WATCHDOG_USEC");
	alarm(TEST_TIMEOUT_S);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	alarm(0);
	notify_done(&n);
	if (manager >= 0)
		close(manager);
	manager = -1;
	return 0;
}

/* The next message; "" if there is none. *ret_fd: what came with it, -1 if nothing. */
static const char *received(int *ret_fd)
{
	static char text[1024];
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = text, .iov_len = sizeof(text) - 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *c;
	ssize_t got;

	got = recvmsg(manager, &msg, 0);
	text[got > 0 ? got : 0] = '\0';
	if (ret_fd)
		*ret_fd = -1;
	c = got > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (c && ret_fd)
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return text;
}

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

static void nobody_to_tell(void **state)
{
	struct status s = {};

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	notify_init(&n);
	assert_false(notify_managed(&n));
	notify_ready(&n, &s);
	notify_keep_device(&n, 0);
	notify_status(&n, &s);
	notify_stopping(&n, 1, 1);
	assert_int_equal(notify_take_device(&n), -1);
}

static void tells(void **state)
{
	struct status s = {.reason_text = "because\nof two lines"};

	(void)state;
	setenv("WATCHDOG_USEC", "6000000", 1);
	notify_init(&n);
	assert_true(notify_managed(&n));
	assert_int_equal(n.watchdog_us, 6000000);
	notify_ready(&n, &s);
	assert_string_equal(received(NULL),
			    "READY=1\nSTATUS=Balloon 0 of 0, available 0: because of two lines");
	notify_status(&n, &s);
	assert_string_equal(received(NULL), "");
	s.size = 1 << 20;
	notify_status(&n, &s);
	assert_non_null(strstr(received(NULL), "STATUS=Balloon 1 MiB"));
	notify_reloading(&n);
	assert_string_equal(received(NULL), "RELOADING=1");
	notify_watchdog(&n);
	assert_string_equal(received(NULL), "WATCHDOG=1");
	notify_stopping(&n, 3 << 20, 15);
	assert_string_equal(received(NULL), "STOPPING=1\nEXTEND_TIMEOUT_USEC=15\n"
			    "STATUS=Giving memory back: 3 MiB left");
}

static void keeps_a_device(void **state)
{
	int pipe_fds[2], fd;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	notify_init(&n);
	notify_keep_device(&n, pipe_fds[0]);
	assert_string_equal(received(&fd), "FDSTORE=1\nFDNAME=uballoon");
	assert_true(same_file(fd, pipe_fds[0]));
	close(fd);
	notify_forget_device(&n);
	assert_string_equal(received(&fd), "FDSTOREREMOVE=1\nFDNAME=uballoon");
	assert_int_equal(fd, -1);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void waits_for_nobody(void **state)
{
	struct status s = {};
	int pipe_fds[2], fd;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	notify_init(&n);
	/* The manager reads nothing: had any of these waited, the alarm would have ended the test. */
	for (unsigned i = 0; i < MANY; i++) {
		s.size = (uint64_t)i << 20;
		notify_status(&n, &s);
		notify_watchdog(&n);
		notify_reloading(&n);
		notify_stopping(&n, i, i);
	}
	notify_forget_device(&n);
	notify_keep_device(&n, pipe_fds[0]);
	s.size = 5ULL << 30;
	notify_ready(&n, &s);
	while (received(NULL)[0])
		;
	/* What is owed comes with the next tick, in order, and once. */
	notify_status(&n, &s);
	assert_string_equal(received(&fd), "FDSTOREREMOVE=1\nFDNAME=uballoon");
	assert_string_equal(received(&fd), "FDSTORE=1\nFDNAME=uballoon");
	assert_true(same_file(fd, pipe_fds[0]));
	close(fd);
	assert_non_null(strstr(received(NULL), "READY=1\nSTATUS=Balloon 5 GiB"));
	assert_string_equal(received(NULL), "");
	notify_status(&n, &s);
	assert_string_equal(received(NULL), "");
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void a_device_that_went_meanwhile(void **state)
{
	int fd;

	(void)state;
	notify_init(&n);
	for (unsigned i = 0; i < MANY; i++)
		notify_watchdog(&n);
	notify_keep_device(&n, 0);
	notify_forget_device(&n);
	while (received(NULL)[0])
		;
	notify_status(&n, &(struct status){});
	assert_string_equal(received(&fd), "FDSTOREREMOVE=1\nFDNAME=uballoon");
	/* Only the status after it: no file that the daemon has closed. */
	assert_non_null(strstr(received(&fd), "STATUS="));
	assert_int_equal(fd, -1);
}

static void manager_has_gone(void **state)
{
	struct status s = {};

	(void)state;
	notify_init(&n);
	close(manager);
	manager = -1;
	notify_ready(&n, &s);
	notify_status(&n, &s);
	notify_watchdog(&n);
	assert_true(n.ready_due);
}

/* Descriptors as systemd passes them: from 3 on, with names. */
static void takes_what_was_kept(void **state)
{
	int null, saved[3], fd;
	char pid[16];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		saved[i] = fcntl(SD_LISTEN_FDS_START + (int)i, F_DUPFD_CLOEXEC, 20);
		null = open("/dev/null", O_RDWR);
		if (null != SD_LISTEN_FDS_START + (int)i) {
			dup2(null, SD_LISTEN_FDS_START + (int)i);
			close(null);
		}
	}
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "3", 1);
	setenv("LISTEN_FDNAMES", "uballoon:other:uballoon", 1);
	notify_init(&n);
	fd = notify_take_device(&n);
	assert_int_equal(fd, 3);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_null(getenv("LISTEN_FDS"));
	fd = notify_take_device(&n);
	assert_int_equal(fd, 5);
	/* The one in between is not ours, and is not kept any longer. */
	assert_int_equal(fcntl(4, F_GETFD), -1);
	assert_int_equal(notify_take_device(&n), -1);
	for (unsigned i = 0; i < 3; i++)
		if (saved[i] >= 0) {
			dup2(saved[i], SD_LISTEN_FDS_START + (int)i);
			close(saved[i]);
		}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(nobody_to_tell), T(tells), T(keeps_a_device), T(waits_for_nobody),
		T(a_device_that_went_meanwhile), T(manager_has_gone), T(takes_what_was_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
