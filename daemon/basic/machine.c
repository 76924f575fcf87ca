// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * machine.c - the facts: which balloon device there is, who holds it, and our module
 *
 * Read from sysfs, which everyone may. A virtio device is one by its device ID; VMware
 * has no device to be seen, only the name that its firmware tables give, or a
 * driver that would not have loaded elsewhere. Xen and Hyper-V say so themselves.
 *
 * Where the module is not loaded, what there is of it: its file, as depmod has
 * listed it; the kernel's headers; DKMS's tree and its log of a build that failed;
 * and whether the kernel asks for signatures. Whether it would trust the one of
 * uballoon.ko only the kernel knows, and it says so only to who loads it.
 *
 * Leaves out what that means (machine-why.c), doing anything about it (balloonctl
 * adopt), and what the host could offer beside (balloonctl status).
 */
#include "basic/machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/cleanup.h"

#define VIRTIO_ID_BALLOON "0x0005"
/* VIRTIO 1.2, 5.5.3: feature bits of the memory balloon. */
#define VIRTIO_BALLOON_F_REPORTING 5
/* 2.1: device status. */
#define VIRTIO_STATUS_FAILED 0x80

DEFINE_CLEANUP(DIR *, closedir)

static bool exists(const char *root, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.2000s/%.2000s", root, name);
	return access(path, F_OK) == 0;
}

/* The first line without its newline; "" if there is none. */
static void first_line(const char *root, const char *name, char *buf, size_t n)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	ssize_t got;

	buf[0] = '\0';
	snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	got = read(fd, buf, n - 1);
	buf[got > 0 ? got : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

static void driver_of(const char *root, const char *device, char *buf, size_t n)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *name;
	ssize_t got;

	buf[0] = '\0';
	snprintf(path, sizeof(path), "%s/sys/bus/virtio/devices/%s/driver", root, device);
	got = readlink(path, target, sizeof(target) - 1);
	if (got < 0)
		return;
	target[got] = '\0';
	name = strrchr(target, '/');
	snprintf(buf, n, "%.*s", (int)n - 1, name ? name + 1 : target);
}

/* The kernel's bus says so of a device whose features driver and device did not agree on, too. */
static bool has_failed(const char *root, const char *device)
{
	char path[PATH_MAX], status[16];

	snprintf(path, sizeof(path), "sys/bus/virtio/devices/%s/status", device);
	first_line(root, path, status, sizeof(status));
	return strtoul(status, NULL, 0) & VIRTIO_STATUS_FAILED;
}

static bool find_virtio(const char *root, struct machine *m)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	const struct dirent *entry;
	char path[PATH_MAX], id[16];

	snprintf(path, sizeof(path), "%s/sys/bus/virtio/devices", root);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof(m->device))
			continue;
		snprintf(path, sizeof(path), "sys/bus/virtio/devices/%s/device", entry->d_name);
		first_line(root, path, id, sizeof(id));
		if (strcmp(id, VIRTIO_ID_BALLOON) != 0)
			continue;
		snprintf(m->device, sizeof(m->device), "%s", entry->d_name);
		driver_of(root, m->device, m->driver, sizeof(m->driver));
		m->failed = !m->driver[0] && has_failed(root, m->device);
		return true;
	}
	return false;
}

static void look_at_host(const char *root, struct machine *m)
{
	char text[64];

	if (find_virtio(root, m)) {
		m->host = MACHINE_VIRTIO;
		return;
	}
	first_line(root, "sys/hypervisor/type", text, sizeof(text));
	if (strcmp(text, "xen") == 0) {
		m->host = MACHINE_XEN;
		return;
	}
	first_line(root, "sys/class/dmi/id/product_name", text, sizeof(text));
	if (exists(root, "sys/module/vmw_balloon") ||
	    strncmp(text, "VMware", strlen("VMware")) == 0) {
		m->host = MACHINE_VMWARE;
		snprintf(m->driver, sizeof(m->driver), "%s",
			 exists(root, "sys/module/vmw_balloon") ? "vmw_balloon" :
			 m->ready				? "uballoon" :
								  "");
		return;
	}
	if (exists(root, "sys/bus/vmbus/drivers/hv_balloon"))
		m->host = MACHINE_HYPERV;
}

/* A module has a use count; what is built in may not even have a folder. */
static bool stock_built_in(const char *root, const struct machine *m)
{
	const char *stock = machine_stock_driver(m->host);
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "sys/module/%s/refcnt", stock ? stock : "");
	return stock && strcmp(m->driver, stock) == 0 && !exists(root, path);
}

/* A signature ends with a mark. In a compressed file it cannot be seen. */
static bool is_unsigned(const char *path)
{
	static const char mark[] = "~Module signature appended~\n";
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	const char *dot = strrchr(path, '.');
	char end[sizeof(mark)] = "";

	if (!dot || strcmp(dot, ".ko") != 0 || !f)
		return false;
	return fseek(f, 1 - (long)sizeof(mark), SEEK_END) < 0 ||
	       fread(end, 1, sizeof(mark) - 1, f) < sizeof(mark) - 1 || strcmp(end, mark) != 0;
}

