// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * problem.c - what is wrong now, said once when it begins and once when it ends
 *
 * A daemon that looks once a second would otherwise fill the journal with the
 * same line, or say nothing at all.
 */
#include "basic/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "basic/log.h"

void problem_set(struct problems *p, enum problem which, int priority, const char *format, ...)
{
	char text[sizeof(p->text[0])];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (strcmp(p->text[which], text) == 0)
		return;
	memcpy(p->text[which], text, sizeof(text));
	log_write(priority, NULL, "%s", text);
}

bool problem_clear(struct problems *p, enum problem which, const char *gone)
{
	if (p->text[which][0] == '\0')
		return false;
	p->text[which][0] = '\0';
	log_notice("%s", gone);
	return true;
}

const char *problem_first(const struct problems *p)
{
	for (int i = 0; i < _PROBLEM_MAX; i++)
		if (p->text[i][0] != '\0')
			return p->text[i];
	return "";
}
