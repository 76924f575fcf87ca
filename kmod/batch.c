// SPDX-License-Identifier: GPL-2.0-only
/*
 * batch.c - pages on their way to and from the host
 *
 * A batch is allocated once, with the balloon, so that giving memory back
 * needs none. The host answers it from any context; the answer is finished in
 * process context by whoever waits (a "reaper") or, if nobody does, by a work
 * item. So the lists need no interrupt-safe locks, and a caller that gives up
 * on a silent host loses nothing: its pages stay with the host until the
 * answer comes, and are booked then.
 *
 * Invariant: size + what is claimed by who gives back = sum of the lists + pages isolated by
 * compaction + pages in batches marked as migration + size_debt.
 *
 * Left out: which page size, how much and when (move.c); from the lists back to the
 * guest (release.c).
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "core.h"

/* Pages that one host refuses are kept from the allocator, at most so many. */
#define REFUSED_MAX	16

/* How often a host is told of the size while it changes: each time may be a trip to it. */
#define SIZE_TOLD_MS	20

/* ---- the pool ---- */

int uballoon_batch_init(struct uballoon *ub)
{
	struct uballoon_batch *b;
	unsigned int i;

	for (i = 0; i < UBALLOON_BATCHES; i++) {
		b = kzalloc(sizeof(*b) + ub->host->ops->batch_priv_size, GFP_KERNEL);
		if (!b)
			return -ENOMEM;
		INIT_LIST_HEAD(&b->pages);
		INIT_LIST_HEAD(&b->refused);
		ub->batches[i] = b;
		list_add_tail(&b->node, &ub->free_batches);
		ub->free_count++;
	}
	return 0;
}

void uballoon_batch_exit(struct uballoon *ub)
{
	unsigned int i;

	for (i = 0; i < UBALLOON_BATCHES; i++)
		kfree(ub->batches[i]);
}

/**
 * uballoon_batch_get - take a batch out of the pool, if there is one
 * @ub:		balloon
 * @keep:	leave so many in the pool
 */
struct uballoon_batch *uballoon_batch_get(struct uballoon *ub, unsigned int keep)
{
	struct uballoon_batch *b = NULL;

	spin_lock(&ub->lock);
	if (ub->free_count > keep) {
		b = list_first_entry(&ub->free_batches, struct uballoon_batch, node);
		list_del_init(&b->node);
		ub->free_count--;
	}
	spin_unlock(&ub->lock);
	if (!b)
		return NULL;

	b->old_count = 0;
	b->old_refused = 0;
	b->old_free = false;
	b->count = 0;
	b->refused_count = 0;
	b->order = UBALLOON_BASE_ORDER;
	b->unlock = false;
	b->hold = UBALLOON_HOLD_QUIET;
	b->stop = UBALLOON_STOP_NONE;
	b->answered = false;
	b->migration = false;
	b->proof = 0;
	b->call = 0;
	atomic_set(&b->parts, 1);
	return b;
}

/**
 * uballoon_batch_put - say that one party is through with the batch
 * @ub:	balloon
 * @b:	batch; back in the pool when the last party has said so
 */
void uballoon_batch_put(struct uballoon *ub, struct uballoon_batch *b)
{
	if (!atomic_dec_and_test(&b->parts))
		return;
	WARN_ON_ONCE(!list_empty(&b->pages) || !list_empty(&b->refused) || b->old_count);
	spin_lock(&ub->lock);
	list_add(&b->node, &ub->free_batches);
	ub->free_count++;
	spin_unlock(&ub->lock);
	wake_up_all(&ub->wait);
}

/* ---- answers ---- */

/**
 * uballoon_batch_done - the host has answered
 * @ub:	balloon
 * @b:	batch that ops->lock() or ops->unlock() was given; the host must not touch it any more
 *
 * Any context.
 */
