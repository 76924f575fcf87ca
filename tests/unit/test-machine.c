// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which driver holds the balloon device, read from trees that look like sysfs.
 * That the kernel's own looks so is for the VM tests.
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

static char sys[] = "/tmp/test-machine-XXXXXX";

static void folder(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", sys, name);
	for (char *p = path + strlen(sys) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	mkdir(path, 0755);
	assert_int_equal(access(path, F_OK), 0);
}

static void file(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	folder(dir);
	snprintf(path, sizeof(path), "%s/%s/%s", sys, dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void virtio(const char *device, const char *id, const char *driver)
{
	char dir[128], target[128], path[PATH_MAX];

	snprintf(dir, sizeof(dir), "bus/virtio/devices/%s", device);
	file(dir, "device", id);
	if (!driver)
		return;
	snprintf(target, sizeof(target), "../../../bus/virtio/drivers/%s", driver);
	snprintf(path, sizeof(path), "%s/%s/driver", sys, dir);
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
	strcpy(sys + strlen(sys) - 6, "XXXXXX");
	return mkdtemp(sys) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return nftw(sys, drop, 8, FTW_DEPTH | FTW_PHYS);
}

/* Look, and compare; why must contain the word ("" = there must be no reason). */
static void is(enum machine_host host, const char *device, const char *driver, const char *word)
{
	char why[MACHINE_WHY_MAX];
	struct machine m;

	machine_look(sys, &m);
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
	folder("bus/virtio/devices/virtio1");
	folder("module/uballoon");
	is(MACHINE_NO_DEVICE, "", "", "hypervisor offers none");
	/* host=none: a balloon without a hypervisor. */
	folder("class/misc/uballoon");
	is(MACHINE_NO_DEVICE, "", "", "");
}

static void held_by_the_kernel(void **state)
{
	(void)state;
	virtio("virtio0", "0x0002\n", "virtio_blk");
	virtio("virtio3", "0x0005\n", "virtio_balloon");
	is(MACHINE_VIRTIO, "virtio3", "virtio_balloon", "virtio_balloon holds it; balloonctl adopt");
	folder("module/uballoon");
	is(MACHINE_VIRTIO, "virtio3", "virtio_balloon", "balloonctl adopt");
}

static void nobodys(void **state)
{
	(void)state;
	virtio("virtio3", "0x0005\n", NULL);
	is(MACHINE_VIRTIO, "virtio3", "", "modprobe uballoon");
	folder("module/uballoon");
	is(MACHINE_VIRTIO, "virtio3", "", "balloonctl adopt");
}

static void ours(void **state)
{
	(void)state;
	virtio("virtio3", "0x0005\n", "uballoon");
	folder("module/uballoon");
	is(MACHINE_VIRTIO, "virtio3", "uballoon", "still starting");
	folder("class/misc/uballoon");
	is(MACHINE_VIRTIO, "virtio3", "uballoon", "");
}

static void vmware(void **state)
{
	(void)state;
	file("class/dmi/id", "product_name", "VMware Virtual Platform\n");
	is(MACHINE_VMWARE, "", "", "modprobe uballoon");
	folder("module/uballoon");
	is(MACHINE_VMWARE, "", "", "has not answered");
	folder("class/misc/uballoon");
	is(MACHINE_VMWARE, "", "uballoon", "");
	/* Both loaded: the kernel's own comes first, it must go. */
	folder("module/vmw_balloon");
	is(MACHINE_VMWARE, "", "vmw_balloon", "balloonctl adopt");
}

static void others(void **state)
{
	(void)state;
	folder("bus/vmbus/drivers/hv_balloon");
	is(MACHINE_HYPERV, "", "", "not supported");
	file("hypervisor", "type", "xen\n");
	is(MACHINE_XEN, "", "", "modprobe uballoon");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(nothing), T(held_by_the_kernel), T(nobodys), T(ours), T(vmware), T(others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
