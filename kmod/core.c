// SPDX-License-Identifier: GPL-2.0-only
/*
 * core.c - the life of a balloon, its bounds and its lease
 *
 * A balloon lives as long as a host's device is bound, and its memory until
 * the last file is closed. It lies between two bounds (ceiling, floor) that
 * others set, and moves only through move.c.
 *
 * Invariants: there is one balloon; once it is "gone" nobody enters; whoever
 * is inside leaves soon.
 *
 * Left out: moving pages (move.c, batch.c, release.c), telling how things are (state.c).
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "core.h"

/* The lease is looked at so often in its course, ... */
#define LEASE_TICKS	16
/* ... but not more often than that: a busy guest is late by a tick of its clock or two. */
#define LEASE_TICK_MIN	(HZ / 20)

static DEFINE_MUTEX(uballoon_only_lock);
static bool uballoon_only;		/* protected by uballoon_only_lock */

/*
 * The balloon, in pages of the kernel. A host that moves them itself is asked, so two
 * calls may differ: compute from one answer.
 */
u64 uballoon_total(struct uballoon *ub)
{
	lockdep_assert_held(&ub->lock);
	if (ub->host->ops->pages)
		ub->size[UBALLOON_4K] = ub->host->ops->pages(ub->host);
	return ub->size[UBALLOON_4K] + ub->size[UBALLOON_2M];
}

/**
 * uballoon_left - what has to be given back before all is
 * @ub:	balloon; locked
 *
 * Who gives back claims pages before they are free; only the accounts have them until then.
 *
 * Return: pages of the kernel.
 */
u64 uballoon_left(struct uballoon *ub)
{
	return max(uballoon_total(ub), ub->available_pages + ub->gone_pages) + ub->inflight_pages;
}

/**
 * uballoon_size_add - so many pages more are in the balloon, or not off it after all
 * @ub:		balloon; locked
 * @ps:		of that size
 * @pages:	in pages of the kernel
 *
 * Pays first for pages that had to leave while all there were had been claimed.
 */
void uballoon_size_add(struct uballoon *ub, enum uballoon_pagesize ps, u64 pages)
{
	u64 debt = ps == UBALLOON_4K ? min(ub->size_debt, pages) : 0;

	lockdep_assert_held(&ub->lock);
	ub->size_debt -= debt;
	ub->size[ps] += pages - debt;
}

/* Pages that the balloon holds. Any process context. */
u64 uballoon_size(struct uballoon *ub)
{
	u64 pages;

	spin_lock(&ub->lock);
	pages = uballoon_total(ub);
	spin_unlock(&ub->lock);
	return pages;
}

/* The guest's RAM, balloon included. */
u64 uballoon_ram(struct uballoon *ub)
{
	u64 pages;

	spin_lock(&ub->lock);
	pages = totalram_pages();
	pages += ub->host->ops->pages ? uballoon_total(ub) : ub->gone_pages;
	spin_unlock(&ub->lock);
	return pages;
}

/*
 * What LOCK leaves of what is available: a share that falls as the guest
 * grows, as the Hyper-V and Xen drivers have it.
 */
u64 uballoon_floor(struct uballoon *ub)
{
	u64 ram_mb = uballoon_ram(ub) >> (20 - PAGE_SHIFT);
	u64 floor_mb;

	if (uballoon_params.floor_mb >= 0)
		floor_mb = uballoon_params.floor_mb;
	else if (ram_mb < 128)
		floor_mb = 8 + ram_mb / 2;
	else if (ram_mb < 512)
		floor_mb = 40 + ram_mb / 4;
	else if (ram_mb < 2048)
		floor_mb = 104 + ram_mb / 8;
	else if (ram_mb < 8192)
		floor_mb = 232 + ram_mb / 16;
	else
		floor_mb = 488 + ram_mb / 32;
	return floor_mb << (20 - PAGE_SHIFT);
}