void uballoon_batch_done(struct uballoon *ub, struct uballoon_batch *b)
{
	llist_add(&b->done_node, &ub->done);
	/* Pairs with the barrier in uballoon_reapers_dec(). */
	smp_mb();
	if (atomic_read(&ub->reapers))
		wake_up_all(&ub->wait);
	else
		queue_delayed_work(ub->wq, &ub->reap_work, 0);
}

/* While it is above zero, nobody else finishes what the host answers. */
void uballoon_reapers_inc(struct uballoon *ub)
{
	atomic_inc(&ub->reapers);
}

void uballoon_reapers_dec(struct uballoon *ub)
{
	struct uballoon_host *host = ub->host;

	/* The host now has to be told that nobody looks any more. */
	if (atomic_dec_and_test(&ub->reapers) && host->ops->poll)
		host->ops->poll(host);
	/* An answer either sees that there is no reaper, or is seen here. */
	smp_mb();
	if (!llist_empty(&ub->done))
		uballoon_reap(ub);
}

/**
 * uballoon_attention - who looks for answers?
 * @ub:	balloon
 *
 * Any context. When there will be less of it, ops->poll() is called afterwards.
 */
enum uballoon_attention uballoon_attention(struct uballoon *ub)
{
	if (!atomic_read(&ub->reapers))
		return UBALLOON_NOBODY;
	return atomic_read(&ub->waiters) ? UBALLOON_WAITS : UBALLOON_LOOKS;
}

/**
 * uballoon_tell_size - the size has changed, for hosts that want to know
 * @ub:	balloon
 *
 * While somebody moves memory, now and then will do: he tells the last one.
 */
void uballoon_tell_size(struct uballoon *ub)
{
	struct uballoon_host *host = ub->host;

	if (!host->ops->size_changed ||
	    (READ_ONCE(ub->moving) &&
	     time_before(jiffies, READ_ONCE(ub->size_told) + msecs_to_jiffies(SIZE_TOLD_MS))))
		return;
	WRITE_ONCE(ub->size_told, jiffies);
	host->ops->size_changed(host);
}

static void finish_lock(struct uballoon *ub, struct uballoon_batch *b)
{
	unsigned int order = b->order;
	unsigned int refused_4k = b->refused_count << order;
	unsigned int taken_4k = b->count << order;
	bool ours;
	u64 off;
	LIST_HEAD(to_free);
	bool drain;

	spin_lock(&ub->lock);
	if (b->migration)
		uballoon_accounts_change(ub, &b->refused, order, -1);
	else
		uballoon_accounts_change(ub, &b->pages, order, 1);
	spin_unlock(&ub->lock);
	uballoon_lists_add(ub, order, b->hold, &b->pages);

	spin_lock(&ub->lock);
	ours = ub->call && b->call == ub->call;
	if (ours && ub->call_splits && order == UBALLOON_LARGE_ORDER &&
	    b->stop == UBALLOON_STOP_NONE) {
		list_splice_tail_init(&b->refused, &ub->whole);
		ub->part_pages += refused_4k;
		refused_4k = 0;
	}
	if (b->migration) {
		/* Who gives back may have claimed them, and finds that they are not there. */
		off = min_t(u64, ub->size[UBALLOON_4K], refused_4k);
		ub->size[UBALLOON_4K] -= off;
		ub->size_debt += refused_4k - off;
		ub->counters.unlocked_4k_pages += refused_4k;
	} else {
		ub->internals.batches[b->hold][uballoon_pagesize(order)]++;
		ub->inflight_pages -= taken_4k + refused_4k;
		uballoon_size_add(ub, uballoon_pagesize(order), taken_4k);
		if (order == UBALLOON_LARGE_ORDER)
			ub->counters.locked_2m_pages += taken_4k;
		else
			ub->counters.locked_4k_pages += taken_4k;
	}
	if (b->stop != UBALLOON_STOP_RESET)
		ub->counters.refused_pages += refused_4k;
	if (ours) {
		ub->call_inflight_pages -= taken_4k + refused_4k;
		ub->call_done_pages += taken_4k;
		ub->call_refused_pages += refused_4k;
		if (b->stop != UBALLOON_STOP_NONE)
			ub->call_stop = b->stop;
		if (b->stop == UBALLOON_STOP_NONE && order == UBALLOON_BASE_ORDER &&
		    ub->refused_count + b->refused_count <= REFUSED_MAX) {
			list_splice_init(&b->refused, &ub->refused);
			ub->refused_count += b->refused_count;
		}
	}
	list_splice_init(&b->refused, &to_free);
	b->answered = true;
	drain = ub->draining;
	spin_unlock(&ub->lock);

	uballoon_pages_free(&to_free, order);
	if (drain)
		mod_delayed_work(ub->wq, &ub->drain_work, 0);
	uballoon_batch_put(ub, b);
}

