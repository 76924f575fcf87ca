/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * machine.h - which balloon device this machine has, which driver holds it, and
 * what has become of our module
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum machine_host {
	MACHINE_NO_DEVICE,	/* no hypervisor, or one that offers no balloon */
	MACHINE_VIRTIO,
	MACHINE_VMWARE,
	MACHINE_XEN,
	MACHINE_HYPERV,		/* not supported */
};

/* uballoon.ko for the kernel that runs. */
enum machine_file {
	MACHINE_FILE_UNKNOWN,	/* the kernel's modules are not to be seen: a container */
	MACHINE_FILE_NONE,
	MACHINE_FILE_UNLISTED,	/* it is there, but depmod has not listed it */
	MACHINE_FILE_UNSIGNED,
	MACHINE_FILE_THERE,	/* signed, or compressed, which hides whether it is */
};

/* Where packages come from, by their tool. */
enum machine_packages {
	MACHINE_OTHER_PACKAGES,
	MACHINE_APT,
	MACHINE_DNF,
};

/* All that is known; the functions below look at nothing else. */
struct machine {
	enum machine_host host;
	bool loaded;		/* uballoon is */
	bool ready;		/* ... and has a balloon */
	char device[64];	/* on the virtio bus: "virtio3"; else "" */
	char driver[64];	/* that holds it: "uballoon", "vmw_balloon" ...; "" = none */
	bool failed;		/* nobody holds it, and the last driver that tried it gave up */
	bool stock_built_in;	/* it is the kernel's own, and no module */
	bool reporting;		/* ... and reports free pages to the host */

	/* Looked up only where uballoon is not loaded. */
	char release[65];	/* of the kernel */
	enum machine_file file;
	enum machine_packages packages;
	bool headers;		/* of this kernel */
	bool dkms;		/* knows uballoon */
	char log[96];		/* of a build for this kernel that failed; else "" */
	bool signed_only;	/* the kernel loads only what is signed by a key it trusts */
	bool secure_boot;
};

/* root is "" but in tests. What cannot be read is taken for missing. */
void machine_look(const char *root, struct machine *ret);

/* Who has the balloon device. */
enum machine_device {
	MACHINE_DEVICE_OURS,	/* and it is a balloon */
	MACHINE_DEVICE_NONE,
	MACHINE_DEVICE_UNSUPPORTED,
	MACHINE_DEVICE_STOCK,	/* the kernel's own driver, a module */
	MACHINE_DEVICE_BUILT_IN,	/* ... or a part of the kernel */
	MACHINE_DEVICE_OTHER,	/* another driver, or ours, which is still starting */
	MACHINE_DEVICE_FREE,
	MACHINE_DEVICE_FAILED,	/* no driver gets along with it, ours neither */
	MACHINE_DEVICE_SILENT,	/* the hypervisor does not answer our driver */
};

enum machine_device machine_device(const struct machine *m);

/* Why uballoon is not loaded. */
enum machine_module {
	MACHINE_MODULE_LOADED,
	MACHINE_MODULE_NOT_BUILT,
	MACHINE_MODULE_UNLISTED,
	MACHINE_MODULE_REFUSED,	/* for its signature, if it has been tried at all */
	MACHINE_MODULE_NOT_LOADED,	/* for another reason */
};

enum machine_module machine_module(const struct machine *m);

/* A longer sentence than this would not fit into a problem with words around it. */
#define MACHINE_WHY_MAX 200

/* Why uballoon has no balloon here, and what to do about it. Returns buf; "" if it has one. */
const char *machine_why(const struct machine *m, char *buf, size_t n);

/* Only why the module is not loaded, and what to do about it. Returns buf; "" if it is. */
const char *machine_module_why(const struct machine *m, char *buf, size_t n);

/* The kernel's own driver for such a host, by the name of its module; NULL if there is none. */
const char *machine_stock_driver(enum machine_host host);
