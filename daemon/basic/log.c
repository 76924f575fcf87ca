// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * log.c - one line to the journal, or to stderr where there is none
 *
 * The journal is used natively only if stderr is the very stream that
 * JOURNAL_STREAM names: a shell below a unit, or a redirected stderr, gets its
 * lines where it looks for them. Never fails: a line that cannot be written is
 * lost, memory comes first.
 *
 * Leaves out: syslog(3), log files, rate limits (the loop says each problem
 * once), and translation.
 */
#include "basic/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define LINE_BYTES 2048
#define FIELDS_MAX 16

/* Process-wide by nature, as stderr is. Written by main before and between ticks only. */
static int max_priority = LOG_INFO;
static enum { TO_STDERR, TO_STDERR_PREFIXED, TO_JOURNAL } target = TO_STDERR;

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
		target = TO_JOURNAL;
	else if (getenv("INVOCATION_ID") && S_ISSOCK(st.st_mode))
		target = TO_STDERR_PREFIXED;
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

static int write_journal(int priority, const char *const *fields, const char *line)
{
	char message[LINE_BYTES + sizeof("MESSAGE=")], prio[sizeof("PRIORITY=7")];
	struct iovec iov[FIELDS_MAX + 3];
	int n = 0;

	snprintf(message, sizeof(message), "MESSAGE=%s", line);
	snprintf(prio, sizeof(prio), "PRIORITY=%d", priority & 7);
	iov[n++] = (struct iovec){message, strlen(message)};
	iov[n++] = (struct iovec){prio, strlen(prio)};
	iov[n++] = (struct iovec){(char *)"SYSLOG_IDENTIFIER=balloond",
				  strlen("SYSLOG_IDENTIFIER=balloond")};
	for (int i = 0; fields && fields[i] && i < FIELDS_MAX; i++)
		iov[n++] = (struct iovec){(char *)fields[i], strlen(fields[i])};
	return sd_journal_sendv(iov, n);
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
	if (target == TO_JOURNAL && write_journal(priority, fields, line) >= 0) {
		errno = saved;
		return;
	}
	if (target == TO_STDERR)
		fprintf(stderr, "balloond: %s%s\n", priority <= LOG_ERR ? "error: " :
			priority == LOG_WARNING ? "warning: " :
			priority == LOG_DEBUG ? "debug: " : "", line);
	else
		fprintf(stderr, "<%d>%s\n", priority & 7, line);
	errno = saved;
}
