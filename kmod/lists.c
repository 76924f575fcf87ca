// SPDX-License-Identifier: GPL-2.0-only
/*
 * lists.c - the balloon's pages, by zone and by how the host holds them
 *
 * By zone, so that what is given back comes from where it is missing. The 4 KiB
 * pages are on the lists of the kernel's balloon compaction, one for each zone
 * and hold; the 2 MiB pages on plain lists.
 *
 * A 4 KiB page that has been listed before stays visible to compaction until it
 * is freed, which may take its lock for an instant, only to find that it is on no
 * list.
 *
 * Most of the work of taking in a 2 MiB page is to mark it, so that is done behind whoever took
 * it in (uballoon_mark_work()), and not at all if it is given back before: fresh pages go first.
 *
 * Each page on a list is counted in NR_BALLOON_PAGES where the kernel has that: the
 * 4 KiB pages by its lists, the 2 MiB pages here.
 *
 * Left out: sizes and accounts; who calls keeps them right.
 */
#include <linux/delay.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include <linux/vmstat.h>

#include "core.h"

/* What is given back soon need not be marked at all. */
#define MARK_DELAY	HZ
#define MARK_AT_ONCE	64

/* Marks the page that has been fresh for longest on one of the lists, if there is any. */
static bool mark_one(struct uballoon *ub)
{
	struct uballoon_zone *z;
	bool found = false;
	struct page *page;
	unsigned int i;

	spin_lock(&ub->lock);
	for (i = 0; i < ub->zone_count * UBALLOON_HOLDS && !found; i++) {
		z = &ub->zones[i / UBALLOON_HOLDS];
		found = !list_empty(&z->fresh_2m[i % UBALLOON_HOLDS]);
		if (!found)
			continue;
		page = list_last_entry(&z->fresh_2m[i % UBALLOON_HOLDS], struct page, lru);
		uballoon_page_mark(page, true);
		list_move(&page->lru, &z->pages_2m[i % UBALLOON_HOLDS]);
	}
	spin_unlock(&ub->lock);
	return found;
}

/* @yes: mark all now, and each as soon as it comes. */
static void mark_at_once(struct uballoon *ub, bool yes)
{
	spin_lock(&ub->lock);
	ub->mark_at_once = yes;
	spin_unlock(&ub->lock);
	while (yes && mark_one(ub))
		cond_resched();
}

/* An image of memory leaves out what is marked, and is sized before devices are told. */
static int pm_notify(struct notifier_block *nb, unsigned long event, void *unused)
{
	struct uballoon *ub = container_of(nb, struct uballoon, pm);

	if (event == PM_HIBERNATION_PREPARE)
		mark_at_once(ub, true);
	else if (event == PM_POST_HIBERNATION)
		mark_at_once(ub, false);
	return NOTIFY_OK;
}

int uballoon_lists_init(struct uballoon *ub)
{
	unsigned int i, hold;
	int r;

	ub->zone_count = nr_node_ids * MAX_NR_ZONES;
	ub->zones = kvcalloc(ub->zone_count, sizeof(*ub->zones), GFP_KERNEL);
	if (!ub->zones)
		return -ENOMEM;
	for (i = 0; i < ub->zone_count; i++) {
		struct uballoon_zone *z = &ub->zones[i];

		for (hold = 0; hold < UBALLOON_HOLDS; hold++) {
			INIT_LIST_HEAD(&z->pages_2m[hold]);
			INIT_LIST_HEAD(&z->fresh_2m[hold]);
		}
		for (hold = 0; hold < UBALLOON_LISTS; hold++) {
			balloon_devinfo_init(&z->lists_4k[hold].dev);
			uballoon_migrate_init(&z->lists_4k[hold].dev);
			z->lists_4k[hold].ub = ub;
			z->lists_4k[hold].hold = hold;
		}
	}
	ub->pm.notifier_call = pm_notify;
	r = register_pm_notifier(&ub->pm);
	if (r)
		kvfree(ub->zones);
	return r;
}

/*
 * What says of a 2 MiB page that it is on a list now, and on which: no other PageOffline page has
 * it in that place.
 */
static unsigned long mark_2m(struct uballoon_zone *z, unsigned int hold)
{
	return (unsigned long)&z->pages_2m[hold];
}

