// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop-attach.c - how the loop gets its transport
 *
 * A balloon that is found on attaching (the daemon crashed, or was upgraded) is
 * taken over as it is: popping it would hand out and take back gigabytes for
 * nothing. The open device is left with the service manager from the moment on
 * that it is used, so that nobody else can take the one place of a writer
 * meanwhile. What keeps the balloon is the lease alone; where the manager keeps no
 * file, the next daemon opens the device by its name within the lease.
 *
 * In mode observe a device is opened for reading only.
 *
 * Where there is no device of ours, pushing cold cache out serves meanwhile, if the kernel's
 * driver reports what is free then. That is said, in the log and as a problem; and
 * ours is looked for now and then, and when it is announced.
 *
 * Leaves out: what becomes of it then (loop-device.c).
 */
#include "loop-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "basic/log.h"
#include "basic/units.h"

/* A device that always has news must not keep the loop busy. */
#define DEVICE_EVENTS 20
#define DEVICE_EVENTS_PERIOD_US (1000 * 1000)
/* The kernel makes the node, udev gives it its group: a moment later, at boot some seconds. */
#define UDEV_US (20ULL * 1000 * 1000)
/* Between two looks for our device while something else serves. */
#define LOOK_AGAIN_US (60ULL * 1000 * 1000)

static int on_device(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct loop *l = userdata;

	(void)source, (void)fd;
	if (revents & (EPOLLERR | EPOLLHUP)) {
		device_failed(l, "be polled", -ENODEV);
		return 0;
	}
	if (l->stopping) {
		struct sample_balloon b;

		/* Only to take the news off the file. */
		(void)l->transport->ops->state(l->transport, &b);
	}
	loop_tick_soon(l);
	return 0;
}

static void not_permitted(struct loop *l)
{
	uint64_t now = loop_now();

	if (l->refused_us == 0)
		l->refused_us = now;
	if (now - l->refused_us < UDEV_US)
		problem_set(&l->problems, PROBLEM_DEVICE, LOG_INFO,
			    "the balloon device is there, and udev has not given it its group yet; "
			    "waiting for that");
	else
		problem_set(&l->problems, PROBLEM_DEVICE, LOG_ERR,
			    "no permission to open the balloon device; run as root or in the group "
			    "balloond, and have udev apply 60-balloond.rules: udevadm trigger "
			    "/dev/uballoon");
}

static void open_failed(struct loop *l, int r)
{
	if (r != -EACCES)
		l->refused_us = 0;
	/* Watching needs no device. */
	if (l->mode == MODE_OBSERVE) {
		log_debug("no balloon device to look at: %s", strerror(-r));
		return;
	}
	switch (-r) {
	case ENODEV:
		problem_set(&l->problems, PROBLEM_DEVICE, LOG_WARNING,
			    "no balloon device; only watching until it appears: %s",
			    l->world.why_none(l->world.ctx));
		return;
	case EBUSY:
		problem_set(&l->problems, PROBLEM_DEVICE, LOG_WARNING,
			    "another process moves the balloon; waiting for it to end. Who it is: "
			    "fuser -v /dev/uballoon");
		return;
	case EACCES:
		not_permitted(l);
		return;
	case EPROTONOSUPPORT:
		problem_set(&l->problems, PROBLEM_DEVICE, LOG_ERR,
			    "the balloon device speaks another version of the interface; install "
			    "module and daemon of the same release");
		return;
	}
	problem_set(&l->problems, PROBLEM_DEVICE, LOG_ERR, "the balloon device cannot be opened: %s",
		    strerror(-r));
}

static void serve_without(struct loop *l)
{
	if (l->read_only)
		(void)problem_clear(&l->problems, PROBLEM_DEVICE,
				    "what would be pushed out is looked at only");
	else
		problem_set(&l->problems, PROBLEM_DEVICE, LOG_WARNING,
			    "pushing out cold cache for free page reports: %s",
			    l->world.why_none(l->world.ctx));
	l->reopen_us = loop_now() + LOOK_AGAIN_US;
	loop_resolve(l);
}

static void attached(struct loop *l, uint64_t size, bool handed_over)
{
	char ram[UNITS_MAX], held[UNITS_MAX];

	l->attached_us = loop_now();
	l->refused_us = 0;
	if (l->reporting) {
		serve_without(l);
		return;
	}
	(void)problem_clear(&l->problems, PROBLEM_DEVICE, "the balloon device is there");
	log_info("balloon device, host \"%s\", %s of RAM%s", l->info.host,
		 units_format_size(ram, sizeof(ram), l->info.ram),
		 l->read_only ? ", for reading only" : "");
	if (size > 0 && !l->read_only)
		log_notice("taking over a balloon of %s%s",
			   units_format_size(held, sizeof(held), size),
			   handed_over ? ", its device handed over by the service manager" : "");
	/* An operator who named no size meant: as it is. */
	if (!l->manual_set)
		l->manual_target = size;
	loop_resolve(l);
}

