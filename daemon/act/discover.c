// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * discover.c - where the device is, and when that changes
 *
 * The only user of libudev. Where udevd runs, its events are taken, since they
 * come after its rules have given the node its group; where it does not (an
 * initramfs, a container), there is no one to listen to, and the node that the
 * kernel or somebody else made is looked for by name.
 *
 * The device is misc/uballoon. The tag that our rule sets is not asked for: a
 * module that was installed without the rule works as well.
 */
#include "act/discover.h"

#include <errno.h>
#include <libudev.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define SUBSYSTEM    "misc"
#define SYSNAME	     "uballoon"
#define DEFAULT_NODE "/dev/uballoon"
/* There exactly while udevd runs. */
#define UDEV_CONTROL "/run/udev/control"

struct discover {
	struct udev *udev;
	struct udev_monitor *monitor;	/* NULL: no announcements */
};

DEFINE_CLEANUP(struct udev_device *, udev_device_unref)
DEFINE_CLEANUP(struct udev_monitor *, udev_monitor_unref)

static int monitor_new(struct udev *udev, struct udev_monitor **ret)
{
	_cleanup_(udev_monitor_unrefp) struct udev_monitor *m = NULL;
	int r;

	if (access(UDEV_CONTROL, F_OK) < 0)
		return -errno;
	m = udev_monitor_new_from_netlink(udev, "udev");
	if (!m)
		return -errno;
	r = udev_monitor_filter_add_match_subsystem_devtype(m, SUBSYSTEM, NULL);
	if (r < 0)
		return r;
	r = udev_monitor_enable_receiving(m);
	if (r < 0)
		return r;
	*ret = steal_pointer(m);
	return 0;
}

int discover_new(struct discover **ret)
{
	_cleanup_(discover_freep) struct discover *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->udev = udev_new();
	if (!d->udev)
		return -ENOMEM;
	/* Whatever the reason is, the answer is to look for the node by ourselves. */
	(void)monitor_new(d->udev, &d->monitor);
	*ret = steal_pointer(d);
	return (*ret)->monitor ? 1 : 0;
}

void discover_free(struct discover *d)
{
	if (!d)
		return;
	udev_monitor_unref(d->monitor);
	udev_unref(d->udev);
	free(d);
}

int discover_find(struct discover *d, char **ret_node)
{
	_cleanup_(udev_device_unrefp) struct udev_device *dev = NULL;
	const char *node = NULL;
	struct stat st;

	dev = udev_device_new_from_subsystem_sysname(d->udev, SUBSYSTEM, SYSNAME);
	if (dev)
		node = udev_device_get_devnode(dev);
	/* Without sysfs, or with a node that somebody made by hand. */
	if (!node)
		node = DEFAULT_NODE;
	if (stat(node, &st) < 0 || !S_ISCHR(st.st_mode))
		return -ENODEV;
	*ret_node = strdup(node);
	return *ret_node ? 0 : -ENOMEM;
}

int discover_fd(struct discover *d)
{
	return d->monitor ? udev_monitor_get_fd(d->monitor) : -1;
}

int discover_dispatch(struct discover *d)
{
	bool ours = false;

	for (;;) {
		_cleanup_(udev_device_unrefp) struct udev_device *dev = NULL;

		dev = udev_monitor_receive_device(d->monitor);
		if (!dev)
			return ours;
		if (strcmp(udev_device_get_sysname(dev), SYSNAME) == 0)
			ours = true;
	}
}
