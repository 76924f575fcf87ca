// SPDX-License-Identifier: GPL-2.0-only
/*
 * xen.c - a Xen guest: the kernel's own balloon driver moves the pages
 *
 * That driver cannot be replaced (it is built in, and backends borrow pages
 * from it), but it exports its target and its state. LOCK and UNLOCK move the
 * target and wait for what its thread really does; when a call ends, early or
 * not, the target is set to where the thread stands, so that nothing moves
 * behind anybody's back. Memory is counted as Xen counts it: the balloon is
 * what the guest was built for minus what it has.
 *
 * The host's target is memory/target in xenstore. Two parties write the
 * driver's target, the driver itself upon a change there (`xl mem-set`) and we.
 * The rule: the host's word stands at once, whatever runs here. A call that is
 * under way ends with UBALLOON_STOP_TARGET, and because the call may have
 * overwritten the new target in the same moment, our own watch sets it again.
 * Afterwards the guest may move on from there, but never to a smaller balloon
 * than the host's target: `xl mem-set` also sets the domain's maximum, so Xen
 * would refuse. An UNLOCK, a relief or an unload that gives "everything" back
 * therefore ends at the host's target.
 *
 * What the host takes it takes through the kernel's driver, which asks nobody:
 * the module's floor and hold-off bind LOCK, not `xl mem-set`.
 *
 * Invariants: the driver's target is only written under xen_balloon.lock here;
 * a mover that finds it changed, or a newer ticket, no longer owns it; never
 * more than total_pages is asked for, which would add memory by hotplug, but by
 * the host itself.
 *
 * Leaves out: 2 MiB pages (the driver moves single ones), a list of the pages
 * (it is the driver's), save, restore and migration (the driver's, too: the
 * watch fires anew), the shrinker (it would wait for another thread's
 * allocations from within reclaim).
 */
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/vmstat.h>
#include <xen/balloon.h>
#include <xen/xen.h>
#include <xen/xenbus.h>

#include "../core.h"
#include "host.h"

/* Between two looks at the floor and the ceiling: 16 MiB. */
#define XEN_BATCH_PAGES		4096
/* The driver's thread finishes what it has begun, at most one page of frame numbers. */
#define XEN_SETTLE_MS		100

static bool xen_dom0;
module_param(xen_dom0, bool, 0444);
MODULE_PARM_DESC(xen_dom0,
		 "work in Xen's initial domain, too: its shortage is every guest's end (default N)");

/* Fields without a remark: protected by @lock, under which nothing sleeps. */
struct xen_balloon {
	struct uballoon_host host;
	struct xenbus_watch watch;
	struct notifier_block xenstore;	/* called when xenstore can be used */
	bool watching;			/* constant once @xenstore has been called */

	spinlock_t lock;		/* innermost, but for the driver's wait queue */
	u64 ticket;			/* who owns the driver's target */
	unsigned long goal_pages;	/* what the owner has set it to */
	unsigned long most_pages;	/* the guest's memory as the host wants it */
	long offset_pages;		/* memory/target minus the driver's target */
	bool watch_fired;
	u64 overruled_events;		/* movers that lost the target to somebody else */
	u64 failed_events;		/* movers that ended because the driver could not go on */
};

static struct xen_balloon *to_xen(struct uballoon_host *host)
{
	return container_of(host, struct xen_balloon, host);
}

/* The driver's fields are single words that its thread writes without a lock. */
static unsigned long has_pages(void)
{
	return READ_ONCE(balloon_stats.current_pages);
}

static u64 balloon_of(unsigned long memory_pages)
{
	unsigned long total = READ_ONCE(balloon_stats.total_pages);

	return total - min(total, memory_pages);
}

static u64 xen_pages(struct uballoon_host *host)
{
	return balloon_of(has_pages());
}

/*
 * What can be allocated without waking reclaim: the driver's own allocations
 * may reclaim a little, and nobody can ask it not to.
 */
static unsigned long idle_pages(void)
{
	unsigned long idle = 0, free, keep;
	struct zone *zone;
	unsigned int i;
	int nid;

	for_each_online_node(nid) {
		for (i = 0; i < MAX_NR_ZONES; i++) {
			zone = &NODE_DATA(nid)->node_zones[i];
			if (!populated_zone(zone))
				continue;
			free = zone_page_state(zone, NR_FREE_PAGES);
			keep = high_wmark_pages(zone) +
			       zone->lowmem_reserve[gfp_zone(GFP_HIGHUSER)];
			idle += free - min(free, keep);
		}
	}
	return idle;
}

