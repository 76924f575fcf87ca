// SPDX-License-Identifier: GPL-2.0-only
/*
 * release.c - the balloon's pages back to the guest
 *
 * One batch at a time, by whoever wants it: UNLOCK and POP (move.c), and unasked the OOM notifier,
 * the shrinker (reclaim.c) and the background. Pages that the host need not be told about go
 * first. Nothing here allocates, or takes a lock that an allocation is made under.
 *
 * Invariants: a page is taken off the size before it is taken off a list, so that two who
 * give back share what is there; giving back unasked lowers the ceiling to what is left, so
 * that relief sticks.
 *
 * Left out: who may ask, and when.
 */
#include <linux/mm.h>

#include "core.h"

/* Large pages that are given back at a time: bounds the latency of a signal. */
#define QUIET_PAGES	(32 * UBALLOON_LARGE_PAGES)
/* The OOM notifier gives back at least 64 MiB and at least 1/8 of the balloon. */
#define OOM_MIN_PAGES		(64 * UBALLOON_MIB_PAGES)
#define OOM_SHARE		8
/* What reclaim gets between two looks at what is missing: 4 MiB. */
#define RELIEF_PAGES		(2 * UBALLOON_LARGE_PAGES)
/* How often the background tries again when the host or compaction has the pages. */
#define DRAIN_RETRY_MS		100

/* ---- one batch ---- */

/**
 * uballoon_take_new - fill a batch with pages that the host does not know of
 * @ub:		balloon
 * @b:		empty
 * @most:	4 KiB pages
 */
void uballoon_take_new(struct uballoon *ub, struct uballoon_batch *b, unsigned int most)
{
	b->count = uballoon_lists_take(ub, UBALLOON_BASE_ORDER, UBALLOON_HOLD_NEW, NUMA_NO_NODE,
				       min(most, ub->host->batch_4k), &b->pages);
	uballoon_pages_sort(&b->pages);
}

static bool batch_answered(struct uballoon *ub, const void *arg)
{
	const struct uballoon_batch *b = arg;

	return READ_ONCE(b->answered);
}

static bool batch_free(struct uballoon *ub, const void *arg)
{
	return READ_ONCE(ub->free_count);
}

/* Where pages are to come from: a node, or a range of page frames for 2 MiB pages. */
struct origin {
	int nid;			/* or NUMA_NO_NODE */
	unsigned long start, end;	/* end 0: anywhere on the node */
};

static unsigned int lists_take(struct uballoon *ub, unsigned int order, unsigned int hold,
			       const struct origin *from, unsigned int count,
			       struct list_head *pages)
{
	if (!from->end)
		return uballoon_lists_take(ub, order, hold, from->nid, count, pages);
	if (order != UBALLOON_LARGE_ORDER || hold == UBALLOON_HOLD_NEW)
		return 0;
	return uballoon_lists_take_range(ub, hold, from->start, from->end, count, pages);
}

/* The same without a word to the host for now, which may be told later and has no batch free. */
static unsigned int take_back_untold(struct uballoon *ub, unsigned int order,
				     const struct origin *from, unsigned int count)
{
	LIST_HEAD(pages);

	count = lists_take(ub, order, UBALLOON_HOLD_TOLD, from, count, &pages);
	if (!count)
		return 0;
	uballoon_pages_sort(&pages);
	uballoon_untold_add(ub, &pages, order);
	uballoon_pages_release(ub, &pages, order);
	return count;
}

