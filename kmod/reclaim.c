// SPDX-License-Identifier: GPL-2.0-only
/*
 * reclaim.c - when the balloon gives memory back by itself
 *
 * Three who may ask: the OOM notifier, before the OOM killer looks for a
 * victim; the shrinker, when reclaim finds too little; the lease, when whoever
 * decides has neither renewed it nor taken it off. A fourth, memory that goes
 * offline, has a file of its own (offline.c), and so has the beginning of reclaim (wake.c).
 *
 * The shrinker gives what is missing to the relief line, and a step beyond it, on
 * the node that is being reclaimed, as soon as the kernel asks; wake.c does the same
 * when reclaim begins, for kernels that take their time with that. While more than the line is
 * available it offers nothing, so that reading files, however large, does not push
 * the balloon out. Nor does it offer anything to drop_caches, to a memory cgroup
 * at its own limit (for which the kernel does not ask), or to LOCK's own
 * allocations. Where another driver moves the pages it stays out of it: reclaim
 * would wait for that driver, which may be waiting for reclaim.
 *
 * Left out: what is done; that is release.c's matter.
 */
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "core.h"
#include "offline.h"
#include "reclaim.h"

/* Ahead of the notifiers that give little. */
#define OOM_PRIORITY		90
/* No I/O is needed to make them again: the kernel then asks for half of what is offered. */
#define SHRINK_SEEKS		0
/* One call of the scan function gives all that is missing, so any request is worth one. */
#define SHRINK_BATCH		1

struct uballoon_reclaim {
	struct uballoon *ub;
	struct notifier_block oom;
	struct uballoon_shrinker shrinker;
	struct uballoon_wake *wake;
	struct uballoon_offline offline;
};

static int oom_notify(struct notifier_block *nb, unsigned long unused, void *data)
{
	struct uballoon_reclaim *rc = container_of(nb, struct uballoon_reclaim, oom);
	unsigned long *freed = data;

	if (!uballoon_core_enter(rc->ub))
		return NOTIFY_OK;
	*freed += uballoon_relieve(rc->ub, UBALLOON_RELIEF_OOM, NUMA_NO_NODE);
	uballoon_core_leave(rc->ub);
	return NOTIFY_OK;
}

static unsigned long shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct uballoon_reclaim *rc = uballoon_shrinker_data(shrinker, struct uballoon_reclaim,
							     shrinker);
	struct uballoon *ub = rc->ub;

	if (!(current->flags & PF_MEMALLOC) || READ_ONCE(ub->locker) == current ||
	    ub->host->ops->move)
		return 0;
	return 2 * uballoon_relief_missing(ub, sc->nid, false);
}

static unsigned long shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct uballoon_reclaim *rc = uballoon_shrinker_data(shrinker, struct uballoon_reclaim,
							     shrinker);
	unsigned long freed;

	if (!uballoon_core_enter(rc->ub))
		return SHRINK_STOP;
	freed = uballoon_relieve(rc->ub, current_is_kswapd() ? UBALLOON_RELIEF_KSWAPD :
							       UBALLOON_RELIEF_DIRECT, sc->nid);
	uballoon_core_leave(rc->ub);
	if (!freed)
		return SHRINK_STOP;
	/* Else reclaim would go on, and throw out or swap as much again. */
	uballoon_account_reclaimed(freed);
	sc->nr_scanned = freed;
	return freed;
}

static void lease_work(struct work_struct *work)
{
	struct uballoon *ub = container_of(to_delayed_work(work), struct uballoon, lease_work);
	unsigned long next;

	if (uballoon_core_lease_expire(ub, &next))
		pr_warn("the lease has run out: giving the balloon back\n");
	else if (next)
		queue_delayed_work(ub->wq, &ub->lease_work, next);
}

/**
 * uballoon_reclaim_init - begin to answer
 * @ub:	balloon
 */
int uballoon_reclaim_init(struct uballoon *ub)
{
	struct uballoon_reclaim *rc;
	int r;

	rc = kzalloc(sizeof(*rc), GFP_KERNEL);
	if (!rc)
		return -ENOMEM;
	rc->ub = ub;
	INIT_DELAYED_WORK(&ub->lease_work, lease_work);

	r = uballoon_shrinker_register(&rc->shrinker, shrink_count, shrink_scan, SHRINK_SEEKS,
				       SHRINK_BATCH);
	if (r)
		goto err_free;

	rc->oom.notifier_call = oom_notify;
	rc->oom.priority = OOM_PRIORITY;
	r = register_oom_notifier(&rc->oom);
	if (r)
		goto err_shrinker;
	r = uballoon_offline_init(&rc->offline, ub);
	if (r)
		goto err_oom;
	rc->wake = uballoon_wake_init(ub);
	ub->reclaim = rc;
	return 0;

err_oom:
	unregister_oom_notifier(&rc->oom);
err_shrinker:
	uballoon_shrinker_unregister(&rc->shrinker);
err_free:
	kfree(rc);
	return r;
}

/**
 * uballoon_reclaim_exit - and stop
 * @ub:	balloon; its lease must not be set any more
 */
void uballoon_reclaim_exit(struct uballoon *ub)
{
	struct uballoon_reclaim *rc = ub->reclaim;

	uballoon_wake_exit(rc->wake);
	uballoon_offline_exit(&rc->offline);
	unregister_oom_notifier(&rc->oom);
	uballoon_shrinker_unregister(&rc->shrinker);
	cancel_delayed_work_sync(&ub->lease_work);
	ub->reclaim = NULL;
	kfree(rc);
}
