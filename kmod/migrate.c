// SPDX-License-Identifier: GPL-2.0-only
/*
 * migrate.c - compaction moves 4 KiB balloon pages
 *
 * The kernel's balloon compaction isolates a page from its list and offers a
 * free one in its place, page after page, under page locks. So nothing is
 * said to the host here. The new page joins the list of pages that the host
 * does not know of yet: it can be freed or moved again at once. The old page
 * is the guest's again at once if it was new or held quietly; if the host
 * wants to be told, it is kept in an array until that has happened. A work
 * item then hands the new pages over and the old ones back, in batches.
 *
 * Invariant: the balloon's size does not change.
 *
 * Left out: 2 MiB pages; they already are what compaction works for.
 */
#include <linux/migrate.h>
#include <linux/mm.h>

#include "core.h"

/* Time for more pages to come: compaction moves them one by one. */
#define GATHER_MS	20
/* How long the kernel waits for a page that can be moved only when the host has answered. */
#define BUSY_MS		100
/* And until what could not be done is tried again. */
#define RETRY_MS	200

#ifdef CONFIG_BALLOON_MIGRATION

/*
 * The kernel tries a page that cannot be moved now ten times and, if memory is to go offline,
 * again and again until it is told to stop: not without a pause. Nothing is done here for the
 * host's answers: they are waited for by others, and page locks are held.
 */
static void wait_for_room(struct uballoon *ub, enum migrate_mode mode)
{
	ub->internals.migrate_busy_events++;
	spin_unlock(&ub->lock);
	mod_delayed_work(ub->wq, &ub->migrate_work, 0);
	if (mode == MIGRATE_SYNC && READ_ONCE(ub->offlining))
		wait_event_interruptible_timeout(ub->wait, READ_ONCE(ub->gone) ||
						 READ_ONCE(ub->old_count) < UBALLOON_OLD_PAGES,
						 msecs_to_jiffies(BUSY_MS));
}

static int migrate_page(struct balloon_dev_info *dev, struct page *new_page, struct page *page,
			enum migrate_mode mode)
{
	struct uballoon_list_4k *list = container_of(dev, struct uballoon_list_4k, dev);
	struct uballoon *ub = list->ub;
	bool told = list->hold == UBALLOON_HOLD_TOLD;
	int r;

	if (!uballoon_core_enter(ub))
		return -EAGAIN;

	spin_lock(&ub->lock);
	if (told && ub->old_count >= UBALLOON_OLD_PAGES) {
		wait_for_room(ub, mode);
		uballoon_core_leave(ub);
		return -EAGAIN;
	}
	if (told)
		ub->old_pages[ub->old_count++] = page;
	uballoon_accounts_replace(ub, page, new_page);
	ub->counters.migrated_pages++;
	spin_unlock(&ub->lock);