/* Tells the host about pages held that way. Returns the pages, 0 if there are none. */
static unsigned int take_back_told(struct uballoon *ub, unsigned int order,
				   const struct origin *from, unsigned int count, ktime_t until,
				   unsigned int mode, unsigned int *ret_refused, u32 *ret_stop)
{
	struct uballoon_host *host = ub->host;
	bool later = !(host->caps & UBALLOON_CAP_MUST_TELL);
	struct uballoon_batch *b;
	LIST_HEAD(pages);
	u32 stop;

	while (!(b = uballoon_batch_get(ub, 0))) {
		/* Known to be silent, and can be told later: it is not waited for again. */
		if (later && READ_ONCE(ub->silent))
			until = 0;
		stop = uballoon_wait(ub, batch_free, NULL, until, mode);
		if (stop == UBALLOON_STOP_NONE)
			continue;
		if (stop == UBALLOON_STOP_BUDGET && until)
			uballoon_host_silent(ub, "earlier requests");
		if (stop == UBALLOON_STOP_BUDGET && later)
			return take_back_untold(ub, order, from, count);
		*ret_stop = stop;
		return 0;
	}
	b->unlock = true;
	b->order = order;
	b->hold = UBALLOON_HOLD_TOLD;
	count = min(count, order == UBALLOON_LARGE_ORDER ? host->batch_2m : host->batch_4k);
	count = lists_take(ub, order, UBALLOON_HOLD_TOLD, from, count, &b->pages);
	b->count = count;
	if (!count) {
		uballoon_batch_put(ub, b);
		return 0;
	}
	uballoon_pages_sort(&b->pages);

	atomic_inc(&b->parts);
	host->ops->unlock(host, b);
	if (host->caps & UBALLOON_CAP_MUST_TELL) {
		stop = uballoon_wait(ub, batch_answered, b, until, mode);
		if (stop == UBALLOON_STOP_BUDGET && until)
			uballoon_host_silent(ub, "an unlock");
		*ret_stop = stop;
		if (stop == UBALLOON_STOP_NONE) {
			*ret_refused = b->refused_count;
			*ret_stop = b->stop;
		}
	} else {
		spin_lock(&ub->lock);
		list_splice_init(&b->pages, &pages);
		spin_unlock(&ub->lock);
		uballoon_pages_release(ub, &pages, order);
	}
	uballoon_batch_put(ub, b);
	return count;
}

/* The same for a host that moves the pages itself: what it gives is free at once. */
static u64 take_back_by_host(struct uballoon *ub, unsigned int order, u64 want_pages,
			     ktime_t until, unsigned int mode, u32 *ret_stop)
{
	struct uballoon_host *host = ub->host;
	u64 size, got;

	spin_lock(&ub->lock);
	size = uballoon_total(ub);
	want_pages = min3(want_pages, size - uballoon_min_size(ub), (u64)host->batch_4k);
	spin_unlock(&ub->lock);
	if (order != UBALLOON_BASE_ORDER || !want_pages) {
		*ret_stop = order == UBALLOON_BASE_ORDER && size ? UBALLOON_STOP_TARGET :
								 UBALLOON_STOP_NOMEM;
		return 0;
	}
	got = host->ops->move(host, -(s64)want_pages, false, until, mode, ret_stop);
	spin_lock(&ub->lock);
	ub->counters.unlocked_4k_pages += got;
	spin_unlock(&ub->lock);
	if (got)
		*ret_stop = UBALLOON_STOP_NONE;
	return got;
}

/* See uballoon_take_back(). */
static u64 take_back(struct uballoon *ub, unsigned int order, const struct origin *from,
		     u64 want_pages, ktime_t until, unsigned int mode, u64 *refused, u32 *ret_stop)
{
	enum uballoon_pagesize ps = uballoon_pagesize(order);
	unsigned int unit = 1U << order;
	unsigned int claim, got, kept = 0;
	u64 room, total;
	LIST_HEAD(pages);

	if (ub->host->ops->move)
		return take_back_by_host(ub, order, want_pages, until, mode, ret_stop);

	*ret_stop = UBALLOON_STOP_NONE;
	spin_lock(&ub->lock);
	total = ub->size[UBALLOON_4K] + ub->size[UBALLOON_2M];
	room = total - uballoon_min_size(ub);
	claim = min3(min(want_pages, room), ub->size[ps], (u64)QUIET_PAGES) >> order;
	/* What is claimed nobody else finds: no more than a batch, which may be waited for. */
	claim = min(claim, order == UBALLOON_LARGE_ORDER ? max(ub->host->batch_2m, 1U) :
							   ub->host->batch_4k);
	ub->size[ps] -= (u64)claim << order;
	if (!claim)
		*ret_stop = ub->size[ps] < unit ? UBALLOON_STOP_NOMEM : UBALLOON_STOP_TARGET;
	spin_unlock(&ub->lock);
	if (!claim)
		return 0;

	got = lists_take(ub, order, UBALLOON_HOLD_NEW, from, claim, &pages);
	got += lists_take(ub, order, UBALLOON_HOLD_QUIET, from, claim - got, &pages);
	if (got)
		uballoon_pages_release(ub, &pages, order);
	else
		got = take_back_told(ub, order, from, claim, until, mode, &kept, ret_stop);

	spin_lock(&ub->lock);
	uballoon_size_add(ub, ps, (u64)(claim - got) << order);
	got -= kept;
	if (order == UBALLOON_LARGE_ORDER)
		ub->counters.unlocked_2m_pages += (u64)got << order;
	else
		ub->counters.unlocked_4k_pages += got;
	spin_unlock(&ub->lock);
	*refused += (u64)kept << order;
	if (!got && *ret_stop == UBALLOON_STOP_NONE)
		*ret_stop = kept ? UBALLOON_STOP_REFUSED : UBALLOON_STOP_NOMEM;
	/* Of nothing, too: while it was claimed others may have told that it is gone. */
	uballoon_tell_size(ub);
	return (u64)got << order;
}

