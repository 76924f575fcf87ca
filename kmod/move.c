// SPDX-License-Identifier: GPL-2.0-only
/*
 * move.c - LOCK, UNLOCK and POP, each from its limits to its end
 *
 * LOCK claims room under the bounds, allocates a small batch, hands it over at
 * once and goes on with the next one while the host works. UNLOCK and POP give
 * back batch by batch (release.c).
 *
 * Invariants: size + in flight <= ceiling at the time of each claim; LOCK never
 * takes what is available below the module's floor, nor to where reclaim would take
 * it back (with all that is being reported: uballoon_available()); every call ends within
 * its budget plus UBALLOON_HOST_GRACE_MS, whatever the host does.
 *
 * Left out: any opinion on how large the balloon should be.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "core.h"

/* A LOCK call gives the host no more than that ahead of its answers, nor in a batch: 256 MiB. */
#define INFLIGHT_MAX_PAGES	(256 * UBALLOON_MIB_PAGES)
/*
 * 2 MiB pages in a batch when the kernel clears what it allocates: small
 * enough that the host gets memory back before it has to find new memory for
 * the next batch.
 */
#define CLEARED_BATCH_2M	8
/* The first batch of 2 MiB pages, so that its answer comes early; each is twice the one before. */
#define FIRST_BATCH_2M		4
/* Refused pages that end a LOCK call. */
#define REFUSED_ENOUGH		16

/* ---- one mover at a time ---- */

static bool nobody_moves(struct uballoon *ub, const void *arg)
{
	return !READ_ONCE(ub->moving);
}

/**
 * uballoon_move_begin - become the one mover
 * @ub:		balloon
 * @until:	wait so long for the one before
 *
 * Return: UBALLOON_STOP_NONE: uballoon_move_end() must follow. Else why not.
 */
u32 uballoon_move_begin(struct uballoon *ub, ktime_t until)
{
	u32 stop;

	for (;;) {
		spin_lock(&ub->lock);
		if (!ub->moving) {
			ub->moving = true;
			spin_unlock(&ub->lock);
			uballoon_reapers_inc(ub);
			return UBALLOON_STOP_NONE;
		}
		spin_unlock(&ub->lock);
		stop = uballoon_wait(ub, nobody_moves, NULL, until, TASK_INTERRUPTIBLE);
		if (stop != UBALLOON_STOP_NONE)
			return stop;
	}
}

void uballoon_move_end(struct uballoon *ub)
{
	uballoon_reapers_dec(ub);
	spin_lock(&ub->lock);
	ub->moving = false;
	spin_unlock(&ub->lock);
	uballoon_tell_size(ub);
	wake_up_all(&ub->wait);
}

/* What ends LOCK, UNLOCK and POP alike. */
static u32 must_leave(struct uballoon *ub, ktime_t until)
{
	if (READ_ONCE(ub->gone))
		return UBALLOON_STOP_RESET;
	if (signal_pending(current))
		return UBALLOON_STOP_INTERRUPTED;
	if (ktime_after(ktime_get(), until))
		return UBALLOON_STOP_BUDGET;
	return UBALLOON_STOP_NONE;
}

/* The end of the budget, or a little later: a request on its way deserves an answer. */
static ktime_t with_grace(ktime_t until)
{
	ktime_t grace = ktime_add_ms(ktime_get(), UBALLOON_HOST_GRACE_MS);

	return ktime_after(grace, until) ? grace : until;
}

/* ---- LOCK ---- */

static gfp_t lock_gfp(const struct uballoon_move *mv)
{
	gfp_t gfp = mv->page_order == UBALLOON_BASE_ORDER ? GFP_HIGHUSER_MOVABLE : GFP_HIGHUSER;

	if (mv->flags & UBALLOON_MOVE_NOSLEEP)
		gfp &= ~__GFP_RECLAIM;
	return gfp | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC;
}

/* What is left to the guest: the floor, and enough for reclaim not to want it back at once. */
static u64 keep_available(struct uballoon *ub)
{
	u64 line = READ_ONCE(ub->relief_pages);

	return max(uballoon_floor(ub), line + line / UBALLOON_RELIEF_STEP);
}

