// SPDX-License-Identifier: GPL-2.0-only
/*
 * untold.c - pages that the guest has again, and the host is still to be told about
 *
 * A host that need not be told first may be told later. So where it stalls and all batches
 * are with it, its pages are free at once; what they were is kept here as runs of page
 * frame numbers, and told when it answers again (migrate.c). Until then no page is handed
 * over to it: it would hear that it has the page before it hears that it had lost it.
 *
 * There is room for so many runs. What goes beyond is not told at all, and counted: the host
 * takes such a page for one that it holds until it is handed over once more, which costs it
 * nothing, while a guest that waits for a silent host may lose a program.
 *
 * Left out: hosts with UBALLOON_CAP_MUST_TELL, which are waited for.
 */
#include <linux/mm.h>

#include "core.h"

/* 64 KiB of them. Runs of 2 MiB pages make that 8 GiB at least. */
#define UNTOLD_RUNS	4096

struct uballoon_run {
	unsigned long pfn;
	unsigned long count;
};

int uballoon_untold_init(struct uballoon *ub)
{
	ub->untold = kvcalloc(UNTOLD_RUNS, sizeof(*ub->untold), GFP_KERNEL);
	return ub->untold ? 0 : -ENOMEM;
}

void uballoon_untold_exit(struct uballoon *ub)
{
	kvfree(ub->untold);
}

/**
 * uballoon_untold_add - note pages that are about to be freed
 * @ub:		balloon
 * @pages:	linked by lru, best in ascending order
 * @order:	of each
 */
void uballoon_untold_add(struct uballoon *ub, struct list_head *pages, unsigned int order)
{
	unsigned long pfn, count = 1UL << order;
	struct uballoon_run *run;
	struct page *page;

	spin_lock(&ub->lock);
	list_for_each_entry(page, pages, lru) {
		run = ub->untold_count ? &ub->untold[ub->untold_count - 1] : NULL;
		pfn = page_to_pfn(page);
		if (run && pfn + count == run->pfn) {
			run->pfn = pfn;
		} else if (!run || pfn != run->pfn + run->count) {
			if (ub->untold_count == UNTOLD_RUNS) {
				ub->internals.untold_lost_pages += count;
				continue;
			}
			run = &ub->untold[ub->untold_count++];
			run->pfn = pfn;
			run->count = 0;
		}
		run->count += count;
		ub->untold_pages += count;
	}
	spin_unlock(&ub->lock);
	uballoon_migrate_retry(ub);
}

/**
 * uballoon_untold_any - is the host to be told about pages before it gets any?
 * @ub:	balloon
 */
bool uballoon_untold_any(struct uballoon *ub)
{
	return READ_ONCE(ub->untold_count) || READ_ONCE(ub->telling);
}

/**
 * uballoon_untold_refuse - do not hand over pages that the host is still to be told about
 * @ub:	balloon
 * @b:	batch with pages that have just been allocated, and are no one's yet
 *
 * Who allocates has seen before that there are none, but some may have been freed since and be
 * among these. If so, all are freed again.
 *
 * Return: whether that was so.
 */
bool uballoon_untold_refuse(struct uballoon *ub, struct uballoon_batch *b)
{
	bool any;

	/* Locked: what is being taken out to be told is in neither for an instant. */
	spin_lock(&ub->lock);
	any = uballoon_untold_any(ub);
	spin_unlock(&ub->lock);
	if (!any)
		return false;
	uballoon_pages_free(&b->pages, b->order);
	b->count = 0;
	return true;
}

/**
 * uballoon_untold_tell - tell the host about one batch of them
 * @ub:	balloon; uballoon.migrate_work, which nobody else runs
 *
 * Return: how many they were. 0: there are none, or there is no batch.
 */
unsigned int uballoon_untold_tell(struct uballoon *ub)
{
	struct uballoon_batch *b;
	struct uballoon_run *run;
	unsigned int count = 0;

	if (!uballoon_untold_any(ub))
		return 0;
	b = uballoon_batch_get(ub, UBALLOON_RESERVED);
	if (!b)
		return 0;
	spin_lock(&ub->lock);
	while (ub->untold_count && count < UBALLOON_BATCH_OLD) {
		run = &ub->untold[ub->untold_count - 1];
		b->old_pages[count++] = pfn_to_page(run->pfn + --run->count);
		if (!run->count)
			ub->untold_count--;
	}
	ub->untold_pages -= count;
	ub->telling = count;
	spin_unlock(&ub->lock);
	if (!count) {
		uballoon_batch_put(ub, b);
		return 0;
	}
	b->unlock = true;
	b->hold = UBALLOON_HOLD_TOLD;
	b->old_count = count;
	b->old_free = true;
	ub->host->ops->unlock(ub->host, b);
	WRITE_ONCE(ub->telling, false);
	/* LOCK may be waiting for that. */
	wake_up_all(&ub->wait);
	return count;
}

/**
 * uballoon_untold_forget - there is nobody to be told any more
 * @ub:	balloon; its device has been reset
 */
void uballoon_untold_forget(struct uballoon *ub)
{
	spin_lock(&ub->lock);
	ub->untold_count = 0;
	ub->untold_pages = 0;
	spin_unlock(&ub->lock);
}
