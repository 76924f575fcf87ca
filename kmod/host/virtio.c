// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio.c - the virtio balloon device (QEMU, cloud-hypervisor, crosvm, Firecracker)
 *
 * Where the device takes page reports, balloon pages go through the reporting
 * queue: one entry a run of neighbours (a 2 MiB page is one), one discard each,
 * and nothing to say when the guest uses them again. Else they go through the
 * inflate queue, at most 256 page numbers a buffer, and come back through the
 * deflate queue. The kernel's own free page reporting shares the reporting
 * queue; the token of a buffer says whose it is.
 *
 * Invariants: a batch is queued in the order in which it came, a piece
 * whenever the ring has room, by whoever is there (submitter, waiter or
 * interrupt); the queue's lock covers ring and list, never a notification.
 * Once @ready is false no buffer is added; once the device has been reset no
 * batch is answered from here.
 *
 * Left out: free page hinting (the queue is set up, because queues are
 * numbered densely, and stays idle) and page poisoning (with it QEMU ignores
 * reports).
 */
#include <linux/module.h>
#include <linux/page_reporting.h>
#include <linux/seq_file.h>
#include <linux/virtio.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ring.h>

#include "../core.h"
#include "../stats.h"
#include "host.h"
#include "virtio-stats.h"

/* Firecracker and cloud-hypervisor skip longer buffers, and say nothing. */
#define PFNS_PER_BUFFER		256
/* Two buffers: a 2 MiB page of 512. */
#define PFNS_PER_BATCH		512
/* QEMU's and cloud-hypervisor's limit. */
#define RUNS_PER_REPORT		32
/* Bounds what a batch costs in latency: 64 MiB of large pages. */
#define REPORT_BATCH_2M		32

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
	spinlock_t lock;
	struct list_head batches;	/* not, or not completely, in the ring; protected by lock */
	unsigned long requests;		/* buffers added; protected by lock */
	unsigned long entries;		/* runs or page numbers in them; protected by lock */
};

struct vballoon {
	struct uballoon_host host;
	struct virtio_device *vdev;
	bool ready;			/* written under each queue's lock and actual_lock */
	bool stopped;			/* has been reset; nothing of the guest is with the device */
	bool reporting;			/* registered with the kernel's free page reporting */
	struct queue q[QUEUES];

	unsigned int runs_max;		/* entries in a report */
	struct scatterlist sg[RUNS_PER_REPORT]; /* protected by q[Q_REPORT].lock */

	struct mutex actual_lock;
	u64 actual;			/* what the device has been told; protected by actual_lock */

	struct work_struct target_work;
	struct work_struct stats_work;
	struct vballoon_stats stats;	/* the device's, or stats_work's */

	struct page_reporting_dev_info pr;
	wait_queue_head_t report_wait;
	bool report_done;		/* protected by q[Q_REPORT].lock */
};

/* uballoon_batch.priv */
struct vbatch {
	unsigned int pending;		/* buffers in the ring; protected by the queue's lock */
	unsigned int next_pfn;		/* first that is not in the ring */
	unsigned int pfns;
	struct page *next_page;		/* reports: same, NULL = none left */
	__virtio32 pfn[PFNS_PER_BATCH];
};

static struct vbatch *vbatch(struct uballoon_batch *b)
{
	return (struct vbatch *)b->priv;
}

static struct vballoon *to_vballoon(struct uballoon_host *host)
{
	return container_of(host, struct vballoon, host);
}

/* ---- queues ---- */

static bool all_queued(struct uballoon_batch *b)
{
	struct vbatch *vb = vbatch(b);

	return !vb->next_page && vb->next_pfn == vb->pfns;
}

/* Adds the next buffer of page numbers. Called with the queue's lock held. */
static int add_pfns(struct queue *q, struct uballoon_batch *b)
{
	struct vbatch *vb = vbatch(b);
	unsigned int n = min_t(unsigned int, vb->pfns - vb->next_pfn, PFNS_PER_BUFFER);
	struct scatterlist sg;
	int r;

	sg_init_one(&sg, vb->pfn + vb->next_pfn, n * sizeof(vb->pfn[0]));
	r = virtqueue_add_outbuf(q->vq, &sg, 1, b, GFP_NOWAIT | __GFP_NOWARN);
	if (r)
		return r;
	vb->next_pfn += n;
	q->entries += n;
	return 0;
}

