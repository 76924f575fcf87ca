// SPDX-License-Identifier: GPL-2.0-only
/*
 * accounts.c - where the balloon's pages stand in the kernel's books
 *
 * Two accounts. Available: pages that the guest can have back at will. They stay
 * managed, and are counted as reclaimable kernel memory (NR_KERNEL_MISC_RECLAIMABLE),
 * which is what they are; so they are part of MemTotal, KReclaimable and
 * MemAvailable, and programs see a guest without a balloon. Gone: pages that the
 * host will not let go of; off the managed count, as the kernel's own drivers do.
 * Pages that another driver moves (host->ops->move) are that driver's business.
 *
 * What counts is how many pages of a zone stand where: within a zone one page is
 * as good as another. So a change of the truth (the host's target, the operator's
 * word, the device going) costs a few additions, whatever the size of the balloon.
 *
 * Invariants: held = available + gone in each zone and in the sums; a page is in
 * its account from before it can be seen on a list until before it is freed.
 *
 * Left out: which pages these are (lists.c).
 */
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmstat.h>

#include "core.h"

/* A host that has not looked at a report for so long may not do so before programs need it. */
#define REPORTING_SOON	(HZ / 4)

static struct zone *kernel_zone(unsigned int index)
{
	return &NODE_DATA(index / MAX_NR_ZONES)->node_zones[index % MAX_NR_ZONES];
}

/* Any page of the zone. There is one: the balloon has pages in it. */
static struct page *page_of_zone(struct zone *zone)
{
	unsigned long pfn;

	for (pfn = zone->zone_start_pfn; pfn < zone_end_pfn(zone);
	     pfn = ALIGN(pfn + 1, UBALLOON_LARGE_PAGES)) {
		struct page *page = pfn_to_online_page(pfn);

		if (page && page_zone(page) == zone)
			return page;
	}
	return NULL;
}

static void count_available(struct uballoon *ub, struct zone *zone, long pages)
{
	mod_node_page_state(zone->zone_pgdat, NR_KERNEL_MISC_RECLAIMABLE, pages);
	ub->available_pages += pages;
}

static void count_gone(struct uballoon *ub, struct page *page, long pages)
{
	adjust_managed_page_count(page, -pages);
	ub->gone_pages += pages;
}

/* What should be gone now. */
static u64 gone_wanted(struct uballoon *ub)
{
	u64 held = ub->available_pages + ub->gone_pages;

	switch (ub->account) {
	case UBALLOON_ACCOUNT_AVAILABLE:
		return 0;
	case UBALLOON_ACCOUNT_GONE:
		return held;
	case UBALLOON_ACCOUNT_AUTO:
		break;
	}
	return min(held, uballoon_firm(ub));
}

/**
 * uballoon_accounts_settle - move pages between the accounts until they are as they should be
 * @ub:	balloon; locked
 */
void uballoon_accounts_settle(struct uballoon *ub)
{
	long delta, n;
	struct page *page;
	unsigned int i;

	lockdep_assert_held(&ub->lock);
	delta = gone_wanted(ub) - ub->gone_pages;
	for (i = 0; delta && i < ub->zone_count; i++) {
		struct uballoon_zone *z = &ub->zones[i];

		if (delta > 0)
			n = min_t(u64, delta, z->held_pages - z->gone_pages);
		else
			n = -min_t(u64, -delta, z->gone_pages);
		page = n ? page_of_zone(kernel_zone(i)) : NULL;
		if (!page)
			continue;
		count_available(ub, kernel_zone(i), -n);
		count_gone(ub, page, n);
		z->gone_pages += n;
		delta -= n;
	}
}

/* @page's zone has so many pages of the balloon more, or less. */
static void change(struct uballoon *ub, struct page *page, long pages)
{
	struct uballoon_zone *z = uballoon_zone(ub, page);
	long over;

	z->held_pages += pages;
	/* What is available goes first. */
	over = z->gone_pages > z->held_pages ? z->gone_pages - z->held_pages : 0;
	if (over) {
		z->gone_pages -= over;
		count_gone(ub, page, -over);
	}
	count_available(ub, page_zone(page), pages + over);
}

/**
 * uballoon_accounts_change - pages join the balloon, or leave it
 * @ub:		balloon; locked
 * @pages:	linked by lru
 * @order:	of each
 * @sign:	1 or -1
 */
void uballoon_accounts_change(struct uballoon *ub, struct list_head *pages, unsigned int order,
			      int sign)
{
	struct page *page, *first = NULL;
	long run = 0;

	lockdep_assert_held(&ub->lock);
	list_for_each_entry(page, pages, lru) {
		if (first && page_zone(page) != page_zone(first)) {
			change(ub, first, sign * run);
			run = 0;
		}
		if (!run)
			first = page;
		run += 1L << order;
	}
	if (!run)
		return;
	change(ub, first, sign * run);
	uballoon_accounts_settle(ub);
}

/**
 * uballoon_accounts_replace - one 4 KiB page takes the place of another
 * @ub:		balloon; locked
 * @old:	leaves
 * @new:	joins
 */