/* No page of that size was to be had. */
static void count_failure(struct uballoon *ub, unsigned int order)
{
	lockdep_assert_held(&ub->lock);
	if (order == UBALLOON_LARGE_ORDER)
		ub->counters.alloc_fail_2m_events++;
	else
		ub->counters.alloc_fail_4k_events++;
}

/*
 * Claims room for a batch of the running call: *ret_count balloon pages, of the @spare
 * pages that may be allocated. DONE means that all was asked for that there is to ask for.
 */
static u32 claim_room(struct uballoon *ub, const struct uballoon_move *mv, u64 spare,
		      unsigned int most, unsigned int *ret_count)
{
	long slack = uballoon_available(ub) - keep_available(ub);
	u64 unit = 1ULL << mv->page_order;
	u64 asked, bound, have, count;
	u32 stop = UBALLOON_STOP_NONE;

	spin_lock(&ub->lock);
	have = uballoon_total(ub) + ub->inflight_pages;
	bound = min(ub->ceiling_pages, uballoon_host_bound(ub));
	/* Others may do for the ones that are refused: those are kept from the allocator. */
	asked = mv->pages - ub->call_done_pages - ub->call_inflight_pages;

	if (ub->call_stop != UBALLOON_STOP_NONE) {
		stop = ub->call_stop;
	} else if (ub->call_refused_pages >= REFUSED_ENOUGH * unit) {
		stop = UBALLOON_STOP_REFUSED;
	} else if (asked < unit) {
		/* Less than one only if parts of a large page were refused. */
		stop = UBALLOON_STOP_DONE;
	} else if (uballoon_holdoff_left_ms(ub)) {
		stop = UBALLOON_STOP_NOMEM;
	} else if (have + unit > bound) {
		stop = UBALLOON_STOP_TARGET;
	} else if (slack < (long)unit) {
		stop = UBALLOON_STOP_FLOOR;
		ub->counters.floor_events++;
	} else if (spare < unit) {
		stop = UBALLOON_STOP_NOMEM;
		count_failure(ub, mv->page_order);
	} else {
		count = min3(asked, bound - have, min((u64)slack, spare)) >> mv->page_order;
		count = min_t(u64, count, most);
		ub->inflight_pages += count << mv->page_order;
		ub->call_inflight_pages += count << mv->page_order;
		*ret_count = count;
	}
	spin_unlock(&ub->lock);
	return stop;
}

static void unclaim_room(struct uballoon *ub, u64 pages)
{
	spin_lock(&ub->lock);
	ub->inflight_pages -= pages;
	ub->call_inflight_pages -= pages;
	spin_unlock(&ub->lock);
}

/*
 * In flight is what is to be submitted, too, which alone is never too much. Parts are not with
 * the host, and who waits here is who would offer them.
 */
static bool may_submit(struct uballoon *ub, const void *arg)
{
	s64 ahead = READ_ONCE(ub->call_inflight_pages) - READ_ONCE(ub->part_pages);

	return !uballoon_untold_any(ub) && READ_ONCE(ub->free_count) > UBALLOON_RESERVED &&
	       ahead <= INFLIGHT_MAX_PAGES;
}

static bool call_answered(struct uballoon *ub, const void *arg)
{
	return !READ_ONCE(ub->call_inflight_pages);
}

/* A batch for the running call, when there is room in the pipe. */
static struct uballoon_batch *lock_batch_get(struct uballoon *ub, ktime_t until, u32 *ret_stop)
{
	struct uballoon_batch *b;

	*ret_stop = UBALLOON_STOP_NONE;
	while (!may_submit(ub, NULL) || !(b = uballoon_batch_get(ub, UBALLOON_RESERVED))) {
		if (uballoon_untold_any(ub))
			mod_delayed_work(ub->wq, &ub->migrate_work, 0);
		*ret_stop = uballoon_wait(ub, may_submit, NULL, until, TASK_INTERRUPTIBLE);
		if (*ret_stop == UBALLOON_STOP_NONE)
			continue;
		/* While it is told of others, it is not the host that is late. */
		if (*ret_stop == UBALLOON_STOP_BUDGET && !uballoon_untold_any(ub))
			uballoon_host_silent(ub, "lock requests");
		return NULL;
	}
	b->call = ub->call;
	return b;
}

