// SPDX-License-Identifier: GPL-2.0-only
/*
 * core.c - how large the balloon may be, and what the device's calls do to it
 *
 * Models a balloon between two bounds (ceiling, floor) that others set; it
 * moves only when LOCK, UNLOCK or POP say so, or to give memory back: OOM
 * notifier, shrinker, lease, removal of the device.
 *
 * Invariants: size + in flight <= ceiling at the time of each claim; LOCK never
 * takes MemAvailable below the module's floor; giving back by itself lowers
 * the ceiling to what is left, so that relief sticks; every call ends within
 * its budget plus UBALLOON_HOST_GRACE_MS, whatever the host does.
 *
 * Left out: any opinion on how large the balloon should be.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "core.h"

/* A LOCK call gives the host no more than that ahead of its answers: 256 MiB. */
#define INFLIGHT_MAX_PAGES	(512 * 128)
/*
 * 2 MiB pages in a batch when the kernel clears what it allocates: small
 * enough that the host gets memory back before it has to find new memory for
 * the next batch.
 */
#define CLEARED_BATCH_2M	8
/* Refused pages that end a LOCK call. */
#define REFUSED_ENOUGH		16
/* The OOM notifier gives back at least 64 MiB and at least 1/8 of the balloon. */
#define OOM_MIN_PAGES		(64 * 256)
#define OOM_SHARE		8
/* How often the background tries again when the host or compaction has the pages. */
#define DRAIN_RETRY_MS		100

static DEFINE_MUTEX(uballoon_only_lock);
static bool uballoon_only;		/* protected by uballoon_only_lock */

static u64 total(struct uballoon *ub)
{
	lockdep_assert_held(&ub->lock);
	return ub->size[UBALLOON_4K] + ub->size[UBALLOON_2M];
}

/* Pages that the balloon holds. Any process context. */
u64 uballoon_size(struct uballoon *ub)
{
	u64 pages;

	spin_lock(&ub->lock);
	pages = total(ub);
	spin_unlock(&ub->lock);
	return pages;
}

/* The guest's RAM, balloon included. */
u64 uballoon_ram(struct uballoon *ub)
{
	u64 pages;

	spin_lock(&ub->lock);
	pages = totalram_pages() + ub->unmanaged_pages;
	spin_unlock(&ub->lock);
	return pages;
}

/*
 * The MemAvailable that LOCK leaves alone: a share that falls as the guest
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

static u64 host_bound(struct uballoon *ub)
{
	lockdep_assert_held(&ub->lock);
	if (ub->host->caps & UBALLOON_CAP_GUEST_DRIVEN)
		return U64_MAX;
	return ub->host_target_valid ? ub->host_target_pages : 0;
}

static u32 holdoff_left_ms(struct uballoon *ub)
{
	lockdep_assert_held(&ub->lock);
	if (!ub->holdoff || time_after_eq(jiffies, ub->holdoff_end))
		return 0;
	return jiffies_to_msecs(ub->holdoff_end - jiffies);
}

/* ---- one mover at a time ---- */

static bool nobody_moves(struct uballoon *ub, const void *arg)
{
	return !READ_ONCE(ub->moving);
}

static u32 move_begin(struct uballoon *ub, ktime_t until)
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

static void move_end(struct uballoon *ub)
{
	uballoon_reapers_dec(ub);
	spin_lock(&ub->lock);
	ub->moving = false;
	spin_unlock(&ub->lock);
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
	gfp_t gfp = mv->page_order == UBALLOON_ORDER_4K ? GFP_HIGHUSER_MOVABLE : GFP_HIGHUSER;

	if (mv->flags & UBALLOON_MOVE_NOSLEEP)
		gfp &= ~__GFP_RECLAIM;
	return gfp | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC;
}

/*
 * Claims room for a batch of the running call: *ret_count balloon pages. DONE
 * means that all was asked for that there is to ask for.
 */