/* Adds the next report. Called with the queue's lock held. */
static int add_report(struct vballoon *v, struct queue *q, struct uballoon_batch *b)
{
	size_t len = PAGE_SIZE << b->order;
	struct vbatch *vb = vbatch(b);
	struct page *page = vb->next_page;
	struct scatterlist *sg = NULL;
	phys_addr_t end = 0;
	unsigned int n = 0;
	int r;

	list_for_each_entry_from(page, &b->pages, lru) {
		/* A run grows as long as its length fits. */
		if (sg && page_to_phys(page) == end && sg->length <= UINT_MAX - len) {
			sg->length += len;
		} else if (n == v->runs_max) {
			break;
		} else {
			sg = &v->sg[n++];
			sg_set_page(sg, page, len, 0);
		}
		end = page_to_phys(page) + len;
	}
	sg_mark_end(sg);
	r = virtqueue_add_inbuf(q->vq, v->sg, n, b, GFP_NOWAIT | __GFP_NOWARN);
	sg_unmark_end(sg);
	if (r)
		return r;
	vb->next_page = list_entry_is_head(page, &b->pages, lru) ? NULL : page;
	q->entries += n;
	return 0;
}

/*
 * Takes answers out of the ring and puts into it what waits for room. Any
 * context; does nothing once the device is not ready.
 */
static void pump(struct vballoon *v, struct queue *q)
{
	bool reports = q == &v->q[Q_REPORT];
	struct uballoon_batch *b;
	bool notify = false;
	unsigned long flags;
	unsigned int len;
	void *token;

	spin_lock_irqsave(&q->lock, flags);
	if (!v->ready)
		goto out;
	while ((token = virtqueue_get_buf(q->vq, &len))) {
		if (token == &v->pr) {
			v->report_done = true;
			wake_up_all(&v->report_wait);
			continue;
		}
		b = token;
		vbatch(b)->pending--;
		if (!vbatch(b)->pending && all_queued(b))
			uballoon_batch_done(v->host.core, b);
	}
	while ((b = list_first_entry_or_null(&q->batches, struct uballoon_batch, node))) {
		if (reports ? add_report(v, q, b) : add_pfns(q, b))
			break;
		vbatch(b)->pending++;
		q->requests++;
		notify = true;
		if (all_queued(b))
			list_del_init(&b->node);
	}
	if (notify)
		notify = virtqueue_kick_prepare(q->vq);
	if (reports && waitqueue_active(&v->report_wait))
		wake_up_all(&v->report_wait);
out:
	spin_unlock_irqrestore(&q->lock, flags);
	/* Under emulation the host does its work in here. */
	if (notify)
		virtqueue_notify(q->vq);
}

static void submit(struct vballoon *v, enum queue_index i, struct uballoon_batch *b)
{
	struct queue *q = &v->q[i];
	unsigned long flags;
	bool ready;

	spin_lock_irqsave(&q->lock, flags);
	ready = v->ready;
	if (ready)
		list_add_tail(&b->node, &q->batches);
	spin_unlock_irqrestore(&q->lock, flags);
	if (ready) {
		pump(v, q);
		return;
	}
	if (!b->unlock) {
		list_splice_init(&b->pages, &b->refused);
		b->refused_count += b->count;
		b->count = 0;
	}
	b->stop = UBALLOON_STOP_RESET;
	uballoon_batch_done(v->host.core, b);
}

static void set_pfns(struct vballoon *v, struct uballoon_batch *b)
{
	struct vbatch *vb = vbatch(b);
	unsigned long pfn;
	struct page *page;
	unsigned int i;

	vb->pending = 0;
	vb->next_page = NULL;
	vb->next_pfn = 0;
	vb->pfns = 0;
	if (b->old_page)
		vb->pfn[vb->pfns++] = cpu_to_virtio32(v->vdev, page_to_pfn(b->old_page));
	list_for_each_entry(page, &b->pages, lru) {
		pfn = page_to_pfn(page);
		for (i = 0; i < 1U << b->order; i++)
			vb->pfn[vb->pfns++] = cpu_to_virtio32(v->vdev, pfn + i);
	}
}

