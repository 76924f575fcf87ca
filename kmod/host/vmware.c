// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmware.c - the balloon of VMware's hypervisors (ESXi, Workstation, Fusion)
 *
 * The host is called by reading a port, and answers in registers before the
 * instruction ends. A session begins with START, which negotiates
 * capabilities; pages then go one a call (LOCK, UNLOCK), or as a batch whose
 * page numbers stand in a page of their own, 4 KiB and 2 MiB pages alike. Each
 * answer carries the host's target; when nothing else asks, GET_TARGET does,
 * once a second or when the host rings the VMCI doorbell.
 *
 * Any call may be answered with RESET: the host has forgotten all that it was
 * given. Then the session is down. While it is, pages are refused (RESET) and
 * given back without a word; the work item empties the balloon and sends START
 * again, once a second until the host accepts.
 *
 * Invariants: nothing but START is sent while the session is down; a page is
 * with the host only while it is up; the capabilities that users see are those
 * of the first session, what a later one lacks is refused.
 *
 * Left out: 2 MiB pages for a host without batches (the protocol has none),
 * and the rates of VMware's own driver, which are the user's matter here. What
 * no test without VMware's hardware reaches is the VMCI device's interrupt
 * that ends in doorbell_rings(); vmw_vmci stands between.
 */
#include <linux/io.h>
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/vmw_vmci_api.h>
#include <linux/vmw_vmci_defs.h>
#include <asm/hypervisor.h>

#include "../core.h"
#include "host.h"

#define BACKDOOR_PORT		0x5670
#define BACKDOOR_MAGIC		0x456c6d6f
#define GUEST_LINUX		1

#define CAP_BASIC		BIT(1)
#define CAP_BATCHED		BIT(2)
#define CAP_BATCHED_2M		BIT(3)
#define CAP_DOORBELL		BIT(4)
#define CAP_TARGET_64		BIT(5)
#define CAP_WANTED		(CAP_BASIC | CAP_BATCHED | CAP_BATCHED_2M | CAP_DOORBELL | \
				 (IS_ENABLED(CONFIG_64BIT) ? CAP_TARGET_64 : 0))

enum command {
	CMD_START,
	CMD_GET_TARGET,
	CMD_LOCK,
	CMD_UNLOCK,
	CMD_GUEST_ID,
	CMD_BATCHED_LOCK = 6,
	CMD_BATCHED_UNLOCK,
	CMD_BATCHED_2M_LOCK,
	CMD_BATCHED_2M_UNLOCK,
	CMD_DOORBELL_SET,
	COMMANDS,
};

enum status {
	STATUS_SUCCESS,
	STATUS_CMD_INVALID,
	STATUS_PPN_INVALID,
	STATUS_PPN_LOCKED,
	STATUS_PPN_UNLOCKED,
	STATUS_PPN_PINNED,
	STATUS_PPN_NOTNEEDED,
	STATUS_RESET,
	STATUS_BUSY,
	STATUS_SUCCESS_WITH_CAPABILITIES = 0x03000000,
};

/* An entry of the batch page: the page's address, and the host's verdict on it. */
#define ENTRY_STATUS		GENMASK_ULL(4, 0)
#define BATCH_ENTRIES		(PAGE_SIZE / sizeof(u64))
/* Calls in a row where each carries one page, to keep the latency of a batch down. */
#define BASIC_BATCH		64

static const char *const command_names[COMMANDS] = {
	[CMD_START]		= "start",
	[CMD_GET_TARGET]	= "target",
	[CMD_LOCK]		= "lock",
	[CMD_UNLOCK]		= "unlock",
	[CMD_GUEST_ID]		= "guest_type",
	[CMD_BATCHED_LOCK]	= "batch_lock",
	[CMD_BATCHED_UNLOCK]	= "batch_unlock",
	[CMD_BATCHED_2M_LOCK]	= "2m_lock",
	[CMD_BATCHED_2M_UNLOCK]	= "2m_unlock",
	[CMD_DOORBELL_SET]	= "doorbell_set",
};

