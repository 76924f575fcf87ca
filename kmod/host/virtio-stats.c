// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio-stats.c - what the guest tells a virtio host about its memory
 *
 * Fills the buffer of the statistics queue with each tag that this kernel can
 * supply and the device is taken to know: always the same ones, in the same order.
 *
 * Tags from 10 on came with Linux 6.12. Most devices skip what they do not know, but
 * Firecracker (src/vmm/src/devices/virtio/balloon/device.rs) dropped the buffer until its pull
 * request 5516, and never asked again. No feature says which tags a device knows. That one offered
 * neither indirect descriptors nor page reports or hints, and learnt the tags together with the
 * latter; a device that is as bare gets the old tags only.
 */
#include <linux/mm.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "../core.h"
#include "virtio-stats.h"

static void put(struct vballoon_stats *st, struct virtio_device *vdev, u16 tag, u64 val)
{
	struct vballoon_stat *e = &st->entry[st->n++];

	e->tag = cpu_to_virtio16(vdev, tag);
	e->val = cpu_to_virtio64(vdev, val);
}

static bool knows_newer_tags(struct virtio_device *vdev)
{
	return virtio_has_feature(vdev, VIRTIO_RING_F_INDIRECT_DESC) ||
	       virtio_has_feature(vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT) ||
	       virtio_has_feature(vdev, VIRTIO_BALLOON_F_REPORTING);
}

static u64 bytes(u64 pages)
{
	return pages << PAGE_SHIFT;
}

#ifdef CONFIG_VM_EVENT_COUNTERS
static void put_events(struct vballoon_stats *st, struct virtio_device *vdev)
{
	unsigned long *ev = st->events;
	unsigned long reclaim[4], stalls = 0;
	unsigned int zone;

	all_vm_events(ev);
	/* One stall counter a zone, with the normal zone's name as the fixed point. */
	for (zone = 0; zone < MAX_NR_ZONES; zone++)
		stalls += ev[ALLOCSTALL_NORMAL - ZONE_NORMAL + zone];
	uballoon_reclaim_events(ev, reclaim);

	put(st, vdev, VBALLOON_S_SWAP_IN, bytes(ev[PSWPIN]));
	put(st, vdev, VBALLOON_S_SWAP_OUT, bytes(ev[PSWPOUT]));
	put(st, vdev, VBALLOON_S_MAJFLT, ev[PGMAJFAULT]);
	put(st, vdev, VBALLOON_S_MINFLT, ev[PGFAULT]);
#ifdef CONFIG_HUGETLB_PAGE
	put(st, vdev, VBALLOON_S_HTLB_PGALLOC, ev[HTLB_BUDDY_PGALLOC]);
	put(st, vdev, VBALLOON_S_HTLB_PGFAIL, ev[HTLB_BUDDY_PGALLOC_FAIL]);
#endif
	if (!knows_newer_tags(vdev))
		return;
	put(st, vdev, VBALLOON_S_OOM_KILL, ev[OOM_KILL]);
	put(st, vdev, VBALLOON_S_ALLOC_STALL, stalls);
	put(st, vdev, VBALLOON_S_ASYNC_SCAN, bytes(reclaim[0]));
	put(st, vdev, VBALLOON_S_DIRECT_SCAN, bytes(reclaim[1]));
	put(st, vdev, VBALLOON_S_ASYNC_RECLAIM, bytes(reclaim[2]));
	put(st, vdev, VBALLOON_S_DIRECT_RECLAIM, bytes(reclaim[3]));
}
#else
static void put_events(struct vballoon_stats *st, struct virtio_device *vdev)
{
}
#endif

/**
 * uballoon_virtio_stats_fill - take the figures of now
 * @st:		not with the device
 * @vdev:	for its byte order
 * @ub:		balloon; the host is told of a guest that does not have its pages
 *
 * Return: bytes to give to the device.
 */
size_t uballoon_virtio_stats_fill(struct vballoon_stats *st, struct virtio_device *vdev,
				  struct uballoon *ub)
{
	struct sysinfo si;
	u64 ours;

	st->n = 0;
	si_meminfo(&si);
	spin_lock(&ub->lock);
	ours = ub->available_pages;
	spin_unlock(&ub->lock);
	put_events(st, vdev);
	put(st, vdev, VBALLOON_S_MEMFREE, bytes(si.freeram));
	put(st, vdev, VBALLOON_S_MEMTOT, bytes(si.totalram - min_t(u64, si.totalram, ours)));
	put(st, vdev, VBALLOON_S_AVAIL, bytes(uballoon_available(ub)));
	put(st, vdev, VBALLOON_S_CACHES, bytes(global_node_page_state(NR_FILE_PAGES)));
	return st->n * sizeof(st->entry[0]);
}