u64 uballoon_host_bound(struct uballoon *ub)
{
	lockdep_assert_held(&ub->lock);
	if (ub->host->caps & UBALLOON_CAP_GUEST_DRIVEN)
		return U64_MAX;
	return ub->host_target_valid ? ub->host_target_pages : 0;
}

/**
 * uballoon_insisted - the balloon that the host does not let go of
 * @ub:	balloon; locked
 */
u64 uballoon_insisted(struct uballoon *ub)
{
	lockdep_assert_held(&ub->lock);
	if (!ub->host_target_valid || (ub->host->caps & UBALLOON_CAP_DEFLATE_ON_OOM) || ub->gone)
		return 0;
	return ub->host_target_pages;
}

/**
 * uballoon_firm - the part of the balloon that is not the guest's to have at will
 * @ub:	balloon; locked
 */
u64 uballoon_firm(struct uballoon *ub)
{
	if (ub->host->keeps_target && ub->host_target_valid && !ub->gone)
		return ub->host_target_pages;
	return uballoon_insisted(ub);
}

/**
 * uballoon_min_size - the size below which the host does not allow to deflate
 * @ub:	balloon; locked
 */
u64 uballoon_min_size(struct uballoon *ub)
{
	return min(uballoon_insisted(ub), ub->size[UBALLOON_4K] + ub->size[UBALLOON_2M]);
}

u32 uballoon_holdoff_left_ms(struct uballoon *ub)
{
	u64 now = get_jiffies_64();

	lockdep_assert_held(&ub->lock);
	/* One look at the clock: it may be far on at the next, if the guest did not run. */
	return now < ub->holdoff_end ? jiffies_to_msecs(ub->holdoff_end - now) : 0;
}

/* ---- bounds and lease ---- */

/* From one look at the lease to the next, in jiffies. */
static unsigned long lease_share(struct uballoon *ub)
{
	return max(msecs_to_jiffies(ub->lease_ms) / LEASE_TICKS, (unsigned long)LEASE_TICK_MIN);
}

static void restart_lease(struct uballoon *ub)
{
	unsigned long share = lease_share(ub), now = jiffies;

	lockdep_assert_held(&ub->lock);
	ub->lease_end = now + msecs_to_jiffies(ub->lease_ms);
	ub->lease_tick = now + share;
	if (ub->lease_ms)
		mod_delayed_work(ub->wq, &ub->lease_work, share);
	else
		cancel_delayed_work(&ub->lease_work);
}

void uballoon_core_set_target(struct uballoon *ub, const struct uballoon_target *t)
{
	spin_lock(&ub->lock);
	/* Never more held than asked for, and never less given back or left alone. */
	ub->ceiling_pages = uballoon_pages_down(t->ceiling_pages);
	ub->floor_pages = uballoon_pages_down(t->floor_pages);
	ub->relief_pages = uballoon_pages_up(t->relief_pages);
	ub->account = t->account;
	ub->lease_ms = t->lease_ms;
	ub->lease_expired = false;
	ub->draining = false;
	uballoon_accounts_settle(ub);
	restart_lease(ub);
	spin_unlock(&ub->lock);
}

int uballoon_core_keepalive(struct uballoon *ub)
{
	int r = 0;

	spin_lock(&ub->lock);
	if (ub->lease_expired)
		r = -ETIME;
	else
		restart_lease(ub);
	spin_unlock(&ub->lock);
	return r;
}

/**
 * uballoon_core_lease_expire - the lease's timer has fired
 * @ub:		balloon
 * @ret_next:	false: it is to be looked at again in so many jiffies, 0 = it is off
 *
 * Time in which the guest did not run is not counted: nobody could have renewed the lease in it.
 * A tick that comes much later than it should have shows such a time, which moves the end.
 *
 * Return: true if it has run out; the balloon is being emptied then.
 */
