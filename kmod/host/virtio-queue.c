// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio-queue.c - pages through the inflate, deflate and reporting queues
 *
 * A batch becomes one or more buffers: page numbers, at most 256 each, or
 * reports, an entry a run of neighbours. A batch is queued in the order in
 * which it came, a buffer whenever the ring has room, by whoever is there
 * (submitter, waiter or interrupt). A queue's lock covers its ring and its list,
 * never a notification: under emulation the host does its work in there.
 *
 * The protocol's page numbers are of 4 KiB, so a larger page of the kernel has several.
 *
 * The kernel's own free page reporting shares the reporting queue; the token
 * of a buffer says whose it is.
 *
 * Invariants: once @ready is false no buffer is added and no batch is answered
 * from here; pages that were reported by the kernel are used again only when
 * the device has answered or has been reset.
 */
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/virtio_config.h>

#include "../core.h"
#include "../stats.h"
#include "virtio.h"

/* Units of the protocol in a page of the kernel. */
#define UBALLOON_UNITS	(1U << UBALLOON_UNIT_SHIFT)

static uint pfn_max = U32_MAX;
module_param_named(virtio_pfn_max, pfn_max, uint, 0644);
MODULE_PARM_DESC(virtio_pfn_max, "for tests: the largest page number that a virtio balloon takes (default 4294967295, what it has bits for)");

static struct vbatch *vbatch(struct uballoon_batch *b)
{
	return (struct vbatch *)b->priv;
}

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
		if (sg && page_to_phys(page) == end) {
			sg->length += len;
			end += len;
			continue;
		}
		if (n == v->runs_max)
			break;
		sg = &v->sg[n++];
		sg_set_page(sg, page, len, 0);
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

/* Called with the queue's lock held. Returns whether there were any. */
static bool take_answers(struct vballoon *v, struct queue *q)
{
	struct uballoon_batch *b;
	bool any = false;
	unsigned int len;
	void *token;

	while ((token = virtqueue_get_buf(q->vq, &len))) {
		any = true;
		if (q == &v->q[Q_REPORT])
			v->report_full = false;
		if (token == &v->pr) {
			v->report_pending = false;
			v->report_done = true;
			wake_up_all(&v->report_wait);
			continue;
		}
		b = token;
		vbatch(b)->pending--;
		if (!vbatch(b)->pending && all_queued(b))
			uballoon_batch_done(v->host.core, b);
	}
	return any;
}

/* Called with the queue's lock held. Returns whether there is something for the device. */
static bool fill_ring(struct vballoon *v, struct queue *q)
{
	bool reports = q == &v->q[Q_REPORT], added = false;
	struct uballoon_batch *b;

	while ((b = list_first_entry_or_null(&q->batches, struct uballoon_batch, node))) {
		if (reports ? add_report(v, q, b) : add_pfns(q, b))
			break;
		vbatch(b)->pending++;
		q->requests++;
		added = true;
		if (all_queued(b))
			list_del_init(&b->node);
	}
	return added;
}

/*
 * Asks for the next interrupt, if one is wanted. False: there are answers now. An interrupt a
 * request would cost more than the request. Called with the queue's lock held.
 */
static bool expect_answers(struct vballoon *v, struct queue *q)
{
	if (virtqueue_is_broken(q->vq))
		return true;
	switch (uballoon_attention(v->host.core)) {
	case UBALLOON_LOOKS:
		/* Free page reporting does not look by itself. */
		return q != &v->q[Q_REPORT] || !(v->report_pending || v->report_full) ||
		       virtqueue_enable_cb(q->vq);
	case UBALLOON_WAITS:
		return virtqueue_enable_cb_delayed(q->vq);
	default:
		return virtqueue_enable_cb(q->vq);
	}
}

/*
 * Takes answers out of the ring and puts into it what waits for room. Any
 * context; does nothing once the device is not ready.
 */
static void pump(struct vballoon *v, struct queue *q)
{
	bool notify = false, room = false;
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	if (!v->ready)
		goto out;
	do {
		virtqueue_disable_cb(q->vq);
		room |= take_answers(v, q);
		notify |= fill_ring(v, q);
	} while (!expect_answers(v, q));
	if (notify)
		notify = virtqueue_kick_prepare(q->vq);
	/* Free page reporting may wait for room in the ring. */
	if (q == &v->q[Q_REPORT] && room)
		wake_up_all(&v->report_wait);
out:
	spin_unlock_irqrestore(&q->lock, flags);
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

static void add_page(struct vballoon *v, struct vbatch *vb, struct page *page, unsigned int order)
{
	unsigned long unit = page_to_pfn(page) << UBALLOON_UNIT_SHIFT;
	unsigned int i;

	for (i = 0; i < 1U << (order + UBALLOON_UNIT_SHIFT); i++)
		vb->pfn[vb->pfns++] = cpu_to_virtio32(v->vdev, unit + i);
}

/* Page numbers are of 32 bits: what is beyond them cannot be handed over that way. */
static void refuse_far(struct uballoon_batch *b)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &b->pages, lru) {
		unsigned long last = page_to_pfn(page) + (1UL << b->order) - 1;

		if (((u64)last << UBALLOON_UNIT_SHIFT) + UBALLOON_UNITS - 1 <= READ_ONCE(pfn_max))
			continue;
		list_move_tail(&page->lru, &b->refused);
		b->refused_count++;
		b->count--;
	}
}

static void set_pfns(struct vballoon *v, struct uballoon_batch *b)
{
	struct vbatch *vb = vbatch(b);
	struct page *page;
	unsigned int i;

	vb->pending = 0;
	vb->next_page = NULL;
	vb->next_pfn = 0;
	vb->pfns = 0;
	for (i = 0; i < b->old_count; i++)
		add_page(v, vb, b->old_pages[i], UBALLOON_BASE_ORDER);
	list_for_each_entry(page, &b->pages, lru)
		add_page(v, vb, page, b->order);
}