/**
 * uballoon_take_back - give one batch of pages back to the guest
 * @ub:		balloon
 * @order:	page size
 * @nid:	of this node only, or NUMA_NO_NODE
 * @want_pages:	at most so many 4 KiB pages
 * @until:	wait so long for the host's acknowledgement, where it is needed; 0 = do not wait
 * @mode:	TASK_INTERRUPTIBLE, TASK_KILLABLE or TASK_UNINTERRUPTIBLE
 * @refused:	4 KiB pages that the host does not release are added to it
 * @ret_stop:	UBALLOON_STOP_NONE: the pages are free. RESET: they are, and the host has nothing
 *		any more (or the device goes away). TARGET: the host allows no less. REFUSED: it
 *		releases none of that size. NOMEM: no page of that size is there.
 *		BUDGET, INTERRUPTED: they will be free when the host answers
 *
 * Pages that the host need not be told about go first. Does not allocate.
 *
 * Return: 4 KiB pages taken off the balloon.
 */
u64 uballoon_take_back(struct uballoon *ub, unsigned int order, int nid, u64 want_pages,
		       ktime_t until, unsigned int mode, u64 *refused, u32 *ret_stop)
{
	const struct origin from = { .nid = nid };

	return take_back(ub, order, &from, want_pages, until, mode, refused, ret_stop);
}

/**
 * uballoon_take_back_range - give 2 MiB pages of a range back to the guest, one batch of them
 * @ub:		balloon
 * @start:	first page frame; of memory that stays online meanwhile
 * @end:	and the one behind the last
 * @until:	as in uballoon_take_back(), and so are @mode and @ret_stop
 * @mode:	see there
 * @ret_stop:	see there. TARGET says nothing of the range: perhaps there is no page in it
 *
 * Return: pages taken off the balloon.
 */
u64 uballoon_take_back_range(struct uballoon *ub, unsigned long start, unsigned long end,
			     ktime_t until, unsigned int mode, u32 *ret_stop)
{
	const struct origin from = { .nid = NUMA_NO_NODE, .start = start, .end = end };
	u64 refused = 0;

	return take_back(ub, UBALLOON_LARGE_ORDER, &from, U64_MAX, until, mode, &refused,
			 ret_stop);
}

/* ---- unasked ---- */

/* Lowers the bounds to what the balloon is now. Called with ub->lock held. */
static void lower_bounds(struct uballoon *ub)
{
	lockdep_assert_held(&ub->lock);
	ub->ceiling_pages = min(ub->ceiling_pages, uballoon_total(ub) + ub->inflight_pages);
	ub->floor_pages = min(ub->floor_pages, ub->ceiling_pages);
}

/**
 * uballoon_gave_back - let those know who decide that memory was given back unasked
 * @ub:	balloon
 */
void uballoon_gave_back(struct uballoon *ub)
{
	spin_lock(&ub->lock);
	lower_bounds(ub);
	ub->relief_generation++;
	spin_unlock(&ub->lock);
	wake_up_all(&ub->poll_wait);
}

/**
 * uballoon_give_back - give one batch of either page size back to the guest
 * @ub:		balloon
 * @nid:	of this node only, or NUMA_NO_NODE
 * @want_pages:	at most so many
 * @until:	as in uballoon_take_back(), and so are @mode and @ret_stop
 * @mode:	see there
 * @ret_stop:	see there
 *
 * Large pages first: they give most for the least work.
 *
 * Return: 4 KiB pages taken off the balloon.
 */
