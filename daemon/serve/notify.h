/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * notify.h - what the service manager is told, and what it keeps for the next daemon
 *
 * Without a service manager (NOTIFY_SOCKET unset) every call does nothing. No
 * call waits: what the manager does not take now is sent with the next
 * notify_status() if it still matters, and dropped if not.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "serve/status.h"

struct notify {
	int socket;			/* -1: no service manager */
	struct sockaddr_un to;
	socklen_t to_len;
	uint64_t watchdog_us;		/* the manager wants a sign of life this often; 0 = never */

	char sent[512];			/* last STATUS= */
	bool ready_due;
	bool forget_due;
	bool keep_due;
	int keep_fd;			/* the owner's */

	int taken;			/* descriptors of the store not asked for yet */
	int next;
	char **names;
};

/* Takes over what the manager passed (LISTEN_FDS) and clears the environment of it. */
void notify_init(struct notify *n);
void notify_done(struct notify *n);

/* Is there somebody who could start the daemon again? */
bool notify_managed(const struct notify *n);

/*
 * The next device that the daemon before this one left with the manager, for
 * the caller to close; -1 if there is none (left). What the store holds under
 * other names is forgotten.
 */
int notify_take_device(struct notify *n);
/* Have the manager keep a copy of fd until notify_forget_device(), or until the unit stops. */
void notify_keep_device(struct notify *n, int fd);
void notify_forget_device(struct notify *n);

void notify_ready(struct notify *n, const struct status *s);
/* Nothing is sent if the text is the same as the last time, and all else has arrived. */
void notify_status(struct notify *n, const struct status *s);
void notify_reloading(struct notify *n);
/* Stopping takes until `left` is 0; extends the time that the manager allows by extend_us. */
void notify_stopping(struct notify *n, uint64_t left, uint64_t extend_us);
void notify_watchdog(struct notify *n);