/* Fields without a remark: protected by @lock. */
struct vmware {
	struct uballoon_host host;
	struct delayed_work work;
	bool attached;			/* work's, and exit's after it */
	bool dirty;			/* same: pages of an earlier session may be left */

	/* One call at a time. Process context; only the work queue's locks are taken under it. */
	spinlock_t lock;
	bool up;			/* START was accepted, and no RESET since */
	bool stopping;			/* the work item has nothing to do any more */
	unsigned long caps;		/* of the session */
	bool heard;			/* @target is valid: the last that the session has heard */
	unsigned long target;
	u64 *batch;			/* the page for batches */
	unsigned long calls[COMMANDS];
	unsigned long failures[COMMANDS];

	struct vmci_handle doorbell;	/* work's, and exit's after it */
	atomic_long_t rings;
};

static struct vmware *vmware;		/* init and exit only */

static struct vmware *to_vmware(struct uballoon_host *host)
{
	return container_of(host, struct vmware, host);
}

static bool has_target(enum command cmd)
{
	return cmd != CMD_START && cmd != CMD_GUEST_ID && cmd != CMD_DOORBELL_SET;
}

/* One call. @ret_caps: what START answers besides, if the host knows capabilities. */
static unsigned long call(struct vmware *v, enum command cmd, unsigned long arg1,
			  unsigned long arg2, unsigned long *ret_caps)
{
	unsigned long status = BACKDOOR_MAGIC, port = BACKDOOR_PORT, rcx = cmd;

	lockdep_assert_held(&v->lock);
	asm volatile("inl %%dx, %%eax"
		     : "+a" (status), "+b" (arg1), "+c" (rcx), "+d" (port), "+S" (arg2)
		     :
		     : "memory");
	v->calls[cmd]++;
	if (status == STATUS_SUCCESS_WITH_CAPABILITIES && ret_caps) {
		*ret_caps = rcx;
	} else if (status != STATUS_SUCCESS) {
		v->failures[cmd]++;
	} else if (has_target(cmd)) {
		v->target = arg1;
		v->heard = true;
	}
	if (status == STATUS_RESET)
		v->up = false;
	return status;
}

/* Tells the core what has been heard of the target. */
static void report_target(struct vmware *v)
{
	unsigned long target;
	bool heard;

	spin_lock(&v->lock);
	heard = v->up && v->heard;
	target = v->target;
	spin_unlock(&v->lock);
	if (heard)
		uballoon_host_target(v->host.core, target);
}

/* ---- pages ---- */

static void refuse(struct uballoon_batch *b, struct page *page)
{
	list_move_tail(&page->lru, &b->refused);
	b->refused_count++;
	b->count--;
}

static void refuse_all(struct uballoon_batch *b, enum uballoon_stop stop)
{
	list_splice_tail_init(&b->pages, &b->refused);
	b->refused_count += b->count;
	b->count = 0;
	b->stop = stop;
}

/* The host's verdict on a page to be locked, which stays in the batch if it is good. */
static void judge_lock(struct uballoon_batch *b, struct page *page, unsigned long status)
{
	switch (status) {
	case STATUS_SUCCESS:
		return;
	case STATUS_RESET:
		b->stop = UBALLOON_STOP_RESET;
		break;
	case STATUS_PPN_NOTNEEDED:
		b->stop = UBALLOON_STOP_NOT_NEEDED;
		break;
	case STATUS_CMD_INVALID:
	case STATUS_BUSY:
		/* Nothing is wrong with the page, so others would fare no better. */
		b->stop = UBALLOON_STOP_REFUSED;
		break;
	}
	refuse(b, page);
}

static void judge(struct uballoon_batch *b, struct page *page, unsigned long status)
{
	if (!b->unlock)
		judge_lock(b, page, status);
	else if (status == STATUS_RESET)
		b->stop = UBALLOON_STOP_RESET;
	else if (status != STATUS_SUCCESS)
		refuse(b, page);
}

static void judge_old(struct uballoon_batch *b, unsigned int i, unsigned long status)
{
	if (status == STATUS_RESET) {
		b->stop = UBALLOON_STOP_RESET;
	} else if (status != STATUS_SUCCESS) {
		swap(b->old_pages[b->old_refused], b->old_pages[i]);
		b->old_refused++;
	}
}