static u32 claim_room(struct uballoon *ub, const struct uballoon_move *mv, unsigned int most,
		      unsigned int *ret_count)
{
	long slack = si_mem_available() - (long)uballoon_floor(ub);
	u64 unit = 1ULL << mv->page_order;
	u64 asked, bound, have, count;
	u32 stop = UBALLOON_STOP_NONE;

	spin_lock(&ub->lock);
	have = total(ub) + ub->inflight_pages;
	bound = min(ub->ceiling_pages, host_bound(ub));
	asked = mv->pages - ub->call_done_pages - ub->call_inflight_pages - ub->call_refused_pages;

	if (ub->call_stop != UBALLOON_STOP_NONE) {
		stop = ub->call_stop;
	} else if (ub->call_refused_pages >= REFUSED_ENOUGH * unit) {
		stop = UBALLOON_STOP_REFUSED;
	} else if (!asked) {
		stop = UBALLOON_STOP_DONE;
	} else if (holdoff_left_ms(ub)) {
		stop = UBALLOON_STOP_NOMEM;
	} else if (have + unit > bound) {
		stop = UBALLOON_STOP_TARGET;
	} else if (slack < (long)unit) {
		stop = UBALLOON_STOP_FLOOR;
		ub->counters.floor_events++;
	} else {
		count = min3(asked, bound - have, (u64)slack) >> mv->page_order;
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

static bool may_submit(struct uballoon *ub, const void *arg)
{
	return READ_ONCE(ub->free_count) > UBALLOON_RESERVED &&
	       READ_ONCE(ub->call_inflight_pages) < INFLIGHT_MAX_PAGES;
}

static bool call_answered(struct uballoon *ub, const void *arg)
{
	return !READ_ONCE(ub->call_inflight_pages);
}

/* One batch: wait for room in the pipe, claim, allocate, hand over, collect answers. */
static u32 lock_batch(struct uballoon *ub, const struct uballoon_move *mv, gfp_t gfp,
		      unsigned int most, ktime_t until)
{
	unsigned int order = mv->page_order;
	struct uballoon_batch *b;
	unsigned int count, got;
	u32 stop;

	stop = must_leave(ub, until);
	if (stop != UBALLOON_STOP_NONE)
		return stop;
	stop = claim_room(ub, mv, most, &count);
	if (stop != UBALLOON_STOP_NONE)
		return stop;

	while (!may_submit(ub, NULL) || !(b = uballoon_batch_get(ub, UBALLOON_RESERVED))) {
		stop = uballoon_wait(ub, may_submit, NULL, until, TASK_INTERRUPTIBLE);
		if (stop == UBALLOON_STOP_NONE)
			continue;
		unclaim_room(ub, (u64)count << order);
		if (stop == UBALLOON_STOP_BUDGET)
			uballoon_host_silent(ub, "lock requests");
		return stop;
	}

	b->order = order;
	b->call = ub->call;
	uballoon_batch_fill(b, count, gfp, until);
	got = b->count;
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
	if (order == UBALLOON_ORDER_2M)
		ub->counters.alloc_fail_2m_events++;
	else
		ub->counters.alloc_fail_4k_events++;
	spin_unlock(&ub->lock);
	return UBALLOON_STOP_NOMEM;
}

/**
 * uballoon_core_lock - LOCK
 * @ub:	balloon
 * @mv:	validated; out: done_pages, refused_pages, stop
 */
void uballoon_core_lock(struct uballoon *ub, struct uballoon_move *mv)
{
	ktime_t until = ktime_add_ms(ktime_get(), mv->budget_ms);
	struct uballoon_host *host = ub->host;
	gfp_t gfp = lock_gfp(mv);
	unsigned int most;
	u32 stop, end;
	LIST_HEAD(refused);

	mv->done_pages = 0;
	mv->refused_pages = 0;
	stop = move_begin(ub, until);
	if (stop != UBALLOON_STOP_NONE)
		goto out;

	if (mv->page_order == UBALLOON_ORDER_4K)
		most = host->batch_4k;
	else if (want_init_on_alloc(gfp))
		most = min_t(unsigned int, host->batch_2m, CLEARED_BATCH_2M);
	else
		most = host->batch_2m;

	spin_lock(&ub->lock);
	ub->call = ++ub->last_call;
	ub->call_inflight_pages = 0;
	ub->call_done_pages = 0;
	ub->call_refused_pages = 0;
	ub->call_stop = UBALLOON_STOP_NONE;
	ub->locker = current;
	ub->counters.lock_calls++;
	spin_unlock(&ub->lock);

	do {
		stop = lock_batch(ub, mv, gfp, most, until);
		cond_resched();
	} while (stop == UBALLOON_STOP_NONE);

	end = uballoon_wait(ub, call_answered, NULL, with_grace(until), TASK_KILLABLE);
	if (end == UBALLOON_STOP_BUDGET)
		uballoon_host_silent(ub, "a lock request");

	spin_lock(&ub->lock);
	mv->done_pages = ub->call_done_pages;
	mv->refused_pages = ub->call_refused_pages;
	if (ub->call_stop != UBALLOON_STOP_NONE)
		stop = ub->call_stop;
	else if (stop == UBALLOON_STOP_DONE && end != UBALLOON_STOP_NONE)
		stop = end;
	else if (stop == UBALLOON_STOP_DONE && ub->call_refused_pages)
		stop = UBALLOON_STOP_REFUSED;
	/* What is still with the host belongs to nobody's call. */
	ub->call = 0;
	ub->locker = NULL;
	list_splice_init(&ub->refused, &refused);
	ub->refused_count = 0;
	spin_unlock(&ub->lock);

	uballoon_free_pages(&refused, mv->page_order);
	move_end(ub);
out:
	mv->stop = stop;
	spin_lock(&ub->lock);
	ub->last_stop = stop;
	spin_unlock(&ub->lock);
}

/* ---- UNLOCK, POP, and giving back unasked ---- */

/**
 * uballoon_core_unlock - UNLOCK
 * @ub:	balloon
 * @mv:	validated; out: done_pages, refused_pages, stop
 */
void uballoon_core_unlock(struct uballoon *ub, struct uballoon_move *mv)
{
	ktime_t until = ktime_add_ms(ktime_get(), mv->budget_ms);
	u64 unit = 1ULL << mv->page_order;
	u64 room, got;
	u32 stop;

	mv->done_pages = 0;
	mv->refused_pages = 0;
	stop = move_begin(ub, until);
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
		room = total(ub) - min(total(ub), ub->floor_pages);
		spin_unlock(&ub->lock);
		if (room < unit) {
			stop = UBALLOON_STOP_TARGET;
			break;
		}
		got = uballoon_batch_take_back(ub, mv->page_order,
					       min(room, mv->pages - mv->done_pages),
					       with_grace(until), TASK_INTERRUPTIBLE, &stop);
		if (stop != UBALLOON_STOP_NONE)
			break;
		mv->done_pages += got;
		if (mv->done_pages == mv->pages)
			stop = UBALLOON_STOP_DONE;
		cond_resched();
	} while (stop == UBALLOON_STOP_NONE);
	move_end(ub);
out:
	mv->stop = stop;
	spin_lock(&ub->lock);
	ub->last_stop = stop;
	spin_unlock(&ub->lock);
}

/* Lowers the bounds to what the balloon is now. Called with ub->lock held. */
static void lower_bounds(struct uballoon *ub)
{
	lockdep_assert_held(&ub->lock);
	ub->ceiling_pages = min(ub->ceiling_pages, total(ub) + ub->inflight_pages);
	ub->floor_pages = min(ub->floor_pages, ub->ceiling_pages);
}

/* One batch of either page size, large pages first: they give most for the least work. */
static u64 give_back(struct uballoon *ub, u64 want_pages, ktime_t until, unsigned int mode,
		     u32 *ret_stop)
{
	u64 got = 0;

	if (want_pages >= UBALLOON_PAGES_PER_2M)
		got = uballoon_batch_take_back(ub, UBALLOON_ORDER_2M, want_pages, until, mode,
					       ret_stop);
	if (!got)
		got = uballoon_batch_take_back(ub, UBALLOON_ORDER_4K, want_pages, until, mode,
					       ret_stop);
	return got;
}

/**
 * uballoon_core_relieve - give memory back because the guest needs it
 * @ub:		balloon
 * @want_pages:	how much; for @oom more if that is little
 * @oom:	the OOM killer is next: wait for the host if need be, and hold LOCK off
 *
 * Does not allocate, takes no lock that an allocation is made under.
 *
 * Return: pages that are free now.
 */
u64 uballoon_core_relieve(struct uballoon *ub, u64 want_pages, bool oom)
{
	ktime_t until = oom ? ktime_add_ms(ktime_get(), UBALLOON_HOST_WAIT_MS) : 0;
	u64 freed = 0, got, size = uballoon_size(ub);
	u32 stop;

	if (oom)
		want_pages = max3(want_pages, (u64)OOM_MIN_PAGES, size / OOM_SHARE);
	while (freed < want_pages) {
		/* A little more than asked for, rather than small pages out of thrift. */
		got = give_back(ub, max_t(u64, want_pages - freed, oom ? UBALLOON_PAGES_PER_2M : 0),
				until, TASK_UNINTERRUPTIBLE, &stop);
		if (!got || stop != UBALLOON_STOP_NONE)
			break;
		freed += got;
	}

	spin_lock(&ub->lock);
	if (oom && size) {
		ub->counters.oom_events++;
		ub->counters.oom_pages += freed;
		ub->holdoff = true;
		ub->holdoff_end = jiffies + msecs_to_jiffies(uballoon_params.oom_holdoff_ms);
	} else if (freed) {
		ub->counters.shrink_events++;
		ub->counters.shrink_pages += freed;
	}
	if (freed || (oom && size)) {
		lower_bounds(ub);
		ub->relief_generation++;
	}
	spin_unlock(&ub->lock);
	if (freed || (oom && size))
		wake_up_all(&ub->poll_wait);
	return freed;
}

/* Empties the balloon in the background; the pages are added to *counter. */
static void start_drain(struct uballoon *ub, u64 *counter)
{
	spin_lock(&ub->lock);
	ub->draining = true;
	ub->drain_counter = counter;
	spin_unlock(&ub->lock);
	mod_delayed_work(ub->wq, &ub->drain_work, 0);
}

static void drain_work(struct work_struct *work)
{
	struct uballoon *ub = container_of(to_delayed_work(work), struct uballoon, drain_work);
	u64 got;
	u32 stop;

	spin_lock(&ub->lock);
	ub->internals.drain_events++;
	spin_unlock(&ub->lock);
	for (;;) {
		if (READ_ONCE(ub->gone) || !READ_ONCE(ub->draining))
			return;
		got = give_back(ub, U64_MAX, ktime_add_ms(ktime_get(), UBALLOON_HOST_WAIT_MS),
				TASK_KILLABLE, &stop);
		spin_lock(&ub->lock);
		*ub->drain_counter += got;
		if (total(ub) <= uballoon_min_size(ub) && !ub->inflight_pages)
			ub->draining = false;
		spin_unlock(&ub->lock);
		if (!got)
			break;
		cond_resched();
	}
	if (READ_ONCE(ub->draining))
		queue_delayed_work(ub->wq, &ub->drain_work, msecs_to_jiffies(DRAIN_RETRY_MS));
}

/**
 * uballoon_core_pop - POP
 * @ub:		balloon
 * @pop:	validated; out: done_pages
 */
void uballoon_core_pop(struct uballoon *ub, struct uballoon_pop *pop)
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
	if (move_begin(ub, until) == UBALLOON_STOP_NONE) {
		while (must_leave(ub, until) == UBALLOON_STOP_NONE) {
			got = give_back(ub, U64_MAX, with_grace(until), TASK_INTERRUPTIBLE, &stop);
			if (!got || stop != UBALLOON_STOP_NONE)
				break;
			pop->done_pages += got;
			cond_resched();
		}
		move_end(ub);
	}

	spin_lock(&ub->lock);
	ub->counters.pop_pages += pop->done_pages;
	got = total(ub) - uballoon_min_size(ub) + ub->inflight_pages;
	spin_unlock(&ub->lock);
	if (got)
		start_drain(ub, &ub->counters.pop_pages);
}