/*
 * Offers parts of large pages that were refused whole: often it is but a few of
 * them that the host minds, and these pages have been found and cleared already.
 */
static u32 lock_parts(struct uballoon *ub, ktime_t until)
{
	struct uballoon_batch *b;
	struct page *page;
	unsigned int i;
	u32 stop;

	b = lock_batch_get(ub, until, &stop);
	if (!b)
		return stop;
	spin_lock(&ub->lock);
	while (b->count < ub->host->batch_4k) {
		if (list_empty(&ub->parts)) {
			page = list_first_entry_or_null(&ub->whole, struct page, lru);
			if (!page)
				break;
			list_del(&page->lru);
			split_page(page, UBALLOON_LARGE_ORDER);
			for (i = 0; i < UBALLOON_LARGE_PAGES; i++)
				list_add_tail(&page[i].lru, &ub->parts);
		}
		list_move_tail(ub->parts.next, &b->pages);
		b->count++;
	}
	ub->part_pages -= b->count;
	spin_unlock(&ub->lock);
	ub->host->ops->lock(ub->host, b);
	uballoon_reap(ub);
	return UBALLOON_STOP_NONE;
}

/* No time for them, or no use. */
static void drop_parts(struct uballoon *ub)
{
	LIST_HEAD(whole);
	LIST_HEAD(parts);

	spin_lock(&ub->lock);
	ub->call_splits = false;
	ub->inflight_pages -= ub->part_pages;
	ub->call_inflight_pages -= ub->part_pages;
	ub->call_refused_pages += ub->part_pages;
	ub->part_pages = 0;
	list_splice_init(&ub->whole, &whole);
	list_splice_init(&ub->parts, &parts);
	spin_unlock(&ub->lock);
	uballoon_pages_free(&whole, UBALLOON_LARGE_ORDER);
	uballoon_pages_free(&parts, UBALLOON_BASE_ORDER);
}

/* A claim of the running call, for a host that moves the pages itself. */
static u32 lock_by_host(struct uballoon *ub, const struct uballoon_move *mv, unsigned int count,
			ktime_t until)
{
	u32 stop = UBALLOON_STOP_NONE;
	u64 got;

	got = ub->host->ops->move(ub->host, count, mv->flags & UBALLOON_MOVE_CANSLEEP, until,
				  TASK_INTERRUPTIBLE, &stop);
	spin_lock(&ub->lock);
	ub->inflight_pages -= count;
	ub->call_inflight_pages -= count;
	ub->call_done_pages += got;
	ub->counters.locked_4k_pages += got;
	ub->counters.alloc_fail_4k_events += stop == UBALLOON_STOP_NOMEM;
	spin_unlock(&ub->lock);
	return stop;
}