/* modules.dep has one line a module: its path, a colon, and what it depends on. */
static bool find_listed(const char *folder, char *path, size_t n)
{
	_cleanup_fclose_ FILE *f = NULL;
	char *colon, *name;
	char line[4096];

	snprintf(path, n, "%s/modules.dep", folder);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		colon = strchr(line, ':');
		if (!colon)
			continue;
		*colon = '\0';
		name = strrchr(line, '/');
		name = name ? name + 1 : line;
		if (strncmp(name, "uballoon.ko", strlen("uballoon.ko")) != 0)
			continue;
		/* One that is not below the folder has its whole path. */
		snprintf(path, n, "%s%s%.1000s", line[0] == '/' ? "" : folder,
			 line[0] == '/' ? "" : "/", line);
		return true;
	}
	return false;
}

/* Where DKMS and `meson install` put it; for a file that is not listed. */
static bool find_unlisted(const char *folder)
{
	static const char *const places[] = { "updates/dkms", "updates", "extra" };
	static const char *const kinds[] = { "", ".xz", ".zst", ".gz" };
	char name[64];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			snprintf(name, sizeof(name), "%s/uballoon.ko%s", places[i], kinds[k]);
			if (exists(folder, name))
				return true;
		}
	return false;
}

static enum machine_file find_file(const char *root, const struct machine *m)
{
	char folder[1024], path[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s/lib/modules/%s", root, m->release);
	if (m->release[0] == '\0' || access(folder, R_OK | X_OK) < 0)
		return MACHINE_FILE_UNKNOWN;
	/* A file that has been taken away without depmod is as good as none. */
	if (find_listed(folder, path, sizeof(path)) && access(path, F_OK) == 0)
		return is_unsigned(path) ? MACHINE_FILE_UNSIGNED : MACHINE_FILE_THERE;
	return find_unlisted(folder) ? MACHINE_FILE_UNLISTED : MACHINE_FILE_NONE;
}

/* DKMS leaves a log there only after a failure; its first line names the kernel. */
static void find_log(const char *root, struct machine *m)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[PATH_MAX], line[256], kernel[80];
	const struct dirent *entry;

	snprintf(kernel, sizeof(kernel), " for kernel %s ", m->release);
	snprintf(path, sizeof(path), "%s/var/lib/dkms/uballoon", root);
	dir = opendir(path);
	m->dkms = dir;
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) > 40)
			continue;
		snprintf(path, sizeof(path), "/var/lib/dkms/uballoon/%.40s/build/make.log",
			 entry->d_name);
		first_line(root, path, line, sizeof(line));
		if (strstr(line, kernel))
			snprintf(m->log, sizeof(m->log), "%.95s", path);
	}
}

static bool has_headers(const char *root, const struct machine *m)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "lib/modules/%s/build/include", m->release);
	return exists(root, path);
}

/* os-release(5): ID is the distribution, ID_LIKE what it is made of. */
static enum machine_packages look_at_packages(const char *root)
{
	_cleanup_fclose_ FILE *f = NULL;
	char line[256];

	snprintf(line, sizeof(line), "%s/etc/os-release", root);
	f = fopen(line, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "ID=", 3) != 0 && strncmp(line, "ID_LIKE=", 8) != 0)
			continue;
		if (strstr(line, "debian") || strstr(line, "ubuntu"))
			return MACHINE_APT;
		if (strstr(line, "fedora") || strstr(line, "rhel"))
			return MACHINE_DNF;
	}
	return MACHINE_OTHER_PACKAGES;
}

static void look_at_signatures(const char *root, struct machine *m)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned char variable[5];	/* four bytes of attributes, one of value */
	char path[PATH_MAX], text[64];

	first_line(root, "sys/module/module/parameters/sig_enforce", text, sizeof(text));
	m->signed_only = text[0] == 'Y';
	first_line(root, "sys/kernel/security/lockdown", text, sizeof(text));
	if (strstr(text, "[integrity]") || strstr(text, "[confidentiality]"))
		m->signed_only = true;
	snprintf(path, sizeof(path), "%s/sys/firmware/efi/efivars/SecureBoot-"
		 "8be4df61-93ca-11d2-aa0d-00e098032b8c", root);
	f = fopen(path, "re");
	m->secure_boot = f && fread(variable, 1, 5, f) == 5 && variable[4] == 1;
}

/* A bit of the device's features, which are text, the lowest first. */
static bool has_feature(const char *root, const struct machine *m, unsigned bit)
{
	char path[PATH_MAX], features[128];

	snprintf(path, sizeof(path), "sys/bus/virtio/devices/%s/features", m->device);
	first_line(root, path, features, sizeof(features));
	return strlen(features) > bit && features[bit] == '1';
}

/* The features are what driver and device have agreed on. */
static bool stock_reports(const char *root, const struct machine *m)
{
	return m->host == MACHINE_VIRTIO && strcmp(m->driver, "virtio_balloon") == 0 &&
	       has_feature(root, m, VIRTIO_BALLOON_F_REPORTING);
}

void machine_look(const char *root, struct machine *ret)
{
	*ret = (struct machine){
		.loaded = exists(root, "sys/module/uballoon"),
		.ready = exists(root, "sys/class/misc/uballoon"),
	};
	look_at_host(root, ret);
	ret->stock_built_in = stock_built_in(root, ret);
	ret->reporting = stock_reports(root, ret);
	if (ret->loaded)
		return;
	first_line(root, "proc/sys/kernel/osrelease", ret->release, sizeof(ret->release));
	ret->file = find_file(root, ret);
	ret->packages = look_at_packages(root);
	ret->headers = has_headers(root, ret);
	find_log(root, ret);
	look_at_signatures(root, ret);
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
