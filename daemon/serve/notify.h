/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * notify.h - what the service manager is told
 *
 * Without a service manager (NOTIFY_SOCKET unset) every call does nothing. The
 * watchdog is not here: sd_event_set_watchdog() feeds it from the loop itself.
 */
#pragma once

#include <stdint.h>

#include "serve/status.h"

struct notify {
	char sent[512];		/* last STATUS= */
};

void notify_ready(struct notify *n, const struct status *s);
/* Nothing is sent if the text is the same as the last time. */
void notify_status(struct notify *n, const struct status *s);
void notify_reloading(void);
/* Stopping takes until `left` is 0; extends the time that the manager allows by extend_us. */
void notify_stopping(uint64_t left, uint64_t extend_us);