/* One batch: wait for room in the pipe, claim, allocate, hand over, collect answers. */
static u32 lock_batch(struct uballoon *ub, const struct uballoon_move *mv, gfp_t gfp,
		      unsigned int most, ktime_t until)
{
	unsigned int order = mv->page_order;
	struct uballoon_batch *b;
	unsigned int count, got;
	u64 spare = U64_MAX;
	int nid;
	u32 stop;

	stop = must_leave(ub, until);
	if (stop != UBALLOON_STOP_NONE)
		return stop;
	nid = uballoon_richest_node(ub, mv->flags & UBALLOON_MOVE_CANSLEEP, gfp);
	if (READ_ONCE(ub->part_pages) && READ_ONCE(ub->call_stop) == UBALLOON_STOP_NONE &&
	    READ_ONCE(ub->call_refused_pages) < (u64)REFUSED_ENOUGH << order)
		return lock_parts(ub, until);
	/* The allocator would go on to the min watermark, and leave reclaim to others. */
	if (mv->flags & UBALLOON_MOVE_NOSLEEP && !ub->host->ops->move)
		spare = uballoon_node_spare(nid, gfp);
	stop = claim_room(ub, mv, spare, most, &count);
	if (stop != UBALLOON_STOP_NONE)
		return stop;
	if (ub->host->ops->move)
		return lock_by_host(ub, mv, count, until);

	b = lock_batch_get(ub, until, &stop);
	if (!b) {
		unclaim_room(ub, (u64)count << order);
		return stop;
	}
	b->order = order;
	got = uballoon_pages_alloc(&b->pages, order, nid, count,
				   nid == NUMA_NO_NODE ? gfp : gfp | __GFP_THISNODE, until);
	b->count = got;
	if (uballoon_untold_refuse(ub, b)) {
		uballoon_batch_put(ub, b);
		unclaim_room(ub, (u64)count << order);
		return UBALLOON_STOP_NONE;
	}
	unclaim_room(ub, (u64)(count - got) << order);
	if (got)
		ub->host->ops->lock(ub->host, b);
	else
		uballoon_batch_put(ub, b);
	uballoon_reap(ub);
	if (got == count)
		return UBALLOON_STOP_NONE;

	stop = must_leave(ub, until);
	if (stop != UBALLOON_STOP_NONE)
		return stop;
	spin_lock(&ub->lock);
	count_failure(ub, order);
	spin_unlock(&ub->lock);
	return UBALLOON_STOP_NOMEM;
}

/**
 * uballoon_move_lock - LOCK
 * @ub:	balloon
 * @mv:	validated; out: done_pages, refused_pages, stop
 */
void uballoon_move_lock(struct uballoon *ub, struct uballoon_move *mv)
{
	ktime_t until = ktime_add_ms(ktime_get(), mv->budget_ms);
	struct uballoon_host *host = ub->host;
	gfp_t gfp = lock_gfp(mv);
	unsigned int most, next;
	u32 stop, end;
	LIST_HEAD(refused);

	mv->done_pages = 0;
	mv->refused_pages = 0;
	stop = uballoon_move_begin(ub, until);
	if (stop != UBALLOON_STOP_NONE)
		goto out;

	if (mv->page_order == UBALLOON_BASE_ORDER)
		most = host->batch_4k;
	else if (want_init_on_alloc(gfp))
		most = min_t(unsigned int, host->batch_2m, CLEARED_BATCH_2M);
	else
		most = host->batch_2m;
	most = min_t(unsigned int, most, INFLIGHT_MAX_PAGES >> mv->page_order);
	next = most;
	if (mv->page_order == UBALLOON_LARGE_ORDER)
		next = min_t(unsigned int, most, FIRST_BATCH_2M);

	spin_lock(&ub->lock);
	ub->call = ++ub->last_call;
	ub->call_inflight_pages = 0;
	ub->call_done_pages = 0;
	ub->call_refused_pages = 0;
	ub->call_stop = UBALLOON_STOP_NONE;
	ub->call_splits = mv->page_order == UBALLOON_LARGE_ORDER;
	ub->locker = current;
	ub->counters.lock_calls++;
	spin_unlock(&ub->lock);

	do {
		stop = lock_batch(ub, mv, gfp, next, until);
		next = min(2 * next, most);
		cond_resched();
	} while (stop == UBALLOON_STOP_NONE);
	drop_parts(ub);

	end = uballoon_wait(ub, call_answered, NULL, with_grace(until), TASK_INTERRUPTIBLE);
	/* A signal does not wait for more than answers that are about to come. */
	if (end == UBALLOON_STOP_INTERRUPTED &&
	    !uballoon_wait(ub, call_answered, NULL, with_grace(0), TASK_KILLABLE))
		end = UBALLOON_STOP_NONE;
	if (end == UBALLOON_STOP_BUDGET)
		uballoon_host_silent(ub, "a lock request");

	spin_lock(&ub->lock);
	mv->done_pages = ub->call_done_pages;
	mv->refused_pages = ub->call_refused_pages;
	if (ub->call_stop != UBALLOON_STOP_NONE)
		stop = ub->call_stop;
	else if (stop == UBALLOON_STOP_DONE && end != UBALLOON_STOP_NONE)
		stop = end;
	else if (stop == UBALLOON_STOP_DONE && ub->call_done_pages < mv->pages)
		stop = UBALLOON_STOP_REFUSED;
	/* What is still with the host belongs to nobody's call. */
	ub->call = 0;
	ub->locker = NULL;
	list_splice_init(&ub->refused, &refused);
	ub->refused_count = 0;
	spin_unlock(&ub->lock);

	uballoon_pages_free(&refused, UBALLOON_BASE_ORDER);
	uballoon_move_end(ub);
out:
	mv->stop = stop;
	spin_lock(&ub->lock);
	ub->last_stop = stop;
	spin_unlock(&ub->lock);
}

