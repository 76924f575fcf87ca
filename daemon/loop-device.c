// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop-device.c - the transport's life: lease, moves, giving back
 *
 * A device may vanish in every call. Any error of the transport ends with the
 * file closed; the balloon stays as it is meanwhile, with its lease running,
 * and a later tick opens it again. So there is one way to recover from
 * everything, the one that also serves a module loaded after the daemon.
 *
 * The lease is renewed at a third of its length from the event loop, hence only
 * while the loop is alive. A daemon that is switched to mode observe later keeps
 * the lease up, so that nothing moves.
 *
 * Leaves out: how the loop gets a transport (loop-attach.c).
 */
#include "loop-internal.h"

#include <errno.h>
#include <string.h>

#include "basic/arith.h"
#include "basic/log.h"
#include "basic/units.h"
#include "uballoon.h"

_Static_assert((int)ACCOUNT_AVAILABLE == SAMPLE_ACCOUNT_AVAILABLE &&
	       (int)ACCOUNT_GONE == SAMPLE_ACCOUNT_GONE, "the same accounts");

/* One slice of a step. The bus and signals wait at most this long, and one batch. */
#define SLICE_US (20 * 1000)
/* Giving back on exit takes this long at most, and tail.stuck without progress. */
#define STOP_MAX_US (120ULL * 1000 * 1000)
/* Between two messages to the service manager, and what each of them asks for. */
#define STOP_PERIOD_US (1000 * 1000)
#define STOP_EXTEND_US (15 * 1000 * 1000)
/* Of which the module gives back no part. */
#define LARGE_PAGE (2ULL << 20)
/* Between two attempts with a device that failed: doubling, and anew after a good time. */
#define REOPEN_MIN_US  (1000 * 1000)
#define REOPEN_MAX_US  (64ULL * 1000 * 1000)
#define REOPEN_GOOD_US (60 * 1000 * 1000)
/* A relief line that has moved by less than one part in this is left as it is. */
#define RELIEF_GRAIN 16

/* The file only: the service manager may keep it for the next daemon. */
void device_detach(struct loop *l)
{
	l->device_source = sd_event_source_disable_unref(l->device_source);
	(void)sd_event_source_set_enabled(l->move_source, SD_EVENT_OFF);
	(void)sd_event_source_set_enabled(l->keepalive_source, SD_EVENT_OFF);
	l->mover = (struct mover){};
	l->proof = SAMPLE_PROOF_NONE;
	if (l->transport)
		l->transport->ops->free(l->transport);
	l->transport = NULL;
	l->reporting = false;
}

/* The transport answered with r < 0 to `what`. */
void device_failed(struct loop *l, const char *what, int r)
{
	uint64_t now = loop_now();

	if (l->reopen_delay_us == 0 || now - l->attached_us > REOPEN_GOOD_US)
		l->reopen_delay_us = REOPEN_MIN_US;
	else if (l->reopen_delay_us < REOPEN_MAX_US)
		l->reopen_delay_us *= 2;
	l->reopen_us = now + l->reopen_delay_us;
	if (r == -ENODEV)
		problem_set(&l->problems, PROBLEM_DEVICE, LOG_WARNING,
			    "the balloon device has gone; going on as soon as it is back");
	else
		problem_set(&l->problems, PROBLEM_DEVICE, LOG_ERR,
			    "the balloon device cannot %s: %s. Opening it again", what,
			    strerror(-r));
	/* A copy elsewhere would keep the place of the one writer. */
	if (!l->read_only)
		notify_forget_device(&l->notify);
	device_detach(l);
	if (l->stopping)
		(void)sd_event_exit(l->event, 0);
	loop_tick_soon(l);
}

