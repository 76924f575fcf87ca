// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * machine-why.c - what the facts about this machine mean, and what to do about it
 *
 * Pure: of struct machine and nothing else. Two questions are kept apart, since each
 * answer to one comes with each of the other: who has the device, and why our module
 * is not loaded. A module that cannot be loaded is told of before a driver that has
 * the device, which could not be taken from it.
 *
 * Leaves out where the facts come from (machine.c).
 */
#include "basic/machine.h"

#include <stdio.h>
#include <string.h>

enum machine_device machine_device(const struct machine *m)
{
	const char *stock = machine_stock_driver(m->host);

	/* Two drivers at VMware's one balloon undo each other's work. */
	if (stock && strcmp(m->driver, stock) == 0)
		return m->stock_built_in ? MACHINE_DEVICE_BUILT_IN : MACHINE_DEVICE_STOCK;
	/* Without a hypervisor, too: host=none. */
	if (m->ready)
		return MACHINE_DEVICE_OURS;
	switch (m->host) {
	case MACHINE_NO_DEVICE:
		return MACHINE_DEVICE_NONE;
	case MACHINE_HYPERV:
		return MACHINE_DEVICE_UNSUPPORTED;
	case MACHINE_VIRTIO:
		return m->driver[0]		? MACHINE_DEVICE_OTHER :
		       m->failed && m->loaded	? MACHINE_DEVICE_FAILED :
						  MACHINE_DEVICE_FREE;
	case MACHINE_VMWARE:
	case MACHINE_XEN:
		break;
	}
	return m->loaded ? MACHINE_DEVICE_SILENT : MACHINE_DEVICE_FREE;
}

enum machine_module machine_module(const struct machine *m)
{
	if (m->loaded)
		return MACHINE_MODULE_LOADED;
	switch (m->file) {
	case MACHINE_FILE_NONE:
		return MACHINE_MODULE_NOT_BUILT;
	case MACHINE_FILE_UNLISTED:
		return MACHINE_MODULE_UNLISTED;
	case MACHINE_FILE_UNSIGNED:
	case MACHINE_FILE_THERE:
		if (m->signed_only)
			return MACHINE_MODULE_REFUSED;
		break;
	case MACHINE_FILE_UNKNOWN:
		break;
	}
	return MACHINE_MODULE_NOT_LOADED;
}

static void not_built(const struct machine *m, char *buf, size_t n)
{
	const char *ours = m->dkms ? "" : "uballoon-dkms ";

	if (m->headers && m->log[0])
		snprintf(buf, n, "uballoon could not be built for this kernel: %s says why",
			 m->log);
	else if (m->headers && m->dkms)
		snprintf(buf, n, "uballoon is not built for this kernel yet: dkms autoinstall");
	else if (m->headers)
		snprintf(buf, n, "uballoon is not installed for this kernel: it is in the package "
			 "uballoon-dkms");
	else if (m->packages == MACHINE_APT)
		snprintf(buf, n, "uballoon is not built for this kernel: apt install "
			 "%slinux-headers-%s", ours, m->release);
	else if (m->packages == MACHINE_DNF)
		snprintf(buf, n, "uballoon is not built for this kernel: dnf install "
			 "%skernel-devel-%s", ours, m->release);
	else
		snprintf(buf, n, "uballoon is not built for this kernel: install %sthe headers "
			 "of %s", m->dkms ? "" : "uballoon-dkms and ", m->release);
}

static void refused(const struct machine *m, char *buf, size_t n)
{
	if (m->file == MACHINE_FILE_UNSIGNED)
		snprintf(buf, n, "this kernel loads signed modules only (%s), and uballoon has no "
			 "signature: see Secure Boot in README",
			 m->secure_boot ? "Secure Boot" : "lockdown or sig_enforce");
	else if (m->secure_boot)
		snprintf(buf, n, "uballoon is not loaded; if modprobe uballoon is refused (Secure "
			 "Boot): mokutil --import /var/lib/dkms/mok.pub, and reboot");
	else
		snprintf(buf, n, "uballoon is not loaded; if modprobe uballoon is refused "
			 "(lockdown or sig_enforce): sign it with a key that this kernel has");
}

const char *machine_module_why(const struct machine *m, char *buf, size_t n)
{
	buf[0] = '\0';
	switch (machine_module(m)) {
	case MACHINE_MODULE_LOADED:
		break;
	case MACHINE_MODULE_NOT_BUILT:
		not_built(m, buf, n);
		break;
	case MACHINE_MODULE_UNLISTED:
		snprintf(buf, n, "uballoon is built, but modprobe does not know of it: depmod -a");
		break;
	case MACHINE_MODULE_REFUSED:
		refused(m, buf, n);
		break;
	case MACHINE_MODULE_NOT_LOADED:
		snprintf(buf, n, "the module is not loaded: modprobe uballoon");
		break;
	}
	return buf;
}

const char *machine_why(const struct machine *m, char *buf, size_t n)
{
	enum machine_device device = machine_device(m);
	enum machine_module module = machine_module(m);
	bool loadable = module == MACHINE_MODULE_LOADED || module == MACHINE_MODULE_NOT_LOADED;
	const char *stock = machine_stock_driver(m->host);
	char why[MACHINE_WHY_MAX];

	buf[0] = '\0';
	machine_module_why(m, why, sizeof(why));
	switch (device) {
	case MACHINE_DEVICE_OURS:
		break;
	case MACHINE_DEVICE_UNSUPPORTED:
		snprintf(buf, n, "Hyper-V's balloon is not supported");
		break;
	case MACHINE_DEVICE_NONE:
		snprintf(buf, n, "the hypervisor offers none (see balloonctl status)%s%.140s",
			 why[0] ? ", and " : "", why);
		break;
	case MACHINE_DEVICE_STOCK:
	case MACHINE_DEVICE_BUILT_IN:
		if (!loadable)
			snprintf(buf, n, "%.150s; the kernel's driver %s has it meanwhile", why,
				 stock);
		else if (device == MACHINE_DEVICE_STOCK)
			snprintf(buf, n, "the kernel's own driver %s holds it; balloonctl adopt "
				 "hands it over to uballoon", stock);
		else if (m->host == MACHINE_VIRTIO)
			snprintf(buf, n, "the kernel's own driver %s holds it and is built in; "
				 "balloonctl adopt hands it over, adopt = true; in "
				 "balloond.conf does so at each boot", stock);
		else
			snprintf(buf, n, "the kernel's own driver %s holds it and is built in: "
				 "another kernel is needed", stock);
		break;
	case MACHINE_DEVICE_OTHER:
		snprintf(buf, n, "the driver %.32s holds it, or is still starting", m->driver);
		break;
	case MACHINE_DEVICE_FREE:
		if (module == MACHINE_MODULE_LOADED)
			snprintf(buf, n, "no driver holds it; balloonctl adopt gives it to "
				 "uballoon");
		else
			snprintf(buf, n, "%.199s", why);
		break;
	case MACHINE_DEVICE_FAILED:
		snprintf(buf, n, "uballoon has tried it and given up: dmesg says why. With "
			 "iommu_platform=on no balloon driver can use it: take that off the device");
		break;
	case MACHINE_DEVICE_SILENT:
		snprintf(buf, n, "uballoon is loaded, but the hypervisor has not answered it; "
			 "see dmesg");
		break;
	}
	return buf;
}
