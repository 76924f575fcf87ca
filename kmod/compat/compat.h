/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compat.h - one set of interfaces for all kernels
 *
 * Forced into every source file; the only place besides compat/Kbuild that
 * knows that kernels differ. The sources use the newest interface where a
 * one-line fallback exists, else a uballoon_ wrapper defined here.
 */
#ifndef _UBALLOON_COMPAT_H
#define _UBALLOON_COMPAT_H

#define pr_fmt(fmt) "uballoon: " fmt

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/page_reporting.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/virtio_config.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#include "balloon.h"

/* A page of the kernel is one unit of the ABI or more, and can be a part of 2 MiB, which ... */
static_assert(PAGE_SHIFT >= 12 && PAGE_SHIFT < 21);
/* ... can be allocated. 6.8: the largest order has a name of its own, and 6.4: is one itself. */
#ifdef MAX_PAGE_ORDER
static_assert(21 - PAGE_SHIFT <= MAX_PAGE_ORDER);
#else
static_assert(21 - PAGE_SHIFT < MAX_ORDER);
#endif

/* ---- page allocation ---- */

/* Single pages, from node @nid or the nearest one (NUMA_NO_NODE). Returns how many it became. */
static inline unsigned long uballoon_alloc_bulk(gfp_t gfp, int nid, unsigned long nr,
						struct list_head *list)
{
#ifdef UBALLOON_HAVE_BULK_LIST
	return __alloc_pages_bulk(gfp, nid == NUMA_NO_NODE ? numa_mem_id() : nid, NULL, nr, list,
				  NULL);
#else
	unsigned long n;

	for (n = 0; n < nr; n++) {
		struct page *page = alloc_pages_node(nid, gfp, 0);

		if (!page)
			break;
		list_add(&page->lru, list);
	}
	return n;
#endif
}

/* ---- shrinker ---- */

typedef unsigned long (*uballoon_shrink_fn)(struct shrinker *shrinker, struct shrink_control *sc);

#ifdef UBALLOON_HAVE_SHRINKER_ALLOC

struct uballoon_shrinker {
	struct shrinker *s;
};

#define uballoon_shrinker_data(ptr, type, member) \
	container_of((struct uballoon_shrinker *)(ptr)->private_data, type, member)

static inline int uballoon_shrinker_register(struct uballoon_shrinker *us,
					     uballoon_shrink_fn count, uballoon_shrink_fn scan,
					     int seeks, long batch)
{
	us->s = shrinker_alloc(SHRINKER_NUMA_AWARE, "uballoon");
	if (!us->s)
		return -ENOMEM;
	us->s->count_objects = count;
	us->s->scan_objects = scan;
	us->s->seeks = seeks;
	us->s->batch = batch;
	us->s->private_data = us;
	shrinker_register(us->s);
	return 0;
}

static inline void uballoon_shrinker_unregister(struct uballoon_shrinker *us)
{
	shrinker_free(us->s);
}

#else

struct uballoon_shrinker {
	struct shrinker s;
};

#define uballoon_shrinker_data(ptr, type, member) container_of(ptr, type, member.s)

static inline int uballoon_shrinker_register(struct uballoon_shrinker *us,
					     uballoon_shrink_fn count, uballoon_shrink_fn scan,
					     int seeks, long batch)
{
	us->s.count_objects = count;
	us->s.scan_objects = scan;
	us->s.seeks = seeks;
	us->s.batch = batch;
	us->s.flags = SHRINKER_NUMA_AWARE;
	return register_shrinker(&us->s, "uballoon");
}

static inline void uballoon_shrinker_unregister(struct uballoon_shrinker *us)
{
	unregister_shrinker(&us->s);
}

#endif

/* Whoever reclaims has so many pages more, and need not look for them elsewhere. */
static inline void uballoon_account_reclaimed(unsigned long pages)
{
#ifdef UBALLOON_HAVE_ACCOUNT_RECLAIMED
	mm_account_reclaimed_pages(pages);
#else
	if (current->reclaim_state)
		current->reclaim_state->reclaimed_slab += pages;
#endif
}

/* ---- work queues ---- */

#ifndef UBALLOON_HAVE_WQ_PERCPU
#define WQ_PERCPU 0
#endif

/* ---- free page reporting ---- */

/*
 * Free areas of the kernel's own choice, 2 MiB with pages of 4 KiB. With larger pages that would be
 * 32 or 512 MiB, which are seldom free; the host has smaller ones.
 * 6.17: zero is an order like any other.
 */
#if PAGE_SHIFT > 12
#define UBALLOON_REPORTING_ORDER (21 - PAGE_SHIFT)
#elif defined(PAGE_REPORTING_ORDER_UNSPECIFIED)
#define UBALLOON_REPORTING_ORDER PAGE_REPORTING_ORDER_UNSPECIFIED
#else
#define UBALLOON_REPORTING_ORDER 0
#endif

/* ---- virtio ---- */

/* Queues 0..@n-1, all in use. At most 8. */
static inline int uballoon_find_vqs(struct virtio_device *vdev, unsigned int n,
				    struct virtqueue **vqs, vq_callback_t *const *callbacks,
				    const char *const *names)
{
#ifdef UBALLOON_HAVE_VIRTQUEUE_INFO
	struct virtqueue_info info[8] = {};
	unsigned int i;

	for (i = 0; i < n; i++) {
		info[i].name = names[i];
		info[i].callback = callbacks[i];
	}
	return virtio_find_vqs(vdev, n, vqs, info, NULL);
#else
	vq_callback_t *cbs[8] = {};
	unsigned int i;

	for (i = 0; i < n; i++)
		cbs[i] = callbacks[i];
	return virtio_find_vqs(vdev, n, vqs, cbs, names, NULL);
#endif
}

/* ---- tracepoints ---- */

/* What mm_vmscan_direct_reclaim_begin hands over. */
#ifdef UBALLOON_HAVE_RECLAIM_MEMCG
#define UBALLOON_RECLAIM_PROTO gfp_t gfp, int order, struct mem_cgroup *memcg
#else
#define UBALLOON_RECLAIM_PROTO int order, gfp_t gfp
#endif

/* ---- counters ---- */

/* Pages scanned and reclaimed by kswapd and by allocating tasks, in this order. */
static inline void uballoon_reclaim_events(const unsigned long *events, unsigned long ret[4])
{
#ifdef UBALLOON_HAVE_PGSCAN_EVENTS
	ret[0] = events[PGSCAN_KSWAPD];
	ret[1] = events[PGSCAN_DIRECT];
	ret[2] = events[PGSTEAL_KSWAPD];
	ret[3] = events[PGSTEAL_DIRECT];
#else
	ret[0] = global_node_page_state(PGSCAN_KSWAPD);
	ret[1] = global_node_page_state(PGSCAN_DIRECT);
	ret[2] = global_node_page_state(PGSTEAL_KSWAPD);
	ret[3] = global_node_page_state(PGSTEAL_DIRECT);
#endif
}

#endif /* _UBALLOON_COMPAT_H */
