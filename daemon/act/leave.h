/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * leave.h - what becomes of the balloon when the daemon ends
 *
 * Bytes and microseconds. One of these is used once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "act/balloon.h"

struct leave_owner {
	void *ctx;
	/* Microseconds of a clock that counts suspend. */
	uint64_t (*now)(void *ctx);
	/* Is the daemon started again? leave_restart() is told; negative errno: nobody knows. */
	int (*ask_restart)(void *ctx);
	/* Memory is given back from now on, which takes a while: leave_left(). */
	void (*giving_back)(void *ctx);
	/* It is over: nothing is attached any more. */
	void (*left)(void *ctx);
};

struct leave_settings {
	bool keep;		/* leave the balloon as it is, without a lease */
	uint64_t lease_us;	/* for the next daemon to come in; 0 = off */
	uint64_t stuck_us;	/* giving back ends after so long without progress */
};

struct leave {
	struct balloon *balloon;
	struct leave_owner owner;
	struct leave_settings settings;
	uint64_t left;		/* bytes still to be given back */
	uint64_t deadline_us;
	uint64_t progress_us;	/* last time that the balloon became smaller */
};

/* balloon is kept but not owned, as is what *owner points to. */
void leave_init(struct leave *l, struct balloon *balloon, const struct leave_owner *owner);

/*
 * Give back or keep. True: left() is called when that is done, or has been. False: there is nothing
 * to be left, or only what holds nothing; left() is not called.
 */
bool leave_begin(struct leave *l, const struct leave_settings *settings);
/* Asked a second time: what is not given back by now the module goes on with. */
void leave_at_once(struct leave *l);
/* The answer to ask_restart(); false also if it is not known. */
void leave_restart(struct leave *l, bool restart);
/* A slice has run meanwhile, with this result (balloon_slice()). */
void leave_slice(struct leave *l, int r, const struct transport_result *result);
/* Bytes that are still to be given back. */
uint64_t leave_left(const struct leave *l);
