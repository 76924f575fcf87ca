// SPDX-License-Identifier: GPL-2.0-only
/*
 * pages.c - how the kernel sees balloon pages
 *
 * Those on a list are off the managed page count (MemTotal shrinks and free(1)
 * tells the truth) unless the parameter keep_managed is set, and marked
 * PageOffline: the 4 KiB pages by the kernel's balloon lists, the 2 MiB pages
 * here.
 *
 * Invariant: unmanaged_pages and the managed count change together.
 */
#include <linux/mm.h>

#include "core.h"

/**
 * uballoon_pages_manage - take pages off the managed count, or put them back
 * @ub:		balloon; locked
 * @pages:	linked by lru
 * @order:	of each
 * @sign:	-1 or 1
 */
void uballoon_pages_manage(struct uballoon *ub, struct list_head *pages, unsigned int order,
			   int sign)
{
	struct zone *zone = NULL;
	struct page *page, *first = NULL;
	long run = 0;

	lockdep_assert_held(&ub->lock);
	if (uballoon_params.keep_managed)
		return;
	list_for_each_entry(page, pages, lru) {
		if (page_zone(page) != zone) {
			if (run)
				adjust_managed_page_count(first, sign * run);
			zone = page_zone(page);
			first = page;
			run = 0;
		}
		run += 1L << order;
		ub->unmanaged_pages -= sign * (1L << order);
	}
	if (run)
		adjust_managed_page_count(first, sign * run);
}

/**
 * uballoon_page_mark_offline - have a 2 MiB page skipped by crash dumps and /proc/kcore
 * @page:	its first page; all are marked, because each is looked at by itself
 */
void uballoon_page_mark_offline(struct page *page)
{
	unsigned int i;

	for (i = 0; i < UBALLOON_PAGES_PER_2M; i++)
		__SetPageOffline(page + i);
}

static void mark_online(struct page *page)
{
	unsigned int i;

	for (i = 0; i < UBALLOON_PAGES_PER_2M; i++)
		__ClearPageOffline(page + i);
}

/**
 * uballoon_pages_free - give pages to the kernel that were never on a list
 * @pages:	linked by lru; empty afterwards
 * @order:	of each
 */
void uballoon_pages_free(struct list_head *pages, unsigned int order)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		__free_pages(page, order);
	}
}

/**
 * uballoon_pages_release - give pages to the kernel that have been taken off a list
 * @ub:		balloon
 * @pages:	linked by lru; empty afterwards
 * @order:	of each
 */
void uballoon_pages_release(struct uballoon *ub, struct list_head *pages, unsigned int order)
{
	struct page *page;

	spin_lock(&ub->lock);
	uballoon_pages_manage(ub, pages, order, 1);
	spin_unlock(&ub->lock);

	if (order == UBALLOON_ORDER_2M) {
		list_for_each_entry(page, pages, lru)
			mark_online(page);
	}
	uballoon_pages_free(pages, order);
}