static void virtio_lock(struct uballoon_host *host, struct uballoon_batch *b)
{
	struct vballoon *v = to_vballoon(host);
	struct vbatch *vb = vbatch(b);

	if (host->caps & UBALLOON_CAP_REPORTING) {
		b->hold = UBALLOON_HOLD_QUIET;
		vb->pending = 0;
		vb->next_pfn = 0;
		vb->pfns = 0;
		vb->next_page = list_first_entry(&b->pages, struct page, lru);
		submit(v, Q_REPORT, b);
	} else {
		b->hold = UBALLOON_HOLD_TOLD;
		set_pfns(v, b);
		submit(v, Q_INFLATE, b);
	}
}

static void virtio_unlock(struct uballoon_host *host, struct uballoon_batch *b)
{
	struct vballoon *v = to_vballoon(host);

	set_pfns(v, b);
	submit(v, Q_DEFLATE, b);
}

static void virtio_poll(struct uballoon_host *host)
{
	struct vballoon *v = to_vballoon(host);

	if (host->caps & UBALLOON_CAP_REPORTING) {
		pump(v, &v->q[Q_REPORT]);
	} else {
		pump(v, &v->q[Q_INFLATE]);
		pump(v, &v->q[Q_DEFLATE]);
	}
}

static void queue_interrupt(struct virtqueue *vq)
{
	struct vballoon *v = vq->vdev->priv;
	enum queue_index i;

	for (i = 0; i < QUEUES; i++) {
		if (v->q[i].vq == vq)
			pump(v, &v->q[i]);
	}
}

/* ---- configuration space ---- */

static void virtio_size_changed(struct uballoon_host *host)
{
	struct vballoon *v = to_vballoon(host);
	u64 size;

	mutex_lock(&v->actual_lock);
	size = uballoon_size(host->core);
	if (v->ready && size != v->actual) {
		u32 actual = size;

		virtio_cwrite_le(v->vdev, struct virtio_balloon_config, actual, &actual);
		v->actual = size;
	}
	mutex_unlock(&v->actual_lock);
}

static void read_target(struct vballoon *v)
{
	u32 pages;

	virtio_cread_le(v->vdev, struct virtio_balloon_config, num_pages, &pages);
	uballoon_host_target(v->host.core, pages);
}

static void target_work(struct work_struct *work)
{
	read_target(container_of(work, struct vballoon, target_work));
}

static void virtio_changed(struct virtio_device *vdev)
{
	struct vballoon *v = vdev->priv;

	if (READ_ONCE(v->ready))
		queue_work(v->host.core->wq, &v->target_work);
}

/* ---- statistics queue ---- */

static void give_stats(struct vballoon *v)
{
	struct queue *q = &v->q[Q_STATS];
	unsigned long flags;
	struct scatterlist sg;
	bool notify = false;

	sg_init_one(&sg, v->stats.entry, vballoon_stats_fill(&v->stats, v->vdev));
	spin_lock_irqsave(&q->lock, flags);
	if (v->ready && !virtqueue_add_outbuf(q->vq, &sg, 1, v, GFP_NOWAIT | __GFP_NOWARN)) {
		q->requests++;
		notify = virtqueue_kick_prepare(q->vq);
	}
	spin_unlock_irqrestore(&q->lock, flags);
	if (notify)
		virtqueue_notify(q->vq);
}

static void stats_work(struct work_struct *work)
{
	struct vballoon *v = container_of(work, struct vballoon, stats_work);
	struct queue *q = &v->q[Q_STATS];
	unsigned long flags;
	unsigned int len;
	void *token = NULL;

	/* The device has one buffer at most; it is ours again when it is used. */
	spin_lock_irqsave(&q->lock, flags);
	if (v->ready)
		token = virtqueue_get_buf(q->vq, &len);
	spin_unlock_irqrestore(&q->lock, flags);
	if (!token)
		return;
	uballoon_count_host_stats(v->host.core);
	give_stats(v);
}

static void stats_interrupt(struct virtqueue *vq)
{
	struct vballoon *v = vq->vdev->priv;

	if (READ_ONCE(v->ready))
		queue_work(v->host.core->wq, &v->stats_work);
}

/* ---- the guest's own free pages ---- */

