// SPDX-License-Identifier: GPL-2.0-only
/*
 * holder.c - compaction that is interrupted where it must not matter
 *
 * Does to pages what isolate_movable_page() does: takes a reference, sees that the page is
 * movable, tries its lock, finds under the lock that it is on no list, unlocks it, lets go of it.
 * The kernel is through with that in an instant, unless the virtual CPU loses its turn in
 * between. Here that always happens: the lock is held until somebody waits for it, the page's
 * owner has freed it, or @hold_ms are over. So a balloon that handles pages which it has taken
 * off a list meets a locked one soon, on a machine of any speed.
 *
 * Left out: pages that are on a list; kernels that mark such pages otherwise than 6.1 and 6.12.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/poison.h>
#include <linux/sched.h>

static uint hold_ms = 2000;
module_param(hold_ms, uint, 0644);
MODULE_PARM_DESC(hold_ms, "hold a lock no longer than that");

static ulong held, waited;
module_param(held, ulong, 0444);
MODULE_PARM_DESC(held, "pages found on no list, and held");
module_param(waited, ulong, 0444);
MODULE_PARM_DESC(waited, "of these, those that somebody waited for");

static struct task_struct *task;

/*
 * Movable, and nobody says by whom: off its list, but not freed yet. What slab pages have in
 * that place may look the same, so those must not have become one before or after.
 */
static bool off_list(struct page *page)
{
	bool movable;

	if (PageSlab(page))
		return false;
	smp_rmb();
	movable = (unsigned long)READ_ONCE(page->mapping) == PAGE_MAPPING_MOVABLE;
	smp_rmb();
	return movable && !PageSlab(page);
}

/* The page is locked, and we have a reference. */
static void hold(struct page *page)
{
	unsigned long end = jiffies + msecs_to_jiffies(hold_ms);

	held++;
	while (page_ref_count(page) > 1 && time_before(jiffies, end) && !kthread_should_stop()) {
		if (test_bit(PG_waiters, &page->flags)) {
			waited++;
			return;
		}
		usleep_range(50, 100);
	}
}

static void meet(struct page *page)
{
	if (!off_list(page) || !get_page_unless_zero(page))
		return;
	/* Now nobody else can get the page, so that its lock may be tried. */
	if (off_list(page) && trylock_page(page)) {
		/* Those that are not on a list of their owner, either, come back to none. */
		if (off_list(page) && READ_ONCE(page->lru.next) != LIST_POISON1)
			hold(page);
		unlock_page(page);
	}
	put_page(page);
}

static int walk(void *unused)
{
	unsigned long pfn;
	struct page *page;
	int nid;

	while (!kthread_should_stop()) {
		for_each_online_node(nid) {
			/* From the end, where compaction puts what it moves. */
			for (pfn = node_end_pfn(nid); pfn-- > node_start_pfn(nid);) {
				page = pfn_to_online_page(pfn);
				if (page)
					meet(page);
				if (kthread_should_stop())
					return 0;
				cond_resched();
			}
		}
		usleep_range(1000, 2000);
	}
	return 0;
}

static int __init holder_init(void)
{
	task = kthread_run(walk, NULL, "holder");
	return PTR_ERR_OR_ZERO(task);
}

static void __exit holder_exit(void)
{
	kthread_stop(task);
}

module_init(holder_init);
module_exit(holder_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Page locks held at the wrong moment, for tests");
