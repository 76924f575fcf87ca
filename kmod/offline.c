// SPDX-License-Identifier: GPL-2.0-only
/*
 * offline.c - memory that is about to go offline
 *
 * The 4 KiB pages in it are moved by the kernel (migrate.c). The 2 MiB pages cannot be:
 * they are given back here, when the kernel announces that a range goes offline, which
 * it does after it has made sure that nothing new is allocated there. The kernel lets
 * PageOffline pages be until then for that very purpose.
 *
 * Where the host insists on the balloon's size, as many pages from elsewhere are handed
 * over first, as far as LOCK's floor allows. If there are none, the range stays online, as
 * it would with any other memory that is in use.
 *
 * What a host has that does not answer stays where it is. If it is known not to, the range
 * is refused at once: the kernel would try for ever. Where it falls silent later, the kernel
 * tries until a signal ends it; each page that has no room to wait is waited for (migrate.c).
 *
 * Left out: contiguous allocations. Those isolate what they want and announce nothing, and
 * the kernel moves only single pages of a balloon.
 */
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/notifier.h>

#include "core.h"
#include "offline.h"

#ifdef CONFIG_MEMORY_HOTPLUG

static bool all_batches(struct uballoon *ub, const void *arg)
{
	return READ_ONCE(ub->free_count) == UBALLOON_BATCHES;
}

static bool batch_answered(struct uballoon *ub, const void *arg)
{
	const struct uballoon_batch *b = arg;

	return READ_ONCE(b->answered);
}

/* Whether the guest has one to spare. */
static bool may_lock_another(struct uballoon *ub)
{
	u64 keep = max_t(u64, uballoon_floor(ub), READ_ONCE(ub->relief_pages));
	long slack = uballoon_available(ub) - keep;
	bool may;

	spin_lock(&ub->lock);
	may = slack >= UBALLOON_LARGE_PAGES && !uballoon_holdoff_left_ms(ub);
	spin_unlock(&ub->lock);
	return may;
}

/* Hands over one 2 MiB page more, which is not in the range: nothing is allocated there. */
static bool lock_another(struct uballoon *ub, ktime_t until)
{
	gfp_t gfp = GFP_HIGHUSER | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC;
	struct uballoon_batch *b;
	bool taken = false;
	u32 stop;

	if (ub->host->ops->move || ub->host->unlock_first || uballoon_untold_any(ub) ||
	    !may_lock_another(ub))
		return false;
	b = uballoon_batch_get(ub, UBALLOON_RESERVED);
	if (!b)
		return false;
	b->order = UBALLOON_LARGE_ORDER;
	b->count = uballoon_pages_alloc(&b->pages, UBALLOON_LARGE_ORDER, NUMA_NO_NODE, 1, gfp,
					until);
	if (b->count && !uballoon_untold_refuse(ub, b)) {
		spin_lock(&ub->lock);
		ub->inflight_pages += UBALLOON_LARGE_PAGES;
		spin_unlock(&ub->lock);
		atomic_inc(&b->parts);
		ub->host->ops->lock(ub->host, b);
		stop = uballoon_wait(ub, batch_answered, b, until, TASK_KILLABLE);
		if (stop == UBALLOON_STOP_NONE)
			taken = READ_ONCE(b->count);
		else if (stop == UBALLOON_STOP_BUDGET)
			uballoon_host_silent(ub, "a lock request");
	}
	uballoon_batch_put(ub, b);
	return taken;
}

/* Gives back what 2 MiB pages there are. Returns the pages that the balloon has less. */
static u64 clear_range(struct uballoon *ub, unsigned long start, unsigned long end)
{
	u64 given = 0, others = 0, got;
	ktime_t until;
	u32 stop;

	for (;;) {
		/* A host that answers has as long as it takes. */
		until = ktime_add_ms(ktime_get(), UBALLOON_HOST_WAIT_MS);
		got = uballoon_take_back_range(ub, start, end, until, TASK_KILLABLE, &stop);
		given += got;
		if (!uballoon_is_free(stop))
			break;
		if (got)
			continue;
		if (stop != UBALLOON_STOP_TARGET || !uballoon_lists_have_range(ub, start, end) ||
		    !lock_another(ub, until))
			break;
		others += UBALLOON_LARGE_PAGES;
	}
	spin_lock(&ub->lock);
	ub->internals.offline_pages += given;
	ub->internals.offline_replaced_pages += others;
	spin_unlock(&ub->lock);
	return given - min(given, others);
}

static bool host_answers(struct uballoon *ub)
{
	ktime_t until = ktime_add_ms(ktime_get(), UBALLOON_HOST_GRACE_MS);

	if (!READ_ONCE(ub->silent) || all_batches(ub, NULL))
		return true;
	if (ub->host->ops->nudge)
		ub->host->ops->nudge(ub->host);
	uballoon_wait(ub, all_batches, NULL, until, TASK_KILLABLE);
	return !READ_ONCE(ub->silent);
}

static int going_offline(struct uballoon *ub, unsigned long start, unsigned long end)
{
	u64 given = clear_range(ub, start, end);

	/* Pages that were on their way to the host, or back, when the range was isolated. */
	if (!all_batches(ub, NULL) && host_answers(ub)) {
		uballoon_wait(ub, all_batches, NULL,
			      ktime_add_ms(ktime_get(), UBALLOON_HOST_GRACE_MS), TASK_KILLABLE);
		given += clear_range(ub, start, end);
	}
	if (given)
		uballoon_gave_back(ub);
	if (host_answers(ub))
		return 0;
	pr_warn_ratelimited("memory stays online: the host does not answer, and may have pages of it\n");
	return -EBUSY;
}

static int notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct uballoon_offline *o = container_of(nb, struct uballoon_offline, nb);
	const struct memory_notify *range = data;
	int r;

	/* The kernel has one range at a time. */
	WRITE_ONCE(o->ub->offlining, action == MEM_GOING_OFFLINE);
	if (action != MEM_GOING_OFFLINE || !uballoon_core_enter(o->ub))
		return NOTIFY_OK;
	spin_lock(&o->ub->lock);
	o->ub->internals.offline_events++;
	spin_unlock(&o->ub->lock);
	r = going_offline(o->ub, range->start_pfn, range->start_pfn + range->nr_pages);
	uballoon_core_leave(o->ub);
	return notifier_from_errno(r);
}

/**
 * uballoon_offline_init - begin to listen
 * @o:	zeroed
 * @ub:	balloon
 */
int uballoon_offline_init(struct uballoon_offline *o, struct uballoon *ub)
{
	o->ub = ub;
	o->nb.notifier_call = notify;
	return register_memory_notifier(&o->nb);
}

/**
 * uballoon_offline_exit - and stop; waits for who is inside
 * @o:	as it was begun
 */
void uballoon_offline_exit(struct uballoon_offline *o)
{
	unregister_memory_notifier(&o->nb);
}

#else

int uballoon_offline_init(struct uballoon_offline *o, struct uballoon *ub)
{
	return 0;
}

void uballoon_offline_exit(struct uballoon_offline *o)
{
}

#endif
