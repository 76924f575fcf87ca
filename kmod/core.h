/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * core.h - the balloon itself: page lists, batches, accounting
 *
 * Locks, in the order in which they may be taken (most are never nested):
 *
 *   uballoon_only_lock (core.c)	there is one balloon
 *   page lock			of a page that is put on a list, where the kernel wants that;
 *				held by migration, too
 *   host's own locks			taken inside ops->lock/unlock/poll/size_changed
 *   uballoon.lock			all plain fields below; process context; nothing is
 *					allocated or waited for under it
 *   the kernel's for its lists	the 4 KiB lists; shared with compaction (compat/balloon.h)
 *
 * No lock is held while the host has a request. What excludes two movers from
 * each other is a flag (uballoon.moving) that is waited for with a time limit.
 * The OOM notifier, the shrinker, the lease and compaction do not wait for it.
 *
 * Life of a page: allocated into a batch -> with the host (nobody else knows
 * it) -> answered -> in an account (accounts.c) and on a list, PageOffline ->
 * claimed (taken off the size first, then off the list) -> for pages held "told"
 * a message to the host -> out of the account and freed. A page that is with the
 * host is never freed until the host has answered or its device has been reset.
 */
#ifndef _UBALLOON_CORE_H
#define _UBALLOON_CORE_H

#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/mmzone.h>
#include <linux/notifier.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "host/host.h"

/* Index of the page sizes. */
enum uballoon_pagesize {
	UBALLOON_4K,
	UBALLOON_2M,
	UBALLOON_PAGESIZES,
};

static inline enum uballoon_pagesize uballoon_pagesize(unsigned int order)
{
	return order == UBALLOON_LARGE_ORDER ? UBALLOON_2M : UBALLOON_4K;
}

/* Batches in all: enough for the host to work while the guest allocates. */
#define UBALLOON_BATCHES	9
/* ... of which the last is kept for giving memory back. */
#define UBALLOON_RESERVED	1

/* How long to wait for a host that does not answer, after the budget. */
#define UBALLOON_HOST_GRACE_MS	100
/* ... and where there is no budget: a page to be given back must be acknowledged. */
#define UBALLOON_HOST_WAIT_MS	1000

/*
 * One more way to hold a 4 KiB page, for the core only: the host does not know
 * of it yet, because compaction has put it in the place of another one.
 */
#define UBALLOON_HOLD_NEW	UBALLOON_HOLDS
#define UBALLOON_LISTS		(UBALLOON_HOLDS + 1)

/* Pages that compaction has replaced and the host is still to be told about. */
#define UBALLOON_OLD_PAGES	1024

/* 4 KiB pages held one way. The kernel's compaction finds it by a page's private field. */
struct uballoon_list_4k {
	struct balloon_dev_info dev;	/* has its own lock */
	struct uballoon *ub;		/* constant, as is @hold */
	unsigned int hold;
};

/* The balloon's pages in one zone of one node. */
struct uballoon_zone {
	u64 held_pages;			/* in an account; protected by uballoon.lock */
	u64 gone_pages;			/* of these, off the managed count; same */
	struct list_head pages_2m[UBALLOON_HOLDS]; /* same, as are ... */
	struct list_head fresh_2m[UBALLOON_HOLDS]; /* ... those that are not marked whole yet */
	struct uballoon_list_4k lists_4k[UBALLOON_LISTS]; /* own locks */
};

/* Relief goes on until so much of the line (one part in) is available beyond it. */
#define UBALLOON_RELIEF_STEP	4

/* Who is given memory back that UNLOCK has not asked for. */
enum uballoon_relief {
	UBALLOON_RELIEF_KSWAPD,
	UBALLOON_RELIEF_DIRECT,		/* a task that reclaims for itself */
	UBALLOON_RELIEF_OOM,		/* the OOM killer is next */
};

/* Module parameters; main.c says what they mean. */
struct uballoon_params {
	int floor_mb;
	bool guest_driven;
	unsigned int oom_holdoff_ms;
	bool refuse_2m;
};

extern struct uballoon_params uballoon_params;

/* Counters for debugfs only; protected by uballoon.lock. */
struct uballoon_internals {
	u64 batches[UBALLOON_HOLDS][UBALLOON_PAGESIZES]; /* locked */
	u64 unlock_batches;
	u64 migrate_busy_events;	/* no room in old_pages */
	u64 drain_events;
	u64 reap_work_events;
	u64 wake_events;		/* reliefs given when reclaim began, by wake.c */
	u64 offline_events;		/* ranges that were to go offline */
	u64 offline_pages;		/* given back for that */
	u64 offline_replaced_pages;	/* ... of which others have taken the place */
	u64 untold_lost_pages;		/* no room in untold */
};

