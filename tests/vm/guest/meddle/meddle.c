// SPDX-License-Identifier: GPL-2.0-only
/*
 * meddle.c - makes the guest meet what its hypervisor cannot be made to do
 *
 * offer, hide: feature bits that modern virtio balloon devices seem to offer, or not to
 * offer, to drivers bound from now on. The device itself knows nothing of it.
 *
 * fail_at: how far each attempt to suspend or hibernate gets, in the words of
 * /sys/power/pm_test, which distributions leave out of their kernels: "freezer"
 * (processes are frozen, no device is asked yet), "devices" (all devices are
 * suspended) or "platform" (so are interrupts). There the attempt is called off
 * with EBUSY and everything resumes. "none" lets it happen.
 *
 * Left out: legacy devices.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/pm.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci_modern.h>

static ulong offer, hide;
module_param(offer, ulong, 0644);
MODULE_PARM_DESC(offer, "feature bits to add");
module_param(hide, ulong, 0644);
MODULE_PARM_DESC(hide, "feature bits to take away");

static char *fail_at = "none";
module_param(fail_at, charp, 0644);
MODULE_PARM_DESC(fail_at, "none, freezer, devices or platform");

/* ---- features ---- */

/* Since this header is there features are an array, which is filled in for the caller. */
#if __has_include(<linux/virtio_features.h>)
#define GET_FEATURES	"vp_modern_get_extended_features"
#define FEATURES_ARE_AN_ARRAY
#else
#define GET_FEATURES	"vp_modern_get_features"
#endif

static int features_enter(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	const struct virtio_pci_modern_device *mdev =
		(const void *)regs_get_kernel_argument(regs, 0);

	*(u64 **)ri->data = (u64 *)regs_get_kernel_argument(regs, 1);
	/* Not zero: do not come back at the return. */
	return mdev->id.device != VIRTIO_ID_BALLOON;
}

static int features_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
#ifdef FEATURES_ARE_AN_ARRAY
	u64 *features = *(u64 **)ri->data;

	*features = (*features | offer) & ~(u64)hide;
#else
	regs_set_return_value(regs, (regs_return_value(regs) | offer) & ~hide);
#endif
	return 0;
}

static struct kretprobe features = {
	.kp.symbol_name	= GET_FEATURES,
	.entry_handler	= features_enter,
	.handler	= features_return,
	.data_size	= sizeof(u64 *),
};

/* ---- suspend ---- */

static int fail(const char *level)
{
	return sysfs_streq(fail_at, level) ? -EBUSY : 0;
}

static int fail_freezer(struct device *dev)
{
	return fail("freezer");
}

static int fail_devices(struct device *dev)
{
	return fail("devices");
}

static int fail_platform(struct device *dev)
{
	return fail("platform");
}

static const struct dev_pm_ops pm_ops = {
	.prepare	= fail_freezer,
	/* Late is when all others are through with the first round. */
	.suspend_late	= fail_devices,
	.freeze_late	= fail_devices,
	.suspend_noirq	= fail_platform,
	.freeze_noirq	= fail_platform,
};

static struct platform_driver driver = {
	.driver = {
		.name	= "meddle",
		.pm	= &pm_ops,
	},
};

static struct platform_device *device;

static int __init meddle_init(void)
{
	int r;

	r = register_kretprobe(&features);
	if (r)
		return r;
	r = platform_driver_register(&driver);
	if (r)
		goto err_probe;
	device = platform_device_register_simple("meddle", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(device)) {
		r = PTR_ERR(device);
		goto err_driver;
	}
	return 0;

err_driver:
	platform_driver_unregister(&driver);
err_probe:
	unregister_kretprobe(&features);
	return r;
}

static void __exit meddle_exit(void)
{
	platform_device_unregister(device);
	platform_driver_unregister(&driver);
	unregister_kretprobe(&features);
}

module_init(meddle_init);
module_exit(meddle_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Features and suspends for tests");
