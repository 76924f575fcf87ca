// SPDX-License-Identifier: GPL-2.0-only
/*
 * pages.c - balloon pages and the kernel's page allocator
 *
 * Those on a list are marked PageOffline, for which crash dumps and /proc/kcore skip them: the
 * 4 KiB pages by the kernel's balloon lists, the 2 MiB pages here.
 *
 * Left out: the kernel's books (accounts.c) and the lists (lists.c).
 */
#include <linux/list_sort.h>
#include <linux/mm.h>

#include "core.h"

/* 4 KiB pages between two looks at the clock. */
#define ALLOC_CHUNK	64

static int by_address(void *priv, const struct list_head *a, const struct list_head *b)
{
	const struct page *pa = list_entry(a, struct page, lru);
	const struct page *pb = list_entry(b, struct page, lru);

	return page_to_pfn(pa) > page_to_pfn(pb);
}

/* Neighbours go to the host together, and hosts like ascending addresses. */
void uballoon_pages_sort(struct list_head *pages)
{
	list_sort(NULL, pages, by_address);
}

/**
 * uballoon_pages_alloc - allocate pages onto a list, 4 KiB pages in ascending order
 * @pages:	empty
 * @order:	of each
 * @nid:	from this node, or the nearest one without __GFP_THISNODE; NUMA_NO_NODE
 * @count:	how many are wanted
 * @gfp:	how
 * @until:	stop then, with at least one page. A tick more or less does not matter, but
 *		that each look at the fine clock may be a trip to the host does
 *
 * Return: how many it became.
 */
unsigned int uballoon_pages_alloc(struct list_head *pages, unsigned int order, int nid,
				  unsigned int count, gfp_t gfp, ktime_t until)
{
	unsigned int chunk, got = 0;
	struct page *page;

	if (order == UBALLOON_LARGE_ORDER) {
		while (got < count && !uballoon_params.refuse_2m) {
			page = alloc_pages_node(nid, gfp, UBALLOON_LARGE_ORDER);
			if (!page)
				break;
			list_add_tail(&page->lru, pages);
			got++;
			if (ktime_after(ktime_get_coarse(), until))
				break;
		}
		return got;
	}

	while (got < count) {
		chunk = uballoon_alloc_bulk(gfp, nid, min(count - got, (unsigned int)ALLOC_CHUNK),
					    pages);
		if (!chunk)
			break;
		got += chunk;
		if (ktime_after(ktime_get_coarse(), until))
			break;
	}
	uballoon_pages_sort(pages);
	return got;
}

/* Whether a 2 MiB page is marked whole. */
static bool marked(struct page *page)
{
	return PageOffline(page + UBALLOON_LARGE_PAGES - 1);
}

/**
 * uballoon_page_mark - mark a 2 MiB page as offline
 * @page:	its first page
 * @whole:	all of its pages, because each is looked at by itself; else the first only
 *
 * Ascending, and whoever may look is kept out until it is done: the last page tells.
 */
void uballoon_page_mark(struct page *page, bool whole)
{
	unsigned int i;

	if (marked(page))
		return;
	if (!PageOffline(page))
		__SetPageOffline(page);
	for (i = 1; whole && i < UBALLOON_LARGE_PAGES; i++)
		__SetPageOffline(page + i);
}

static void unmark(struct page *page)
{
	unsigned int i, n = marked(page) ? UBALLOON_LARGE_PAGES : 1;

	for (i = 0; i < n; i++)
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
	struct page *page, *next;

	spin_lock(&ub->lock);
	uballoon_accounts_change(ub, pages, order, -1);
	spin_unlock(&ub->lock);

	/* Page by page: the kernel looks at each struct page, too, and finds it in the cache. */
	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		if (order == UBALLOON_LARGE_ORDER)
			unmark(page);
		__free_pages(page, order);
	}
}
