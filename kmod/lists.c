// SPDX-License-Identifier: GPL-2.0-only
/*
 * lists.c - the balloon's pages, by zone and by how the host holds them
 *
 * By zone, so that what is given back comes from where it is missing. The 4 KiB
 * pages are on the lists of the kernel's balloon compaction, one for each zone
 * and hold; the 2 MiB pages on plain lists.
 *
 * A 4 KiB page that has been listed before stays visible to compaction until it
 * is freed: isolate_movable_page() may take its lock for an instant, only to find
 * that it is on no list. The kernel's balloon_page_list_enqueue() takes a lock that
 * is held for a bug and stops the kernel; here it is waited for.
 *
 * Left out: sizes and accounts; who calls keeps them right.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/vmstat.h>

#include "core.h"

int uballoon_lists_init(struct uballoon *ub)
{
	unsigned int i, hold;

	ub->zone_count = nr_node_ids * MAX_NR_ZONES;
	ub->zones = kvcalloc(ub->zone_count, sizeof(*ub->zones), GFP_KERNEL);
	if (!ub->zones)
		return -ENOMEM;
	for (i = 0; i < ub->zone_count; i++) {
		struct uballoon_zone *z = &ub->zones[i];

		for (hold = 0; hold < UBALLOON_HOLDS; hold++)
			INIT_LIST_HEAD(&z->pages_2m[hold]);
		for (hold = 0; hold < UBALLOON_LISTS; hold++) {
			balloon_devinfo_init(&z->lists_4k[hold].dev);
			uballoon_migrate_init(&z->lists_4k[hold].dev);
			z->lists_4k[hold].ub = ub;
			z->lists_4k[hold].hold = hold;
		}
	}
	return 0;
}

void uballoon_lists_exit(struct uballoon *ub)
{
	kvfree(ub->zones);
}

/* Pages of one zone, from the head of @pages on. */
static void add_run(struct uballoon *ub, unsigned int hold, struct list_head *pages)
{
	struct page *page = list_first_entry(pages, struct page, lru);
	struct uballoon_zone *z = uballoon_zone(ub, page);
	struct balloon_dev_info *dev = &z->lists_4k[hold].dev;
	unsigned long flags;
	unsigned int n = 0;

	spin_lock_irqsave(&dev->pages_lock, flags);
	while (!list_empty(pages)) {
		page = list_first_entry(pages, struct page, lru);
		if (uballoon_zone(ub, page) != z)
			break;
		if (!trylock_page(page)) {
			spin_unlock_irqrestore(&dev->pages_lock, flags);
			lock_page(page);
			spin_lock_irqsave(&dev->pages_lock, flags);
		}
		list_del(&page->lru);
		balloon_page_insert(dev, page);
		unlock_page(page);
		n++;
	}
	spin_unlock_irqrestore(&dev->pages_lock, flags);
	count_vm_events(BALLOON_INFLATE, n);
}

/**
 * uballoon_lists_add - put pages on the lists
 * @ub:		balloon
 * @order:	of each
 * @hold:	how the host holds them
 * @pages:	linked by lru; empty afterwards
 *
 * Process context. That the pages' locks are waited for is no danger to whoever reclaims: none
 * of these pages can be isolated, so whoever has the lock of one lets go of it without sleeping.
 */
void uballoon_lists_add(struct uballoon *ub, unsigned int order, unsigned int hold,
			struct list_head *pages)
{
	struct page *page, *next;

	if (order == UBALLOON_ORDER_2M) {
		spin_lock(&ub->lock);
		list_for_each_entry_safe(page, next, pages, lru)
			list_move(&page->lru, &uballoon_zone(ub, page)->pages_2m[hold]);
		spin_unlock(&ub->lock);
		return;
	}
	while (!list_empty(pages))
		add_run(ub, hold, pages);
}

