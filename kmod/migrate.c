// SPDX-License-Identifier: GPL-2.0-only
/*
 * migrate.c - compaction moves a 4 KiB balloon page
 *
 * The kernel's balloon compaction isolates a page from its list and offers a
 * free one in its place. The new page goes to the host like any other, in a
 * batch of its own, and joins a list when the host answers; the old one is
 * the guest's again at once if it was held quietly, or else when the host has
 * been told (and has acknowledged it, where it must). Nothing is waited for:
 * this runs under page locks.
 *
 * Invariant: the balloon's size does not change; the new page stands for the
 * old one while it is with the host.
 *
 * Left out: 2 MiB pages; they already are what compaction works for.
 */
#include <linux/migrate.h>
#include <linux/mm.h>

#include "core.h"

#ifdef CONFIG_BALLOON_COMPACTION

static int migrate_page(struct balloon_dev_info *dev, struct page *new_page, struct page *page,
			enum migrate_mode mode)
{
	struct uballoon_list_4k *list = container_of(dev, struct uballoon_list_4k, dev);
	struct uballoon *ub = list->ub;
	struct uballoon_batch *lock, *unlock = NULL;
	bool told = list->hold == UBALLOON_HOLD_TOLD;
	unsigned long flags;

	if (!uballoon_core_enter(ub))
		return -EAGAIN;
	lock = uballoon_batch_get(ub, UBALLOON_RESERVED);
	if (lock && told) {
		unlock = uballoon_batch_get(ub, UBALLOON_RESERVED);
		if (!unlock) {
			uballoon_batch_put(ub, lock);
			lock = NULL;
		}
	}
	if (!lock) {
		spin_lock(&ub->lock);
		ub->internals.migrate_busy_events++;
		spin_unlock(&ub->lock);
		uballoon_core_leave(ub);
		return -EAGAIN;
	}

	spin_lock_irqsave(&dev->pages_lock, flags);
	dev->isolated_pages--;
	spin_unlock_irqrestore(&dev->pages_lock, flags);
	count_vm_event(BALLOON_MIGRATE);
	balloon_page_finalize(page);

	get_page(new_page);
	list_add(&new_page->lru, &lock->pages);
	lock->count = 1;
	lock->migration = true;
	ub->host->ops->lock(ub->host, lock);

	if (told) {
		/* Freed when the host has answered, whether it must be waited for or not. */
		unlock->unlock = true;
		unlock->hold = UBALLOON_HOLD_TOLD;
		unlock->old_page = page;
		unlock->count = 1;
		ub->host->ops->unlock(ub->host, unlock);
	} else {
		uballoon_free_old_page(ub, page);
	}

	spin_lock(&ub->lock);
	ub->counters.migrated_pages++;
	spin_unlock(&ub->lock);
	uballoon_core_leave(ub);
	return MIGRATEPAGE_SUCCESS;
}

void uballoon_migrate_init(struct balloon_dev_info *dev)
{
	dev->migratepage = migrate_page;
}

#else

void uballoon_migrate_init(struct balloon_dev_info *dev)
{
}

#endif