static int try_report(struct vballoon *v, struct scatterlist *sg, unsigned int n, bool *ret_added)
{
	struct queue *q = &v->q[Q_REPORT];
	bool notify = false;
	unsigned long flags;
	int r;

	spin_lock_irqsave(&q->lock, flags);
	v->report_done = false;
	r = v->ready ? virtqueue_add_inbuf(q->vq, sg, n, &v->pr, GFP_NOWAIT | __GFP_NOWARN) : -EIO;
	if (!r) {
		q->requests++;
		q->entries += n;
		notify = virtqueue_kick_prepare(q->vq);
	}
	spin_unlock_irqrestore(&q->lock, flags);
	if (notify)
		virtqueue_notify(q->vq);
	*ret_added = !r;
	return r == -ENOSPC ? 0 : r;
}

static int report_some(struct vballoon *v, struct scatterlist *sg, unsigned int n)
{
	bool added;
	int r;

	/* No room in the ring: balloon pages are under way and will leave it. */
	for (;;) {
		r = try_report(v, sg, n, &added);
		if (r)
			return r;
		if (added)
			break;
		wait_event_timeout(v->report_wait, !READ_ONCE(v->ready), 1);
	}
	/* The pages must not be used before; only a reset device makes up for an answer. */
	wait_event(v->report_wait, READ_ONCE(v->report_done) || READ_ONCE(v->stopped));
	return READ_ONCE(v->report_done) ? 0 : -EIO;
}

static int report(struct page_reporting_dev_info *pr, struct scatterlist *sg, unsigned int nents)
{
	struct vballoon *v = container_of(pr, struct vballoon, pr);
	struct scatterlist part[RUNS_PER_REPORT], *s;
	unsigned int i, n = 0;
	u64 pages = 0;
	int r;

	sg_init_table(part, v->runs_max);
	for_each_sg(sg, s, nents, i) {
		sg_set_page(&part[n], sg_page(s), s->length, s->offset);
		pages += s->length >> PAGE_SHIFT;
		if (++n < v->runs_max && i + 1 < nents)
			continue;
		sg_mark_end(&part[n - 1]);
		r = report_some(v, part, n);
		if (r)
			return r;
		sg_unmark_end(&part[n - 1]);
		n = 0;
	}
	uballoon_count_reported(v->host.core, pages);
	return 0;
}

/* Pages that must keep their contents while free cannot be reported. */
static bool free_pages_have_contents(void)
{
	return want_init_on_free() || page_poisoning_enabled_static();
}

static void start_reporting(struct vballoon *v)
{
	int r;

	if (!(v->host.caps & UBALLOON_CAP_REPORTING) || free_pages_have_contents())
		return;
	v->pr.report = report;
	v->pr.order = UBALLOON_REPORTING_ORDER;
	r = page_reporting_register(&v->pr);
	if (r)
		dev_info(&v->vdev->dev, "free page reporting has another user (%d)\n", r);
	v->reporting = !r;
}

/* ---- life ---- */

static int init_queues(struct vballoon *v)
{
	static const struct {
		const char *name;
		vq_callback_t *callback;
		int feature;		/* -1: always there */
	} kinds[QUEUES] = {
		[Q_INFLATE]	= { "inflate", queue_interrupt, -1 },
		[Q_DEFLATE]	= { "deflate", queue_interrupt, -1 },
		[Q_STATS]	= { "stats", stats_interrupt, VIRTIO_BALLOON_F_STATS_VQ },
		[Q_HINT]	= { "free_page_vq", NULL, VIRTIO_BALLOON_F_FREE_PAGE_HINT },
		[Q_REPORT]	= { "reporting_vq", queue_interrupt, VIRTIO_BALLOON_F_REPORTING },
	};
	struct virtio_device *vdev = v->vdev;
	vq_callback_t *callbacks[QUEUES];
	struct virtqueue *vqs[QUEUES];
	const char *names[QUEUES];
	unsigned int i, n = 0;
	int r;

	/* Devices number the queues that are in use without gaps. */
	for (i = 0; i < QUEUES; i++) {
		v->q[i].vq = NULL;
		if (kinds[i].feature >= 0 && !virtio_has_feature(vdev, kinds[i].feature))
			continue;
		names[n] = kinds[i].name;
		callbacks[n++] = kinds[i].callback;
	}
	r = uballoon_find_vqs(vdev, n, vqs, callbacks, names);
	if (r)
		return r;
	n = 0;
	for (i = 0; i < QUEUES; i++) {
		if (kinds[i].feature < 0 || virtio_has_feature(vdev, kinds[i].feature))
			v->q[i].vq = vqs[n++];
	}
	if (v->q[Q_REPORT].vq)
		v->runs_max = min_t(unsigned int, RUNS_PER_REPORT,
				    virtqueue_get_vring_size(v->q[Q_REPORT].vq));
	return 0;
}

