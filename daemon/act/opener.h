/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * opener.h - how the daemon gets a transport, and when it tries again
 *
 * Microseconds of the owner's clock, which comes with each call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "act/transport.h"
#include "basic/problem.h"

/* Where transports come from. Errors are those of the functions named; tests bring their own. */
struct opener_world {
	void *ctx;
	/* As device_open(), with the node found. */
	int (*open)(void *ctx, bool read_only, struct transport **ret);
	/* As reporting_open(), and -ENODEV: the kernel reports no free pages to the host. */
	int (*open_reporting)(void *ctx, bool read_only, struct transport **ret);
	/* As device_adopt(). */
	int (*adopt)(void *ctx, int fd, struct transport **ret);
	/* Why there is no device and what to do about it: a sentence, valid until the next call. */
	const char *(*why_none)(void *ctx);
};

/* Where an open device waits for the next daemon: the service manager, if there is one. */
struct opener_store {
	void *ctx;
	/* The next one that the daemon before this one left, for the caller to close; -1 = none. */
	int (*take)(void *ctx);
	/* Have a copy of fd kept until forget(). */
	void (*keep)(void *ctx, int fd);
	void (*forget)(void *ctx);
};

struct opener {
	struct opener_world world;
	struct opener_store store;
	struct problems *problems;

	uint64_t next_us;	/* not before that: after a failure, or while another serves */
	uint64_t delay_us;	/* after the last failure */
	uint64_t refused_us;	/* not permitted to open it since then; 0 = not so */
	uint64_t opened_us;	/* the last one that was of use; 0 = none since the last failure */
};

/* What is wanted of a transport. */
struct opener_want {
	bool read_only;		/* to look at it; who fails at that says nothing */
	bool device_only;	/* nothing else serves where there is no device of ours */
};

struct opened {
	struct transport *transport; /* the caller's, to be freed */
	bool read_only;
	bool reporting;		/* it is none of ours, but what serves meanwhile */
	bool handed_over;	/* by the daemon before, through the store */
};

/* *world and *store are copied; problems is kept but not owned: PROBLEM_DEVICE is the opener's. */
void opener_init(struct opener *o, const struct opener_world *world,
		 const struct opener_store *store, struct problems *problems);

/* Whether it is time to try. */
bool opener_due(const struct opener *o, uint64_t now_us);
/* Whatever went wrong before: try with the next call. */
void opener_hurry(struct opener *o);

/* 0 and *ret, or why not, which has been said: -ENODEV, -EBUSY, -EACCES, -EPROTONOSUPPORT, ... */
int opener_open(struct opener *o, const struct opener_want *want, uint64_t now_us,
		struct opened *ret);
/* What was opened works; what was wrong is over, or what serves meanwhile is said. */
void opener_worked(struct opener *o, const struct opened *opened, uint64_t now_us);
/*
 * What was opened answered with r < 0 to `what` ("tell its state"): said, and not opened again
 * for a second, twice as long each time. Does not free it.
 */
void opener_failed(struct opener *o, const struct opened *opened, const char *what, int r,
		   uint64_t now_us);

/*
 * Whether what serves instead of ours is to be let go of: ours is there, or it is of no use (any
 * more), or not opened as it is wanted. Looks once a minute.
 */
bool opener_superseded(struct opener *o, const struct opened *opened,
		       const struct opener_want *want, uint64_t now_us);