/**
 * struct uballoon - one balloon
 *
 * Fields without a remark: protected by @lock.
 */
struct uballoon {
	struct kref ref;		/* the host's device, and each open file */
	struct uballoon_host *host;	/* valid between enter and leave, and for the host */
	struct workqueue_struct *wq;	/* constant */

	spinlock_t lock;		/* see above */

	/* State of the device. */
	bool gone;			/* no new users; the host's device goes away */
	bool suspended;			/* no new users until it resumes */
	unsigned int users;		/* inside a call */
	bool writer;
	bool moving;			/* a LOCK, UNLOCK or POP runs */

	/* The balloon, in pages of the kernel (host/host.h). */
	u64 size[UBALLOON_PAGESIZES];
	u64 inflight_pages;		/* claimed by LOCK, not answered yet */
	u64 available_pages;		/* counted as reclaimable; sum of the zones, as is ... */
	u64 gone_pages;			/* ... off the managed count */
	u32 account;			/* enum uballoon_account as set */
	bool mark_at_once;		/* 2 MiB pages; lists.c */
	struct uballoon_zone *zones;	/* constant: MAX_NR_ZONES for each possible node */
	unsigned int zone_count;	/* constant */
	/* With room for those of all batches, if the host releases none of them. */
	struct page *old_pages[UBALLOON_OLD_PAGES + UBALLOON_BATCHES * UBALLOON_BATCH_OLD];
	unsigned int old_count;
	unsigned int old_away;		/* more of them, in batches */
	unsigned int owed_pages;	/* released by the host for others that it may get */
	u64 size_debt;			/* gone, but claimed by others, who have to pay for it */
	struct uballoon_run *untold;	/* untold.c */
	unsigned int untold_count;	/* runs */
	u64 untold_pages;		/* in them */
	bool telling;			/* some of them are on their way to the host */
	bool offlining;			/* a range of memory is about to go; offline.c */

	/* The guest's own free pages that the host is being told of; on no list meanwhile. */
	u64 reporting_pages;
	int reporting_nid;
	unsigned long reporting_end;	/* jiffies; from then on nobody counts on them */
	bool reporting_late;		/* the last report took longer than that */

	/* Bounds. */
	u64 ceiling_pages;
	u64 floor_pages;
	u64 relief_pages;		/* the relief line */
	u64 host_target_pages;
	bool host_target_valid;
	u64 holdoff_end;		/* 64-bit jiffies, which never come round */
	u32 lease_ms;
	unsigned long lease_end;	/* jiffies, as is ... */
	unsigned long lease_tick;	/* ... when it is looked at next */
	bool lease_expired;
	bool draining;
	u64 *drain_counter;		/* which counter the pages go to */

	/* Events. */
	u64 host_generation;
	u64 relief_generation;
	u32 last_stop;
	struct uballoon_counters counters;
	struct uballoon_internals internals;

	/* The LOCK call that runs. */
	u64 call;			/* its number, 0 = none */
	u64 last_call;
	u64 call_inflight_pages;
	u64 call_done_pages;
	u64 call_refused_pages;
	u32 call_stop;
	struct list_head refused;	/* 4 KiB pages kept from the allocator by the call */
	unsigned int refused_count;
	bool call_splits;		/* 2 MiB pages that are refused go to @whole */
	struct list_head whole;		/* to be offered in parts; still in flight */
	struct list_head parts;		/* 4 KiB pages out of them */
	unsigned int part_pages;	/* on both lists, in single pages */
	struct task_struct *locker;	/* allocates for the balloon: must not shrink it */

	/* Batches. */
	struct list_head free_batches;
	unsigned int free_count;
	struct uballoon_batch *batches[UBALLOON_BATCHES]; /* constant */
	struct llist_head done;		/* lock-free: answered, not finished */
	unsigned long size_told;	/* lock-free: jiffies when the host was told of the size */
	bool silent;			/* waited for the host in vain, no answer since */
	atomic_t reapers;		/* callers that will look at @done by themselves */
	atomic_t waiters;		/* ... and of these, those that sleep until then */
	wait_queue_head_t wait;		/* answers, free batches, the end of a mover */
	wait_queue_head_t poll_wait;	/* files */
	struct delayed_work reap_work;
	struct delayed_work lease_work;
	struct delayed_work drain_work;
	struct delayed_work migrate_work;
	struct delayed_work mark_work;
	struct notifier_block pm;

