// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * log.c - one line to the journal, or to stderr where there is none
 *
 * The journal is used natively only if stderr is the very stream that
 * JOURNAL_STREAM names: a shell below a unit, or a redirected stderr, gets its
 * lines where it looks for them. Never fails, and never waits for the journal: its
 * queue is one for all programs, and full as long as it waits for a disk. A line that cannot
 * be written is lost and counted; memory comes first. So not by sd_journal_sendv(), which
 * waits. What is sent is one datagram of lines NAME=value (systemd's Native Journal Protocol).
 *
 * Leaves out: syslog(3), log files, rate limits (the loop says each problem
 * once), and translation.
 */
#include "basic/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL "/run/systemd/journal/socket"
#define LINE_BYTES 2048
#define FIELDS_MAX 16

/* Process-wide by nature, as stderr is. Written by main before and between ticks only. */
static int max_priority = LOG_INFO;
static enum { TO_STDERR, TO_STDERR_PREFIXED, TO_JOURNAL } target = TO_STDERR;
static struct sockaddr_un journal_address = {.sun_family = AF_UNIX};
static int journal = -1;
static unsigned lost;

static const char *const level_names[] = {
	[LOG_ERR] = "err",   [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
	[LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

void log_open(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t dev, ino;
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return;
	if (sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &dev, &ino) == 2 && dev == st.st_dev &&
	    ino == st.st_ino)
		log_open_journal(JOURNAL);
	else if (getenv("INVOCATION_ID") && S_ISSOCK(st.st_mode))
		target = TO_STDERR_PREFIXED;
}

void log_open_journal(const char *path)
{
	target = TO_STDERR_PREFIXED;
	if (strlen(path) >= sizeof(journal_address.sun_path))
		return;
	strcpy(journal_address.sun_path, path);
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (journal >= 0)
		target = TO_JOURNAL;
}

void log_set_level(int priority)
{
	max_priority = priority;
}

int log_get_level(void)
{
	return max_priority;
}

int log_level_parse(const char *name, int *ret_priority)
{
	for (int i = LOG_ERR; i <= LOG_DEBUG; i++)
		if (strcmp(level_names[i], name) == 0) {
			*ret_priority = i;
			return 0;
		}
	return -EINVAL;
}

const char *log_level_name(int priority)
{
	if (priority < LOG_ERR || priority > LOG_DEBUG)
		return NULL;
	return level_names[priority];
}

static int send_lines(struct iovec *iov, size_t n)
{
	struct msghdr message = {
		/* Each time: what listens there may have been replaced. */
		.msg_name = &journal_address,
		.msg_namelen = sizeof(journal_address),
		.msg_iov = iov,
		.msg_iovlen = n,
	};

	return sendmsg(journal, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int write_journal(int priority, const char *const *fields, const char *line)
{
	static char name[] = "SYSLOG_IDENTIFIER=balloond\n", newline[] = "\n";
	char message[LINE_BYTES + sizeof("MESSAGE=\n")], prio[sizeof("PRIORITY=7\n")];
	struct iovec iov[2 * FIELDS_MAX + 3];
	size_t n = 0;

	snprintf(message, sizeof(message), "MESSAGE=%s", line);
	/* What follows a newline would be another field. */
	for (char *p = message; *p; p++)
		if (*p == '\n')
			*p = ' ';
	strcat(message, newline);
	snprintf(prio, sizeof(prio), "PRIORITY=%d\n", priority & 7);
	iov[n++] = (struct iovec){message, strlen(message)};
	iov[n++] = (struct iovec){prio, strlen(prio)};
	iov[n++] = (struct iovec){name, strlen(name)};
	for (int i = 0; fields && fields[i] && i < FIELDS_MAX; i++) {
		iov[n++] = (struct iovec){(char *)fields[i], strlen(fields[i])};
		iov[n++] = (struct iovec){newline, 1};
	}
	return send_lines(iov, n);
}

static int say_lost(void)
{
	char line[64];
	int r;

	snprintf(line, sizeof(line), "%u lines were lost while the journal took none", lost);
	r = write_journal(LOG_NOTICE, NULL, line);
	if (r == 0)
		lost = 0;
	return r;
}

/* Whether the line is done with: written, or lost since nobody waits for the journal. */
static bool to_journal(int priority, const char *const *fields, const char *line)
{
	int r = lost > 0 ? say_lost() : 0;

	if (r == 0)
		r = write_journal(priority, fields, line);
	if (r != -EAGAIN && r != -ENOBUFS)
		return r == 0;
	lost++;
	return true;
}

/* The stream to the journal, which may be full, too. */
static void to_stream(int priority, const char *line)
{
	char text[LINE_BYTES + 8];

	snprintf(text, sizeof(text), "<%d>%s\n", priority & 7, line);
	if (send(STDERR_FILENO, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
	    errno == ENOTSOCK)
		fputs(text, stderr);
}

void log_write(int priority, const char *const *fields, const char *format, ...)
{
	char line[LINE_BYTES];
	int saved = errno;
	va_list ap;

	if (priority > max_priority)
		return;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);

	/* A journal that does not answer leaves stderr, which systemd keeps connected to it. */
	if (target == TO_JOURNAL && to_journal(priority, fields, line)) {
		errno = saved;
		return;
	}
	if (target == TO_STDERR)
		fprintf(stderr, "balloond: %s%s\n", priority <= LOG_ERR ? "error: " :
			priority == LOG_WARNING ? "warning: " :
			priority == LOG_DEBUG ? "debug: " : "", line);
	else
		to_stream(priority, line);
	errno = saved;
}