/* ---- bounds and lease ---- */

static void restart_lease(struct uballoon *ub)
{
	lockdep_assert_held(&ub->lock);
	ub->lease_end = jiffies + msecs_to_jiffies(ub->lease_ms);
	if (ub->lease_ms)
		mod_delayed_work(ub->wq, &ub->lease_work, msecs_to_jiffies(ub->lease_ms));
	else
		cancel_delayed_work(&ub->lease_work);
}

void uballoon_core_set_target(struct uballoon *ub, const struct uballoon_target *t)
{
	spin_lock(&ub->lock);
	ub->ceiling_pages = t->ceiling_pages;
	ub->floor_pages = t->floor_pages;
	ub->lease_ms = t->lease_ms;
	ub->lease_expired = false;
	ub->draining = false;
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
 * @ret_left:	false: the lease has been renewed meanwhile and has so many jiffies left, 0 = off
 *
 * Return: true if it has run out; the balloon is being emptied then.
 */
bool uballoon_core_lease_expire(struct uballoon *ub, unsigned long *ret_left)
{
	spin_lock(&ub->lock);
	if (!ub->lease_ms || ub->lease_expired || time_before(jiffies, ub->lease_end)) {
		*ret_left = ub->lease_ms && !ub->lease_expired ? ub->lease_end - jiffies : 0;
		spin_unlock(&ub->lock);
		return false;
	}
	ub->lease_expired = true;
	ub->ceiling_pages = 0;
	ub->floor_pages = 0;
	ub->counters.lease_events++;
	ub->relief_generation++;
	spin_unlock(&ub->lock);
	start_drain(ub, &ub->counters.lease_pages);
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
	}
	drain = changed && ub->lease_expired;
	spin_unlock(&ub->lock);
	if (!changed)
		return;
	wake_up_all(&ub->poll_wait);
	/* A host that did not allow to empty the balloon may do so now. */
	if (drain)
		start_drain(ub, &ub->counters.lease_pages);
}

