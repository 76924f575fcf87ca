// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which driver holds the balloon device, and why our module is not loaded, read from
 * trees that look like the root of a machine. That real ones look so is for the VM tests.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/machine.h"

#define RELEASE "6.12.0-0.deb12.2-cloud-amd64"
#define MODULES "lib/modules/" RELEASE
#define SECURE_BOOT "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define DKMS "var/lib/dkms/uballoon/0.1.0"

static char root[] = "/tmp/test-machine-XXXXXX";

static void folder(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	mkdir(path, 0755);
	assert_int_equal(access(path, F_OK), 0);
}

static void bytes(const char *dir, const char *name, const void *data, size_t n)
{
	char path[PATH_MAX];
	FILE *f;

	folder(dir);
	snprintf(path, sizeof(path), "%s/%s/%s", root, dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	fclose(f);
}

static void file(const char *dir, const char *name, const char *text)
{
	bytes(dir, name, text, strlen(text));
}

static void virtio(const char *device, const char *id, const char *driver)
{
	char dir[128], target[128], path[PATH_MAX];

	snprintf(dir, sizeof(dir), "sys/bus/virtio/devices/%s", device);
	file(dir, "device", id);
	if (!driver)
		return;
	snprintf(target, sizeof(target), "../../../bus/virtio/drivers/%s", driver);
	snprintf(path, sizeof(path), "%s/%s/driver", root, dir);
	assert_int_equal(symlink(target, path), 0);
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

/* As if there were nothing but the folder. */
static void clear(void)
{
	assert_int_equal(nftw(root, drop, 8, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(mkdir(root, 0700), 0);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(root, drop, 8, FTW_DEPTH | FTW_PHYS);
}

/* Look, and compare; why must contain the word ("" = there must be no reason). */
static void is(enum machine_host host, const char *device, const char *driver, const char *word)
{
	char why[MACHINE_WHY_MAX];
	struct machine m;

	machine_look(root, &m);
	assert_int_equal(m.host, host);
	assert_string_equal(m.device, device);
	assert_string_equal(m.driver, driver);
	machine_why(&m, why, sizeof(why));
	if (word[0])
		assert_non_null(strstr(why, word));
	else
		assert_string_equal(why, "");
	/* It is cut nowhere: a sentence that is as long as its buffer is not whole. */
	assert_true(strlen(why) < sizeof(why) - 1);
}

static void nothing(void **state)
{
	(void)state;
	is(MACHINE_NO_DEVICE, "", "", "modprobe uballoon");
	/* Other devices are not the balloon: a disk, and one of which nothing can be read. */
	virtio("virtio0", "0x0002\n", "virtio_blk");
	folder("sys/bus/virtio/devices/virtio1");
	folder("sys/module/uballoon");
	is(MACHINE_NO_DEVICE, "", "", "hypervisor offers none");
	/* host=none: a balloon without a hypervisor. */
	folder("sys/class/misc/uballoon");
	is(MACHINE_NO_DEVICE, "", "", "");
}

static void reports(void **state)
{
	struct machine m;

	(void)state;
	virtio("virtio3", "0x0005\n", "virtio_balloon");
	file("sys/bus/virtio/devices/virtio3", "features", "010001000000000000000000000000001\n");
	machine_look(root, &m);
	assert_true(m.reporting);
	/* Everything but that. */
	file("sys/bus/virtio/devices/virtio3", "features", "111110111111111111111111111111111\n");
	machine_look(root, &m);
	assert_false(m.reporting);
	file("sys/bus/virtio/devices/virtio3", "features", "");
	machine_look(root, &m);
	assert_false(m.reporting);
	/* Ours reports as well, and needs nobody beside it. */
	clear();
	virtio("virtio3", "0x0005\n", "uballoon");
	file("sys/bus/virtio/devices/virtio3", "features", "010001000000000000000000000000001\n");
	machine_look(root, &m);
	assert_false(m.reporting);
}

static void held_by_the_kernel(void **state)
{
	(void)state;
	virtio("virtio0", "0x0002\n", "virtio_blk");
	virtio("virtio3", "0x0005\n", "virtio_balloon");
	file("sys/module/virtio_balloon", "refcnt", "0\n");
	is(MACHINE_VIRTIO, "virtio3", "virtio_balloon", "virtio_balloon holds it; balloonctl adopt");
	folder("sys/module/uballoon");
	is(MACHINE_VIRTIO, "virtio3", "virtio_balloon", "balloonctl adopt");
}

static void nobodys(void **state)
{
	(void)state;
	virtio("virtio3", "0x0005\n", NULL);
	is(MACHINE_VIRTIO, "virtio3", "", "modprobe uballoon");
	folder("sys/module/uballoon");
	is(MACHINE_VIRTIO, "virtio3", "", "balloonctl adopt");
}

/* Tried, and given up: by another driver before ours is loaded, that says nothing. */
static void failed(void **state)
{
	(void)state;
	virtio("virtio3", "0x0005\n", NULL);
	file("sys/bus/virtio/devices/virtio3", "status", "0x00000083\n");
	is(MACHINE_VIRTIO, "virtio3", "", "modprobe uballoon");
	folder("sys/module/uballoon");
	is(MACHINE_VIRTIO, "virtio3", "", "iommu_platform=on");
	file("sys/bus/virtio/devices/virtio3", "status", "0x00000001\n");
	is(MACHINE_VIRTIO, "virtio3", "", "balloonctl adopt");
}

static void ours(void **state)
{
	(void)state;
	virtio("virtio3", "0x0005\n", "uballoon");
	folder("sys/module/uballoon");
	is(MACHINE_VIRTIO, "virtio3", "uballoon", "still starting");
	folder("sys/class/misc/uballoon");
	is(MACHINE_VIRTIO, "virtio3", "uballoon", "");
}

static void vmware(void **state)
{
	(void)state;
	file("sys/class/dmi/id", "product_name", "VMware Virtual Platform\n");
	is(MACHINE_VMWARE, "", "", "modprobe uballoon");
	folder("sys/module/uballoon");
	is(MACHINE_VMWARE, "", "", "has not answered");
	folder("sys/class/misc/uballoon");
	is(MACHINE_VMWARE, "", "uballoon", "");
	/* Both loaded: the kernel's own comes first, it must go. */
	file("sys/module/vmw_balloon", "refcnt", "0\n");
	is(MACHINE_VMWARE, "", "vmw_balloon", "balloonctl adopt");
}

static void built_in(void **state)
{
	(void)state;
	/* The kernel makes no folder for what is built in and has no parameters. */
	virtio("virtio3", "0x0005\n", "virtio_balloon");
	is(MACHINE_VIRTIO, "virtio3", "virtio_balloon", "adopt = true; in balloond.conf");
	folder("sys/module/virtio_balloon/parameters");
	is(MACHINE_VIRTIO, "virtio3", "virtio_balloon", "is built in; balloonctl adopt");
	clear();
	folder("sys/module/vmw_balloon");
	is(MACHINE_VMWARE, "", "vmw_balloon", "another kernel is needed");
}

static void others(void **state)
{
	(void)state;
	folder("sys/bus/vmbus/drivers/hv_balloon");
	is(MACHINE_HYPERV, "", "", "not supported");
	file("sys/hypervisor", "type", "xen\n");
	is(MACHINE_XEN, "", "", "modprobe uballoon");
}

/* The module's file, and what is made of it. */
enum file_kind { ABSENT, UNSEEN, GONE, UNLISTED, UNSIGNED, SHORT, SIGNED, COMPRESSED, _FILE_MAX };
enum enforcement { FREELY, LOCKDOWN_NONE, SIG_ENFORCE, INTEGRITY, CONFIDENTIALITY, _ENFORCE_MAX };
enum device_kind { NO_DEVICE, UNBOUND, STOCK, STOCK_BUILT_IN, FOREIGN, HYPERV, _DEVICE_MAX };

static void put_file(enum file_kind kind)
{
	const char *dep = "kernel/a.ko.xz:\nupdates/dkms/uballoon.ko: kernel/b.ko\nkernel/c.ko:\n";
	char text[256];

	file("proc/sys/kernel", "osrelease", RELEASE "\n");
	if (kind == UNSEEN)
		return;
	if (kind == ABSENT)
		/* Others have it as a dependency, or in their names. */
		dep = "kernel/d.ko: updates/uballoon.ko\nkernel/virtio_balloon.ko:\n";
	else if (kind == UNLISTED)
		dep = "kernel/fs/a.ko.xz:\n";
	else if (kind == COMPRESSED)
		dep = "extra/uballoon.ko.xz:\n";
	file(MODULES, "modules.dep", dep);
	if (kind == COMPRESSED)
		file(MODULES "/extra", "uballoon.ko.xz", "no mark to be seen");
	if (kind == ABSENT || kind == GONE || kind == COMPRESSED)
		return;
	snprintf(text, sizeof(text), "%s%s", kind == SHORT ? "ELF" : "ELF and all of a module ",
		 kind == SIGNED ? "~Module signature appended~\n" : "");
	file(MODULES "/updates/dkms", "uballoon.ko", text);
}

static void enforce(enum enforcement how, bool secure_boot)
{
	static const char *const lockdown[] = {
		[LOCKDOWN_NONE] = "[none] integrity confidentiality\n",
		[SIG_ENFORCE] = "[none] integrity confidentiality\n",
		[INTEGRITY] = "none [integrity] confidentiality\n",
		[CONFIDENTIALITY] = "none integrity [confidentiality]\n",
	};

	if (how != FREELY) {
		file("sys/module/module/parameters", "sig_enforce",
		     how == SIG_ENFORCE ? "Y\n" : "N\n");
		file("sys/kernel/security", "lockdown", lockdown[how]);
	}
	bytes("sys/firmware/efi/efivars", SECURE_BOOT,
	      secure_boot ? "\6\0\0\0\1" : "\6\0\0\0\0", 5);
}

static void put_device(enum device_kind kind)
{
	static const char *const drivers[] = {
		[STOCK] = "virtio_balloon", [STOCK_BUILT_IN] = "virtio_balloon", [FOREIGN] = "vfio",
		[_DEVICE_MAX] = NULL,
	};

	if (kind == STOCK)
		file("sys/module/virtio_balloon", "refcnt", "0\n");
	if (kind == HYPERV)
		folder("sys/bus/vmbus/drivers/hv_balloon");
	else if (kind != NO_DEVICE)
		virtio("virtio0", "0x0005\n", drivers[kind]);
}

static enum machine_module expected(enum file_kind file, enum enforcement how)
{
	switch (file) {
	case ABSENT:
	case GONE:
		return MACHINE_MODULE_NOT_BUILT;
	case UNLISTED:
		return MACHINE_MODULE_UNLISTED;
	case UNSEEN:
	case _FILE_MAX:
		return MACHINE_MODULE_NOT_LOADED;
	case UNSIGNED:
	case SHORT:
	case SIGNED:
	case COMPRESSED:
		break;
	}
	return how == FREELY || how == LOCKDOWN_NONE ? MACHINE_MODULE_NOT_LOADED
						     : MACHINE_MODULE_REFUSED;
}

/* What to do has to be in the sentence, whoever has the device. */
static const char *advice(enum machine_module module, enum file_kind file, bool secure_boot)
{
	switch (module) {
	case MACHINE_MODULE_NOT_BUILT:
		return "install uballoon-dkms and the headers of " RELEASE;
	case MACHINE_MODULE_UNLISTED:
		return "depmod -a";
	case MACHINE_MODULE_REFUSED:
		if (file == UNSIGNED || file == SHORT)
			return secure_boot ? "(Secure Boot), and uballoon has no signature"
					   : "sig_enforce), and uballoon has no signature";
		return secure_boot ? "mokutil --import /var/lib/dkms/mok.pub"
				   : "sign it with a key";
	case MACHINE_MODULE_LOADED:
	case MACHINE_MODULE_NOT_LOADED:
		break;
	}
	return NULL;
}

static void check_why(enum device_kind device, enum file_kind file, enum enforcement how,
		      bool secure_boot)
{
	static const enum machine_device devices[] = {
		[NO_DEVICE] = MACHINE_DEVICE_NONE, [UNBOUND] = MACHINE_DEVICE_FREE,
		[STOCK] = MACHINE_DEVICE_STOCK, [STOCK_BUILT_IN] = MACHINE_DEVICE_BUILT_IN,
		[FOREIGN] = MACHINE_DEVICE_OTHER, [HYPERV] = MACHINE_DEVICE_UNSUPPORTED,
	};
	/* For a module that could be loaded. */
	static const char *const words[] = {
		[NO_DEVICE] = "status), and the module is not loaded: modprobe uballoon",
		[UNBOUND] = "the module is not loaded: modprobe uballoon",
		[STOCK] = "virtio_balloon holds it; balloonctl adopt",
		[STOCK_BUILT_IN] = "virtio_balloon holds it and is built in",
		[FOREIGN] = "the driver vfio holds it", [HYPERV] = "not supported",
	};
	enum machine_module want = expected(file, how);
	const char *what = advice(want, file, secure_boot);
	char why[MACHINE_WHY_MAX];
	struct machine m;

	machine_look(root, &m);
	assert_int_equal(machine_device(&m), devices[device]);
	assert_int_equal(machine_module(&m), want);
	assert_int_equal(m.secure_boot, secure_boot);
	machine_why(&m, why, sizeof(why));
	if (!what || device == FOREIGN || device == HYPERV)
		assert_non_null(strstr(why, words[device]));
	else
		assert_non_null(strstr(why, what));
	if (what && (device == STOCK || device == STOCK_BUILT_IN)) {
		assert_non_null(strstr(why, "the kernel's driver virtio_balloon has it meanwhile"));
		assert_null(strstr(why, "adopt"));
	}
	if (what && device == NO_DEVICE)
		assert_non_null(strstr(why, "offers none (see balloonctl status), and "));
	assert_true(strlen(why) < sizeof(why) - 1);
}

static void every_combination(void **state)
{
	(void)state;
	for (int device = 0; device < _DEVICE_MAX; device++)
		for (int kind = 0; kind < _FILE_MAX; kind++)
			for (int how = 0; how < _ENFORCE_MAX; how++)
				for (int secure_boot = 0; secure_boot < 2; secure_boot++) {
					clear();
					put_device(device);
					put_file(kind);
					enforce(how, secure_boot);
					check_why(device, kind, how, secure_boot);
				}
}

/* What was not built, and why: the headers, DKMS's tree and log, and whose packages. */
static void not_built(void **state)
{
	static const char *const systems[] = {
		"PRETTY_NAME=\"Debian\"\nID=debian\n", "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
		"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "ID=arch\n",
	};
	static const char *const packages[][3] = {
		{ "apt install ", "uballoon-dkms ", "linux-headers-" RELEASE },
		{ "apt install ", "uballoon-dkms ", "linux-headers-" RELEASE },
		{ "dnf install ", "uballoon-dkms ", "kernel-devel-" RELEASE },
		{ "install ", "uballoon-dkms and ", "the headers of " RELEASE },
	};
	char why[MACHINE_WHY_MAX], want[128], text[128];
	struct machine m;

	(void)state;
	for (int i = 0; i < 4 * 8; i++) {
		bool headers = i & 1, dkms = i & 2, failed = i & 4;
		const char *const *p = packages[i / 8];

		clear();
		put_file(ABSENT);
		file("etc", "os-release", systems[i / 8]);
		if (headers)
			folder(MODULES "/build/include");
		if (dkms)
			folder(DKMS "/source");
		/* A log of another kernel's build says nothing of this one. */
		snprintf(text, sizeof(text), "DKMS make.log for uballoon-0.1.0 for kernel %s%s "
			 "(x86_64)\n", RELEASE, failed ? "" : "x");
		if (dkms)
			file(DKMS "/build", "make.log", text);
		machine_look(root, &m);
		assert_int_equal(machine_module(&m), MACHINE_MODULE_NOT_BUILT);
		if (!headers)
			snprintf(want, sizeof(want), "%s%s%s", p[0], dkms ? "" : p[1], p[2]);
		else
			snprintf(want, sizeof(want), "%s", !dkms ? "in the package uballoon-dkms" :
				 failed ? ": /" DKMS "/build/make.log says why" :
					  "not built for this kernel yet: dkms autoinstall");
		assert_non_null(strstr(machine_module_why(&m, why, sizeof(why)), want));
	}
}

/* Where it is loaded, what there is of its file does not matter. */
static void loaded(void **state)
{
	char why[MACHINE_WHY_MAX];
	struct machine m;

	(void)state;
	put_file(ABSENT);
	enforce(SIG_ENFORCE, true);
	folder("sys/module/uballoon");
	machine_look(root, &m);
	assert_int_equal(machine_module(&m), MACHINE_MODULE_LOADED);
	assert_string_equal(machine_module_why(&m, why, sizeof(why)), "");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(nothing), T(reports), T(held_by_the_kernel), T(nobodys), T(failed), T(ours), T(vmware), T(built_in),
		T(others), T(every_combination), T(not_built), T(loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