/*
 * Frees pages that others have replaced; those took over their place in the
 * accounts. What the host does not release waits for another try.
 */
static void free_old_pages(struct uballoon *ub, struct uballoon_batch *b)
{
	unsigned int i, count = b->old_count;

	b->old_count = 0;
	if (b->old_free)
		return;
	spin_lock(&ub->lock);
	ub->old_away -= count;
	for (i = 0; i < b->old_refused; i++)
		ub->old_pages[ub->old_count++] = b->old_pages[i];
	spin_unlock(&ub->lock);
	for (i = b->old_refused; i < count; i++)
		put_page(b->old_pages[i]);
	if (b->old_refused)
		uballoon_migrate_retry(ub);
}

/* Puts back into the balloon what the host does not release. */
static void keep_refused(struct uballoon *ub, struct uballoon_batch *b)
{
	u64 kept_4k = (u64)b->refused_count << b->order;

	if (list_empty(&b->refused))
		return;
	if (b->order == UBALLOON_LARGE_ORDER)
		uballoon_lists_keep_2m(ub, b->hold, &b->refused);
	else
		uballoon_lists_add(ub, b->order, b->hold, &b->refused);
	spin_lock(&ub->lock);
	uballoon_size_add(ub, uballoon_pagesize(b->order), kept_4k);
	ub->counters.refused_pages += kept_4k;
	spin_unlock(&ub->lock);
}

static void finish_unlock(struct uballoon *ub, struct uballoon_batch *b)
{
	LIST_HEAD(pages);

	keep_refused(ub, b);

	/* An unlocking caller may have taken the pages already. */
	spin_lock(&ub->lock);
	list_splice_init(&b->pages, &pages);
	b->answered = true;
	ub->internals.unlock_batches++;
	spin_unlock(&ub->lock);

	uballoon_pages_release(ub, &pages, b->order);
	free_old_pages(ub, b);
	uballoon_batch_put(ub, b);
}

/**
 * uballoon_reap - book what the host has answered
 * @ub:	balloon
 *
 * Process context; does not allocate.
 */
void uballoon_reap(struct uballoon *ub)
{
	struct uballoon_host *host = ub->host;
	struct uballoon_batch *b, *next;
	struct llist_node *list;

	if (host->ops->poll)
		host->ops->poll(host);
	list = llist_del_all(&ub->done);
	if (!list)
		return;
	spin_lock(&ub->lock);
	ub->silent = false;
	spin_unlock(&ub->lock);
	list = llist_reverse_order(list);
	llist_for_each_entry_safe(b, next, list, done_node) {
		if (b->proof && uballoon_proof_answered(ub, b))
			continue;
		if (b->unlock)
			finish_unlock(ub, b);
		else
			finish_lock(ub, b);
	}
	uballoon_tell_size(ub);
	wake_up_all(&ub->wait);
}

/**
 * uballoon_wait - wait for something that the host's answers bring about
 * @ub:		balloon
 * @ready:	must not sleep
 * @arg:	for it
 * @until:	give up then
 * @mode:	TASK_INTERRUPTIBLE, TASK_KILLABLE (both also give up when the device goes
 *		away) or TASK_UNINTERRUPTIBLE
 *
 * Return: UBALLOON_STOP_NONE, BUDGET, INTERRUPTED or RESET.
 */
