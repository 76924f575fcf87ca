/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * balloon.h - the kernel's lists of balloon pages, which compaction moves
 *
 * Since linux/balloon.h exists, the lists have one lock that only the kernel takes, a page's own
 * lock does not matter, and the kernel finishes a migration after the driver's callback. Before,
 * each list has a lock that drivers share, and the callback does all of it.
 *
 * Also NR_BALLOON_PAGES, which the kernel keeps for what it puts on its lists and takes off them.
 *
 * Left out: the managed count. It is the module's (accounts.c), so adjust_managed_page_count of
 * struct balloon_dev_info stays unset.
 */
#ifndef _UBALLOON_COMPAT_BALLOON_H
#define _UBALLOON_COMPAT_BALLOON_H

#include <linux/mm.h>
#include <linux/vmstat.h>

#ifdef UBALLOON_HAVE_BALLOON_H
#include <linux/balloon.h>
#else
#include <linux/balloon_compaction.h>
#endif

#if !defined(CONFIG_BALLOON) && !defined(CONFIG_MEMORY_BALLOON)
#error "uballoon needs a kernel with balloon lists: CONFIG_BALLOON, or CONFIG_MEMORY_BALLOON"
#endif

#if defined(CONFIG_BALLOON_COMPACTION) && !defined(CONFIG_BALLOON_MIGRATION)
#define CONFIG_BALLOON_MIGRATION 1
#endif

/*
 * So many more single pages at @page are the balloon's, or fewer; for those that the kernel does
 * not count itself.
 */
static inline void uballoon_count_pages(struct page *page, long pages)
{
#ifdef UBALLOON_HAVE_NR_BALLOON_PAGES
	mod_node_page_state(page_pgdat(page), NR_BALLOON_PAGES, pages);
#endif
}

#ifdef UBALLOON_HAVE_BALLOON_H

/* Puts single pages on a list. @pages is empty afterwards. May sleep. */
static inline void uballoon_list_add(struct balloon_dev_info *list, struct list_head *pages)
{
	balloon_page_list_enqueue(list, pages);
}

/*
 * For migratepage: @new_page joins @new_list in the place of @page, isolated from @list, which is
 * let go of unless it is to be kept. Returns what the callback is to return.
 *
 * The kernel would put the new page on the old one's list. -ENOENT says that the old page has
 * left the balloon and the new one is none of the kernel's business: it counts a deflation then,
 * but leaves NR_BALLOON_PAGES alone.
 */
static inline int uballoon_list_replace(struct balloon_dev_info *list, struct page *page,
					struct balloon_dev_info *new_list, struct page *new_page,
					bool keep)
{
	get_page(new_page);
	balloon_page_enqueue(new_list, new_page);
	uballoon_count_pages(page, -1);
	count_vm_event(BALLOON_MIGRATE);
	if (keep)
		get_page(page);
	return -ENOENT;
}

#else

/* A page's lock is waited for: balloon_page_list_enqueue() takes one that is held for a bug. */
static inline void uballoon_list_add(struct balloon_dev_info *list, struct list_head *pages)
{
	struct page *page, *next;
	unsigned long flags;
	unsigned int n = 0;

	spin_lock_irqsave(&list->pages_lock, flags);
	list_for_each_entry_safe(page, next, pages, lru) {
		if (!trylock_page(page)) {
			spin_unlock_irqrestore(&list->pages_lock, flags);
			lock_page(page);
			spin_lock_irqsave(&list->pages_lock, flags);
		}
		list_del(&page->lru);
		balloon_page_insert(list, page);
		unlock_page(page);
		uballoon_count_pages(page, 1);
		n++;
	}
	spin_unlock_irqrestore(&list->pages_lock, flags);
	count_vm_events(BALLOON_INFLATE, n);
}

static inline int uballoon_list_replace(struct balloon_dev_info *list, struct page *page,
					struct balloon_dev_info *new_list, struct page *new_page,
					bool keep)
{
	unsigned long flags;

	get_page(new_page);
	spin_lock_irqsave(&new_list->pages_lock, flags);
	balloon_page_insert(new_list, new_page);
	spin_unlock_irqrestore(&new_list->pages_lock, flags);
	uballoon_count_pages(new_page, 1);
	uballoon_count_pages(page, -1);

	spin_lock_irqsave(&list->pages_lock, flags);
	list->isolated_pages--;
	spin_unlock_irqrestore(&list->pages_lock, flags);
	count_vm_event(BALLOON_MIGRATE);
	balloon_page_finalize(page);
	if (!keep)
		put_page(page);
	return 0;
}

#endif

#endif /* _UBALLOON_COMPAT_BALLOON_H */