u64 uballoon_give_back(struct uballoon *ub, int nid, u64 want_pages, ktime_t until,
		       unsigned int mode, u32 *ret_stop)
{
	u64 got = 0, refused = 0;

	if (want_pages >= UBALLOON_LARGE_PAGES)
		got = uballoon_take_back(ub, UBALLOON_LARGE_ORDER, nid, want_pages, until, mode,
					 &refused, ret_stop);
	if (!got)
		got = uballoon_take_back(ub, UBALLOON_BASE_ORDER, nid, want_pages, until, mode,
					 &refused, ret_stop);
	return got;
}

/*
 * What one who asks still has to get. Looked at again after each batch: others may be giving
 * memory back as well, or may have taken what was given.
 */
static u64 relief_left(struct uballoon *ub, enum uballoon_relief who, int nid, u64 wanted,
		       u64 freed)
{
	if (who == UBALLOON_RELIEF_OOM)
		return wanted - min(wanted, freed);
	return uballoon_relief_missing(ub, nid, true);
}

/* One batch for one who asks, of node @nid. */
static u64 relieve_once(struct uballoon *ub, enum uballoon_relief who, int nid, u64 left,
			ktime_t until, u32 *ret_stop)
{
	bool oom = who == UBALLOON_RELIEF_OOM;

	/* A little more than asked for, rather than small pages out of thrift. */
	left = max_t(u64, left, UBALLOON_LARGE_PAGES);
	return uballoon_give_back(ub, nid, oom ? left : min_t(u64, left, RELIEF_PAGES), until,
				  TASK_UNINTERRUPTIBLE, ret_stop);
}

/* How long one who asks may wait for the host's acknowledgements in all, where they are needed. */
static ktime_t relief_patience(struct uballoon *ub, enum uballoon_relief who)
{
	/*
	 * kswapd has others to serve: what the host must confirm will be free a little later. Nor
	 * does each task that reclaims wait anew for a host that is known to be silent.
	 */
	if (who == UBALLOON_RELIEF_OOM)
		return ktime_add_ms(ktime_get(), UBALLOON_HOST_WAIT_MS);
	if (who == UBALLOON_RELIEF_DIRECT && !READ_ONCE(ub->silent))
		return ktime_add_ms(ktime_get(), UBALLOON_HOST_GRACE_MS);
	return 0;
}

static void relief_count(struct uballoon *ub, enum uballoon_relief who, u64 pages)
{
	struct uballoon_counters *c = &ub->counters;

	lockdep_assert_held(&ub->lock);
	switch (who) {
	case UBALLOON_RELIEF_OOM:
		c->oom_events++;
		c->oom_pages += pages;
		ub->holdoff_end = get_jiffies_64() +
				  msecs_to_jiffies(uballoon_params.oom_holdoff_ms);
		return;
	case UBALLOON_RELIEF_DIRECT:
		c->direct_events++;
		c->direct_pages += pages;
		break;
	case UBALLOON_RELIEF_KSWAPD:
		break;
	}
	c->shrink_events++;
	c->shrink_pages += pages;
}

/**
 * uballoon_relieve - give memory back because the guest needs it
 * @ub:		balloon
 * @who:	needs it. OOM: at least 64 MiB and at least 1/8 of the balloon, and LOCK is held
 *		off; else what is missing to the relief line and its step
 * @nid:	where it is missing; not used for OOM
 *
 * Does not allocate, takes no lock that an allocation is made under. Waits for the host only
 * where it must acknowledge, and kswapd does not wait at all.
 *
 * Return: pages that are free now.
 */
u64 uballoon_relieve(struct uballoon *ub, enum uballoon_relief who, int nid)
{
	u64 freed = 0, coming = 0, wanted = 0, got, left, size = uballoon_size(ub);
	ktime_t until = relief_patience(ub, who);
	bool oom = who == UBALLOON_RELIEF_OOM;
	u32 stop;

	if (oom) {
		wanted = max_t(u64, OOM_MIN_PAGES, size / OOM_SHARE);
		nid = uballoon_poorest_node(ub);
	}
	while ((left = relief_left(ub, who, nid, wanted, freed))) {
		got = relieve_once(ub, who, nid, left, until, &stop);
		if (!got && oom && nid != NUMA_NO_NODE) {
			nid = NUMA_NO_NODE;
			continue;
		}
		if (!got)
			break;
		/* Free as soon as the host has answered. */
		if (!uballoon_is_free(stop)) {
			coming = got;
			break;
		}
		freed += got;
		/* A slow host is not a silent one, and the task has something to go on with. */
		if (who == UBALLOON_RELIEF_DIRECT && ktime_after(ktime_get(), until))
			break;
		cond_resched();
	}
	if (!freed && !coming && !(oom && size))
		return 0;

	spin_lock(&ub->lock);
	relief_count(ub, who, freed + coming);
	lower_bounds(ub);
	ub->relief_generation++;
	spin_unlock(&ub->lock);
	wake_up_all(&ub->poll_wait);
	return freed;
}