/* ---- UNLOCK and POP ---- */

/**
 * uballoon_move_unlock - UNLOCK
 * @ub:	balloon
 * @mv:	validated; out: done_pages, refused_pages, stop
 */
void uballoon_move_unlock(struct uballoon *ub, struct uballoon_move *mv)
{
	ktime_t until = ktime_add_ms(ktime_get(), mv->budget_ms);
	u64 unit = 1ULL << mv->page_order;
	u64 size, room, got;
	u32 stop;

	mv->done_pages = 0;
	mv->refused_pages = 0;
	stop = uballoon_move_begin(ub, until);
	if (stop != UBALLOON_STOP_NONE)
		goto out;

	spin_lock(&ub->lock);
	ub->counters.unlock_calls++;
	spin_unlock(&ub->lock);

	do {
		stop = must_leave(ub, until);
		if (stop != UBALLOON_STOP_NONE)
			break;
		spin_lock(&ub->lock);
		size = uballoon_total(ub);
		room = size - min(size, ub->floor_pages);
		spin_unlock(&ub->lock);
		if (room < unit) {
			stop = UBALLOON_STOP_TARGET;
			break;
		}
		got = uballoon_take_back(ub, mv->page_order, NUMA_NO_NODE,
					 min(room, mv->pages - mv->done_pages), with_grace(until),
					 TASK_INTERRUPTIBLE, &mv->refused_pages, &stop);
		if (!uballoon_is_free(stop))
			break;
		mv->done_pages += got;
		if (stop != UBALLOON_STOP_NONE)
			break;
		if (mv->done_pages == mv->pages)
			stop = UBALLOON_STOP_DONE;
		else if (mv->refused_pages)
			stop = UBALLOON_STOP_REFUSED;
		cond_resched();
	} while (stop == UBALLOON_STOP_NONE);
	uballoon_move_end(ub);
out:
	mv->stop = stop;
	spin_lock(&ub->lock);
	ub->last_stop = stop;
	spin_unlock(&ub->lock);
}

/**
 * uballoon_move_pop - POP
 * @ub:		balloon
 * @pop:	validated; out: done_pages
 */
void uballoon_move_pop(struct uballoon *ub, struct uballoon_pop *pop)
{
	ktime_t until = ktime_add_ms(ktime_get(), UBALLOON_MAX_BUDGET_MS);
	u32 stop;
	u64 got;

	pop->done_pages = 0;
	spin_lock(&ub->lock);
	ub->ceiling_pages = 0;
	ub->floor_pages = 0;
	ub->counters.pop_events++;
	spin_unlock(&ub->lock);

	/* A LOCK that runs finds the ceiling and ends. */
	if (uballoon_move_begin(ub, until) == UBALLOON_STOP_NONE) {
		while (must_leave(ub, until) == UBALLOON_STOP_NONE) {
			got = uballoon_give_back(ub, NUMA_NO_NODE, U64_MAX, with_grace(until),
						 TASK_INTERRUPTIBLE, &stop);
			if (!got || !uballoon_is_free(stop))
				break;
			pop->done_pages += got;
			cond_resched();
		}
		uballoon_move_end(ub);
	}

	spin_lock(&ub->lock);
	ub->counters.pop_pages += pop->done_pages;
	if (uballoon_left(ub))
		uballoon_start_drain(ub, &ub->counters.pop_pages);
	spin_unlock(&ub->lock);
}
