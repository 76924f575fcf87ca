/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * host.h - what a hypervisor has to do, seen from the core
 *
 * A host driver (one file in this directory) embeds a struct uballoon_host,
 * asks for a core with uballoon_core_new(), and goes public with
 * uballoon_attach() once its device can take requests. From then on the core
 * hands it batches of pages; the host answers each exactly once, at once or
 * later and from any context, with uballoon_batch_done().
 *
 * The core never names a host, and a host never allocates, frees or counts
 * balloon pages. The exception is a host whose pages are moved and kept by
 * another driver of the kernel: it has the operation @move instead.
 */
#ifndef _UBALLOON_HOST_H
#define _UBALLOON_HOST_H

#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mm.h>
#include <linux/types.h>

#include "../uapi/uballoon.h"

struct seq_file;
struct uballoon;
struct uballoon_host;

/**
 * enum uballoon_hold - how the host holds a page that it was given
 * @UBALLOON_HOLD_QUIET:	the guest may use it again without a word
 * @UBALLOON_HOLD_TOLD:		the host wants a message when it is used again
 * @UBALLOON_HOLDS:		how many there are
 */
enum uballoon_hold {
	UBALLOON_HOLD_QUIET,
	UBALLOON_HOLD_TOLD,
	UBALLOON_HOLDS,
};

/*
 * Inside the module, amounts of memory are pages of the kernel, and orders are the kernel's, too.
 * The ABI and most hosts count units of 4 KiB: on kernels with pages of 16 or 64 KiB a page is 4
 * or 16 of them. What is called 4K here is one page of the kernel, whatever its size, and what is
 * called 2M is that size.
 *
 * Amounts are converted where they come in and go out: those of the calls in chardev.c, what is
 * told of the balloon in state.c and stats.c, a host's in the host's file.
 */
#define UBALLOON_UNIT_SHIFT	(PAGE_SHIFT - UBALLOON_PAGE_SHIFT)
#define UBALLOON_BASE_ORDER	0
#define UBALLOON_LARGE_ORDER	(UBALLOON_ORDER_2M - UBALLOON_UNIT_SHIFT)
#define UBALLOON_LARGE_PAGES	(1 << UBALLOON_LARGE_ORDER)
/* Pages of the kernel in a MiB. */
#define UBALLOON_MIB_PAGES	(1 << (20 - PAGE_SHIFT))

static inline u64 uballoon_units(u64 pages)
{
	return pages << UBALLOON_UNIT_SHIFT;
}

/* So many whole pages, and a part of one left over is none (_down) or a whole one (_up). */
static inline u64 uballoon_pages_down(u64 units)
{
	return units >> UBALLOON_UNIT_SHIFT;
}

static inline u64 uballoon_pages_up(u64 units)
{
	return (units >> UBALLOON_UNIT_SHIFT) +
	       !!(units & ((1ULL << UBALLOON_UNIT_SHIFT) - 1));
}

/* Most pages in uballoon_batch.old_pages: 1 MiB of them. */
#define UBALLOON_BATCH_OLD	UBALLOON_MIB_PAGES

/**
 * struct uballoon_batch - pages on their way to or from the host
 * @node:		the host's, while it has the batch
 * @pages:		the pages, linked by lru. Ascending addresses for 4 KiB pages
 * @refused:		the host moves pages here that it does not take (lock) or does not release
 *			(unlock; only a host with UBALLOON_CAP_MUST_TELL may do that)
 * @old_pages:		unlock only: 4 KiB pages that are not on a list (migration)
 * @old_count:		how many
 * @old_refused:	how many of them, first in the array, the host does not release
 * @count:		balloon pages on @pages
 * @refused_count:	balloon pages on @refused; the host keeps it and @count right
 * @order:		UBALLOON_BASE_ORDER or UBALLOON_LARGE_ORDER
 * @unlock:		direction
 * @hold:		lock: filled in by the host before it answers; unlock: as it was then
 * @stop:		host's word: UBALLOON_STOP_NONE (go on), REFUSED, NOT_NEEDED or RESET. An
 *			unlock knows RESET only: all of its pages are the guest's then
 *
 * The rest is the core's. @priv is for the host, uballoon_host_ops.batch_priv_size bytes.
 */
struct uballoon_batch {
	struct list_head node;
	struct list_head pages;
	struct list_head refused;
	struct page *old_pages[UBALLOON_BATCH_OLD];
	unsigned int old_count;
	unsigned int old_refused;
	bool old_free;		/* the guest has them already, see untold.c */
	unsigned int count;
	unsigned int refused_count;
	u8 order;
	bool unlock;
	u8 hold;
	u8 stop;