static unsigned long move_page(struct vmware *v, struct uballoon_batch *b, struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	if (!v->up)
		return STATUS_RESET;
	if (pfn != (u32)pfn)
		return STATUS_PPN_INVALID;
	return call(v, b->unlock ? CMD_UNLOCK : CMD_LOCK, pfn, 1, NULL);
}

/* One call a page. Once the host wants no more, the rest is not asked about. */
static void move_each(struct vmware *v, struct uballoon_batch *b)
{
	struct page *page, *next;
	unsigned int i;

	for (i = 0; i < b->old_count; i++)
		judge_old(b, i, move_page(v, b, b->old_pages[i]));
	list_for_each_entry_safe(page, next, &b->pages, lru) {
		if (!b->unlock && b->stop != UBALLOON_STOP_NONE)
			refuse(b, page);
		else
			judge(b, page, move_page(v, b, page));
	}
}

/* One call for all. */
static void move_together(struct vmware *v, struct uballoon_batch *b)
{
	bool large = b->order == UBALLOON_LARGE_ORDER;
	unsigned long status;
	struct page *page, *next;
	unsigned int n = 0;
	enum command cmd;

	if (b->unlock)
		cmd = large ? CMD_BATCHED_2M_UNLOCK : CMD_BATCHED_UNLOCK;
	else
		cmd = large ? CMD_BATCHED_2M_LOCK : CMD_BATCHED_LOCK;

	while (n < b->old_count) {
		v->batch[n] = page_to_phys(b->old_pages[n]);
		n++;
	}
	list_for_each_entry(page, &b->pages, lru)
		v->batch[n++] = page_to_phys(page);
	status = call(v, cmd, PHYS_PFN(virt_to_phys(v->batch)), n, NULL);

	/* What ails the call ails each of its pages. */
	for (n = 0; n < b->old_count; n++)
		judge_old(b, n, status ?: v->batch[n] & ENTRY_STATUS);
	list_for_each_entry_safe(page, next, &b->pages, lru)
		judge(b, page, status ?: v->batch[n++] & ENTRY_STATUS);
}

/* The host holds none of the pages, whatever it said of some before. */
static void settle_reset(struct uballoon_batch *b)
{
	if (!b->unlock) {
		refuse_all(b, UBALLOON_STOP_RESET);
		return;
	}
	b->count += b->refused_count;
	b->refused_count = 0;
	b->old_refused = 0;
	list_splice_tail_init(&b->refused, &b->pages);
}

static void vmware_move(struct uballoon_host *host, struct uballoon_batch *b)
{
	unsigned long need = b->order == UBALLOON_LARGE_ORDER ? CAP_BATCHED | CAP_BATCHED_2M :
							     CAP_BATCHED;
	struct vmware *v = to_vmware(host);

	b->hold = UBALLOON_HOLD_TOLD;
	spin_lock(&v->lock);
	if (!v->up)
		b->stop = UBALLOON_STOP_RESET;
	else if ((v->caps & need) == need)
		move_together(v, b);
	else if (b->order == UBALLOON_BASE_ORDER && v->caps & CAP_BASIC)
		move_each(v, b);
	else
		refuse_all(b, UBALLOON_STOP_REFUSED);
	if (b->stop == UBALLOON_STOP_RESET) {
		settle_reset(b);
		v->up = false;
		if (!v->stopping)
			mod_delayed_work(host->core->wq, &v->work, 0);
	}
	spin_unlock(&v->lock);

	report_target(v);
	uballoon_batch_done(host->core, b);
}

/* ---- doorbell ---- */

#if IS_ENABLED(CONFIG_VMWARE_VMCI)

static void doorbell_rings(void *data)
{
	struct vmware *v = data;

	atomic_long_inc(&v->rings);
	mod_delayed_work(v->host.core->wq, &v->work, 0);
}

