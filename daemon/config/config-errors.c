// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * config-errors.c - what was wrong with balloond.conf, as lines
 *
 * Each is one line that a terminal and the bus can take: names of files may be
 * anything but a slash.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/cleanup.h"
#include "basic/printable.h"
#include "config/config-read.h"

void config_errors_add(struct config_errors *e, const char *path, unsigned line, const char *key,
		       const char *format, ...)
{
	_cleanup_free_ char *reason = NULL, *text = NULL;
	char number[16] = "";
	char **lines;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&reason, format, ap);
	va_end(ap);
	if (n < 0) {
		reason = NULL;
		goto no_memory;
	}

	if (line > 0)
		snprintf(number, sizeof(number), ":%u", line);
	if (asprintf(&text, "%s%s: %s%s%s", path, number, key ?: "", key ? ": " : "", reason) < 0) {
		text = NULL;
		goto no_memory;
	}
	lines = reallocarray(e->lines, e->n + 1, sizeof(*lines));
	if (!lines)
		goto no_memory;
	e->lines = lines;
	lines[e->n++] = printable_line(steal_pointer(text));
	return;

no_memory:
	e->no_memory = true;
}

void config_errors_done(struct config_errors *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->lines[i]);
	free(e->lines);
	*e = (struct config_errors){};
}