static void set_caps(struct vballoon *v)
{
	struct virtio_device *vdev = v->vdev;
	struct uballoon_host *host = &v->host;

	host->caps = UBALLOON_CAP_HOST_TARGET | UBALLOON_CAP_DOORBELL | UBALLOON_CAP_2M;
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_MUST_TELL_HOST))
		host->caps |= UBALLOON_CAP_MUST_TELL;
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM))
		host->caps |= UBALLOON_CAP_DEFLATE_ON_OOM;
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_REPORTING))
		host->caps |= UBALLOON_CAP_REPORTING | UBALLOON_CAP_GUEST_DRIVEN;
	if (uballoon_params.guest_driven)
		host->caps |= UBALLOON_CAP_GUEST_DRIVEN;

	host->batch_4k = PFNS_PER_BATCH;
	host->batch_2m = host->caps & UBALLOON_CAP_REPORTING ? REPORT_BATCH_2M : 1;
}

/* The device takes requests from here on. */
static void start_device(struct vballoon *v)
{
	virtio_device_ready(v->vdev);
	v->actual = U64_MAX;
	v->stopped = false;
	WRITE_ONCE(v->ready, true);
	virtio_size_changed(&v->host);
	read_target(v);
	if (v->q[Q_STATS].vq)
		give_stats(v);
}

/* And no more: afterwards nothing of the guest is with the device. */
static void stop_device(struct vballoon *v)
{
	unsigned long flags;
	unsigned int i;

	mutex_lock(&v->actual_lock);
	for (i = 0; i < QUEUES; i++) {
		spin_lock_irqsave(&v->q[i].lock, flags);
		WRITE_ONCE(v->ready, false);
		INIT_LIST_HEAD(&v->q[i].batches);
		spin_unlock_irqrestore(&v->q[i].lock, flags);
	}
	mutex_unlock(&v->actual_lock);
	virtio_reset_device(v->vdev);
	/* Only now may pages that were being reported be used. */
	WRITE_ONCE(v->stopped, true);
	wake_up_all(&v->report_wait);
}

static void virtio_show(struct uballoon_host *host, struct seq_file *m)
{
	static const char *const names[QUEUES] = { "inflate", "deflate", "stats", "hint", "report" };
	struct vballoon *v = to_vballoon(host);
	unsigned int i;

	for (i = 0; i < QUEUES; i++) {
		if (!v->q[i].vq)
			continue;
		seq_printf(m, "virtio_%s_index %u\n", names[i], v->q[i].vq->index);
		seq_printf(m, "virtio_%s_ring %u\n", names[i],
			   virtqueue_get_vring_size(v->q[i].vq));
		seq_printf(m, "virtio_%s_requests %lu\n", names[i], READ_ONCE(v->q[i].requests));
		seq_printf(m, "virtio_%s_entries %lu\n", names[i], READ_ONCE(v->q[i].entries));
	}
	seq_printf(m, "virtio_free_page_reporting %d\n", v->reporting);
}

static const struct uballoon_host_ops virtio_ops = {
	.name			= "virtio",
	.batch_priv_size	= sizeof(struct vbatch),
	.lock			= virtio_lock,
	.unlock			= virtio_unlock,
	.poll			= virtio_poll,
	.size_changed		= virtio_size_changed,
	.show			= virtio_show,
};