void uballoon_virtio_lock(struct uballoon_host *host, struct uballoon_batch *b)
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
		refuse_far(b);
		if (!b->count) {
			uballoon_batch_done(host->core, b);
			return;
		}
		set_pfns(v, b);
		submit(v, Q_INFLATE, b);
	}
}

void uballoon_virtio_unlock(struct uballoon_host *host, struct uballoon_batch *b)
{
	struct vballoon *v = to_vballoon(host);

	set_pfns(v, b);
	submit(v, Q_DEFLATE, b);
}

void uballoon_virtio_poll(struct uballoon_host *host)
{
	struct vballoon *v = to_vballoon(host);

	if (host->caps & UBALLOON_CAP_REPORTING) {
		pump(v, &v->q[Q_REPORT]);
	} else {
		pump(v, &v->q[Q_INFLATE]);
		pump(v, &v->q[Q_DEFLATE]);
	}
}

void uballoon_virtio_nudge(struct uballoon_host *host)
{
	static const enum queue_index pages[] = { Q_INFLATE, Q_DEFLATE, Q_REPORT };
	struct vballoon *v = to_vballoon(host);
	unsigned int i;

	/* Even if the device has not asked for it: it may have lost what it was to be told. */
	for (i = 0; i < ARRAY_SIZE(pages) && READ_ONCE(v->ready); i++) {
		if (v->q[pages[i]].vq)
			virtqueue_notify(v->q[pages[i]].vq);
	}
}

void uballoon_virtio_interrupt(struct virtqueue *vq)
{
	struct vballoon *v = vq->vdev->priv;
	enum queue_index i;

	for (i = 0; i < QUEUES; i++) {
		if (v->q[i].vq == vq)
			pump(v, &v->q[i]);
	}
}

/* ---- the guest's own free pages ---- */

static int try_report(struct vballoon *v, struct scatterlist *sg, unsigned int n,
		      unsigned int *ret_resets, bool *ret_added)
{
	struct queue *q = &v->q[Q_REPORT];
	bool notify = false;
	unsigned long flags;
	int r;

	spin_lock_irqsave(&q->lock, flags);
	v->report_done = false;
	*ret_resets = v->resets;
	r = v->ready ? virtqueue_add_inbuf(q->vq, sg, n, &v->pr, GFP_NOWAIT | __GFP_NOWARN) : -EIO;
	if (!r) {
		q->requests++;
		q->entries += n;
		v->report_pending = true;
		notify = virtqueue_kick_prepare(q->vq);
	} else if (r == -ENOSPC) {
		v->report_full = true;
		v->report_full_events++;
	}
	spin_unlock_irqrestore(&q->lock, flags);
	if (notify)
		virtqueue_notify(q->vq);
	/* Whoever moves pages may have switched interrupts off. */
	if (!r || r == -ENOSPC)
		pump(v, q);
	*ret_added = !r;
	return r == -ENOSPC ? 0 : r;
}

static int report_some(struct vballoon *v, struct scatterlist *sg, unsigned int n)
{
	unsigned int resets;
	bool added;
	int r;

	/* No room in the ring: balloon pages are under way and will leave it. */
	for (;;) {
		r = try_report(v, sg, n, &resets, &added);
		if (r)
			return r;
		if (added)
			break;
		wait_event_idle(v->report_wait,
				!READ_ONCE(v->ready) || !READ_ONCE(v->report_full));
	}
	/*
	 * The pages must not be used before; only a reset device makes up for an answer.
	 * Idle, because a host that takes its time is no hung task of the guest.
	 */
	wait_event_idle(v->report_wait,
			READ_ONCE(v->report_done) || READ_ONCE(v->resets) != resets);
	return READ_ONCE(v->report_done) ? 0 : -EIO;
}

static int report_all(struct vballoon *v, struct scatterlist *sg, unsigned int nents)
{
	struct scatterlist part[RUNS_PER_REPORT], *s;
	unsigned int i, n = 0;
	int r;

	sg_init_table(part, v->runs_max);
	for_each_sg(sg, s, nents, i) {
		sg_set_page(&part[n], sg_page(s), s->length, s->offset);
		if (++n < v->runs_max && i + 1 < nents)
			continue;
		sg_mark_end(&part[n - 1]);
		r = report_some(v, part, n);
		if (r)
			return r;
		sg_unmark_end(&part[n - 1]);
		n = 0;
	}
	return 0;
}

/* The kernel asks for a zone at a time, one at a time. */
int uballoon_virtio_report(struct page_reporting_dev_info *pr, struct scatterlist *sg,
			   unsigned int nents)
{
	struct vballoon *v = container_of(pr, struct vballoon, pr);
	int nid = page_to_nid(sg_page(sg)), r;
	struct scatterlist *s;
	unsigned int i;
	u64 pages = 0;

	for_each_sg(sg, s, nents, i)
		pages += s->length >> PAGE_SHIFT;
	uballoon_reporting(v->host.core, nid, pages);
	r = report_all(v, sg, nents);
	uballoon_reporting(v->host.core, nid, 0);
	if (!r)
		uballoon_count_reported(v->host.core, pages);
	return r;
}

/**
 * uballoon_virtio_halt_queue - add no more buffers
 * @v:	device; not reset yet
 * @q:	queue
 *
 * Batches that wait for room are forgotten; the core knows them.
 */
void uballoon_virtio_halt_queue(struct vballoon *v, struct queue *q)
{
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	WRITE_ONCE(v->ready, false);
	INIT_LIST_HEAD(&q->batches);
	spin_unlock_irqrestore(&q->lock, flags);
}
