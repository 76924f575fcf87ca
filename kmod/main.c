// SPDX-License-Identifier: GPL-2.0-only
/*
 * main.c - parameters, and everything begun and ended in order
 *
 * The module registers the host drivers that the parameter "host" selects.
 * The one whose device is found asks for a core and calls uballoon_attach();
 * there is at most one at a time.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "chardev.h"
#include "core.h"
#include "reclaim.h"
#include "stats.h"

static char *host = "auto";
module_param(host, charp, 0444);
MODULE_PARM_DESC(host, "hypervisor: auto (default, whichever is found), virtio, vmware, xen, or none (pages are only withheld)");

struct uballoon_params uballoon_params = {
	.floor_mb = -1,
	.oom_holdoff_ms = 10000,
};

module_param_named(floor_mb, uballoon_params.floor_mb, int, 0644);
MODULE_PARM_DESC(floor_mb, "LOCK leaves so many MiB of what is available (default -1: by the size of the guest)");
module_param_named(guest_driven, uballoon_params.guest_driven, bool, 0444);
MODULE_PARM_DESC(guest_driven, "inflate beyond the host's target even where the host takes no page reports (default N)");
module_param_named(oom_holdoff_ms, uballoon_params.oom_holdoff_ms, uint, 0644);
MODULE_PARM_DESC(oom_holdoff_ms, "LOCK answers NOMEM for so long after the OOM notifier (default 10000)");
module_param_named(refuse_2m, uballoon_params.refuse_2m, bool, 0644);
MODULE_PARM_DESC(refuse_2m, "for tests: behave as if no 2 MiB page were free (default N)");

static const struct uballoon_host_driver *const drivers[] = {
	&uballoon_virtio_driver,
#ifdef CONFIG_X86
	&uballoon_vmware_driver,
#endif
#ifdef UBALLOON_HOST_XEN
	&uballoon_xen_driver,
#endif
	&uballoon_none_driver,
};

static bool active[ARRAY_SIZE(drivers)];	/* init and exit only */

/**
 * uballoon_attach - make the balloon visible
 * @h:	host with a core, ready for requests
 */
int uballoon_attach(struct uballoon_host *h)
{
	struct uballoon *ub = h->core;
	int r;

	r = uballoon_reclaim_init(ub);
	if (r)
		return r;
	r = uballoon_chardev_init(ub);
	if (r) {
		uballoon_reclaim_exit(ub);
		return r;
	}
	/* Last: a file that somebody has open would outlive what fails after it. */
	uballoon_stats_init(ub);
	return 0;
}

/**
 * uballoon_detach - hide the balloon, end all use of it, give the memory back
 * @h:	host whose device still works, if it can
 */
void uballoon_detach(struct uballoon_host *h)
{
	struct uballoon *ub = h->core;

	uballoon_chardev_exit(ub);
	uballoon_core_stop(ub);
	uballoon_stats_exit(ub);
	uballoon_reclaim_exit(ub);
}

static bool selected(const struct uballoon_host_driver *drv)
{
	return !strcmp(host, drv->name) || (drv->automatic && !strcmp(host, "auto"));
}

static void uballoon_exit_drivers(void)
{
	unsigned int i = ARRAY_SIZE(drivers);

	while (i--) {
		if (active[i])
			drivers[i]->exit();
	}
}

static int __init uballoon_init(void)
{
	unsigned int i, n = 0;
	int r;

	for (i = 0; i < ARRAY_SIZE(drivers); i++) {
		if (!selected(drivers[i]))
			continue;
		n++;
		r = drivers[i]->init();
		/*
		 * Another hypervisor's guest, or one with two kinds of balloon, of which the other
		 * was found first: no matter, unless this one was asked for.
		 */
		if ((r == -ENODEV || r == -EBUSY) && !strcmp(host, "auto"))
			continue;
		if (r)
			goto err_drivers;
		active[i] = true;
	}
	if (!n) {
		pr_err("host=%s: unknown; use auto, virtio, vmware (on x86), xen (with CONFIG_XEN) or none\n", host);
		return -EINVAL;
	}
	return 0;

err_drivers:
	uballoon_exit_drivers();
	return r;
}

static void __exit uballoon_exit(void)
{
	uballoon_exit_drivers();
}

module_init(uballoon_init);
module_exit(uballoon_exit);

MODULE_DESCRIPTION("Memory balloon, driven by the guest");
MODULE_AUTHOR("The balloond authors");
MODULE_VERSION(UBALLOON_VERSION);
MODULE_LICENSE("GPL");
