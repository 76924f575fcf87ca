// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * leave.c - what becomes of the balloon when the daemon ends
 *
 * It is given back, unless the configuration says to keep it, or another daemon is about to be
 * started: then that one takes it over, if it comes within the lease. Giving back goes on in
 * slices, for as long as it makes progress, and for two minutes at most; what is left then the
 * module gives back by itself.
 *
 * Invariant: whatever the device says, it ends.
 *
 * Leaves out: who waits meanwhile, and what they are told (loop.c).
 */
#include "act/leave.h"

#include <string.h>

#include "basic/arith.h"
#include "basic/log.h"
#include "basic/units.h"
#include "uballoon.h"

/* Giving back takes this long at most, and settings.stuck_us without progress. */
#define MAX_US (120ULL * 1000 * 1000)
/* Of which the module gives back no part. */
#define LARGE_PAGE (2ULL << 20)

void leave_init(struct leave *l, struct balloon *balloon, const struct leave_owner *owner)
{
	*l = (struct leave){.balloon = balloon, .owner = *owner};
}

static uint64_t now_of(const struct leave *l)
{
	return l->owner.now(l->owner.ctx);
}

static void end(struct leave *l)
{
	balloon_detach(l->balloon);
	l->owner.left(l->owner.ctx);
}

static bool attached(const struct leave *l)
{
	struct balloon_view v;

	balloon_view(l->balloon, &v);
	return v.attached;
}

/* The host insists on what is left, to less than a large page. */
static bool is_the_hosts(const struct sample_balloon *b)
{
	return b->host_target_valid && !b->may_undercut_host && b->host_target &&
	       sub_sat(b->size, b->host_target) < LARGE_PAGE;
}

/* The end of giving back. r < 0: the transport's error. */
static void finish(struct leave *l, int r)
{
	struct sample_balloon b = {};
	char left[UNITS_MAX];

	if (r >= 0)
		r = balloon_state(l->balloon, &b);
	if (r < 0) {
		log_warning("the balloon device failed while memory was given back: %s",
			    strerror(-r));
	} else if (b.size == 0) {
		log_info("all memory is given back");
		(void)balloon_bounds(l->balloon, 0, 0, 0);
	} else if (is_the_hosts(&b)) {
		log_notice("%s stay with the host, which asks for them; the module gives back what "
			   "it lets go of", units_format_size(left, sizeof(left), b.size));
		r = balloon_bounds(l->balloon, b.size, 0, 0);
		/* What cannot be had now, the module waits for. */
		if (r >= 0)
			r = balloon_pop(l->balloon);
		if (r < 0)
			log_warning("the module was not told: %s", strerror(-r));
	} else {
		log_warning("%s are not given back yet; the module goes on with it",
			    units_format_size(left, sizeof(left), b.size));
		(void)balloon_bounds(l->balloon, 0, 0, BALLOON_STOP_LEASE_US);
	}
	end(l);
}

/* Lease as agreed: a daemon that does not come in time is one that crashed. */
static void keep(struct leave *l, uint64_t size, uint64_t lease_us)
{
	int r;

	r = balloon_bounds(l->balloon, size, size, lease_us);
	if (r < 0)
		log_error("the balloon cannot be kept: %s", strerror(-r));
	end(l);
}

static void give_back(struct leave *l, uint64_t size)
{
	uint64_t now = now_of(l);
	char held[UNITS_MAX];
	int r;

	log_info("giving back %s", units_format_size(held, sizeof(held), size));
	r = balloon_bounds(l->balloon, size, 0, l->settings.lease_us);
	if (r < 0) {
		finish(l, r);
		return;
	}
	l->left = size;
	l->progress_us = now;
	l->deadline_us = now + MAX_US;
	balloon_empty(l->balloon, size);
	l->owner.giving_back(l->owner.ctx);
}

void leave_slice(struct leave *l, int r, const struct transport_result *result)
{
	uint64_t now = now_of(l);

	if (result->moved < 0) {
		l->progress_us = now;
		l->left = sub_sat(l->left, 0 - (uint64_t)result->moved);
	}
	/* A host that is slow to answer is asked again, until it has stalled for too long. */
	if (r == 0 && l->left > 0 && result->stop == UBALLOON_STOP_BUDGET) {
		balloon_empty(l->balloon, l->left);
		r = 1;
	}
	/* Over: the balloon is empty, or will not become any smaller. */
	if (r <= 0 || now >= l->deadline_us || now - l->progress_us >= l->settings.stuck_us)
		finish(l, r);
}

void leave_restart(struct leave *l, bool restart)
{
	char held[UNITS_MAX], lease[UNITS_MAX];
	struct sample_balloon b = {};
	int r;

	/* The device has gone, or somebody would not wait for the answer. */
	if (!attached(l))
		return;
	r = balloon_state(l->balloon, &b);
	if (r < 0 || b.size == 0) {
		finish(l, r);
	} else if (!restart) {
		give_back(l, b.size);
	} else {
		log_notice("leaving a balloon of %s to the next daemon; if none comes within %s, "
			   "the module gives it back",
			   units_format_size(held, sizeof(held), b.size),
			   l->settings.lease_us > 0
				   ? units_format_time(lease, sizeof(lease), l->settings.lease_us)
				   : "(no lease is set)");
		keep(l, b.size, l->settings.lease_us);
	}
}

void leave_at_once(struct leave *l)
{
	log_notice("asked a second time: not waiting");
	if (attached(l))
		finish(l, 0);
}

bool leave_begin(struct leave *l, const struct leave_settings *settings)
{
	struct sample_balloon b = {};
	struct balloon_view view;
	char held[UNITS_MAX];
	int r;

	l->settings = *settings;
	balloon_pause(l->balloon);
	balloon_view(l->balloon, &view);
	/* What only reports holds nothing. */
	if (!view.attached || view.read_only || view.reporting)
		return false;
	r = balloon_state(l->balloon, &b);
	if (r < 0 || b.size == 0) {
		finish(l, r);
	} else if (settings->keep) {
		log_notice("keeping a balloon of %s without a lease; only the module's own relief "
			   "gives it back until a daemon takes over",
			   units_format_size(held, sizeof(held), b.size));
		keep(l, b.size, 0);
	} else if (l->owner.ask_restart(l->owner.ctx) < 0) {
		give_back(l, b.size);
	}
	return true;
}

uint64_t leave_left(const struct leave *l)
{
	return l->left;
}
