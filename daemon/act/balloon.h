/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * balloon.h - the life of a transport: found, held by its lease, moved, lost, found again
 *
 * One object, with or without a transport at the moment. It has no timers, no files to poll and no
 * clock of its own: it says through its owner's functions what it waits for, and is called when
 * that has come. Bytes and microseconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "act/opener.h"
#include "act/transport.h"
#include "basic/cleanup.h"
#include "basic/problem.h"

struct balloon;

/*
 * The lease on giving up: the module goes on by itself after this. None that is configured is so
 * short, so the next daemon knows it by that.
 */
#define BALLOON_STOP_LEASE_US (1000 * 1000)

/* What a balloon waits for, and what it has to tell. Called from within the calls below. */
struct balloon_owner {
	void *ctx;
	/* Microseconds of a clock that counts suspend. */
	uint64_t (*now)(void *ctx);
	/*
	 * Call balloon_event() when fd has EPOLLIN, EPOLLPRI, an error or a hangup; -1 = no longer.
	 * Negative errno if that cannot be had. fd stays open until the call with -1.
	 */
	int (*watch)(void *ctx, int fd);
	/* Call balloon_renew() after so long, once; 0 = not at all. What was said last counts. */
	void (*renew_in)(void *ctx, uint64_t after_us);
	/* Call balloon_slice() whenever there is nothing better to do; or no longer. */
	void (*move)(void *ctx, bool on);
	/* Look at it soon: something has changed. */
	void (*look)(void *ctx);
	/* A transport is there that works, and its balloon is like this. */
	void (*attached)(void *ctx, const struct sample_balloon *b);
	/* It answered with an error and is closed. The balloon stays, with its lease running. */
	void (*lost)(void *ctx);
};

/* What the configuration says of it, in force from the next call on. */
struct balloon_settings {
	bool observe;		/* nothing is to be moved: opened for reading only */
	bool device_only;	/* as in struct opener_want */
	enum sample_account account;
	uint64_t lease_us;	/* 0 = off */
};

/* What is to be done until the next one. */
struct balloon_step {
	int64_t step;		/* > 0 inflates; 0 = stand still */
	bool may_reclaim;
	uint64_t relief_line;	/* see struct sample_balloon; 0 = as it is */
};

/* What can be seen of it without asking the transport. */
struct balloon_view {
	bool attached;		/* there is a transport */
	bool read_only;		/* ... opened in mode observe */
	bool reporting;		/* ... that is none of ours, but what serves meanwhile */
	struct transport_info info; /* of the last transport there was */
	uint64_t lease_left_us;	/* 0 = there is none, or it may have run out */
	uint64_t inflated;	/* since the start, whatever became of it */
	uint64_t deflated;
};

/* What is pointed to by owner, world and store must outlive it; problems is kept but not owned. */
int balloon_new(const struct balloon_owner *owner, const struct opener_world *world,
		const struct opener_store *store, struct problems *problems, struct balloon **ret);
/* The balloon itself stays as it is and the lease goes on. */
void balloon_free(struct balloon *b);
DEFINE_CLEANUP(struct balloon *, balloon_free)

void balloon_configure(struct balloon *b, const struct balloon_settings *settings);
void balloon_view(const struct balloon *b, struct balloon_view *ret);

/* -- once a tick, in this order -- */

/* Get a transport that fits the settings, if there is one to be had. */
void balloon_maintain(struct balloon *b);
/*
 * Fill the balloon's part of *s, and take the result of the last step with it; left alone without a
 * transport. What only it knows of the rest is put right: s->ram, and memory that a claim stands
 * for.
 */
void balloon_sense(struct balloon *b, struct sample *s);
/* Begin a step; the one before ends here, wherever it is. */
void balloon_act(struct balloon *b, const struct balloon_step *step);
/*
 * Ask the host for the proof that it takes a page, which it has for hold_us; a fraction of a
 * second. The answer comes with the next balloon_sense().
 */
void balloon_prove(struct balloon *b, uint64_t hold_us);

/* -- whenever it is so -- */

/* A device has come or gone. */
void balloon_announced(struct balloon *b);
/* Tell the module the lease of the settings. Ends a step that is under way. */
void balloon_lease_changed(struct balloon *b);
/* What was asked for through watch(). hung_up: an error, or a hangup. */
void balloon_event(struct balloon *b, bool hung_up);
/* What was asked for through renew_in(). */
void balloon_renew(struct balloon *b);
/*
 * What was asked for through move(): one slice of the step, *ret what came of it. Returns as
 * mover_run(). An error ends the transport, but not where it is being emptied: that is its
 * caller's.
 */
int balloon_slice(struct balloon *b, struct transport_result *ret);

/* -- for who takes leave of it (leave.c); only while there is a transport -- */

/* As transport_ops.state. */
int balloon_state(struct balloon *b, struct sample_balloon *ret);
/* Bounds as in struct transport_target, with all else as it is. 0 or a negative errno. */
int balloon_bounds(struct balloon *b, uint64_t ceiling, uint64_t floor, uint64_t lease_us);
/* Go for nothing but giving back so many bytes. Who renews the lease leaves it at that. */
void balloon_empty(struct balloon *b, uint64_t bytes);
/* As transport_ops.pop. */
int balloon_pop(struct balloon *b);
/* Stop moving. Also without one, as the next. */
void balloon_pause(struct balloon *b);
/* The file only, which the store may keep for the next daemon. The balloon stays. */
void balloon_detach(struct balloon *b);