/* Whether the daemon before this one left a device that still works. */
static bool take_over(struct loop *l)
{
	int r, fd;

	while ((fd = notify_take_device(&l->notify)) >= 0) {
		/* In mode observe nobody would keep up the lease of what is there. */
		if (l->read_only) {
			close(fd);
		} else {
			r = l->world.adopt(l->world.ctx, fd, &l->transport);
			if (r >= 0)
				return true;
			log_info("the balloon device that was handed over is of no use any more "
				 "(%s); opening it anew", strerror(-r));
		}
		notify_forget_device(&l->notify);
	}
	return false;
}

/* -ENODEV, said, if neither ours is there nor what serves without it. */
static int open_new(struct loop *l)
{
	int r, q;

	r = l->world.open(l->world.ctx, l->read_only, &l->transport);
	if (r != -ENODEV || l->config.without_module == WITHOUT_MODULE_WAIT) {
		if (r < 0)
			open_failed(l, r);
		return r;
	}
	q = l->world.open_reporting(l->world.ctx, l->read_only, &l->transport);
	l->reporting = q >= 0;
	if (q == -EACCES && l->mode != MODE_OBSERVE)
		problem_set(&l->problems, PROBLEM_DEVICE, LOG_WARNING,
			    "no balloon device, and no permission to write to "
			    "/sys/fs/cgroup/memory.reclaim meanwhile: systemd-tmpfiles --create "
			    "balloond.conf");
	else if (q < 0)
		open_failed(l, r);
	return q < 0 ? r : 0;
}

static int attach(struct loop *l)
{
	struct sample_balloon b = {};
	bool handed_over;
	int r = 0, fd;

	l->read_only = l->mode == MODE_OBSERVE;
	handed_over = take_over(l);
	if (!handed_over)
		r = open_new(l);
	if (r < 0)
		return r;
	r = l->transport->ops->info(l->transport, &l->info);
	if (r >= 0)
		r = l->transport->ops->state(l->transport, &b);
	l->told = (struct transport_target){.relief_line = b.relief_line};
	if (r >= 0)
		incidents_attached(l, &b);
	if (r >= 0 && !l->read_only)
		r = device_bounds(l, b.size, b.size, l->config.lease_us);
	if (r < 0) {
		device_failed(l, "tell its state", r);
		return r;
	}

	fd = l->transport->ops->fd(l->transport);
	if (fd >= 0) {
		r = sd_event_add_io(l->event, &l->device_source, fd, EPOLLIN | EPOLLPRI, on_device,
				    l);
		if (r < 0) {
			device_failed(l, "be polled", r);
			return r;
		}
		(void)sd_event_source_set_ratelimit(l->device_source, DEVICE_EVENTS_PERIOD_US,
						    DEVICE_EVENTS);
	}
	if (!l->read_only && !handed_over && fd >= 0)
		notify_keep_device(&l->notify, fd);
	attached(l, b.size, handed_over);
	device_keep(l);
	return 0;
}

/* Whether what serves instead of ours is to end: ours is there, or it is of no use (any more). */
static bool is_superseded(struct loop *l)
{
	struct transport *t;
	int r;

	if (l->config.without_module == WITHOUT_MODULE_WAIT ||
	    l->read_only != (l->mode == MODE_OBSERVE))
		return true;
	if (loop_now() < l->reopen_us)
		return false;
	l->reopen_us = loop_now() + LOOK_AGAIN_US;
	r = l->world.open(l->world.ctx, l->read_only, &t);
	if (r >= 0)
		t->ops->free(t);
	/* What is wrong with ours is told by who attaches it. */
	if (r != -ENODEV)
		return true;
	if (l->world.open_reporting(l->world.ctx, true, &t) < 0)
		return true;
	t->ops->free(t);
	return false;
}

void device_maintain(struct loop *l)
{
	if (l->stopping)
		return;
	if (l->transport && l->reporting && is_superseded(l)) {
		device_detach(l);
		l->reopen_us = 0;
	}
	/* Opened only to look, and now it is to be moved. */
	if (l->transport && l->read_only && l->mode != MODE_OBSERVE)
		device_detach(l);
	if (!l->transport && loop_now() >= l->reopen_us)
		(void)attach(l);
}
