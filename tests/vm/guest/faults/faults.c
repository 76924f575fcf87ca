// SPDX-License-Identifier: GPL-2.0-only
/*
 * faults.c - a module that does, on demand, what the test harness must notice
 *
 * Parameter kind: "warn" (WARN_ON), "oops" (NULL dereference), "hang" (spins on
 * every CPU with interrupts off), "leak" (loses 64 MiB of pages), "stay" (takes
 * a reference on itself, so that it cannot be unloaded), "uncount" (takes pages
 * out of the managed count and never puts them back), "none".
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/smp.h>

static char *kind = "none";
module_param(kind, charp, 0444);
MODULE_PARM_DESC(kind, "what goes wrong at load time");

#define LOST_BLOCKS	64
#define ORDER_1M	8

static void spin(void *unused)
{
	local_irq_disable();
	for (;;)
		cpu_relax();
}

static int __init faults_init(void)
{
	int i;

	if (!strcmp(kind, "warn"))
		WARN_ON(1);
	else if (!strcmp(kind, "oops"))
		WRITE_ONCE(*(volatile int *)8, 1);
	else if (!strcmp(kind, "hang"))
		on_each_cpu(spin, NULL, 0);
	else if (!strcmp(kind, "leak"))
		for (i = 0; i < LOST_BLOCKS; i++)
			alloc_pages(GFP_KERNEL, ORDER_1M);
	else if (!strcmp(kind, "uncount"))
		adjust_managed_page_count(alloc_page(GFP_KERNEL), -1);
	else if (!strcmp(kind, "stay"))
		__module_get(THIS_MODULE);
	return 0;
}

static void __exit faults_exit(void)
{
}

module_init(faults_init);
module_exit(faults_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Faults for tests of the test harness");