void uballoon_accounts_replace(struct uballoon *ub, struct page *old, struct page *new)
{
	lockdep_assert_held(&ub->lock);
	if (page_zone(old) == page_zone(new))
		return;
	change(ub, new, 1);
	change(ub, old, -1);
	uballoon_accounts_settle(ub);
}

/* ---- what is available without the balloon ---- */

/* What si_mem_available() makes of reclaimable memory, and of page cache, too. */
static long usable_part(long pages, long low)
{
	return pages - min(pages / 2, low);
}

static long node_pages(pg_data_t *pgdat, enum node_stat_item item)
{
	return max(atomic_long_read(&pgdat->vm_stat[item]), 0L);
}

static long low_watermarks(pg_data_t *pgdat)
{
	long low = 0;
	unsigned int i;

	for (i = 0; i < MAX_NR_ZONES; i++) {
		const struct zone *zone = &pgdat->node_zones[i];

		low += low_wmark_pages(zone);
	}
	return low;
}

/**
 * uballoon_reporting - the host is being told of free pages of the guest
 * @ub:		balloon
 * @nid:	node that they are of
 * @pages:	so many; 0 = no longer
 *
 * While it is, the kernel has up to 32 of its largest blocks on no list, and MemFree and
 * MemAvailable are that much lower: for milliseconds, or for as long as the host is busy
 * elsewhere. Whoever was late once is believed again when he has been in time.
 */
void uballoon_reporting(struct uballoon *ub, int nid, u64 pages)
{
	spin_lock(&ub->lock);
	if (!pages)
		ub->reporting_late = time_after_eq(jiffies, ub->reporting_end);
	ub->reporting_nid = nid;
	ub->reporting_pages = pages;
	ub->reporting_end = jiffies + REPORTING_SOON;
	spin_unlock(&ub->lock);
}

/* Of that, what will be free again before anybody misses it. */
static long soon_free(struct uballoon *ub, int nid)
{
	long pages = 0;

	spin_lock(&ub->lock);
	if (!ub->reporting_late && time_before(jiffies, ub->reporting_end) &&
	    (nid == NUMA_NO_NODE || nid == ub->reporting_nid))
		pages = ub->reporting_pages;
	spin_unlock(&ub->lock);
	return pages;
}

/*
 * MemAvailable as if the balloon's pages were not counted in it.
 *
 * The kernel takes only a part of what is reclaimable into MemAvailable, so what the balloon
 * adds is the difference of two such parts. Less than nothing: what is being reported is missing.
 */
static long all_available(struct uballoon *ub)
{
	long available, low = 0, reclaimable, ours;
	int nid;

	spin_lock(&ub->lock);
	available = si_mem_available();
	ours = ub->available_pages;
	reclaimable = global_node_page_state_pages(NR_SLAB_RECLAIMABLE_B) +
		      global_node_page_state(NR_KERNEL_MISC_RECLAIMABLE);
	spin_unlock(&ub->lock);
	/* The kernel says nothing where it would be less, nobody knows by how much. */
	if (!available)
		return LONG_MIN / 2;
	if (!ours)
		return available;
	for_each_online_node(nid)
		low += low_watermarks(NODE_DATA(nid));
	return available -
	       (usable_part(reclaimable, low) - usable_part(max(reclaimable - ours, 0L), low));
}

/* The same of one node, by the same rule. */
static long node_available(struct uballoon *ub, int nid)
{
	pg_data_t *pgdat = NODE_DATA(nid);
	long low = low_watermarks(pgdat), available, cache, reclaimable, ours = 0;
	unsigned int i;

	available = -(long)pgdat->totalreserve_pages;
	spin_lock(&ub->lock);
	for (i = 0; i < MAX_NR_ZONES; i++) {
		struct uballoon_zone *z = &ub->zones[nid * MAX_NR_ZONES + i];

		available += zone_page_state(&pgdat->node_zones[i], NR_FREE_PAGES);
		ours += z->held_pages - z->gone_pages;
	}
	spin_unlock(&ub->lock);
	cache = node_pages(pgdat, NR_ACTIVE_FILE) + node_pages(pgdat, NR_INACTIVE_FILE);
	reclaimable = node_pages(pgdat, NR_SLAB_RECLAIMABLE_B) +
		      node_pages(pgdat, NR_KERNEL_MISC_RECLAIMABLE) - ours;
	return available + usable_part(cache, low) + usable_part(max(reclaimable, 0L), low);
}

/**
 * uballoon_available - MemAvailable without the balloon's pages, and with those being reported
 * @ub:	balloon
 *
 * Free pages that are being reported count as free, for they will be soon. Whoever asks for
 * memory cannot have them yet: see uballoon_relief_missing(). Any process context.
 */
u64 uballoon_available(struct uballoon *ub)
{
	return max(all_available(ub) + soon_free(ub, NUMA_NO_NODE), 0L);
}