/* Are there pages that the kernel's compaction has, or is not quite through with? */
static bool isolated(struct uballoon *ub)
{
	unsigned int i, hold;

	for (i = 0; i < ub->zone_count; i++) {
		for (hold = 0; hold < UBALLOON_LISTS; hold++) {
			if (READ_ONCE(ub->zones[i].lists_4k[hold].dev.isolated_pages))
				return true;
		}
	}
	return false;
}

void uballoon_lists_exit(struct uballoon *ub)
{
	unregister_pm_notifier(&ub->pm);
	/* The list of a page that has moved is touched once more after our callback. */
	while (isolated(ub))
		msleep(20);
	kvfree(ub->zones);
}

/* Pages of one zone, from the head of @pages on. */
static void add_run(struct uballoon *ub, unsigned int hold, struct list_head *pages)
{
	struct page *page = list_first_entry(pages, struct page, lru);
	struct uballoon_zone *z = uballoon_zone(ub, page);
	LIST_HEAD(run);

	while (page && uballoon_zone(ub, page) == z) {
		list_move_tail(&page->lru, &run);
		page = list_first_entry_or_null(pages, struct page, lru);
	}
	uballoon_list_add(&z->lists_4k[hold].dev, &run);
}

/* Called with ub->lock held. */
static void counted_2m(struct uballoon_zone *z, unsigned int hold, struct page *page)
{
	set_page_private(page, mark_2m(z, hold));
	uballoon_count_pages(page, UBALLOON_LARGE_PAGES);
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

	if (order == UBALLOON_LARGE_ORDER) {
		spin_lock(&ub->lock);
		list_for_each_entry_safe(page, next, pages, lru) {
			struct uballoon_zone *z = uballoon_zone(ub, page);

			uballoon_page_mark(page, ub->mark_at_once);
			list_move(&page->lru, ub->mark_at_once ? &z->pages_2m[hold] :
								 &z->fresh_2m[hold]);
			counted_2m(z, hold, page);
		}
		spin_unlock(&ub->lock);
		queue_delayed_work(ub->wq, &ub->mark_work, MARK_DELAY);
		return;
	}
	while (!list_empty(pages))
		add_run(ub, hold, pages);
}

/* Called with ub->lock held. */
static void take_2m(struct page *page, struct list_head *pages)
{
	list_move(&page->lru, pages);
	set_page_private(page, 0);
	uballoon_count_pages(page, -(long)UBALLOON_LARGE_PAGES);
}

/* Called with ub->lock held. */
static struct page *first_2m(struct uballoon_zone *z, unsigned int hold)
{
	struct page *page;

	page = list_first_entry_or_null(&z->fresh_2m[hold], struct page, lru);
	return page ? page : list_first_entry_or_null(&z->pages_2m[hold], struct page, lru);
}

static unsigned int take_from(struct uballoon *ub, struct uballoon_zone *z, unsigned int order,
			      unsigned int hold, unsigned int count, struct list_head *pages)
{
	unsigned int taken = 0;
	struct page *page;

	if (order == UBALLOON_BASE_ORDER)
		return balloon_page_list_dequeue(&z->lists_4k[hold].dev, pages, count);

	spin_lock(&ub->lock);
	while (taken < count && (page = first_2m(z, hold))) {
		take_2m(page, pages);
		taken++;
	}
	spin_unlock(&ub->lock);
	return taken;
}

static bool has_pages(struct uballoon *ub, struct uballoon_zone *z, unsigned int order,
		      unsigned int hold)
{
	bool has;

	if (order == UBALLOON_BASE_ORDER)
		return !list_empty(&z->lists_4k[hold].dev.pages);
	/* One that is being marked is on neither list for an instant. */
	spin_lock(&ub->lock);
	has = !list_empty(&z->fresh_2m[hold]) || !list_empty(&z->pages_2m[hold]);
	spin_unlock(&ub->lock);
	return has;
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
		    !has_pages(ub, &ub->zones[i], order, hold))
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
 * uballoon_lists_keep_2m - put 2 MiB pages back that the host does not release
 * @ub:		balloon
 * @hold:	how the host holds them
 * @pages:	linked by lru; empty afterwards
 *
 * Behind the others of their zone, so that these are tried before.
 */