u32 uballoon_wait(struct uballoon *ub, bool (*ready)(struct uballoon *ub, const void *arg),
		  const void *arg, ktime_t until, unsigned int mode)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	u32 stop = UBALLOON_STOP_NONE;
	s64 left_us;

	uballoon_reapers_inc(ub);
	/* Before the first look: with that the host learns that it must wake us. */
	atomic_inc(&ub->waiters);
	smp_mb__after_atomic();
	add_wait_queue(&ub->wait, &wait);
	for (;;) {
		uballoon_reap(ub);
		if (ready(ub, arg))
			break;
		if (mode != TASK_UNINTERRUPTIBLE && READ_ONCE(ub->gone)) {
			stop = UBALLOON_STOP_RESET;
			break;
		}
		if (signal_pending_state(mode, current)) {
			stop = UBALLOON_STOP_INTERRUPTED;
			break;
		}
		left_us = ktime_us_delta(until, ktime_get());
		if (left_us <= 0) {
			stop = UBALLOON_STOP_BUDGET;
			break;
		}
		wait_woken(&wait, mode, usecs_to_jiffies(min_t(s64, left_us, USEC_PER_SEC)) + 1);
	}
	remove_wait_queue(&ub->wait, &wait);
	atomic_dec(&ub->waiters);
	uballoon_reapers_dec(ub);
	return stop;
}

/**
 * uballoon_host_silent - note that the host has not answered in time, and remind it
 * @ub:		balloon
 * @what:	what was waited for
 *
 * Nothing is noted if all has been answered by now.
 */
void uballoon_host_silent(struct uballoon *ub, const char *what)
{
	bool late;

	spin_lock(&ub->lock);
	late = ub->free_count < UBALLOON_BATCHES;
	if (late) {
		ub->counters.host_timeout_events++;
		ub->silent = true;
	}
	spin_unlock(&ub->lock);
	if (!late)
		return;
	pr_warn_ratelimited("%s: no answer from the host to %s; its pages stay put until it answers\n",
			    ub->host->ops->name, what);
	if (ub->host->ops->nudge)
		ub->host->ops->nudge(ub->host);
}

/**
 * uballoon_old_pages_drop - free those that wait for the host to release them
 * @ub:	balloon; the host holds nothing any more
 */
void uballoon_old_pages_drop(struct uballoon *ub)
{
	struct page *page;

	for (;;) {
		spin_lock(&ub->lock);
		page = ub->old_count ? ub->old_pages[--ub->old_count] : NULL;
		spin_unlock(&ub->lock);
		if (!page)
			return;
		put_page(page);
	}
}

/**
 * uballoon_batch_drop - free everything without a word to the host
 * @ub:	balloon
 *
 * For a device that has been reset: nothing of the guest is with it any more
 * and it will not answer. No other caller may be inside.
 */
void uballoon_batch_drop(struct uballoon *ub)
{
	struct uballoon_batch *b;
	unsigned int i;

	uballoon_reap(ub);
	/* What was with the device comes back as if refused. */
	for (i = 0; i < UBALLOON_BATCHES; i++) {
		b = ub->batches[i];
		if (!atomic_read(&b->parts))
			continue;
		if (!b->unlock) {
			list_splice_init(&b->pages, &b->refused);
			b->refused_count += b->count;
			b->count = 0;
			b->stop = UBALLOON_STOP_RESET;
			finish_lock(ub, b);
		} else if (!b->proof || !uballoon_proof_answered(ub, b)) {
			finish_unlock(ub, b);
		}
	}

	spin_lock(&ub->lock);
	ub->silent = false;
	spin_unlock(&ub->lock);
	uballoon_old_pages_drop(ub);
	uballoon_untold_forget(ub);
	uballoon_lists_drop(ub);
}