	r = uballoon_list_replace(dev, page,
				  &uballoon_zone(ub, new_page)->lists_4k[UBALLOON_HOLD_NEW].dev,
				  new_page, told);
	queue_delayed_work(ub->wq, &ub->migrate_work, msecs_to_jiffies(GATHER_MS));
	uballoon_core_leave(ub);
	return r;
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

/*
 * Hands one batch of new pages to the host, not more than it has released old
 * ones if it minds the difference. Returns the pages.
 */
static unsigned int lock_new(struct uballoon *ub)
{
	struct uballoon_batch *b = uballoon_batch_get(ub, UBALLOON_RESERVED);
	bool owed = ub->host->unlock_first, untold;
	unsigned int count;

	if (!b)
		return 0;
	b->migration = true;
	uballoon_take_new(ub, b, owed ? READ_ONCE(ub->owed_pages) : UINT_MAX);
	count = b->count;
	spin_lock(&ub->lock);
	/* Some may have been freed untold since, and have come here by compaction. */
	untold = uballoon_untold_any(ub);
	if (owed && !untold)
		ub->owed_pages -= count;
	spin_unlock(&ub->lock);
	if (count && untold) {
		uballoon_lists_add(ub, UBALLOON_BASE_ORDER, UBALLOON_HOLD_NEW, &b->pages);
		count = 0;
	}
	if (!count) {
		uballoon_batch_put(ub, b);
		return 0;
	}
	ub->host->ops->lock(ub->host, b);
	return count;
}

/*
 * Tells the host about the old pages; they are freed when it has answered.
 * Returns those that it has not refused at once, which are kept for another try.
 */
static unsigned int unlock_old(struct uballoon *ub)
{
	struct uballoon_batch *b = uballoon_batch_get(ub, UBALLOON_RESERVED);
	unsigned int count;

	if (!b)
		return 0;
	spin_lock(&ub->lock);
	count = min_t(unsigned int, ub->old_count, UBALLOON_BATCH_OLD);
	/* In turn: those that are refused come behind the others. */
	ub->old_count -= count;
	ub->old_away += count;
	memcpy(b->old_pages, ub->old_pages, count * sizeof(b->old_pages[0]));
	memmove(ub->old_pages, ub->old_pages + count, ub->old_count * sizeof(ub->old_pages[0]));
	spin_unlock(&ub->lock);
	if (!count) {
		uballoon_batch_put(ub, b);
		return 0;
	}
	b->unlock = true;
	b->migration = true;
	b->hold = UBALLOON_HOLD_TOLD;
	b->old_count = count;
	atomic_inc(&b->parts);
	ub->host->ops->unlock(ub->host, b);
	count -= READ_ONCE(b->old_refused);
	uballoon_batch_put(ub, b);
	spin_lock(&ub->lock);
	ub->owed_pages += count;
	spin_unlock(&ub->lock);
	return count;
}

static unsigned int catch_up(struct uballoon *ub)
{
	unsigned int count = uballoon_untold_tell(ub);

	/* What it does not hold any more it must know before it gets it again. */
	if (uballoon_untold_any(ub))
		return count;
	/* The host first gets, then gives, if it may: so it never holds less than it should. */
	if (!ub->host->unlock_first) {
		count += lock_new(ub);
		return count + unlock_old(ub);
	}
	count += unlock_old(ub);
	return count + lock_new(ub);
}

static bool batch_free(struct uballoon *ub, const void *arg)
{
	return READ_ONCE(ub->free_count) > UBALLOON_RESERVED;
}

/* The host has all batches. That it is silent is said once, but it may have lost what it had. */
static void remind(struct uballoon *ub)
{
	if (!READ_ONCE(ub->silent))
		uballoon_host_silent(ub, "earlier requests");
	else if (ub->host->ops->nudge)
		ub->host->ops->nudge(ub->host);
}

/**
 * uballoon_migrate_work - bring the host up to date
 * @work:	uballoon.migrate_work
 */
void uballoon_migrate_work(struct work_struct *work)
{
	struct uballoon *ub = container_of(to_delayed_work(work), struct uballoon, migrate_work);
	ktime_t until;
	bool left;
	u32 stop;

	if (!uballoon_core_enter(ub))
		return;
	do {
		until = ktime_add_ms(ktime_get(), UBALLOON_HOST_WAIT_MS);
		stop = uballoon_wait(ub, batch_free, NULL, until, TASK_KILLABLE);
		if (stop == UBALLOON_STOP_BUDGET)
			remind(ub);
		if (stop != UBALLOON_STOP_NONE)
			break;
		wake_up_all(&ub->wait);
		cond_resched();
	} while (catch_up(ub));
	spin_lock(&ub->lock);
	left = ub->old_count || ub->untold_count || uballoon_lists_have_new(ub);
	/* New pages that the guest has taken back meanwhile are not to be made up for. */
	if (!left)
		ub->owed_pages = 0;
	spin_unlock(&ub->lock);
	/* No batch, or pages that compaction has at the moment. */
	if (left)
		uballoon_migrate_retry(ub);
	uballoon_core_leave(ub);
}

/**
 * uballoon_migrate_retry - bring the host up to date some time later
 * @ub:	balloon
 */
void uballoon_migrate_retry(struct uballoon *ub)
{
	queue_delayed_work(ub->wq, &ub->migrate_work, msecs_to_jiffies(RETRY_MS));
}