void uballoon_lists_keep_2m(struct uballoon *ub, unsigned int hold, struct list_head *pages)
{
	struct page *page, *next;

	spin_lock(&ub->lock);
	list_for_each_entry_safe(page, next, pages, lru) {
		struct uballoon_zone *z = uballoon_zone(ub, page);

		uballoon_page_mark(page, true);
		list_move_tail(&page->lru, &z->pages_2m[hold]);
		counted_2m(z, hold, page);
	}
	spin_unlock(&ub->lock);
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

	if (order == UBALLOON_LARGE_ORDER && hold == UBALLOON_HOLD_NEW)
		return 0;
	first = shortest(ub, order, hold, nid);
	if (!first)
		return 0;
	taken = take_from(ub, first, order, hold, count, pages);
	for (i = 0; taken < count && i < ub->zone_count; i++) {
		struct uballoon_zone *z = &ub->zones[i];

		if (z != first && (nid == NUMA_NO_NODE || i / MAX_NR_ZONES == nid) &&
		    has_pages(ub, z, order, hold))
			taken += take_from(ub, z, order, hold, count - taken, pages);
	}
	return taken;
}

/* The 2 MiB page at @pfn if it is on that list. Called with ub->lock held. */
static struct page *listed_2m(struct uballoon *ub, unsigned long pfn, unsigned int hold)
{
	struct page *page = pfn_to_online_page(pfn);

	if (!page || !PageOffline(page) ||
	    page_private(page) != mark_2m(uballoon_zone(ub, page), hold))
		return NULL;
	return page;
}

/**
 * uballoon_lists_have_range - is there a 2 MiB page of a range on a list?
 * @ub:		balloon
 * @start:	first page frame; of memory that stays online meanwhile
 * @end:	and the one behind the last
 */
bool uballoon_lists_have_range(struct uballoon *ub, unsigned long start, unsigned long end)
{
	unsigned long pfn;
	bool found = false;

	for (pfn = ALIGN(start, UBALLOON_LARGE_PAGES); pfn < end && !found;
	     pfn += UBALLOON_LARGE_PAGES) {
		spin_lock(&ub->lock);
		found = listed_2m(ub, pfn, UBALLOON_HOLD_QUIET) ||
			listed_2m(ub, pfn, UBALLOON_HOLD_TOLD);
		spin_unlock(&ub->lock);
	}
	return found;
}

/**
 * uballoon_lists_take_range - take the 2 MiB pages of a range off the lists
 * @ub:		balloon
 * @hold:	those held that way
 * @start:	first page frame; of memory that stays online meanwhile
 * @end:	and the one behind the last
 * @count:	at most so many
 * @pages:	they are added to it, in ascending order
 *
 * Return: how many it became.
 */
unsigned int uballoon_lists_take_range(struct uballoon *ub, unsigned int hold, unsigned long start,
				       unsigned long end, unsigned int count,
				       struct list_head *pages)
{
	unsigned int taken = 0;
	struct page *page;
	unsigned long pfn;

	for (pfn = ALIGN(start, UBALLOON_LARGE_PAGES); pfn < end && taken < count;
	     pfn += UBALLOON_LARGE_PAGES) {
		spin_lock(&ub->lock);
		page = listed_2m(ub, pfn, hold);
		if (page) {
			take_2m(page, pages);
			list_move_tail(&page->lru, pages);
			taken++;
		}
		spin_unlock(&ub->lock);
	}
	return taken;
}

/*
 * uballoon.mark_work: one at a time, so that nobody waits for more than one; and a few at a time,
 * for where locks are not taken in turn (PREEMPT_RT), and for other work.
 */
void uballoon_mark_work(struct work_struct *work)
{
	struct uballoon *ub = container_of(to_delayed_work(work), struct uballoon, mark_work);
	unsigned int i;

	for (i = 0; i < MARK_AT_ONCE; i++) {
		if (!mark_one(ub))
			return;
		cond_resched();
	}
	queue_delayed_work(ub->wq, &ub->mark_work, 1);
}

/* Is there a page that the host does not know of yet? */
bool uballoon_lists_have_new(struct uballoon *ub)
{
	unsigned int i;

	for (i = 0; i < ub->zone_count; i++) {
		if (has_pages(ub, &ub->zones[i], UBALLOON_BASE_ORDER, UBALLOON_HOLD_NEW))
			return true;
	}
	return false;
}

/*
 * Is there no page of the balloon, on a list or off one with compaction? All are in an account;
 * and where there is none left, compaction has to be through with the last.
 */
bool uballoon_lists_empty(struct uballoon *ub)
{
	bool none;

	spin_lock(&ub->lock);
	none = !ub->available_pages && !ub->gone_pages;
	spin_unlock(&ub->lock);
	return none && !isolated(ub);
}