	struct miscdevice misc;		/* chardev.c */
	struct uballoon_reclaim *reclaim; /* reclaim.c */
};

static inline struct uballoon_zone *uballoon_zone(struct uballoon *ub, struct page *page)
{
	return &ub->zones[page_to_nid(page) * MAX_NR_ZONES + page_zonenum(page)];
}

/* core.c: life. */
struct uballoon *uballoon_core_new(struct uballoon_host *host);
void uballoon_core_stop(struct uballoon *ub);
int uballoon_core_suspend(struct uballoon *ub);
void uballoon_core_resume(struct uballoon *ub);
void uballoon_core_drop(struct uballoon *ub);
void uballoon_core_free(struct uballoon *ub);
void uballoon_core_get(struct uballoon *ub);
void uballoon_core_put(struct uballoon *ub);
bool uballoon_core_enter(struct uballoon *ub);
void uballoon_core_leave(struct uballoon *ub);

/* core.c: calls of the device. Arguments have been validated. */
void uballoon_core_info(struct uballoon *ub, struct uballoon_info *ret);
void uballoon_core_state(struct uballoon *ub, struct uballoon_state *ret, u64 *ret_host_generation,
			 u64 *ret_relief_generation);
void uballoon_core_set_target(struct uballoon *ub, const struct uballoon_target *t);
int uballoon_core_keepalive(struct uballoon *ub);
bool uballoon_core_lease_expire(struct uballoon *ub, unsigned long *ret_next);

/* core.c: process context. */
void uballoon_host_target(struct uballoon *ub, u64 pages);
void uballoon_host_reset(struct uballoon *ub);
u64 uballoon_size(struct uballoon *ub);
u64 uballoon_ram(struct uballoon *ub);
u64 uballoon_floor(struct uballoon *ub);
/* ... with uballoon.lock held: */
u64 uballoon_total(struct uballoon *ub);
u64 uballoon_left(struct uballoon *ub);
void uballoon_size_add(struct uballoon *ub, enum uballoon_pagesize ps, u64 pages);
u64 uballoon_host_bound(struct uballoon *ub);
u64 uballoon_insisted(struct uballoon *ub);
u64 uballoon_firm(struct uballoon *ub);
u64 uballoon_min_size(struct uballoon *ub);
u32 uballoon_holdoff_left_ms(struct uballoon *ub);

/* move.c: calls of the device. Arguments have been validated. */
void uballoon_move_lock(struct uballoon *ub, struct uballoon_move *mv);
void uballoon_move_unlock(struct uballoon *ub, struct uballoon_move *mv);
void uballoon_move_pop(struct uballoon *ub, struct uballoon_pop *pop);

/* move.c: for prove.c. */
u32 uballoon_move_begin(struct uballoon *ub, ktime_t until);
void uballoon_move_end(struct uballoon *ub);

/* prove.c */
void uballoon_prove(struct uballoon *ub, struct uballoon_prove *p);
bool uballoon_proof_answered(struct uballoon *ub, struct uballoon_batch *b);

/* Whether what was given back with @stop is free now, or will be one day. */
static inline bool uballoon_is_free(u32 stop)
{
	return stop != UBALLOON_STOP_BUDGET && stop != UBALLOON_STOP_INTERRUPTED;
}

/* release.c: for move.c, reclaim.c, core.c and migrate.c. */
u64 uballoon_take_back(struct uballoon *ub, unsigned int order, int nid, u64 want_pages,
		       ktime_t until, unsigned int mode, u64 *refused, u32 *ret_stop);
u64 uballoon_take_back_range(struct uballoon *ub, unsigned long start, unsigned long end,
			     ktime_t until, unsigned int mode, u32 *ret_stop);
void uballoon_gave_back(struct uballoon *ub);
void uballoon_take_new(struct uballoon *ub, struct uballoon_batch *b, unsigned int most);
bool uballoon_is_empty(struct uballoon *ub);
void uballoon_lists_drop(struct uballoon *ub);
u64 uballoon_relieve(struct uballoon *ub, enum uballoon_relief who, int nid);
u64 uballoon_give_back(struct uballoon *ub, int nid, u64 want_pages, ktime_t until,
		       unsigned int mode, u32 *ret_stop);
void uballoon_start_drain(struct uballoon *ub, u64 *counter);
void uballoon_drain_work(struct work_struct *work);

/* batch.c: for the hosts, any context. */
void uballoon_batch_done(struct uballoon *ub, struct uballoon_batch *b);