bool uballoon_core_lease_expire(struct uballoon *ub, unsigned long *ret_next)
{
	unsigned long now = jiffies, share;
	long late;

	spin_lock(&ub->lock);
	*ret_next = 0;
	if (!ub->lease_ms || ub->lease_expired) {
		spin_unlock(&ub->lock);
		return false;
	}
	share = lease_share(ub);
	late = now - ub->lease_tick;
	if (late > (long)share / 2)
		ub->lease_end += late;
	if (time_before(now, ub->lease_end)) {
		*ret_next = min(share, ub->lease_end - now);
		ub->lease_tick = now + *ret_next;
		spin_unlock(&ub->lock);
		return false;
	}
	ub->lease_expired = true;
	ub->ceiling_pages = 0;
	ub->floor_pages = 0;
	ub->counters.lease_events++;
	ub->relief_generation++;
	/* At once: who renews it right after this keeps what it takes then. */
	uballoon_start_drain(ub, &ub->counters.lease_pages);
	spin_unlock(&ub->lock);
	wake_up_all(&ub->poll_wait);
	return true;
}

/**
 * uballoon_host_target - the host wants the balloon to be that large
 * @ub:		balloon
 * @pages:	not necessarily a new value
 */
void uballoon_host_target(struct uballoon *ub, u64 pages)
{
	bool changed, drain;

	spin_lock(&ub->lock);
	changed = !ub->host_target_valid || ub->host_target_pages != pages;
	if (changed) {
		/* The first one is news only if it asks for something. */
		if (ub->host_target_valid || pages) {
			ub->host_generation++;
			ub->counters.host_target_events++;
		}
		ub->host_target_valid = true;
		ub->host_target_pages = pages;
		uballoon_accounts_settle(ub);
	}
	drain = changed && ub->draining;
	spin_unlock(&ub->lock);
	if (!changed)
		return;
	wake_up_all(&ub->poll_wait);
	/* A host that did not allow to empty the balloon may do so now. */
	if (drain)
		mod_delayed_work(ub->wq, &ub->drain_work, 0);
}

/**
 * uballoon_host_reset - the host has started over and holds nothing any more
 * @ub:	balloon
 *
 * Frees all pages. Until it returns, ops->lock() must refuse (RESET), and ops->unlock() must agree
 * at once; afterwards no page of before will ever be given to ops->unlock(). Calls of the device
 * go on. Process context, may sleep.
 */
void uballoon_host_reset(struct uballoon *ub)
{
	ktime_t until;
	u32 stop;
	u64 got;

	spin_lock(&ub->lock);
	ub->counters.pop_events++;
	ub->host_generation++;
	spin_unlock(&ub->lock);
	while (!uballoon_is_empty(ub)) {
		/* Here, and by no works: those stand still in a guest that goes to sleep. */
		uballoon_reap(ub);
		uballoon_old_pages_drop(ub);
		until = ktime_add_ms(ktime_get(), UBALLOON_HOST_WAIT_MS);
		got = uballoon_give_back(ub, NUMA_NO_NODE, U64_MAX, until, TASK_UNINTERRUPTIBLE,
					 &stop);
		spin_lock(&ub->lock);
		ub->counters.pop_pages += got;
		spin_unlock(&ub->lock);
		/* The rest is with compaction, or in a call that is about to end. */
		if (!got)
			msleep(20);
	}
	wake_up_all(&ub->poll_wait);
}

/* ---- life ---- */

static void reap_work(struct work_struct *work)
{
	struct uballoon *ub = container_of(to_delayed_work(work), struct uballoon, reap_work);

	spin_lock(&ub->lock);
	ub->internals.reap_work_events++;
	spin_unlock(&ub->lock);
	uballoon_reap(ub);
}

static void release(struct kref *ref)
{
	kfree(container_of(ref, struct uballoon, ref));
}

void uballoon_core_get(struct uballoon *ub)
{
	kref_get(&ub->ref);
}

void uballoon_core_put(struct uballoon *ub)
{
	kref_put(&ub->ref, release);
}

/**
 * uballoon_core_enter - begin to use the balloon
 * @ub:	balloon that the caller holds a reference to
 *
 * Return: false if its device is going away or suspended. Else uballoon_core_leave() must
 * follow soon.
 */