	struct llist_node done_node;
	atomic_t parts;		/* who still needs the batch: host, and an unlocking caller */
	bool answered;		/* protected by uballoon.lock: the host is through with it */
	bool migration;		/* pages that replace or are replaced: changes no size */
	u8 proof;		/* enum uballoon_proving (prove.c); protected by uballoon.lock */
	u64 call;		/* the LOCK call that it belongs to */

	unsigned long priv[];
};

/**
 * struct uballoon_host_ops - one hypervisor
 * @name:		for GET_INFO
 * @batch_priv_size:	bytes at uballoon_batch.priv
 * @lock:		give the pages of the batch to the host. Must not sleep or allocate with
 *			reclaim. The batch may be answered before this returns
 * @unlock:		tell the host that the pages (all UBALLOON_HOLD_TOLD) are used again.
 *			Same rules; must not need the pages any more when it returns
 * @poll:		collect answers now instead of waiting for an interrupt. Optional
 * @nudge:		the host has been silent for too long: have it look again, in case that it
 *			has missed something. Same rules as for @lock. Optional
 * @size_changed:	uballoon_size() has changed. May sleep, must not allocate. Optional
 * @show:		more lines for debugfs, "name value". Optional
 * @move:		where the kernel has a driver of its own that moves the pages, instead of
 *			@lock and @unlock: change the balloon by @pages (> 0 inflates; at most
 *			uballoon_host.batch_4k; @may_reclaim: allocation may reclaim), wait for
 *			it in @mode and not beyond @until. Returns what was really moved, and in
 *			*ret_stop why no more. Several callers at once: the last one counts.
 *			Deflating must not allocate
 * @pages:		with @move: the balloon's size, which may change at any time. Any context
 */
struct uballoon_host_ops {
	const char *name;
	size_t batch_priv_size;
	void (*lock)(struct uballoon_host *host, struct uballoon_batch *b);
	void (*unlock)(struct uballoon_host *host, struct uballoon_batch *b);
	void (*poll)(struct uballoon_host *host);
	void (*nudge)(struct uballoon_host *host);
	void (*size_changed)(struct uballoon_host *host);
	void (*show)(struct uballoon_host *host, struct seq_file *m);
	u64 (*move)(struct uballoon_host *host, s64 pages, bool may_reclaim, ktime_t until,
		    unsigned int mode, u32 *ret_stop);
	u64 (*pages)(struct uballoon_host *host);
};

/**
 * struct uballoon_host - a host's device
 * @ops:		set before uballoon_core_new()
 * @core:		set by uballoon_core_new()
 * @caps:		UBALLOON_CAP_* bits; set, like the rest, before uballoon_attach(). With
 *			UBALLOON_CAP_PROOF a page that the host has taken does not keep its
 *			contents, and no unlock is refused
 * @batch_4k:		most 4 KiB pages in a batch
 * @batch_2m:		most 2 MiB pages in a batch; 0 = no 2 MiB pages
 * @keeps_target:	it wants what it asks for to stay with it, but lets go of it before the
 *			guest runs out of memory
 * @unlock_first:	a page in excess of the target may be refused: where one page replaces
 *			another, the host gives before it gets
 */
struct uballoon_host {
	const struct uballoon_host_ops *ops;
	struct uballoon *core;
	u64 caps;
	unsigned int batch_4k;
	unsigned int batch_2m;
	bool keeps_target;
	bool unlock_first;
};

/**
 * struct uballoon_host_driver - how main.c gets at a host
 * @name:		value of the module parameter "host"
 * @automatic:		part of host=auto
 * @init:		register with the bus, or start at once. -ENODEV: the hypervisor is another.
 *			-EBUSY: there is a balloon already, by another host
 * @exit:		undo it
 */
struct uballoon_host_driver {
	const char *name;
	bool automatic;
	int (*init)(void);
	void (*exit)(void);
};

extern const struct uballoon_host_driver uballoon_virtio_driver;
extern const struct uballoon_host_driver uballoon_vmware_driver;
extern const struct uballoon_host_driver uballoon_xen_driver;
extern const struct uballoon_host_driver uballoon_none_driver;

/* main.c: make the core visible to users, and hide it again. */
int uballoon_attach(struct uballoon_host *host);
void uballoon_detach(struct uballoon_host *host);

#endif /* _UBALLOON_HOST_H */
