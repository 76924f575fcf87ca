/* SPDX-License-Identifier: GPL-2.0-only */
/* virtio-stats.h - see virtio-stats.c */
#ifndef _UBALLOON_VIRTIO_STATS_H
#define _UBALLOON_VIRTIO_STATS_H

#include <linux/types.h>
#include <linux/virtio_types.h>
#include <linux/vmstat.h>

struct virtio_device;

/* Tags of the specification and, from 10 on, of newer devices. */
enum vballoon_tag {
	VBALLOON_S_SWAP_IN,		/* bytes, as are all but the counts of events */
	VBALLOON_S_SWAP_OUT,
	VBALLOON_S_MAJFLT,
	VBALLOON_S_MINFLT,
	VBALLOON_S_MEMFREE,
	VBALLOON_S_MEMTOT,
	VBALLOON_S_AVAIL,
	VBALLOON_S_CACHES,
	VBALLOON_S_HTLB_PGALLOC,
	VBALLOON_S_HTLB_PGFAIL,
	VBALLOON_S_OOM_KILL,
	VBALLOON_S_ALLOC_STALL,
	VBALLOON_S_ASYNC_SCAN,
	VBALLOON_S_DIRECT_SCAN,
	VBALLOON_S_ASYNC_RECLAIM,
	VBALLOON_S_DIRECT_RECLAIM,
	VBALLOON_S_TAGS,
};

struct vballoon_stat {
	__virtio16 tag;
	__virtio64 val;
} __packed;

/* Belongs to the device while it has the buffer. */
struct vballoon_stats {
	struct vballoon_stat entry[VBALLOON_S_TAGS];
	unsigned int n;
#ifdef CONFIG_VM_EVENT_COUNTERS
	unsigned long events[NR_VM_EVENT_ITEMS];	/* too large for the stack */
#endif
};

size_t uballoon_virtio_stats_fill(struct vballoon_stats *st, struct virtio_device *vdev,
				  struct uballoon *ub);

#endif /* _UBALLOON_VIRTIO_STATS_H */
