// SPDX-License-Identifier: GPL-2.0-only
/*
 * none.c - a host with no hypervisor: pages are only withheld
 *
 * Accepts every page at once and wants no message back, so the whole system
 * runs on any machine that can load a module. Nobody gains memory by it.
 *
 * For tests it can be a difficult host as well: one that answers late or not
 * at all (none_delay_ms), one that must be told and acknowledges before a
 * page is used again (none_told), and one that can be proven to take pages, or
 * not to (none_proof).
 *
 * Left out: a host target, refusals.
 */
#include <linux/highmem.h>
#include <linux/moduleparam.h>

#include "../core.h"
#include "host.h"

/* As if it were the fastest host: what a request of virtio holds. */
#define BATCH_4K	512
#define BATCH_2M	64

static unsigned int none_delay_ms;
module_param(none_delay_ms, uint, 0644);
MODULE_PARM_DESC(none_delay_ms, "for tests, host=none: answer after so many milliseconds (default 0)");
static bool none_told;
module_param(none_told, bool, 0444);
MODULE_PARM_DESC(none_told, "for tests, host=none: insist on being told about unlocked pages (default N)");

/* What becomes of the contents of a page: nothing that is promised, gone, still there. */
enum { NOT_PROVEN, TAKES, KEEPS };
static unsigned int none_proof;
module_param(none_proof, uint, 0644);
MODULE_PARM_DESC(none_proof, "for tests, host=none: 1 = pages lose their contents, 2 = they keep them (default 0: no PROVE)");

static void answer_work(struct work_struct *work);

static DEFINE_SPINLOCK(none_lock);
static LIST_HEAD(none_batches);		/* waiting for their answer; protected by none_lock */
static DECLARE_DELAYED_WORK(none_work, answer_work);

static void take(struct uballoon_host *host, struct uballoon_batch *b)
{
	unsigned int delay_ms = READ_ONCE(none_delay_ms);

	if (!delay_ms) {
		uballoon_batch_done(host->core, b);
		return;
	}
	spin_lock(&none_lock);
	list_add_tail(&b->node, &none_batches);
	spin_unlock(&none_lock);
	queue_delayed_work(host->core->wq, &none_work, msecs_to_jiffies(delay_ms));
}

static void clear_contents(struct uballoon_batch *b)
{
	struct page *page;
	unsigned int i;

	list_for_each_entry(page, &b->pages, lru) {
		for (i = 0; i < 1U << b->order; i++)
			clear_highpage(page + i);
	}
}

static void none_lock_pages(struct uballoon_host *host, struct uballoon_batch *b)
{
	if (READ_ONCE(none_proof) == TAKES)
		clear_contents(b);
	b->hold = none_told ? UBALLOON_HOLD_TOLD : UBALLOON_HOLD_QUIET;
	take(host, b);
}

static const struct uballoon_host_ops none_ops = {
	.name	= "none",
	.lock	= none_lock_pages,
	.unlock	= take,
};

static struct uballoon_host none_host = {
	.ops		= &none_ops,
	.batch_4k	= BATCH_4K,
	.batch_2m	= BATCH_2M,
};

static void answer_work(struct work_struct *work)
{
	struct uballoon_batch *b, *next;
	LIST_HEAD(batches);

	spin_lock(&none_lock);
	list_splice_init(&none_batches, &batches);
	spin_unlock(&none_lock);
	list_for_each_entry_safe(b, next, &batches, node) {
		list_del_init(&b->node);
		uballoon_batch_done(none_host.core, b);
	}
}

static int none_init(void)
{
	struct uballoon *ub;
	int r;

	none_host.caps = UBALLOON_CAP_2M | UBALLOON_CAP_DEFLATE_ON_OOM | UBALLOON_CAP_GUEST_DRIVEN;
	if (none_told)
		none_host.caps |= UBALLOON_CAP_MUST_TELL;
	if (none_proof != NOT_PROVEN)
		none_host.caps |= UBALLOON_CAP_PROOF;
	ub = uballoon_core_new(&none_host);
	if (IS_ERR(ub))
		return PTR_ERR(ub);
	r = uballoon_attach(&none_host);
	if (r)
		uballoon_core_free(ub);
	return r;
}

static void none_exit(void)
{
	uballoon_detach(&none_host);
	/* What a reset is to a device: no answer any more. */
	cancel_delayed_work_sync(&none_work);
	INIT_LIST_HEAD(&none_batches);
	uballoon_core_drop(none_host.core);
	uballoon_core_free(none_host.core);
}

const struct uballoon_host_driver uballoon_none_driver = {
	.name	= "none",
	.init	= none_init,
	.exit	= none_exit,
};
