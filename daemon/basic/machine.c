// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * machine.c - which balloon device this machine has, and which driver holds it
 *
 * Read from sysfs, which everyone may. A virtio device is one by its device ID; VMware
 * has no device to be seen, only the name that its firmware tables give, or a
 * driver that would not have loaded elsewhere. Xen and Hyper-V say so themselves.
 *
 * Leaves out doing anything about it (balloonctl adopt), and what the host could
 * offer beside (balloonctl status).
 */
#include "basic/machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "basic/cleanup.h"

#define VIRTIO_ID_BALLOON "0x0005"

DEFINE_CLEANUP(DIR *, closedir)

static bool exists(const char *sys, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", sys, name);
	return access(path, F_OK) == 0;
}

/* The first line without its newline; "" if there is none. */
static void first_line(const char *sys, const char *name, char *buf, size_t n)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	ssize_t got;

	buf[0] = '\0';
	snprintf(path, sizeof(path), "%s/%s", sys, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	got = read(fd, buf, n - 1);
	buf[got > 0 ? got : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

static void driver_of(const char *sys, const char *device, char *buf, size_t n)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *name;
	ssize_t got;

	buf[0] = '\0';
	snprintf(path, sizeof(path), "%s/bus/virtio/devices/%s/driver", sys, device);
	got = readlink(path, target, sizeof(target) - 1);
	if (got < 0)
		return;
	target[got] = '\0';
	name = strrchr(target, '/');
	snprintf(buf, n, "%.*s", (int)n - 1, name ? name + 1 : target);
}

static bool find_virtio(const char *sys, struct machine *m)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	const struct dirent *entry;
	char path[PATH_MAX], id[16];

	snprintf(path, sizeof(path), "%s/bus/virtio/devices", sys);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof(m->device))
			continue;
		snprintf(path, sizeof(path), "bus/virtio/devices/%s/device", entry->d_name);
		first_line(sys, path, id, sizeof(id));
		if (strcmp(id, VIRTIO_ID_BALLOON) != 0)
			continue;
		snprintf(m->device, sizeof(m->device), "%s", entry->d_name);
		driver_of(sys, m->device, m->driver, sizeof(m->driver));
		return true;
	}
	return false;
}

void machine_look(const char *sys, struct machine *ret)
{
	char text[64];

	*ret = (struct machine){
		.loaded = exists(sys, "module/uballoon"),
		.ready = exists(sys, "class/misc/uballoon"),
	};
	if (find_virtio(sys, ret)) {
		ret->host = MACHINE_VIRTIO;
		return;
	}
	first_line(sys, "hypervisor/type", text, sizeof(text));
	if (strcmp(text, "xen") == 0) {
		ret->host = MACHINE_XEN;
		return;
	}
	first_line(sys, "class/dmi/id/product_name", text, sizeof(text));
	if (exists(sys, "module/vmw_balloon") || strncmp(text, "VMware", strlen("VMware")) == 0) {
		ret->host = MACHINE_VMWARE;
		snprintf(ret->driver, sizeof(ret->driver), "%s",
			 exists(sys, "module/vmw_balloon") ? "vmw_balloon" :
			 ret->ready			   ? "uballoon" :
							     "");
		return;
	}
	if (exists(sys, "bus/vmbus/drivers/hv_balloon"))
		ret->host = MACHINE_HYPERV;
}

const char *machine_stock_driver(enum machine_host host)
{
	switch (host) {
	case MACHINE_VIRTIO:
		return "virtio_balloon";
	case MACHINE_VMWARE:
		return "vmw_balloon";
	case MACHINE_NO_DEVICE:
	case MACHINE_XEN:
	case MACHINE_HYPERV:
		break;
	}
	return NULL;
}

const char *machine_why(const struct machine *m, char *buf, size_t n)
{
	const char *stock = machine_stock_driver(m->host);

	buf[0] = '\0';
	/* Two drivers at VMware's one balloon undo each other's work. */
	if (stock && strcmp(m->driver, stock) == 0)
		snprintf(buf, n, "the kernel's own driver %s holds it; balloonctl adopt hands it over "
			 "to uballoon", stock);
	else if (m->ready)
		return buf;
	else if (m->host == MACHINE_VIRTIO && m->driver[0])
		snprintf(buf, n, "the driver %.32s holds it, or is still starting", m->driver);
	else if (m->host == MACHINE_HYPERV)
		snprintf(buf, n, "Hyper-V's balloon is not supported");
	else if (!m->loaded)
		snprintf(buf, n, "%sthe module is not loaded: modprobe uballoon",
			 m->host == MACHINE_NO_DEVICE ? "the hypervisor offers none (balloonctl status "
							"says how to get one), and " : "");
	else if (m->host == MACHINE_VIRTIO)
		snprintf(buf, n, "no driver holds it; balloonctl adopt gives it to uballoon");
	else if (m->host == MACHINE_NO_DEVICE)
		snprintf(buf, n, "the hypervisor offers none; balloonctl status says how to get one");
	else
		snprintf(buf, n, "uballoon is loaded, but the hypervisor has not answered it; see dmesg");
	return buf;
}