/* The symbols are looked up, so that the module loads where vmw_vmci does not. */
static bool doorbell_create(struct vmware *v)
{
	typeof(&vmci_doorbell_create) create = symbol_get(vmci_doorbell_create);

	if (!create)
		return false;
	if (create(&v->doorbell, VMCI_FLAG_DELAYED_CB, VMCI_PRIVILEGE_FLAG_RESTRICTED,
		   doorbell_rings, v) == VMCI_SUCCESS)
		return true;
	v->doorbell = VMCI_INVALID_HANDLE;
	symbol_put(vmci_doorbell_create);
	return false;
}

/* Waits until nobody rings any more. */
static void doorbell_destroy(struct vmware *v)
{
	typeof(&vmci_doorbell_destroy) destroy;

	if (vmci_handle_is_invalid(v->doorbell))
		return;
	destroy = symbol_get(vmci_doorbell_destroy);
	destroy(v->doorbell);
	v->doorbell = VMCI_INVALID_HANDLE;
	symbol_put(vmci_doorbell_destroy);
	symbol_put(vmci_doorbell_create);
}

#else

static bool doorbell_create(struct vmware *v)
{
	return false;
}

static void doorbell_destroy(struct vmware *v)
{
}

#endif

/* A host that does not know the doorbell is polled, and nothing else is different. */
static void set_doorbell(struct vmware *v)
{
	unsigned long status = STATUS_RESET;

	if (vmci_handle_is_invalid(v->doorbell) && !doorbell_create(v))
		return;
	spin_lock(&v->lock);
	if (v->up)
		status = call(v, CMD_DOORBELL_SET, v->doorbell.context, v->doorbell.resource, NULL);
	spin_unlock(&v->lock);
	if (status != STATUS_SUCCESS)
		doorbell_destroy(v);
}

/* ---- session ---- */

/* START; true if the host accepts. No capabilities end the session. */
static bool call_start(struct vmware *v, unsigned long wanted, unsigned long *ret_caps)
{
	unsigned long status = call(v, CMD_START, wanted, 0, ret_caps);

	return status == STATUS_SUCCESS || status == STATUS_SUCCESS_WITH_CAPABILITIES;
}

static bool start(struct vmware *v)
{
	unsigned long caps = CAP_BASIC;
	bool up;

	spin_lock(&v->lock);
	v->heard = false;
	up = call_start(v, CAP_WANTED, &caps);
	v->caps = caps;
	v->up = up;
	spin_unlock(&v->lock);
	if (!up)
		return false;

	if (caps & CAP_DOORBELL)
		set_doorbell(v);
	spin_lock(&v->lock);
	if (v->up)
		call(v, CMD_GUEST_ID, GUEST_LINUX, 0, NULL);
	spin_unlock(&v->lock);
	return true;
}

static void ask_target(struct vmware *v)
{
	u64 limit = uballoon_ram(v->host.core);

	spin_lock(&v->lock);
	if (v->up && (v->caps & CAP_TARGET_64 || limit == (u32)limit))
		call(v, CMD_GET_TARGET, limit, 0, NULL);
	spin_unlock(&v->lock);
	report_target(v);
}

static void attach(struct vmware *v)
{
	struct uballoon_host *host = &v->host;

	host->caps = UBALLOON_CAP_HOST_TARGET | UBALLOON_CAP_MUST_TELL |
		     UBALLOON_CAP_DEFLATE_ON_OOM;
	if (uballoon_params.guest_driven)
		host->caps |= UBALLOON_CAP_GUEST_DRIVEN;
	if (!vmci_handle_is_invalid(v->doorbell))
		host->caps |= UBALLOON_CAP_DOORBELL;
	host->batch_4k = v->caps & CAP_BATCHED ? BATCH_ENTRIES : BASIC_BATCH;
	host->batch_2m = 0;
	host->keeps_target = true;
	host->unlock_first = true;
	if (v->caps & CAP_BATCHED && v->caps & CAP_BATCHED_2M) {
		host->caps |= UBALLOON_CAP_2M;
		host->batch_2m = BATCH_ENTRIES;
	}
	v->attached = !uballoon_attach(host);
}

