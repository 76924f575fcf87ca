/* SPDX-License-Identifier: GPL-2.0-only */
/* virtio.h - what virtio.c, virtio-queue.c and virtio-stats.c share */
#ifndef _UBALLOON_VIRTIO_H
#define _UBALLOON_VIRTIO_H

#include <linux/mutex.h>
#include <linux/page_reporting.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "host.h"
#include "virtio-stats.h"

/* Firecracker and cloud-hypervisor skip longer buffers, and say nothing. */
#define PFNS_PER_BUFFER		256
/* Two buffers: a 2 MiB page, of 512 units. */
#define PFNS_PER_BATCH		512
/* QEMU's and cloud-hypervisor's limit. */
#define RUNS_PER_REPORT		32
/* Bounds what a batch costs in latency: 128 MiB of large pages. */
#define REPORT_BATCH_2M		64

enum queue_index {
	Q_INFLATE,
	Q_DEFLATE,
	Q_STATS,
	Q_HINT,
	Q_REPORT,
	QUEUES,
};

struct queue {
	struct virtqueue *vq;
	spinlock_t lock;		/* the ring, and what is marked below */
	struct list_head batches;	/* by lock: those not completely in the ring */
	unsigned long requests;		/* by lock: buffers added */
	unsigned long entries;		/* by lock: runs or page numbers in them */
};

struct vballoon {
	struct uballoon_host host;
	struct virtio_device *vdev;
	bool ready;			/* cleared under each queue's lock and actual_lock */
	unsigned int resets;		/* each one ends what the device had of the guest */
	bool reporting;			/* registered with the kernel's free page reporting */
	struct queue q[QUEUES];

	unsigned int runs_max;		/* entries in a report */
	struct scatterlist sg[RUNS_PER_REPORT]; /* protected by q[Q_REPORT].lock */

	struct mutex actual_lock;	/* @actual, and writing it to the device */
	u64 actual;			/* what the device has been told */

	struct work_struct target_work;
	struct work_struct stats_work;
	struct vballoon_stats stats;	/* the device's, or stats_work's */

	struct page_reporting_dev_info pr;
	wait_queue_head_t report_wait;
	bool report_pending;		/* with the device; protected by q[Q_REPORT].lock */
	bool report_done;		/* same */
	bool report_full;		/* waits for room in the ring; same */
	unsigned long report_full_events; /* same */
};

/* uballoon_batch.priv */
struct vbatch {
	unsigned int pending;		/* buffers in the ring; protected by the queue's lock */
	unsigned int next_pfn;		/* first that is not in the ring */
	unsigned int pfns;
	struct page *next_page;		/* reports: same, NULL = none left */
	__virtio32 pfn[PFNS_PER_BATCH];
};

static inline struct vballoon *to_vballoon(struct uballoon_host *host)
{
	return container_of(host, struct vballoon, host);
}

/* virtio-queue.c */
void uballoon_virtio_lock(struct uballoon_host *host, struct uballoon_batch *b);
void uballoon_virtio_unlock(struct uballoon_host *host, struct uballoon_batch *b);
void uballoon_virtio_poll(struct uballoon_host *host);
void uballoon_virtio_nudge(struct uballoon_host *host);
void uballoon_virtio_interrupt(struct virtqueue *vq);
int uballoon_virtio_report(struct page_reporting_dev_info *pr, struct scatterlist *sg,
			   unsigned int nents);
void uballoon_virtio_halt_queue(struct vballoon *v, struct queue *q);

#endif /* _UBALLOON_VIRTIO_H */
