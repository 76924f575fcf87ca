// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * notify.c - what the service manager is told
 *
 * The status line is what `systemctl status balloond` shows: the balloon, what
 * is left, and why. A problem takes the reason's place.
 */
#include "serve/notify.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "basic/units.h"

static const char *status_text(const struct status *s, char *buf, size_t n)
{
	char size[UNITS_MAX], ram[UNITS_MAX], available[UNITS_MAX];
	const char *why = s->problem[0] ? s->problem : s->reason_text;

	snprintf(buf, n, "Balloon %s of %s, MemAvailable %s: %s",
		 units_format_size(size, sizeof(size), s->size),
		 units_format_size(ram, sizeof(ram), s->ram),
		 units_format_size(available, sizeof(available), s->available), why);
	/* One assignment a line is the protocol; a file name may contain anything. */
	for (char *p = buf; *p; p++)
		if (*p == '\n')
			*p = ' ';
	return buf;
}

void notify_ready(struct notify *n, const struct status *s)
{
	status_text(s, n->sent, sizeof(n->sent));
	(void)sd_notifyf(false, "READY=1\nSTATUS=%s", n->sent);
}

void notify_status(struct notify *n, const struct status *s)
{
	char text[sizeof(n->sent)];

	status_text(s, text, sizeof(text));
	if (strcmp(text, n->sent) == 0)
		return;
	memcpy(n->sent, text, sizeof(text));
	(void)sd_notifyf(false, "STATUS=%s", text);
}

void notify_reloading(void)
{
	(void)sd_notify(false, "RELOADING=1");
}

void notify_stopping(uint64_t left, uint64_t extend_us)
{
	char size[UNITS_MAX];

	(void)sd_notifyf(false, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64
			 "\nSTATUS=Giving memory back: %s left", extend_us,
			 units_format_size(size, sizeof(size), left));
}