static void count(struct xen_balloon *x, u64 *events)
{
	spin_lock(&x->lock);
	(*events)++;
	spin_unlock(&x->lock);
}

/* Takes the driver's target over and returns the ticket; memory then, and wanted, in *ret_... */
static u64 take_target(struct xen_balloon *x, s64 pages, unsigned long *ret_start,
		       unsigned long *ret_goal)
{
	unsigned long now, goal, most;
	u64 ticket;

	spin_lock(&x->lock);
	now = has_pages();
	if (pages > 0) {
		goal = now - min_t(u64, now, pages);
	} else {
		most = min(x->most_pages, READ_ONCE(balloon_stats.total_pages));
		goal = now + min_t(u64, most - min(most, now), -pages);
	}
	ticket = ++x->ticket;
	x->goal_pages = goal;
	if (goal != now)
		balloon_set_new_target(goal);
	spin_unlock(&x->lock);
	*ret_start = now;
	*ret_goal = goal;
	return ticket;
}

static bool owns_target(const struct xen_balloon *x, u64 ticket)
{
	return READ_ONCE(x->ticket) == ticket &&
	       READ_ONCE(balloon_stats.target_pages) == READ_ONCE(x->goal_pages);
}

/* Leaves the target where the driver's thread stands, and lets that come to rest. */
static void settle(struct xen_balloon *x, u64 ticket)
{
	ktime_t until = ktime_add_ms(ktime_get(), XEN_SETTLE_MS);

	spin_lock(&x->lock);
	if (owns_target(x, ticket)) {
		x->goal_pages = has_pages();
		balloon_set_new_target(x->goal_pages);
	}
	spin_unlock(&x->lock);
	while (owns_target(x, ticket) && has_pages() != READ_ONCE(x->goal_pages) &&
	       ktime_before(ktime_get(), until))
		schedule_timeout_uninterruptible(1);
}

/*
 * Waits for the driver's thread. It says nothing when it cannot go on, but
 * counts its retries: above 1 means that the last attempt failed, and the count
 * begins again when it gives up.
 */
static u32 await_thread(struct xen_balloon *x, u64 ticket, unsigned long goal, ktime_t until,
			unsigned int mode, u32 failed)
{
	unsigned long retries = READ_ONCE(balloon_stats.retry_count);
	unsigned long last = has_pages(), now;
	bool moving = false;

	for (;;) {
		now = has_pages();
		if (now == goal)
			return UBALLOON_STOP_NONE;
		if (!owns_target(x, ticket)) {
			count(x, &x->overruled_events);
			return UBALLOON_STOP_TARGET;
		}
		if (now != last) {
			last = now;
			moving = true;
			retries = READ_ONCE(balloon_stats.retry_count);
		} else if (READ_ONCE(balloon_stats.retry_count) != retries ||
			   (moving && retries > 1)) {
			count(x, &x->failed_events);
			return failed;
		}
		if (signal_pending_state(mode, current))
			return UBALLOON_STOP_INTERRUPTED;
		if (ktime_after(ktime_get(), until))
			return UBALLOON_STOP_BUDGET;
		__set_current_state(mode);
		schedule_timeout(1);
	}
}

static u64 xen_move(struct uballoon_host *host, s64 pages, bool may_reclaim, ktime_t until,
		    unsigned int mode, u32 *ret_stop)
{
	/* No memory, or none that Xen lets this guest have. */
	u32 failed = pages > 0 ? UBALLOON_STOP_NOMEM : UBALLOON_STOP_TARGET;
	struct xen_balloon *x = to_xen(host);
	unsigned long start, goal, now;
	s64 want = pages;
	u64 ticket;

	if (pages > 0 && !may_reclaim)
		want = min_t(u64, pages, idle_pages());
	ticket = take_target(x, want, &start, &goal);
	if (goal == start) {
		*ret_stop = failed;
		return 0;
	}
	*ret_stop = await_thread(x, ticket, goal, until, mode, failed);
	if (*ret_stop != UBALLOON_STOP_NONE)
		settle(x, ticket);
	else if (want < pages)
		*ret_stop = failed;
	now = has_pages();
	now = pages > 0 ? start - min(start, now) : max(start, now) - start;
	/* Others may have moved some meanwhile. */
	return min_t(u64, now, abs(pages));
}