/**
 * uballoon_start_drain - empty the balloon in the background
 * @ub:		balloon; locked, and its bounds are 0
 * @counter:	in ub->counters; the pages are added to it
 */
void uballoon_start_drain(struct uballoon *ub, u64 *counter)
{
	lockdep_assert_held(&ub->lock);
	ub->draining = true;
	ub->drain_counter = counter;
	mod_delayed_work(ub->wq, &ub->drain_work, 0);
}

/* uballoon.drain_work */
void uballoon_drain_work(struct work_struct *work)
{
	struct uballoon *ub = container_of(to_delayed_work(work), struct uballoon, drain_work);
	u64 got, left, held, unit;
	ktime_t until;
	u32 stop;

	spin_lock(&ub->lock);
	ub->internals.drain_events++;
	spin_unlock(&ub->lock);
	for (;;) {
		if (READ_ONCE(ub->gone) || !READ_ONCE(ub->draining))
			return;
		until = ktime_add_ms(ktime_get(), UBALLOON_HOST_WAIT_MS);
		got = uballoon_give_back(ub, NUMA_NO_NODE, U64_MAX, until, TASK_KILLABLE, &stop);
		spin_lock(&ub->lock);
		*ub->drain_counter += got;
		left = uballoon_left(ub);
		held = uballoon_min_size(ub);
		unit = left == ub->size[UBALLOON_2M] ? UBALLOON_LARGE_PAGES : 1;
		if (!left)
			ub->draining = false;
		spin_unlock(&ub->lock);
		if (!got)
			break;
		cond_resched();
	}
	/* What the host holds on to waits for its next target, and with it a part of a page. */
	if (left >= held + unit)
		queue_delayed_work(ub->wq, &ub->drain_work, msecs_to_jiffies(DRAIN_RETRY_MS));
}

/* ---- all of it ---- */

/**
 * uballoon_is_empty - is there not a page of the balloon, on a list or in a batch?
 * @ub:	balloon
 *
 * Who takes a page off a list has a batch before, so lists come first.
 */
bool uballoon_is_empty(struct uballoon *ub)
{
	bool none;

	spin_lock(&ub->lock);
	none = !uballoon_total(ub) && !ub->old_count;
	spin_unlock(&ub->lock);
	return none && uballoon_lists_empty(ub) && READ_ONCE(ub->free_count) == UBALLOON_BATCHES;
}

/**
 * uballoon_lists_drop - free the pages on all lists without a word to the host
 * @ub:	balloon
 *
 * See uballoon_batch_drop(), which takes care of the rest.
 */
void uballoon_lists_drop(struct uballoon *ub)
{
	unsigned int hold, n;
	LIST_HEAD(pages);

	for (hold = 0; hold < UBALLOON_LISTS; hold++) {
		do {
			n = uballoon_lists_take(ub, UBALLOON_LARGE_ORDER, hold, NUMA_NO_NODE,
						QUIET_PAGES >> UBALLOON_LARGE_ORDER, &pages);
			spin_lock(&ub->lock);
			ub->size[UBALLOON_2M] -= (u64)n << UBALLOON_LARGE_ORDER;
			ub->counters.unlocked_2m_pages += (u64)n << UBALLOON_LARGE_ORDER;
			ub->counters.pop_pages += (u64)n << UBALLOON_LARGE_ORDER;
			spin_unlock(&ub->lock);
			uballoon_pages_release(ub, &pages, UBALLOON_LARGE_ORDER);
			cond_resched();
		} while (n);
		do {
			n = uballoon_lists_take(ub, UBALLOON_BASE_ORDER, hold, NUMA_NO_NODE,
						UBALLOON_LARGE_PAGES, &pages);
			spin_lock(&ub->lock);
			ub->size[UBALLOON_4K] -= n;
			ub->counters.unlocked_4k_pages += n;
			ub->counters.pop_pages += n;
			spin_unlock(&ub->lock);
			uballoon_pages_release(ub, &pages, UBALLOON_BASE_ORDER);
			cond_resched();
		} while (n);
	}
}