/* ---- what is ---- */

void uballoon_core_info(struct uballoon *ub, struct uballoon_info *ret)
{
	const struct uballoon_host *host = ub->host;

	memset(ret, 0, sizeof(*ret));
	ret->size = sizeof(*ret);
	ret->abi_version = UBALLOON_ABI_VERSION;
	ret->capabilities = host->caps;
	ret->ram_pages = uballoon_ram(ub);
	ret->floor_pages = uballoon_floor(ub);
	ret->batch_pages_4k = host->batch_4k;
	ret->batch_pages_2m = host->batch_2m;
	strscpy(ret->host, host->ops->name, sizeof(ret->host));
}

void uballoon_core_state(struct uballoon *ub, struct uballoon_state *ret, u64 *ret_host_generation,
			 u64 *ret_relief_generation)
{
	u64 ram = uballoon_ram(ub), floor = uballoon_floor(ub);

	memset(ret, 0, sizeof(*ret));
	ret->size = sizeof(*ret);
	spin_lock(&ub->lock);
	if (ub->host_target_valid)
		ret->flags |= UBALLOON_STATE_HOST_TARGET;
	if (ub->writer)
		ret->flags |= UBALLOON_STATE_WRITER;
	if (ub->lease_expired)
		ret->flags |= UBALLOON_STATE_LEASE_EXPIRED;
	if (ub->draining)
		ret->flags |= UBALLOON_STATE_DRAINING;
	ret->size_4k_pages = ub->size[UBALLOON_4K];
	ret->size_2m_pages = ub->size[UBALLOON_2M];
	ret->ceiling_pages = ub->ceiling_pages;
	ret->floor_pages = ub->floor_pages;
	ret->host_target_pages = ub->host_target_pages;
	ret->limit_pages = min(host_bound(ub), ram - min(ram, floor));
	ret->generation = ub->host_generation + ub->relief_generation;
	ret->lease_ms = ub->lease_ms;
	if (ub->lease_ms && !ub->lease_expired && time_before(jiffies, ub->lease_end))
		ret->lease_left_ms = jiffies_to_msecs(ub->lease_end - jiffies);
	ret->holdoff_left_ms = holdoff_left_ms(ub);
	ret->last_stop = ub->last_stop;
	ret->counters = ub->counters;
	*ret_host_generation = ub->host_generation;
	*ret_relief_generation = ub->relief_generation;
	spin_unlock(&ub->lock);
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
 * Return: false if its device is going away. Else uballoon_core_leave() must follow soon.
 */
bool uballoon_core_enter(struct uballoon *ub)
{
	bool ok;

	spin_lock(&ub->lock);
	ok = !ub->gone;
	ub->users += ok;
	spin_unlock(&ub->lock);
	return ok;
}

void uballoon_core_leave(struct uballoon *ub)
{
	bool last;

	spin_lock(&ub->lock);
	last = !--ub->users && ub->gone;
	spin_unlock(&ub->lock);
	if (last)
		wake_up_all(&ub->wait);
}

/**
 * uballoon_core_new - make the balloon of a host's device
 * @host:	ops set
 *
 * Return: host->core; -EBUSY if there is a balloon already.
 */
struct uballoon *uballoon_core_new(struct uballoon_host *host)
{
	enum uballoon_hold hold;
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
	for (hold = 0; hold < UBALLOON_HOLDS; hold++) {
		INIT_LIST_HEAD(&ub->pages_2m[hold]);
		balloon_devinfo_init(&ub->lists_4k[hold].dev);
		uballoon_migrate_init(&ub->lists_4k[hold].dev);
		ub->lists_4k[hold].ub = ub;
		ub->lists_4k[hold].hold = hold;
	}
	INIT_LIST_HEAD(&ub->refused);
	INIT_LIST_HEAD(&ub->free_batches);
	init_llist_head(&ub->done);
	init_waitqueue_head(&ub->wait);
	init_waitqueue_head(&ub->poll_wait);
	INIT_DELAYED_WORK(&ub->reap_work, reap_work);
	INIT_DELAYED_WORK(&ub->drain_work, drain_work);

	ub->wq = alloc_workqueue("uballoon", WQ_MEM_RECLAIM | WQ_FREEZABLE | WQ_UNBOUND, 0);
	if (!ub->wq)
		goto err_free;
	r = uballoon_batch_init(ub);
	if (r)
		goto err_batch;
	host->core = ub;
	return ub;

err_batch:
	uballoon_batch_exit(ub);
	destroy_workqueue(ub->wq);
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
		got = give_back(ub, U64_MAX, patience, TASK_UNINTERRUPTIBLE, &stop);
		spin_lock(&ub->lock);
		ub->counters.pop_pages += got;
		spin_unlock(&ub->lock);
		cond_resched();
	} while (got && stop == UBALLOON_STOP_NONE);
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
	spin_unlock(&ub->lock);
	wake_up_all(&ub->wait);
	wake_up_all(&ub->poll_wait);
	uballoon_wait(ub, no_users, NULL, forever, TASK_UNINTERRUPTIBLE);
	cancel_delayed_work_sync(&ub->drain_work);
	give_all_back(ub);
}