static void xen_show(struct uballoon_host *host, struct seq_file *m)
{
	struct xen_balloon *x = to_xen(host);

	seq_printf(m, "xen_current_pages %lu\n", has_pages());
	seq_printf(m, "xen_target_pages %lu\n", READ_ONCE(balloon_stats.target_pages));
	seq_printf(m, "xen_total_pages %lu\n", READ_ONCE(balloon_stats.total_pages));
	seq_printf(m, "xen_retry_count %lu\n", READ_ONCE(balloon_stats.retry_count));
	spin_lock(&x->lock);
	seq_printf(m, "xen_host_pages %lu\n", x->most_pages);
	seq_printf(m, "xen_offset_pages %ld\n", x->offset_pages);
	seq_printf(m, "xen_overruled_events %llu\n", x->overruled_events);
	seq_printf(m, "xen_failed_events %llu\n", x->failed_events);
	spin_unlock(&x->lock);
}

static const struct uballoon_host_ops xen_ops = {
	.name	= "xen",
	.move	= xen_move,
	.pages	= xen_pages,
	.show	= xen_show,
};

/* ---- the host's target ---- */

/* memory/target in pages; false if there is none. */
static bool read_target(unsigned long *ret_pages)
{
	unsigned long long kib;

	if (xenbus_scanf(XBT_NIL, "memory", "target", "%llu", &kib) != 1)
		return false;
	*ret_pages = kib >> (PAGE_SHIFT - 10);
	return true;
}

static void target_changed(struct xenbus_watch *watch, const char *path, const char *token)
{
	struct xen_balloon *x = container_of(watch, struct xen_balloon, watch);
	unsigned long pages;

	if (!read_target(&pages))
		return;
	spin_lock(&x->lock);
	/* A fully virtualised guest's target counts pages that its kernel does not see. */
	if (!x->watch_fired && !xen_pv_domain())
		x->offset_pages = pages - READ_ONCE(balloon_stats.target_pages);
	/* Less than what its kernel does not see leaves it nothing. */
	pages = max((long)pages - x->offset_pages, 0L);
	x->most_pages = pages;
	/* A watch fires once when it is set, which is no news to the driver. */
	if (x->watch_fired) {
		x->ticket++;
		balloon_set_new_target(pages);
	}
	x->watch_fired = true;
	spin_unlock(&x->lock);
	uballoon_host_target(x->host.core, balloon_of(pages));
}

static int xenstore_up(struct notifier_block *nb, unsigned long event, void *data)
{
	struct xen_balloon *x = container_of(nb, struct xen_balloon, xenstore);
	int r;

	r = register_xenbus_watch(&x->watch);
	if (r)
		pr_err("xen: no watch on memory/target (%d): the host's target stays unknown\n", r);
	x->watching = !r;
	return NOTIFY_DONE;
}

static struct xen_balloon xen_balloon = {
	.host = {
		.ops		= &xen_ops,
		.caps		= UBALLOON_CAP_HOST_TARGET | UBALLOON_CAP_DOORBELL |
				  UBALLOON_CAP_GUEST_DRIVEN | UBALLOON_CAP_PROOF,
		.batch_4k	= XEN_BATCH_PAGES,
	},
	.watch = {
		.node		= "memory/target",
		.callback	= target_changed,
	},
	.xenstore.notifier_call	= xenstore_up,
	.lock			= __SPIN_LOCK_UNLOCKED(xen_balloon.lock),
};

static int xen_init(void)
{
	struct xen_balloon *x = &xen_balloon;
	struct uballoon *ub;
	int r;

	if (!xen_domain())
		return -ENODEV;
	if (xen_initial_domain() && !xen_dom0) {
		pr_notice("xen: not in the initial domain, unless xen_dom0=Y insists\n");
		return -ENODEV;
	}
	ub = uballoon_core_new(&x->host);
	if (IS_ERR(ub))
		return PTR_ERR(ub);
	/* Until the host says otherwise: what the guest has now is what it is meant to have. */
	x->most_pages = READ_ONCE(balloon_stats.target_pages);
	uballoon_host_target(ub, balloon_of(x->most_pages));
	r = uballoon_attach(&x->host);
	if (r) {
		uballoon_core_free(ub);
		return r;
	}
	register_xenstore_notifier(&x->xenstore);
	return 0;
}

static void xen_exit(void)
{
	struct xen_balloon *x = &xen_balloon;

	uballoon_detach(&x->host);
	unregister_xenstore_notifier(&x->xenstore);
	if (x->watching)
		unregister_xenbus_watch(&x->watch);
	/* What could not be given back in time the driver gives back by itself. */
	balloon_set_new_target(min(x->most_pages, balloon_stats.total_pages));
	uballoon_core_free(x->host.core);
}

const struct uballoon_host_driver uballoon_xen_driver = {
	.name		= "xen",
	.automatic	= true,
	.init		= xen_init,
	.exit		= xen_exit,
};