static int virtio_probe(struct virtio_device *vdev)
{
	struct uballoon *ub;
	struct vballoon *v;
	unsigned int i;
	int r;

	if (!vdev->config->get) {
		dev_err(&vdev->dev, "no access to the configuration space\n");
		return -EINVAL;
	}
	v = kzalloc(sizeof(*v), GFP_KERNEL);
	if (!v)
		return -ENOMEM;
	v->vdev = vdev;
	v->host.ops = &virtio_ops;
	for (i = 0; i < QUEUES; i++) {
		spin_lock_init(&v->q[i].lock);
		INIT_LIST_HEAD(&v->q[i].batches);
	}
	sg_init_table(v->sg, RUNS_PER_REPORT);
	sg_unmark_end(&v->sg[RUNS_PER_REPORT - 1]);
	mutex_init(&v->actual_lock);
	init_waitqueue_head(&v->report_wait);
	INIT_WORK(&v->target_work, target_work);
	INIT_WORK(&v->stats_work, stats_work);

	ub = uballoon_core_new(&v->host);
	if (IS_ERR(ub)) {
		r = PTR_ERR(ub);
		if (r == -EBUSY)
			dev_err(&vdev->dev, "there is another balloon already; this one stays unused\n");
		goto err_free;
	}
	vdev->priv = v;
	r = init_queues(v);
	if (r)
		goto err_core;
	set_caps(v);
	start_device(v);
	r = uballoon_attach(&v->host);
	if (r)
		goto err_stop;
	start_reporting(v);
	return 0;

err_stop:
	stop_device(v);
	cancel_work_sync(&v->target_work);
	cancel_work_sync(&v->stats_work);
	vdev->config->del_vqs(vdev);
err_core:
	uballoon_core_free(ub);
err_free:
	kfree(v);
	return r;
}

static void virtio_remove(struct virtio_device *vdev)
{
	struct vballoon *v = vdev->priv;

	uballoon_detach(&v->host);
	stop_device(v);
	if (v->reporting)
		page_reporting_unregister(&v->pr);
	cancel_work_sync(&v->target_work);
	cancel_work_sync(&v->stats_work);
	uballoon_core_drop(v->host.core);
	vdev->config->del_vqs(vdev);
	uballoon_core_free(v->host.core);
	kfree(v);
}

#ifdef CONFIG_PM_SLEEP
static int virtio_freeze(struct virtio_device *vdev)
{
	struct vballoon *v = vdev->priv;

	uballoon_core_suspend(v->host.core);
	stop_device(v);
	uballoon_core_drop(v->host.core);
	vdev->config->del_vqs(vdev);
	return 0;
}

static int virtio_restore(struct virtio_device *vdev)
{
	struct vballoon *v = vdev->priv;
	int r;

	r = init_queues(v);
	if (r)
		return r;
	start_device(v);
	return 0;
}
#endif

static int virtio_validate(struct virtio_device *vdev)
{
	/* With poisoning QEMU ignores reports; without it nothing is promised about contents. */
	__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_PAGE_POISON);
	/* Page numbers are physical. */
	__virtio_clear_bit(vdev, VIRTIO_F_ACCESS_PLATFORM);
	return 0;
}

static const struct virtio_device_id ids[] = {
	{ VIRTIO_ID_BALLOON, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, ids);

/* Each bit that comes with a queue, used or not. */
static const unsigned int features[] = {
	VIRTIO_BALLOON_F_MUST_TELL_HOST,
	VIRTIO_BALLOON_F_STATS_VQ,
	VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
	VIRTIO_BALLOON_F_FREE_PAGE_HINT,
	VIRTIO_BALLOON_F_PAGE_POISON,
	VIRTIO_BALLOON_F_REPORTING,
};

static struct virtio_driver virtio_balloon = {
	.feature_table		= features,
	.feature_table_size	= ARRAY_SIZE(features),
	.driver.name		= "uballoon",
	.driver.owner		= THIS_MODULE,
	.id_table		= ids,
	.validate		= virtio_validate,
	.probe			= virtio_probe,
	.remove			= virtio_remove,
	.config_changed		= virtio_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze			= virtio_freeze,
	.restore		= virtio_restore,
#endif
};

static int virtio_init(void)
{
	return register_virtio_driver(&virtio_balloon);
}

static void virtio_exit(void)
{
	unregister_virtio_driver(&virtio_balloon);
}

const struct uballoon_host_driver uballoon_virtio_driver = {
	.name		= "virtio",
	.automatic	= true,
	.init		= virtio_init,
	.exit		= virtio_exit,
};
