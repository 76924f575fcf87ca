// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmci_ring.c - rings a VMCI doorbell from within the guest
 *
 * A VMware host rings a guest's doorbell through the VMCI device, which QEMU
 * does not have. The kernel's own vmw_vmci, however, also delivers doorbells
 * among the users of one machine: without a device it acts as the host's side,
 * a driver that creates a doorbell gets one in the host's context, and this
 * module rings it, through the same code that ends in the driver's callback.
 *
 * Loading it rings the doorbell that the driver announced to the hypervisor, as
 * often as is said, with a pause after each. Leaves out the VMCI device's interrupt, which only hardware has.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/vmw_vmci_defs.h>
#include <linux/vmw_vmci_api.h>

static uint context;
module_param(context, uint, 0);
MODULE_PARM_DESC(context, "VMCI context of the doorbell");

static uint resource;
module_param(resource, uint, 0);
MODULE_PARM_DESC(resource, "resource number of the doorbell");

static uint times = 1;
module_param(times, uint, 0);
MODULE_PARM_DESC(times, "how often to ring");

#define PAUSE_MS 50

static int __init vmci_ring_init(void)
{
	uint i;
	int r;

	for (i = 0; i < times; i++) {
		r = vmci_doorbell_notify(vmci_make_handle(context, resource),
					 VMCI_PRIVILEGE_FLAG_TRUSTED);
		if (r < VMCI_SUCCESS) {
			pr_err("vmci_ring: doorbell %u:%u does not ring (%d)\n", context,
			       resource, r);
			return -ENODEV;
		}
		msleep(PAUSE_MS);
	}
	return 0;
}

static void __exit vmci_ring_exit(void)
{
}

module_init(vmci_ring_init);
module_exit(vmci_ring_exit);
MODULE_DESCRIPTION("rings a VMCI doorbell (test)");
MODULE_LICENSE("GPL");