/**
 * enum uballoon_attention - whether the host's answers need an interrupt
 * @UBALLOON_NOBODY:	nobody looks: interrupt at once
 * @UBALLOON_WAITS:	a caller sleeps until they come, for a second at most: may be late
 * @UBALLOON_LOOKS:	whoever moves pages calls ops->poll() after each batch: no interrupt
 */
enum uballoon_attention {
	UBALLOON_NOBODY,
	UBALLOON_WAITS,
	UBALLOON_LOOKS,
};

enum uballoon_attention uballoon_attention(struct uballoon *ub);

/* batch.c: for the other files of the core, and migrate.c. */
int uballoon_batch_init(struct uballoon *ub);
void uballoon_batch_exit(struct uballoon *ub);
void uballoon_batch_drop(struct uballoon *ub);
void uballoon_old_pages_drop(struct uballoon *ub);
struct uballoon_batch *uballoon_batch_get(struct uballoon *ub, unsigned int keep);
void uballoon_batch_put(struct uballoon *ub, struct uballoon_batch *b);
void uballoon_tell_size(struct uballoon *ub);
void uballoon_reap(struct uballoon *ub);
void uballoon_reapers_inc(struct uballoon *ub);
void uballoon_reapers_dec(struct uballoon *ub);
u32 uballoon_wait(struct uballoon *ub, bool (*ready)(struct uballoon *ub, const void *arg),
		  const void *arg, ktime_t until, unsigned int mode);
void uballoon_host_silent(struct uballoon *ub, const char *what);

/* accounts.c; those that change something with uballoon.lock held. */
void uballoon_accounts_settle(struct uballoon *ub);
void uballoon_accounts_change(struct uballoon *ub, struct list_head *pages, unsigned int order,
			      int sign);
void uballoon_accounts_replace(struct uballoon *ub, struct page *old, struct page *new);
void uballoon_reporting(struct uballoon *ub, int nid, u64 pages);
u64 uballoon_available(struct uballoon *ub);
u64 uballoon_node_spare(int nid, gfp_t gfp);
int uballoon_richest_node(struct uballoon *ub, bool may_reclaim, gfp_t gfp);
int uballoon_poorest_node(struct uballoon *ub);
u64 uballoon_relief_missing(struct uballoon *ub, int nid, bool begun);

/* lists.c */
int uballoon_lists_init(struct uballoon *ub);
void uballoon_lists_exit(struct uballoon *ub);
void uballoon_lists_add(struct uballoon *ub, unsigned int order, unsigned int hold,
			struct list_head *pages);
void uballoon_lists_keep_2m(struct uballoon *ub, unsigned int hold, struct list_head *pages);
unsigned int uballoon_lists_take(struct uballoon *ub, unsigned int order, unsigned int hold,
				 int nid, unsigned int count, struct list_head *pages);
unsigned int uballoon_lists_take_range(struct uballoon *ub, unsigned int hold, unsigned long start,
				       unsigned long end, unsigned int count,
				       struct list_head *pages);
bool uballoon_lists_have_range(struct uballoon *ub, unsigned long start, unsigned long end);
bool uballoon_lists_have_new(struct uballoon *ub);
bool uballoon_lists_empty(struct uballoon *ub);
void uballoon_mark_work(struct work_struct *work);

/* pages.c */
unsigned int uballoon_pages_alloc(struct list_head *pages, unsigned int order, int nid,
				  unsigned int count, gfp_t gfp, ktime_t until);
void uballoon_pages_sort(struct list_head *pages);
void uballoon_pages_free(struct list_head *pages, unsigned int order);
void uballoon_pages_release(struct uballoon *ub, struct list_head *pages, unsigned int order);
void uballoon_page_mark(struct page *page, bool whole);

/* untold.c */
int uballoon_untold_init(struct uballoon *ub);
void uballoon_untold_exit(struct uballoon *ub);
void uballoon_untold_add(struct uballoon *ub, struct list_head *pages, unsigned int order);
bool uballoon_untold_any(struct uballoon *ub);
bool uballoon_untold_refuse(struct uballoon *ub, struct uballoon_batch *b);
unsigned int uballoon_untold_tell(struct uballoon *ub);
void uballoon_untold_forget(struct uballoon *ub);

/* migrate.c */
void uballoon_migrate_init(struct balloon_dev_info *dev);
void uballoon_migrate_retry(struct uballoon *ub);
void uballoon_migrate_work(struct work_struct *work);

#endif /* _UBALLOON_CORE_H */
