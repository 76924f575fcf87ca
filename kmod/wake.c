// SPDX-License-Identifier: GPL-2.0-only
/*
 * wake.c - to hear of reclaim as soon as it begins
 *
 * The kernel asks a shrinker when it comes to the root cgroup. With the
 * multi-generational LRU (6.1 and later, default of many kernels since) that is
 * one among all cgroups, in an order of its own, and reclaim ends with the
 * first that has enough: idle memory of others may be swapped out or thrown
 * away while the balloon stands by. So this listens to the tracepoints of
 * reclaim's beginning, and a work item gives what is missing to the relief line
 * beside whoever reclaims. The shrinker (reclaim.c) stays: it serves at once where it
 * is asked, and where a kernel has no tracepoints.
 *
 * Invariants: the probes only set a bit and queue the work, for they may not sleep;
 * once uballoon_wake_exit() has returned neither runs any more.
 *
 * Left out: how much is given, and from where (release.c).
 */
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/tracepoint.h>
#include <trace/events/vmscan.h>

#include "core.h"
#include "reclaim.h"

#ifdef CONFIG_TRACEPOINTS

struct uballoon_wake {
	struct uballoon *ub;
	struct workqueue_struct *wq;	/* ahead of kswapd, which runs beside it */
	struct work_struct work;
	nodemask_t nodes;		/* to be looked at; atomic bits */
	unsigned long attached;		/* those of probes[] that listen; who inits and exits */
};

static void look(struct uballoon_wake *w, int nid)
{
	struct uballoon *ub = w->ub;

	/* Its own reclaim must not shrink the balloon that it fills. */
	if (READ_ONCE(ub->locker) == current || !READ_ONCE(ub->relief_pages))
		return;
	if (!node_test_and_set(nid, w->nodes))
		queue_work(w->wq, &w->work);
}

static void kswapd_wakes(void *data, int nid, int zid, int order)
{
	look(data, nid);
}

static void direct_reclaim_begins(void *data, UBALLOON_RECLAIM_PROTO)
{
	look(data, numa_mem_id());
}

static void wake_work(struct work_struct *work)
{
	struct uballoon_wake *w = container_of(work, struct uballoon_wake, work);
	int nid;

	for_each_node_mask(nid, w->nodes) {
		node_clear(nid, w->nodes);
		if (!uballoon_core_enter(w->ub))
			continue;
		if (uballoon_relief_missing(w->ub, nid, false) &&
		    uballoon_relieve(w->ub, UBALLOON_RELIEF_KSWAPD, nid)) {
			spin_lock(&w->ub->lock);
			w->ub->internals.wake_events++;
			spin_unlock(&w->ub->lock);
		}
		uballoon_core_leave(w->ub);
	}
}

/* The kernel exports no tracepoint of reclaim: they are found by name. */
static const struct {
	const char *name;
	void *probe;
} probes[] = {
	{ "mm_vmscan_kswapd_wake", kswapd_wakes },
	{ "mm_vmscan_direct_reclaim_begin", direct_reclaim_begins },
};

static void attach(struct tracepoint *tp, void *data)
{
	struct uballoon_wake *w = data;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		if (strcmp(tp->name, probes[i].name))
			continue;
		if (!tracepoint_probe_register(tp, probes[i].probe, data))
			__set_bit(i, &w->attached);
		else
			pr_info("%s cannot be listened to; relief is the shrinker's alone\n",
				tp->name);
	}
}

/* The kernel warns of one that was never there. */
static void detach(struct tracepoint *tp, void *data)
{
	struct uballoon_wake *w = data;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		if (!strcmp(tp->name, probes[i].name) && test_bit(i, &w->attached))
			tracepoint_probe_unregister(tp, probes[i].probe, data);
	}
}

/**
 * uballoon_wake_init - begin to listen
 * @ub:	balloon
 *
 * Return: to be handed to uballoon_wake_exit(). NULL: there is nothing to listen to.
 */
struct uballoon_wake *uballoon_wake_init(struct uballoon *ub)
{
	struct uballoon_wake *w;

	/* Of the kernel we are built for: the probes are as it calls them. */
	check_trace_callback_type_mm_vmscan_kswapd_wake(kswapd_wakes);
	check_trace_callback_type_mm_vmscan_direct_reclaim_begin(direct_reclaim_begins);
	/* Reclaim does not wait for another driver. */
	if (ub->host->ops->move)
		return NULL;
	w = kzalloc(sizeof(*w), GFP_KERNEL);
	if (!w)
		return NULL;
	w->wq = alloc_workqueue("uballoon-relief", WQ_HIGHPRI | WQ_MEM_RECLAIM | WQ_PERCPU, 0);
	if (!w->wq) {
		kfree(w);
		return NULL;
	}
	w->ub = ub;
	INIT_WORK(&w->work, wake_work);
	for_each_kernel_tracepoint(attach, w);
	return w;
}

/**
 * uballoon_wake_exit - and stop
 * @w:	may be NULL
 */
void uballoon_wake_exit(struct uballoon_wake *w)
{
	if (!w)
		return;
	for_each_kernel_tracepoint(detach, w);
	tracepoint_synchronize_unregister();
	destroy_workqueue(w->wq);
	kfree(w);
}

#else

struct uballoon_wake *uballoon_wake_init(struct uballoon *ub)
{
	return NULL;
}

void uballoon_wake_exit(struct uballoon_wake *w)
{
}

#endif
