// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lines for a journal that the test plays: what they look like, and that nobody waits for it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "basic/log.h"

/* More than any queue of datagrams takes (net.unix.max_dgram_qlen), and any buffer of ours. */
#define MANY 20000
/* A limit for hangs only. */
#define PATIENCE_S 120

static char path[] = "/tmp/test-log-XXXXXX";
static int fd = -1;

static int begin(void **state)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	(void)state;
	alarm(PATIENCE_S);
	if (!mkdtemp(path))
		return -1;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/socket", path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -1;
	log_open_journal(a.sun_path);
	return 0;
}

static int end(void **state)
{
	char name[64];

	(void)state;
	close(fd);
	snprintf(name, sizeof(name), "%s/socket", path);
	unlink(name);
	rmdir(path);
	return 0;
}

/* The next entry; "" if there is none. */
static const char *next(void)
{
	static char entry[4096];
	ssize_t n = recv(fd, entry, sizeof(entry) - 1, 0);

	entry[n > 0 ? n : 0] = '\0';
	return entry;
}

static void an_entry_is_lines_of_fields(void **state)
{
	const char *fields[] = {"BALLOON_SIZE=4096", "BALLOON_REASON=free", NULL};

	(void)state;
	log_write(LOG_NOTICE, fields, "from %s to %d", "one", 2);
	assert_string_equal(next(), "MESSAGE=from one to 2\nPRIORITY=5\nSYSLOG_IDENTIFIER=balloond\n"
				    "BALLOON_SIZE=4096\nBALLOON_REASON=free\n");
	/* What somebody else's text says is no field. */
	log_error("%s", "a\nPRIORITY=0");
	assert_string_equal(next(), "MESSAGE=a PRIORITY=0\nPRIORITY=3\nSYSLOG_IDENTIFIER=balloond\n");
	log_debug("not at this level");
	assert_string_equal(next(), "");
}

static void the_longest_line_is_cut(void **state)
{
	char text[10000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	assert_non_null(strstr(next(), "xxx\nPRIORITY=6\n"));
}

static void a_full_journal_is_not_waited_for(void **state)
{
	unsigned got = 0, lost;
	const char *entry;

	(void)state;
	for (int i = 0; i < MANY; i++)
		log_info("line %d", i);
	while (next()[0])
		got++;
	assert_in_range(got, 1, MANY - 1);
	/* As soon as it listens again it is told so, and how much it has missed. */
	log_info("the next");
	entry = next();
	assert_int_equal(sscanf(entry, "MESSAGE=%u lines were lost", &lost), 1);
	assert_int_equal(got + lost, MANY);
	assert_non_null(strstr(next(), "MESSAGE=the next\n"));
	assert_string_equal(next(), "");
}

/* Lines were lost, and now there is no journal at all: what comes goes where systemd reads it. */
static void a_journal_that_has_gone(void **state)
{
	int before = dup(STDERR_FILENO), ends[2];
	char got[128] = "", name[64];

	(void)state;
	for (int i = 0; i < MANY; i++)
		log_info("line %d", i);
	close(fd);
	fd = -1;
	snprintf(name, sizeof(name), "%s/socket", path);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	dup2(ends[0], STDERR_FILENO);
	log_info("to whom it may concern");
	dup2(before, STDERR_FILENO);
	close(ends[0]);
	assert_true(read(ends[1], got, sizeof(got) - 1) > 0);
	assert_string_equal(got, "<6>to whom it may concern\n");
	close(ends[1]);
	close(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_is_lines_of_fields),
		cmocka_unit_test(the_longest_line_is_cut),
		cmocka_unit_test(a_full_journal_is_not_waited_for),
		/* The last one: it has none to give back. */
		cmocka_unit_test(a_journal_that_has_gone),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
