// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * notify.c - what the service manager is told, and what it keeps for the next daemon
 *
 * The status line is what `systemctl status balloond` shows: the balloon, what
 * is left, and why. A problem takes the reason's place.
 *
 * sd_notify(3) waits while the manager's queue is full, and a manager that is
 * slow is one on a machine that thrashes, which is when the daemon must not
 * wait for anybody. So the datagrams are sent here, without waiting. READY=1
 * and the orders to the store are owed until they have been taken; a status or
 * a sign of life that was not taken is worth nothing later.
 *
 * The device is left with the manager as soon as it is opened, since a daemon
 * that crashes has no time to do it. The manager drops it by itself when the
 * device goes (the file polls POLLHUP) and when the unit stops for good.
 */
#include "serve/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "basic/units.h"

#define DEVICE_NAME "uballoon"

/* Whether the manager has taken it. fd >= 0 goes with it. */
static bool send_with_fd(const struct notify *n, const char *text, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec iov = {.iov_base = (char *)text, .iov_len = strlen(text)};
	struct msghdr msg = {
		.msg_name = (struct sockaddr_un *)&n->to,
		.msg_namelen = n->to_len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	struct cmsghdr *c;

	if (n->socket < 0)
		return true;
	if (fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	return sendmsg(n->socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static bool send_text(const struct notify *n, const char *text)
{
	return send_with_fd(n, text, -1);
}

void notify_init(struct notify *n)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;
	int r;

	*n = (struct notify){.socket = -1, .keep_fd = -1};
	r = sd_listen_fds_with_names(true, &n->names);
	n->taken = r > 0 ? r : 0;

	/* "@" stands for the NUL of an abstract address. */
	if (len < 2 || len >= sizeof(n->to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, path, len);
	if (path[0] == '@')
		n->to.sun_path[0] = '\0';
	n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/'));
	n->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sd_watchdog_enabled(false, &n->watchdog_us) <= 0)
		n->watchdog_us = 0;
}

void notify_done(struct notify *n)
{
	while (n->next < n->taken)
		close(SD_LISTEN_FDS_START + n->next++);
	for (char **name = n->names; name && *name; name++)
		free(*name);
	free(n->names);
	if (n->socket >= 0)
		close(n->socket);
	*n = (struct notify){.socket = -1, .keep_fd = -1};
}

bool notify_managed(const struct notify *n)
{
	return n->socket >= 0;
}

int notify_take_device(struct notify *n)
{
	char text[300];

	while (n->next < n->taken) {
		const char *name = n->names ? n->names[n->next] : "";
		int fd = SD_LISTEN_FDS_START + n->next++;

		if (strcmp(name, DEVICE_NAME) == 0)
			return fd;
		/* Of another version, or a socket unit that somebody tied to the service. */
		close(fd);
		snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
		(void)send_text(n, text);
	}
	return -1;
}

/* What is owed, in the order in which it must be taken. */
static void pay(struct notify *n)
{
	char text[sizeof(n->sent) + 32];

	if (n->forget_due && !send_text(n, "FDSTOREREMOVE=1\nFDNAME=" DEVICE_NAME))
		return;
	n->forget_due = false;
	if (n->keep_due && !send_with_fd(n, "FDSTORE=1\nFDNAME=" DEVICE_NAME, n->keep_fd))
		return;
	n->keep_due = false;
	if (!n->ready_due)
		return;
	snprintf(text, sizeof(text), "READY=1\nSTATUS=%s", n->sent);
	n->ready_due = !send_text(n, text);
}

void notify_keep_device(struct notify *n, int fd)
{
	n->keep_fd = fd;
	n->keep_due = true;
	pay(n);
}

void notify_forget_device(struct notify *n)
{
	n->keep_fd = -1;
	n->keep_due = false;
	n->forget_due = true;
	pay(n);
}

static const char *status_text(const struct status *s, char *buf, size_t n)
{
	char size[UNITS_MAX], ram[UNITS_MAX], available[UNITS_MAX];
	const char *why = s->problem[0] ? s->problem : s->reason_text;

	snprintf(buf, n, "Balloon %s of %s, available %s: %s",
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
	n->ready_due = true;
	pay(n);
}

void notify_status(struct notify *n, const struct status *s)
{
	char text[sizeof(n->sent)], message[sizeof(n->sent) + 32];

	pay(n);
	status_text(s, text, sizeof(text));
	if (strcmp(text, n->sent) == 0)
		return;
	snprintf(message, sizeof(message), "STATUS=%s", text);
	if (send_text(n, message))
		memcpy(n->sent, text, sizeof(text));
}

void notify_reloading(struct notify *n)
{
	(void)send_text(n, "RELOADING=1");
}

void notify_stopping(struct notify *n, uint64_t left, uint64_t extend_us)
{
	char size[UNITS_MAX], text[200];

	snprintf(text, sizeof(text), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64
		 "\nSTATUS=Giving memory back: %s left", extend_us,
		 units_format_size(size, sizeof(size), left));
	(void)send_text(n, text);
}

void notify_watchdog(struct notify *n)
{
	(void)send_text(n, "WATCHDOG=1");
}