static void session_work(struct work_struct *work)
{
	struct vmware *v = container_of(to_delayed_work(work), struct vmware, work);
	bool was_up = READ_ONCE(v->up);

	if (READ_ONCE(v->stopping))
		return;
	if (!was_up) {
		if (v->dirty)
			uballoon_host_reset(v->host.core);
		v->dirty = start(v);
	}
	ask_target(v);
	if (!v->attached && READ_ONCE(v->up))
		attach(v);
	/* Over again at once, but not if that is what has just failed. */
	queue_delayed_work(v->host.core->wq, &v->work,
			   was_up && !READ_ONCE(v->up) ? 0 : round_jiffies_relative(HZ));
}

static void vmware_show(struct uballoon_host *host, struct seq_file *m)
{
	struct vmware *v = to_vmware(host);
	enum command cmd;

	seq_printf(m, "vmware_up %d\n", READ_ONCE(v->up));
	seq_printf(m, "vmware_capabilities 0x%lx\n", READ_ONCE(v->caps));
	for (cmd = 0; cmd < COMMANDS; cmd++) {
		if (!command_names[cmd])
			continue;
		seq_printf(m, "vmware_%s %lu\n", command_names[cmd], READ_ONCE(v->calls[cmd]));
		seq_printf(m, "vmware_%s_failed %lu\n", command_names[cmd],
			   READ_ONCE(v->failures[cmd]));
	}
	seq_printf(m, "vmware_doorbell %ld\n", atomic_long_read(&v->rings));
}

static const struct uballoon_host_ops vmware_ops = {
	.name	= "vmware",
	.lock	= vmware_move,
	.unlock	= vmware_move,
	.show	= vmware_show,
};

/* ---- life ---- */

static int vmware_init(void)
{
	struct uballoon *ub;
	struct vmware *v;
	int r = -ENOMEM;

	if (!hypervisor_is_type(X86_HYPER_VMWARE))
		return -ENODEV;

	v = kzalloc(sizeof(*v), GFP_KERNEL);
	if (!v)
		return -ENOMEM;
	v->host.ops = &vmware_ops;
	v->doorbell = VMCI_INVALID_HANDLE;
	spin_lock_init(&v->lock);
	INIT_DELAYED_WORK(&v->work, session_work);
	v->batch = (u64 *)get_zeroed_page(GFP_KERNEL);
	if (!v->batch)
		goto err_free;
	ub = uballoon_core_new(&v->host);
	if (IS_ERR(ub)) {
		r = PTR_ERR(ub);
		goto err_page;
	}
	vmware = v;

	request_module("vmw_vmci");
	/* Where the host answers at once, the device is there when the module is. */
	queue_delayed_work(ub->wq, &v->work, 0);
	flush_delayed_work(&v->work);
	return 0;

err_page:
	free_page((unsigned long)v->batch);
err_free:
	kfree(v);
	return r;
}

/*
 * The host hears first that all is over; then nobody minds what the pages are
 * used for. If it does not want to hear, they go back in the ordinary way.
 */
static void vmware_exit(void)
{
	struct vmware *v = vmware;

	spin_lock(&v->lock);
	v->stopping = true;
	spin_unlock(&v->lock);
	cancel_delayed_work_sync(&v->work);

	spin_lock(&v->lock);
	if (v->up && !vmci_handle_is_invalid(v->doorbell))
		call(v, CMD_DOORBELL_SET, (u32)VMCI_INVALID_ID, (u32)VMCI_INVALID_ID, NULL);
	if (v->up && call_start(v, 0, NULL))
		v->up = false;
	spin_unlock(&v->lock);
	doorbell_destroy(v);
	cancel_delayed_work_sync(&v->work);

	if (v->attached)
		uballoon_detach(&v->host);
	uballoon_core_drop(v->host.core);
	uballoon_core_free(v->host.core);
	free_page((unsigned long)v->batch);
	kfree(v);
	vmware = NULL;
}

const struct uballoon_host_driver uballoon_vmware_driver = {
	.name		= "vmware",
	.automatic	= true,
	.init		= vmware_init,
	.exit		= vmware_exit,
};