static unsigned int take_from(struct uballoon *ub, struct uballoon_zone *z, unsigned int order,
			      unsigned int hold, unsigned int count, struct list_head *pages)
{
	unsigned int taken = 0;
	struct page *page;

	if (order == UBALLOON_ORDER_4K)
		return balloon_page_list_dequeue(&z->lists_4k[hold].dev, pages, count);

	spin_lock(&ub->lock);
	while (taken < count && !list_empty(&z->pages_2m[hold])) {
		page = list_first_entry(&z->pages_2m[hold], struct page, lru);
		list_move(&page->lru, pages);
		taken++;
	}
	spin_unlock(&ub->lock);
	return taken;
}

static bool has_pages(struct uballoon_zone *z, unsigned int order, unsigned int hold)
{
	return !list_empty(order == UBALLOON_ORDER_2M ? &z->pages_2m[hold] :
							&z->lists_4k[hold].dev.pages);
}

/* The zone with such pages that is closest to its high watermark, or furthest below it. */
static struct uballoon_zone *shortest(struct uballoon *ub, unsigned int order, unsigned int hold,
				      int nid)
{
	struct uballoon_zone *best = NULL;
	long least = LONG_MAX, spare;
	unsigned int i;

	for (i = 0; i < ub->zone_count; i++) {
		struct zone *zone;

		if ((nid != NUMA_NO_NODE && i / MAX_NR_ZONES != nid) ||
		    !has_pages(&ub->zones[i], order, hold))
			continue;
		zone = &NODE_DATA(i / MAX_NR_ZONES)->node_zones[i % MAX_NR_ZONES];
		spare = zone_page_state(zone, NR_FREE_PAGES) - high_wmark_pages(zone);
		if (spare < least) {
			least = spare;
			best = &ub->zones[i];
		}
	}
	return best;
}

/**
 * uballoon_lists_take - take pages off the lists, from the zone that is shortest first
 * @ub:		balloon
 * @order:	of each
 * @hold:	how the host holds them
 * @nid:	from this node only, or NUMA_NO_NODE
 * @count:	at most so many
 * @pages:	they are added to it
 *
 * Return: how many it became. Pages that compaction has at the moment are passed over.
 */
unsigned int uballoon_lists_take(struct uballoon *ub, unsigned int order, unsigned int hold,
				 int nid, unsigned int count, struct list_head *pages)
{
	struct uballoon_zone *first;
	unsigned int i, taken;

	if (order == UBALLOON_ORDER_2M && hold == UBALLOON_HOLD_NEW)
		return 0;
	first = shortest(ub, order, hold, nid);
	if (!first)
		return 0;
	taken = take_from(ub, first, order, hold, count, pages);
	for (i = 0; taken < count && i < ub->zone_count; i++) {
		struct uballoon_zone *z = &ub->zones[i];

		if (z != first && (nid == NUMA_NO_NODE || i / MAX_NR_ZONES == nid) &&
		    has_pages(z, order, hold))
			taken += take_from(ub, z, order, hold, count - taken, pages);
	}
	return taken;
}

/* Is there a page that the host does not know of yet? */
bool uballoon_lists_have_new(struct uballoon *ub)
{
	unsigned int i;

	for (i = 0; i < ub->zone_count; i++) {
		if (has_pages(&ub->zones[i], UBALLOON_ORDER_4K, UBALLOON_HOLD_NEW))
			return true;
	}
	return false;
}

/* Is there no page on any list, nor off one with compaction? */
bool uballoon_lists_empty(struct uballoon *ub)
{
	unsigned int i, hold;
	bool none = true;

	for (i = 0; i < ub->zone_count; i++) {
		struct uballoon_zone *z = &ub->zones[i];

		for (hold = 0; hold < UBALLOON_HOLDS; hold++)
			none &= !has_pages(z, UBALLOON_ORDER_2M, hold);
		for (hold = 0; hold < UBALLOON_LISTS; hold++) {
			struct balloon_dev_info *dev = &z->lists_4k[hold].dev;

			spin_lock_irq(&dev->pages_lock);
			none &= list_empty(&dev->pages) && !dev->isolated_pages;
			spin_unlock_irq(&dev->pages_lock);
		}
	}
	return none;
}
