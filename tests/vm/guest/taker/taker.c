// SPDX-License-Identifier: GPL-2.0-only
/*
 * taker.c - the kernel itself asks for memory, as its parts do
 *
 * Written to /sys/module/taker/parameters/take, "HOW ORDER COUNT" takes so many
 * blocks and keeps them: "kernel" may reclaim and retries, as the rings of a driver and
 * huge pages do; "atomic" may not sleep, and takes one MiB in 10 ms, as packets that
 * arrive do. Parameter taken says how many it became; "none 0 0" gives all back.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>

#define ATOMIC_PAUSE_BYTES	(1UL << 20)

static DEFINE_MUTEX(lock);
static LIST_HEAD(blocks);		/* by lock; each with its order in page_private */
static ulong taken;
module_param(taken, ulong, 0444);

static void give_back(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &blocks, lru) {
		list_del(&page->lru);
		__free_pages(page, page_private(page));
	}
	taken = 0;
}

static void take(gfp_t gfp, unsigned int order, unsigned long count)
{
	unsigned long bytes = 0;

	while (taken < count) {
		struct page *page = alloc_pages(gfp | __GFP_NOWARN, order);

		if (!page)
			return;
		set_page_private(page, order);
		list_add(&page->lru, &blocks);
		taken++;
		bytes += PAGE_SIZE << order;
		if (!(gfp & __GFP_DIRECT_RECLAIM) && bytes >= ATOMIC_PAUSE_BYTES) {
			msleep(10);
			bytes = 0;
		}
		cond_resched();
	}
}

static int take_set(const char *val, const struct kernel_param *kp)
{
	unsigned long count;
	unsigned int order;
	char how[8];

	if (sscanf(val, "%7s %u %lu", how, &order, &count) != 3 || order > 10)
		return -EINVAL;
	mutex_lock(&lock);
	give_back();
	if (!strcmp(how, "kernel"))
		take(GFP_KERNEL | __GFP_RETRY_MAYFAIL, order, count);
	else if (!strcmp(how, "atomic"))
		take(GFP_ATOMIC, order, count);
	mutex_unlock(&lock);
	return 0;
}

static const struct kernel_param_ops take_ops = { .set = take_set };
module_param_cb(take, &take_ops, NULL, 0200);

static int __init taker_init(void)
{
	return 0;
}

static void __exit taker_exit(void)
{
	give_back();
}

module_init(taker_init);
module_exit(taker_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Takes memory for tests");