/**
 * uballoon_core_suspend - give the memory back, to go on later
 * @ub:	balloon; userspace and the work queue are frozen
 *
 * The device must be reset and uballoon_core_drop() be called next.
 */
void uballoon_core_suspend(struct uballoon *ub)
{
	spin_lock(&ub->lock);
	ub->ceiling_pages = 0;
	ub->floor_pages = 0;
	ub->counters.pop_events++;
	ub->relief_generation++;
	spin_unlock(&ub->lock);
	give_all_back(ub);
	wake_up_all(&ub->poll_wait);
}

/**
 * uballoon_core_drop - free all pages without a word to the host
 * @ub:	balloon
 *
 * For a device that has been reset: it keeps nothing and answers nothing.
 */
void uballoon_core_drop(struct uballoon *ub)
{
	uballoon_batch_drop(ub);
	/* Compaction may have taken pages off the lists; it puts them back. */
	while (uballoon_size(ub)) {
		msleep(1);
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
	destroy_workqueue(ub->wq);
	WARN_ON_ONCE(ub->inflight_pages || ub->unmanaged_pages);
	uballoon_batch_exit(ub);
	ub->host = NULL;
	uballoon_core_put(ub);

	mutex_lock(&uballoon_only_lock);
	uballoon_only = false;
	mutex_unlock(&uballoon_only_lock);
}
