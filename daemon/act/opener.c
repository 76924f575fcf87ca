// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * opener.c - how the daemon gets a transport, and when it tries again
 *
 * The open device is left with the service manager from the moment on that it is used, so that
 * nobody else can take the one place of a writer meanwhile. What keeps the balloon is the lease
 * alone; where the manager keeps no file, the next daemon opens the device by its name within the
 * lease. Who only looks takes nothing over: nobody would keep up the lease.
 *
 * Where there is no device of ours, pushing cold cache out serves meanwhile, if the kernel's
 * driver reports what is free then. That is said, in the log and as a problem; and
 * ours is looked for now and then, and when it is announced.
 *
 * There is one way to recover from everything, a device that failed or went, a module loaded after
 * the daemon: to try again, with growing distance.
 *
 * Leaves out: what becomes of the transport then (balloon.c).
 */
#include "act/opener.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "basic/log.h"

/* Between two attempts with a device that failed: doubling, and anew after a good time. */
#define REOPEN_MIN_US  (1000 * 1000)
#define REOPEN_MAX_US  (64ULL * 1000 * 1000)
#define REOPEN_GOOD_US (60 * 1000 * 1000)
/* The kernel makes the node, udev gives it its group: a moment later, at boot some seconds. */
#define UDEV_US (20ULL * 1000 * 1000)
/* Between two looks for our device while something else serves. */
#define LOOK_AGAIN_US (60ULL * 1000 * 1000)

void opener_init(struct opener *o, const struct opener_world *world,
		 const struct opener_store *store, struct problems *problems)
{
	*o = (struct opener){.world = *world, .store = *store, .problems = problems};
}

bool opener_due(const struct opener *o, uint64_t now_us)
{
	return now_us >= o->next_us;
}

void opener_hurry(struct opener *o)
{
	o->next_us = 0;
}

static void not_permitted(struct opener *o, uint64_t now_us)
{
	if (o->refused_us == 0)
		o->refused_us = now_us;
	if (now_us - o->refused_us < UDEV_US)
		problem_set(o->problems, PROBLEM_DEVICE, LOG_INFO,
			    "the balloon device is there, and udev has not given it its group yet; "
			    "waiting for that");
	else
		problem_set(o->problems, PROBLEM_DEVICE, LOG_ERR,
			    "no permission to open the balloon device; run as root or in the group "
			    "balloond, and have udev apply 60-balloond.rules: udevadm trigger "
			    "/dev/uballoon");
}

static void say_unopened(struct opener *o, int r, bool read_only, uint64_t now_us)
{
	if (r != -EACCES)
		o->refused_us = 0;
	/* Watching needs no device. */
	if (read_only) {
		log_debug("no balloon device to look at: %s", strerror(-r));
		return;
	}
	switch (-r) {
	case ENODEV:
		problem_set(o->problems, PROBLEM_DEVICE, LOG_WARNING,
			    "no balloon device; only watching until it appears: %s",
			    o->world.why_none(o->world.ctx));
		return;
	case EBUSY:
		problem_set(o->problems, PROBLEM_DEVICE, LOG_WARNING,
			    "another process moves the balloon; waiting for it to end. Who it is: "
			    "fuser -v /dev/uballoon");
		return;
	case EACCES:
		not_permitted(o, now_us);
		return;
	case EPROTONOSUPPORT:
		problem_set(o->problems, PROBLEM_DEVICE, LOG_ERR,
			    "the balloon device speaks another version of the interface; install "
			    "module and daemon of the same release");
		return;
	}
	problem_set(o->problems, PROBLEM_DEVICE, LOG_ERR, "the balloon device cannot be opened: %s",
		    strerror(-r));
}

/* Whether the daemon before this one left a device that still works. */
static bool take_over(struct opener *o, bool read_only, struct transport **ret)
{
	int r, fd;

	while ((fd = o->store.take(o->store.ctx)) >= 0) {
		if (read_only) {
			close(fd);
		} else {
			r = o->world.adopt(o->world.ctx, fd, ret);
			if (r >= 0)
				return true;
			log_info("the balloon device that was handed over is of no use any more "
				 "(%s); opening it anew", strerror(-r));
		}
		o->store.forget(o->store.ctx);
	}
	return false;
}

int opener_open(struct opener *o, const struct opener_want *want, uint64_t now_us,
		struct opened *ret)
{
	struct opened new = {.read_only = want->read_only};
	int r, q;

	new.handed_over = take_over(o, want->read_only, &new.transport);
	if (new.handed_over) {
		*ret = new;
		return 0;
	}
	r = o->world.open(o->world.ctx, want->read_only, &new.transport);
	if (r == -ENODEV && !want->device_only) {
		q = o->world.open_reporting(o->world.ctx, want->read_only, &new.transport);
		new.reporting = q >= 0;
		if (q == -EACCES && !want->read_only) {
			problem_set(o->problems, PROBLEM_DEVICE, LOG_WARNING,
				    "no balloon device, and no permission to write to "
				    "/sys/fs/cgroup/memory.reclaim meanwhile: systemd-tmpfiles "
				    "--create balloond.conf");
			return r;
		}
		if (q >= 0)
			r = 0;
	}
	if (r < 0) {
		say_unopened(o, r, want->read_only, now_us);
		return r;
	}
	*ret = new;
	return 0;
}

void opener_worked(struct opener *o, const struct opened *opened, uint64_t now_us)
{
	o->opened_us = now_us;
	o->refused_us = 0;
	if (!opened->reporting) {
		(void)problem_clear(o->problems, PROBLEM_DEVICE, "the balloon device is there");
		return;
	}
	if (opened->read_only)
		(void)problem_clear(o->problems, PROBLEM_DEVICE,
				    "what would be pushed out is looked at only");
	else
		problem_set(o->problems, PROBLEM_DEVICE, LOG_WARNING,
			    "pushing out cold cache for free page reports: %s",
			    o->world.why_none(o->world.ctx));
	o->next_us = now_us + LOOK_AGAIN_US;
}

void opener_failed(struct opener *o, const struct opened *opened, const char *what, int r,
		   uint64_t now_us)
{
	bool good = o->opened_us > 0 && now_us - o->opened_us > REOPEN_GOOD_US;

	if (o->delay_us == 0 || good)
		o->delay_us = REOPEN_MIN_US;
	else if (o->delay_us < REOPEN_MAX_US)
		o->delay_us *= 2;
	o->opened_us = 0;
	o->next_us = now_us + o->delay_us;
	if (r == -ENODEV)
		problem_set(o->problems, PROBLEM_DEVICE, LOG_WARNING,
			    "the balloon device has gone; going on as soon as it is back");
	else
		problem_set(o->problems, PROBLEM_DEVICE, LOG_ERR,
			    "the balloon device cannot %s: %s. Opening it again", what,
			    strerror(-r));
	/* A copy elsewhere would keep the place of the one writer. */
	if (!opened->read_only)
		o->store.forget(o->store.ctx);
}

bool opener_superseded(struct opener *o, const struct opened *opened,
		       const struct opener_want *want, uint64_t now_us)
{
	struct transport *t;
	int r;

	if (want->device_only || opened->read_only != want->read_only)
		return true;
	if (!opener_due(o, now_us))
		return false;
	o->next_us = now_us + LOOK_AGAIN_US;
	r = o->world.open(o->world.ctx, opened->read_only, &t);
	if (r >= 0)
		t->ops->free(t);
	/* What is wrong with ours is told by who attaches it. */
	if (r != -ENODEV)
		return true;
	if (o->world.open_reporting(o->world.ctx, true, &t) < 0)
		return true;
	t->ops->free(t);
	return false;
}
