/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * machine.h - which balloon device this machine has, and which driver holds it
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

struct machine {
	enum machine_host host;
	bool loaded;		/* uballoon is */
	bool ready;		/* ... and has a balloon */
	char device[64];	/* on the virtio bus: "virtio3"; else "" */
	char driver[64];	/* that holds it: "uballoon", "virtio_balloon", "vmw_balloon"; "" = none */
};

/* sys is "/sys". What cannot be read is taken for missing. */
void machine_look(const char *sys, struct machine *ret);

/* A longer sentence than this would not fit into a problem with words around it. */
#define MACHINE_WHY_MAX 180

/* Why uballoon has no balloon here, and what to do about it. Returns buf; "" if it has one. */
const char *machine_why(const struct machine *m, char *buf, size_t n);

/* The kernel's own driver for such a host, by the name of its module; NULL if there is none. */
const char *machine_stock_driver(enum machine_host host);