/**
 * uballoon_node_spare - what is free above the low watermarks, for an allocation
 * @nid:	of this node, or NUMA_NO_NODE for all
 * @gfp:	its zones, and what they keep from it for others
 */
u64 uballoon_node_spare(int nid, gfp_t gfp)
{
	enum zone_type highest = gfp_zone(gfp), i;
	u64 pages = 0;
	long spare;
	int node;

	for_each_online_node(node) {
		if (nid != NUMA_NO_NODE && nid != node)
			continue;
		for (i = 0; i <= highest; i++) {
			struct zone *zone = &NODE_DATA(node)->node_zones[i];

			spare = zone_page_state(zone, NR_FREE_PAGES) - low_wmark_pages(zone) -
				zone->lowmem_reserve[highest];
			pages += max(spare, 0L);
		}
	}
	return pages;
}

/* Free, or files, where an allocation cannot have it: above its zones. */
static long node_out_of_reach(int nid, gfp_t gfp)
{
	unsigned int i;
	long pages = 0;

	for (i = gfp_zone(gfp) + 1; i < MAX_NR_ZONES; i++) {
		struct zone *zone = &NODE_DATA(nid)->node_zones[i];

		pages += zone_page_state(zone, NR_FREE_PAGES) +
			 zone_page_state(zone, NR_ZONE_ACTIVE_FILE) +
			 zone_page_state(zone, NR_ZONE_INACTIVE_FILE);
	}
	return pages;
}

/* The balloon's pages on the node. Called with ub->lock held. */
static u64 node_held(struct uballoon *ub, int nid)
{
	u64 pages = 0;
	unsigned int i;

	for (i = 0; i < MAX_NR_ZONES; i++)
		pages += ub->zones[nid * MAX_NR_ZONES + i].held_pages;
	return pages;
}

/* By the node's part of the guest's RAM. */
static u64 node_share(struct uballoon *ub, int nid, u64 pages)
{
	return div64_u64(pages * node_present_pages(nid), max(uballoon_ram(ub), 1ULL));
}

/**
 * uballoon_richest_node - from which node to take memory
 * @ub:		balloon
 * @may_reclaim: what is available counts, not only what is free
 * @gfp:	of the allocation: what it cannot have does not count
 *
 * The one that has most beyond its share of what LOCK leaves alone: below it reclaim would take
 * back what is taken there.
 *
 * Return: NUMA_NO_NODE if there is but one.
 */
int uballoon_richest_node(struct uballoon *ub, bool may_reclaim, gfp_t gfp)
{
	u64 line = READ_ONCE(ub->relief_pages);
	int nid, best = NUMA_NO_NODE;
	s64 most = S64_MIN, pages;

	if (num_online_nodes() == 1)
		return NUMA_NO_NODE;
	line += line / UBALLOON_RELIEF_STEP;
	for_each_online_node(nid) {
		if (!node_present_pages(nid))
			continue;
		if (may_reclaim)
			pages = node_available(ub, nid) - node_out_of_reach(nid, gfp);
		else
			pages = uballoon_node_spare(nid, gfp);
		pages -= node_share(ub, nid, line);
		if (pages > most) {
			most = pages;
			best = nid;
		}
	}
	return best;
}

/**
 * uballoon_poorest_node - where memory is shortest, by the measure of the node's size
 * @ub:	balloon
 *
 * Return: NUMA_NO_NODE if there is but one.
 */
int uballoon_poorest_node(struct uballoon *ub)
{
	u64 least = U64_MAX, permille;
	int nid, best = NUMA_NO_NODE;

	if (num_online_nodes() == 1)
		return NUMA_NO_NODE;
	for_each_online_node(nid) {
		if (!node_present_pages(nid))
			continue;
		permille = div64_u64(max(node_available(ub, nid), 0L) * 1000ULL,
				     node_present_pages(nid));
		if (permille < least) {
			least = permille;
			best = nid;
		}
	}
	return best;
}

/**
 * uballoon_relief_missing - what a node has too little by the relief line
 * @ub:		balloon
 * @nid:	online node
 * @begun:	relief is being given: go on to the line and its step
 *
 * Return: pages, at most what the host lets go of; 0 = nothing.
 */
u64 uballoon_relief_missing(struct uballoon *ub, int nid, bool begun)
{
	u64 line = READ_ONCE(ub->relief_pages), room;
	long available;

	if (!line)
		return 0;
	if (num_online_nodes() > 1) {
		available = node_available(ub, nid);
		line = node_share(ub, nid, line);
	} else {
		available = all_available(ub);
	}
	/* Half of the line: who asks now may be through with the rest before they are free. */
	available = max(available + min_t(long, soon_free(ub, nid), line / 2), 0L);
	if (available >= line && !begun)
		return 0;
	line += line / UBALLOON_RELIEF_STEP;
	if (available >= line)
		return 0;
	spin_lock(&ub->lock);
	room = uballoon_total(ub);
	room -= min(room, uballoon_firm(ub));
	room = min(room, node_held(ub, nid));
	spin_unlock(&ub->lock);
	return min_t(u64, line - available, room);
}
