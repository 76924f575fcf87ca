// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio.c - the virtio balloon device (QEMU, cloud-hypervisor, crosvm, Firecracker)
 *
 * Where the device takes page reports, balloon pages go through the reporting
 * queue: a 2 MiB page is one entry, one discard, and there is nothing to say
 * when the guest uses it again. The specification leaves it to the driver which
 * unused pages it reports, so that may go beyond the host's target. Else they go
 * through the inflate queue, up to the host's target, and come back through
 * the deflate queue. How: virtio-queue.c.
 *
 * Here: features, queues, configuration space, statistics, the guest's own free
 * pages, and the life of the device, suspend included.
 *
 * Left out: free page hinting (the queue is set up, because queues are
 * numbered densely, and stays idle) and page poisoning (with it QEMU ignores
 * reports).
 */
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>

#include "../core.h"
#include "../stats.h"
#include "virtio.h"

/* ---- configuration space ---- */

static void virtio_size_changed(struct uballoon_host *host)
{
	struct vballoon *v = to_vballoon(host);
	u64 size;

	mutex_lock(&v->actual_lock);
	size = uballoon_size(host->core);
	if (v->ready && size != v->actual) {
		u32 actual = uballoon_units(size);

		virtio_cwrite_le(v->vdev, struct virtio_balloon_config, actual, &actual);
		v->actual = size;
	}
	mutex_unlock(&v->actual_lock);
}

/* A part of a page is not taken: more than the host asks for would not be its target. */
static void read_target(struct vballoon *v)
{
	u32 units;

	virtio_cread_le(v->vdev, struct virtio_balloon_config, num_pages, &units);
	uballoon_host_target(v->host.core, uballoon_pages_down(units));
}

static void target_work(struct work_struct *work)
{
	struct vballoon *v = container_of(work, struct vballoon, target_work);

	/* One that is stopped may say anything. */
	if (READ_ONCE(v->ready))
		read_target(v);
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
	size_t len;

	len = uballoon_virtio_stats_fill(&v->stats, v->vdev, v->host.core);
	sg_init_one(&sg, v->stats.entry, len);
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
	v->pr.report = uballoon_virtio_report;
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
		[Q_INFLATE] = { "inflate", uballoon_virtio_interrupt, -1 },
		[Q_DEFLATE] = { "deflate", uballoon_virtio_interrupt, -1 },
		[Q_STATS] = { "stats", stats_interrupt, VIRTIO_BALLOON_F_STATS_VQ },
		[Q_HINT] = { "hint", NULL, VIRTIO_BALLOON_F_FREE_PAGE_HINT },
		[Q_REPORT] = { "report", uballoon_virtio_interrupt, VIRTIO_BALLOON_F_REPORTING },
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

	host->caps = UBALLOON_CAP_HOST_TARGET | UBALLOON_CAP_DOORBELL | UBALLOON_CAP_2M |
		     UBALLOON_CAP_PROOF;
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_MUST_TELL_HOST))
		host->caps |= UBALLOON_CAP_MUST_TELL;
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM))
		host->caps |= UBALLOON_CAP_DEFLATE_ON_OOM;
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_REPORTING))
		host->caps |= UBALLOON_CAP_REPORTING | UBALLOON_CAP_GUEST_DRIVEN;
	if (uballoon_params.guest_driven)
		host->caps |= UBALLOON_CAP_GUEST_DRIVEN;

	host->batch_4k = PFNS_PER_BATCH >> UBALLOON_UNIT_SHIFT;
	host->batch_2m = host->caps & UBALLOON_CAP_REPORTING ? REPORT_BATCH_2M : 1;
}

/* The device takes requests from here on. */
static void start_device(struct vballoon *v)
{
	virtio_device_ready(v->vdev);
	v->actual = U64_MAX;
	WRITE_ONCE(v->ready, true);
	virtio_size_changed(&v->host);
	read_target(v);
	if (v->q[Q_STATS].vq)
		give_stats(v);
}

/* And no more: afterwards nothing of the guest is with the device. */
static void stop_device(struct vballoon *v)
{
	unsigned int i;

	mutex_lock(&v->actual_lock);
	for (i = 0; i < QUEUES; i++)
		uballoon_virtio_halt_queue(v, &v->q[i]);
	mutex_unlock(&v->actual_lock);
	virtio_reset_device(v->vdev);
	/* What it had not answered is still in the rings, with descriptors allocated for it. */
	for (i = 0; i < QUEUES; i++) {
		while (v->q[i].vq && virtqueue_detach_unused_buf(v->q[i].vq))
			;
	}
	/* Only now may pages that were being reported be used. */
	v->report_pending = false;
	v->report_full = false;
	WRITE_ONCE(v->resets, v->resets + 1);
	wake_up_all(&v->report_wait);
}

static void delete_queues(struct vballoon *v)
{
	unsigned int i;

	/* After a resume that failed there are none. */
	if (!v->q[Q_INFLATE].vq)
		return;
	v->vdev->config->del_vqs(v->vdev);
	for (i = 0; i < QUEUES; i++)
		v->q[i].vq = NULL;
}

/* Of a device that is stopped: before, it would wait for the host. */
static void stop_reporting(struct vballoon *v)
{
	if (v->reporting)
		page_reporting_unregister(&v->pr);
	v->reporting = false;
}

static void virtio_show(struct uballoon_host *host, struct seq_file *m)
{
	static const char *const names[QUEUES] = {
		"inflate", "deflate", "stats", "hint", "report",
	};
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
	seq_printf(m, "virtio_report_full_events %lu\n", READ_ONCE(v->report_full_events));
}

static const struct uballoon_host_ops virtio_ops = {
	.name			= "virtio",
	.batch_priv_size	= sizeof(struct vbatch),
	.lock			= uballoon_virtio_lock,
	.unlock			= uballoon_virtio_unlock,
	.poll			= uballoon_virtio_poll,
	.nudge			= uballoon_virtio_nudge,
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
			dev_err(&vdev->dev, "there is a balloon already; this one stays unused\n");
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
	delete_queues(v);
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
	stop_reporting(v);
	cancel_work_sync(&v->target_work);
	cancel_work_sync(&v->stats_work);
	uballoon_core_drop(v->host.core);
	delete_queues(v);
	uballoon_core_free(v->host.core);
	kfree(v);
}

#ifdef CONFIG_PM_SLEEP
static int virtio_freeze(struct virtio_device *vdev)
{
	struct vballoon *v = vdev->priv;
	int r;

	r = uballoon_core_suspend(v->host.core);
	if (r)
		return r;
	stop_device(v);
	/* Who reports is nobody's process, and does not freeze. */
	stop_reporting(v);
	uballoon_core_drop(v->host.core);
	delete_queues(v);
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
	uballoon_core_resume(v->host.core);
	start_reporting(v);
	return 0;
}
#endif

static int virtio_validate(struct virtio_device *vdev)
{
	/* With poisoning QEMU ignores reports; without it nothing is promised about contents. */
	__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_PAGE_POISON);
	/* Page numbers are physical. A host that insists refuses the device then. */
	if (__virtio_test_bit(vdev, VIRTIO_F_ACCESS_PLATFORM))
		dev_warn(&vdev->dev,
			 "iommu_platform=on: a balloon works with physical page numbers only\n");
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
