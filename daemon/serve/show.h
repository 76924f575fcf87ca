/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * show.h - what others see of a tick: the bus, the service manager, a terminal
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "basic/problem.h"
#include "serve/bus.h"
#include "serve/notify.h"
#include "serve/status.h"
#include "serve/tick.h"

struct show {
	struct bus *bus;		/* NULL = there is to be none */
	struct notify *notify;
	struct problems *problems;
	bool lines;			/* one a tick on standard output */

	struct status status;		/* as it was shown last */
	uint64_t bus_retry_us;
};

/* All pointers are kept but not owned; of the problems PROBLEM_BUS is its own. */
void show_init(struct show *s, struct bus *bus, struct notify *notify, struct problems *problems,
	       bool lines);

/* Once a tick. 0, or -EPIPE: who read standard output has gone. */
int show_tick(struct show *s, const struct tick *t);
/* The present state, between two ticks. */
void show_publish(struct show *s, const struct tick *t);