int device_bounds(struct loop *l, uint64_t ceiling, uint64_t floor, uint64_t lease_us)
{
	struct transport_target to = {
		.ceiling = ceiling,
		.floor = floor,
		/* Until the first decision as it was found. */
		.relief_line = l->decision.relief_line ?: l->told.relief_line,
		.account = (enum sample_account)l->config.account,
		.lease_us = l->reporting ? 0 : lease_us,
	};
	int r;

	r = l->transport->ops->set_target(l->transport, &to);
	if (r < 0)
		return r;
	l->told = to;
	l->lease_renewed_us = loop_now();
	return 0;
}

void device_keep(struct loop *l)
{
	uint64_t period = l->config.lease_us / 3;

	if (!l->transport || l->read_only || l->reporting || period == 0) {
		(void)sd_event_source_set_enabled(l->keepalive_source, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time(l->keepalive_source, loop_now() + period);
	(void)sd_event_source_set_time_accuracy(l->keepalive_source, period / 20);
	(void)sd_event_source_set_enabled(l->keepalive_source, SD_EVENT_ONESHOT);
}

static int on_keepalive(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct loop *l = userdata;
	struct sample_balloon b = {};
	int r;

	(void)source, (void)usec;
	if (!l->transport)
		return 0;
	r = l->transport->ops->keepalive(l->transport);
	if (r == -ETIME) {
		/* Said with the tick that follows, by what the module has counted. */
		r = l->transport->ops->state(l->transport, &b);
		if (r >= 0)
			r = device_bounds(l, b.size, l->stopping ? 0 : b.size, l->config.lease_us);
		loop_tick_soon(l);
	}
	if (r < 0) {
		device_failed(l, "renew the lease", r);
		return 0;
	}
	l->lease_renewed_us = loop_now();
	device_keep(l);
	return 0;
}

void device_lease_changed(struct loop *l)
{
	uint64_t size = l->sample.balloon.size;
	int r;

	if (!l->transport || l->read_only)
		return;
	/* Ends a step that is under way; the tick that follows an order begins it again. */
	r = device_bounds(l, size, size, l->config.lease_us);
	if (r < 0)
		device_failed(l, "take a lease", r);
	else
		device_keep(l);
}

void device_sense(struct loop *l, struct sample_balloon *b)
{
	int r;

	if (!l->transport)
		return;
	r = l->transport->ops->state(l->transport, b);
	if (r < 0) {
		device_failed(l, "tell its state", r);
		*b = (struct sample_balloon){};
		return;
	}
	mover_report(&l->mover, b);
	b->proof = l->proof;
	l->proof = SAMPLE_PROOF_NONE;
}

/* Whether the module is to be told more than where the balloon may go. */
static bool has_news(const struct loop *l, const struct policy_decision *d)
{
	uint64_t old = l->told.relief_line, new = d->relief_line;

	return l->told.account != (enum sample_account)l->config.account ||
	       (new && max_u64(old, new) - min_u64(old, new) > old / RELIEF_GRAIN);
}

void device_act(struct loop *l, const struct policy_decision *d)
{
	uint64_t size = l->sample.balloon.size, ceiling = size, floor = size;
	int r;

	if (!l->transport || l->read_only || l->mode == MODE_OBSERVE || d->step == 0 ||
	    l->stopping) {
		mover_start(&l->mover, 0, false);
		(void)sd_event_source_set_enabled(l->move_source, SD_EVENT_OFF);
		if (!l->transport || l->read_only || l->stopping || !has_news(l, d))
			return;
		r = device_bounds(l, size, size, l->config.lease_us);
		if (r < 0)
			device_failed(l, "take a target", r);
		return;
	}

	if (d->step > 0)
		ceiling += (uint64_t)d->step;
	else
		floor -= 0 - (uint64_t)d->step > size ? size : 0 - (uint64_t)d->step;
	r = device_bounds(l, ceiling, floor, l->config.lease_us);
	if (r < 0) {
		device_failed(l, "take a target", r);
		return;
	}
	mover_start(&l->mover, d->step, d->may_reclaim);
	(void)sd_event_source_set_enabled(l->move_source, SD_EVENT_ON);
}

/* The end of giving back. r < 0: the transport's error. */
static void stop_finish(struct loop *l, int r)
{
	struct sample_balloon b = {};
	char left[UNITS_MAX];

	if (r >= 0)
		r = l->transport->ops->state(l->transport, &b);
	if (r < 0) {
		log_warning("the balloon device failed while memory was given back: %s",
			    strerror(-r));
	} else if (b.size == 0) {
		log_info("all memory is given back");
		(void)device_bounds(l, 0, 0, 0);
	} else if (b.host_target_valid && !b.may_undercut_host && b.host_target &&
		   sub_sat(b.size, b.host_target) < LARGE_PAGE) {
		/* The host insists on it, to less than a large page. */
		log_notice("%s stay with the host, which asks for them; the module gives back what it "
			   "lets go of", units_format_size(left, sizeof(left), b.size));
		r = device_bounds(l, b.size, 0, 0);
		/* What cannot be had now, the module waits for. */
		if (r >= 0)
			r = l->transport->ops->pop(l->transport);
		if (r < 0)
			log_warning("the module was not told: %s", strerror(-r));
	} else {
		log_warning("%s are not given back yet; the module goes on with it",
			    units_format_size(left, sizeof(left), b.size));
		(void)device_bounds(l, 0, 0, DEVICE_STOP_LEASE_US);
	}
	device_detach(l);
	(void)sd_event_exit(l->event, 0);
}

static void stop_slice(struct loop *l, int r, const struct transport_result *result)
{
	uint64_t now = loop_now();

	if (result->moved < 0) {
		l->stop_progress_us = now;
		l->stop_left -= l->stop_left < 0 - (uint64_t)result->moved
					? l->stop_left
					: 0 - (uint64_t)result->moved;
	}
	/* A host that is slow to answer is asked again, until it has stalled for too long. */
	if (r == 0 && l->stop_left > 0 && result->stop == UBALLOON_STOP_BUDGET) {
		mover_start(&l->mover, -(int64_t)l->stop_left, false);
		r = 1;
	}
	/* Over: the balloon is empty, or will not become any smaller. */
	if (r <= 0 || now >= l->stop_deadline_us ||
	    now - l->stop_progress_us >= l->policy.stuck_us)
		stop_finish(l, r);
}

static int on_move(sd_event_source *source, void *userdata)
{
	struct transport_result result = {};
	struct loop *l = userdata;
	int r;

	(void)source;
	r = mover_run(&l->mover, l->transport, SLICE_US, &result);
	if (result.moved > 0)
		l->inflated_total += (uint64_t)result.moved;
	else
		l->deflated_total += 0 - (uint64_t)result.moved;

	if (l->stopping) {
		stop_slice(l, r, &result);
		return 0;
	}
	if (r < 0)
		device_failed(l, "move memory", r);
	else if (r == 0)
		(void)sd_event_source_set_enabled(l->move_source, SD_EVENT_OFF);
	return 0;
}

static int on_stop_period(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct loop *l = userdata;

	(void)usec;
	notify_stopping(&l->notify, l->stop_left, STOP_EXTEND_US);
	(void)sd_event_source_set_time_relative(source, STOP_PERIOD_US);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

/* Lease as agreed: a daemon that does not come in time is one that crashed. */
static void leave(struct loop *l, uint64_t size, uint64_t lease_us)
{
	int r;

	r = device_bounds(l, size, size, lease_us);
	if (r < 0)
		log_error("the balloon cannot be kept: %s", strerror(-r));
	device_detach(l);
	(void)sd_event_exit(l->event, 0);
}

static void give_back(struct loop *l, uint64_t size)
{
	uint64_t now = loop_now();
	char held[UNITS_MAX];
	int r;

	log_info("giving back %s", units_format_size(held, sizeof(held), size));
	r = device_bounds(l, size, 0, l->config.lease_us);
	if (r < 0) {
		stop_finish(l, r);
		return;
	}
	l->stop_left = size;
	l->stop_progress_us = now;
	l->stop_deadline_us = now + STOP_MAX_US;
	mover_start(&l->mover, -(int64_t)size, false);
	(void)sd_event_source_set_enabled(l->move_source, SD_EVENT_ON);
	(void)sd_event_source_set_time(l->stop_source, now);
	(void)sd_event_source_set_enabled(l->stop_source, SD_EVENT_ONESHOT);
}

static void on_restart_known(void *ctx, bool restart)
{
	char held[UNITS_MAX], lease[UNITS_MAX];
	struct sample_balloon b = {};
	struct loop *l = ctx;
	int r;

	/* The device has gone, or somebody would not wait for the answer. */
	if (!l->transport)
		return;
	r = l->transport->ops->state(l->transport, &b);
	if (r < 0 || b.size == 0) {
		stop_finish(l, r);
	} else if (!restart) {
		give_back(l, b.size);
	} else {
		log_notice("leaving a balloon of %s to the next daemon; if none comes within %s, the "
			   "module gives it back", units_format_size(held, sizeof(held), b.size),
			   l->config.lease_us > 0
				   ? units_format_time(lease, sizeof(lease), l->config.lease_us)
				   : "(no lease is set)");
		leave(l, b.size, l->config.lease_us);
	}
}

void device_stop(struct loop *l)
{
	struct sample_balloon b = {};
	char held[UNITS_MAX];
	int r;

	if (l->stopping) {
		log_notice("asked a second time: not waiting");
		if (l->transport)
			stop_finish(l, 0);
		return;
	}
	l->stopping = true;
	(void)sd_event_source_set_enabled(l->tick_source, SD_EVENT_OFF);
	(void)sd_event_source_set_enabled(l->move_source, SD_EVENT_OFF);
	/* What only reports holds nothing. */
	if (!l->transport || l->read_only || l->reporting) {
		notify_stopping(&l->notify, 0, STOP_EXTEND_US);
		(void)sd_event_exit(l->event, 0);
		return;
	}

	r = l->transport->ops->state(l->transport, &b);
	if (r < 0 || b.size == 0) {
		stop_finish(l, r);
	} else if (l->config.on_stop == ON_STOP_KEEP) {
		log_notice("keeping a balloon of %s without a lease; only the module's own relief "
			   "gives it back until a daemon takes over",
			   units_format_size(held, sizeof(held), b.size));
		leave(l, b.size, 0);
	} else if (!l->bus || !notify_managed(&l->notify) ||
		   bus_ask_restart(l->bus, on_restart_known, l) < 0) {
		give_back(l, b.size);
	}
}

int device_init(struct loop *l)
{
	int r;

	r = sd_event_add_time(l->event, &l->keepalive_source, CLOCK_BOOTTIME, 0, 0, on_keepalive,
			      l);
	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(l->keepalive_source, SD_EVENT_OFF);
	/* Before ticks: a late sample is harmless, a late renewal is not. */
	(void)sd_event_source_set_priority(l->keepalive_source, SD_EVENT_PRIORITY_IMPORTANT);

	r = sd_event_add_time(l->event, &l->stop_source, CLOCK_BOOTTIME, 0, 0, on_stop_period, l);
	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(l->stop_source, SD_EVENT_OFF);

	r = sd_event_add_defer(l->event, &l->move_source, on_move, l);
	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(l->move_source, SD_EVENT_OFF);
	return sd_event_source_set_priority(l->move_source, SD_EVENT_PRIORITY_IDLE);
}

void device_done(struct loop *l)
{
	if (l->move_source)
		device_detach(l);
	sd_event_source_disable_unref(l->move_source);
	sd_event_source_disable_unref(l->keepalive_source);
	sd_event_source_disable_unref(l->stop_source);
}
