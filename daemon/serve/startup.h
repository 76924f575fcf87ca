/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * startup.h - whether the guest boots, or starts services
 *
 * Asks the service manager on a connection of its own, and never waits for it.
 * A bus or a manager that is missing, or goes away, is no error.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "basic/cleanup.h"
#include "sense/sample.h"

struct startup;

/*
 * address NULL: the system bus. Does not connect yet. began() is called from the event loop when a
 * start has begun. All pointers are kept but not owned.
 */
int startup_new(sd_event *event, const char *address, void (*began)(void *ctx), void *ctx,
		struct startup **ret);
void startup_free(struct startup *s);
DEFINE_CLEANUP(struct startup *, startup_free)

/*
 * What is known now, microseconds of CLOCK_BOOTTIME; connects, and asks, where that is due. NULL
 * for s: there is nobody to ask. Once a tick.
 */
enum sample_start startup_look(struct startup *s, uint64_t now_us);