bool uballoon_core_enter(struct uballoon *ub)
{
	bool ok;

	spin_lock(&ub->lock);
	ok = !ub->gone && !ub->suspended;
	ub->users += ok;
	spin_unlock(&ub->lock);
	return ok;
}

void uballoon_core_leave(struct uballoon *ub)
{
	bool last;

	spin_lock(&ub->lock);
	last = !--ub->users && (ub->gone || ub->suspended);
	/* Locked: who waits for that may free it all as soon as it has the lock. */
	if (last)
		wake_up_all(&ub->wait);
	spin_unlock(&ub->lock);
}

/**
 * uballoon_core_new - make the balloon of a host's device
 * @host:	ops set
 *
 * Return: host->core; -EBUSY if there is a balloon already.
 */
struct uballoon *uballoon_core_new(struct uballoon_host *host)
{
	struct uballoon *ub;
	int r;

	mutex_lock(&uballoon_only_lock);
	r = uballoon_only ? -EBUSY : 0;
	uballoon_only = true;
	mutex_unlock(&uballoon_only_lock);
	if (r)
		return ERR_PTR(r);

	r = -ENOMEM;
	ub = kzalloc(sizeof(*ub), GFP_KERNEL);
	if (!ub)
		goto err_only;
	kref_init(&ub->ref);
	ub->host = host;
	spin_lock_init(&ub->lock);
	INIT_LIST_HEAD(&ub->refused);
	INIT_LIST_HEAD(&ub->whole);
	INIT_LIST_HEAD(&ub->parts);
	INIT_LIST_HEAD(&ub->free_batches);
	init_llist_head(&ub->done);
	ub->size_told = jiffies;
	init_waitqueue_head(&ub->wait);
	init_waitqueue_head(&ub->poll_wait);
	INIT_DELAYED_WORK(&ub->reap_work, reap_work);
	INIT_DELAYED_WORK(&ub->drain_work, uballoon_drain_work);
	INIT_DELAYED_WORK(&ub->migrate_work, uballoon_migrate_work);
	INIT_DELAYED_WORK(&ub->mark_work, uballoon_mark_work);

	r = uballoon_lists_init(ub);
	if (r)
		goto err_free;
	r = uballoon_untold_init(ub);
	if (r)
		goto err_lists;
	r = -ENOMEM;
	ub->wq = alloc_workqueue("uballoon", WQ_MEM_RECLAIM | WQ_FREEZABLE | WQ_UNBOUND, 0);
	if (!ub->wq)
		goto err_untold;
	r = uballoon_batch_init(ub);
	if (r)
		goto err_batch;
	host->core = ub;
	return ub;

err_batch:
	uballoon_batch_exit(ub);
	destroy_workqueue(ub->wq);
err_untold:
	uballoon_untold_exit(ub);
err_lists:
	uballoon_lists_exit(ub);
err_free:
	kfree(ub);
err_only:
	mutex_lock(&uballoon_only_lock);
	uballoon_only = false;
	mutex_unlock(&uballoon_only_lock);
	return ERR_PTR(r);
}

static bool nothing_inflight(struct uballoon *ub, const void *arg)
{
	return READ_ONCE(ub->free_count) == UBALLOON_BATCHES;
}

static bool no_users(struct uballoon *ub, const void *arg)
{
	return !READ_ONCE(ub->users);
}

/* Gives all back, as long as the host plays along. */
static void give_all_back(struct uballoon *ub)
{
	ktime_t patience = ktime_add_ms(ktime_get(), UBALLOON_HOST_WAIT_MS);
	u32 stop;
	u64 got;

	do {
		got = uballoon_give_back(ub, NUMA_NO_NODE, U64_MAX, patience, TASK_UNINTERRUPTIBLE,
					 &stop);
		spin_lock(&ub->lock);
		ub->counters.pop_pages += got;
		spin_unlock(&ub->lock);
		cond_resched();
	} while (got && uballoon_is_free(stop));
	if (uballoon_wait(ub, nothing_inflight, NULL, patience, TASK_UNINTERRUPTIBLE))
		uballoon_host_silent(ub, "requests before the device goes away");
}

/**
 * uballoon_core_stop - end all use and give the memory back
 * @ub:	balloon
 *
 * The host's device still works. Afterwards nothing calls the host but
 * answers that are late, until the device is reset.
 */
void uballoon_core_stop(struct uballoon *ub)
{
	ktime_t forever = ktime_set(KTIME_SEC_MAX, 0);

	spin_lock(&ub->lock);
	ub->gone = true;
	ub->ceiling_pages = 0;
	ub->floor_pages = 0;
	ub->counters.pop_events++;
	/* Nobody insists on anything any more. */
	uballoon_accounts_settle(ub);
	spin_unlock(&ub->lock);
	wake_up_all(&ub->wait);
	wake_up_all(&ub->poll_wait);
	uballoon_wait(ub, no_users, NULL, forever, TASK_UNINTERRUPTIBLE);
	cancel_delayed_work_sync(&ub->drain_work);
	cancel_delayed_work_sync(&ub->migrate_work);
	give_all_back(ub);
}

/**
 * uballoon_core_suspend - give the memory back, to go on later
 * @ub:	balloon; userspace and the work queue are frozen
 *
 * Those who are not frozen may still run into reclaim or compaction; they are
 * kept out until uballoon_core_resume().
 *
 * Return: 0: the device must be reset and uballoon_core_drop() be called next.
 * -EBUSY: somebody does not leave; nothing has changed.
 */
int uballoon_core_suspend(struct uballoon *ub)
{
	ktime_t until = ktime_add_ms(ktime_get(), 2 * UBALLOON_HOST_WAIT_MS);

	spin_lock(&ub->lock);
	ub->suspended = true;
	spin_unlock(&ub->lock);
	if (uballoon_wait(ub, no_users, NULL, until, TASK_UNINTERRUPTIBLE)) {
		uballoon_core_resume(ub);
		return -EBUSY;
	}

	spin_lock(&ub->lock);
	ub->ceiling_pages = 0;
	ub->floor_pages = 0;
	ub->counters.pop_events++;
	ub->relief_generation++;
	spin_unlock(&ub->lock);
	give_all_back(ub);
	wake_up_all(&ub->poll_wait);
	return 0;
}

/**
 * uballoon_core_resume - take requests again
 * @ub:	balloon; its device works
 */
void uballoon_core_resume(struct uballoon *ub)
{
	spin_lock(&ub->lock);
	ub->suspended = false;
	spin_unlock(&ub->lock);
}

/**
 * uballoon_core_drop - free all pages without a word to the host
 * @ub:	balloon
 *
 * For a device that has been reset: it keeps nothing and answers nothing.
 */
void uballoon_core_drop(struct uballoon *ub)
{
	/* An answer that came last may still be being finished: once is enough. */
	cancel_delayed_work_sync(&ub->reap_work);
	uballoon_batch_drop(ub);
	/* Compaction may have taken pages off the lists; it puts them back. */
	while (uballoon_size(ub)) {
		msleep(20);
		uballoon_batch_drop(ub);
	}
}

/**
 * uballoon_core_free - the host's device is through with the balloon
 * @ub:	balloon; open files keep what they need of it
 */
void uballoon_core_free(struct uballoon *ub)
{
	cancel_delayed_work_sync(&ub->reap_work);
	cancel_delayed_work_sync(&ub->drain_work);
	cancel_delayed_work_sync(&ub->migrate_work);
	cancel_delayed_work_sync(&ub->mark_work);
	destroy_workqueue(ub->wq);
	WARN_ON_ONCE(ub->inflight_pages || ub->available_pages || ub->gone_pages);
	uballoon_batch_exit(ub);
	uballoon_lists_exit(ub);
	uballoon_untold_exit(ub);
	ub->host = NULL;
	uballoon_core_put(ub);

	mutex_lock(&uballoon_only_lock);
	uballoon_only = false;
	mutex_unlock(&uballoon_only_lock);
}
