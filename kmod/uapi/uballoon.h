/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * uballoon.h - the calls of /dev/uballoon
 *
 * The only header that the module and its users share. Conventions:
 *
 *  - All amounts of memory are u64 counts of 4 KiB pages, whatever the guest's
 *    own page size and whatever the size of the balloon page that is moved.
 *  - Where the guest's own pages are larger, what is called a 4 KiB balloon page
 *    is one of those: 4 of the unit with pages of 16 KiB, 16 with 64 KiB. What
 *    is asked for is made whole pages, so that never more is held and never less
 *    given back: LOCK, ceiling and floor are rounded down, UNLOCK and the
 *    relief line up. What comes out is always whole pages.
 *  - Each struct starts with its own size in bytes; reserved fields must be
 *    zero. Anything else is EINVAL and changes nothing.
 *  - No struct has padding holes; the sizes are asserted at the end of this
 *    file on both sides of the system call.
 *  - One file may be open for writing at a time (else open() fails with EBUSY).
 *    A file opened read-only may call GET_INFO and GET_STATE; any other call on
 *    it fails with EBADF.
 *  - An unknown call fails with ENOTTY; every call fails with ENODEV once the
 *    host's device has gone, until the file is closed.
 *
 * Beside the node there are, for everybody to read, in /sys/class/misc/uballoon/:
 *
 *  mem_available_pages		as in struct uballoon_state
 *  available_pages		as in struct uballoon_state
 *
 * poll(): POLLIN when the host's target has changed or the host has started
 * over, POLLPRI when the module itself gave memory back (OOM notifier,
 * shrinker, lease). Both stay set for a file until that file calls GET_STATE.
 * POLLERR|POLLHUP mean that the device has gone, nothing else.
 */
#ifndef _UAPI_UBALLOON_H
#define _UAPI_UBALLOON_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define UBALLOON_ABI_VERSION	2

/* Unit of every amount below. */
#define UBALLOON_PAGE_SHIFT	12
#define UBALLOON_PAGE_SIZE	(1UL << UBALLOON_PAGE_SHIFT)
#define UBALLOON_PAGES_PER_2M	512

/* Longest lease: 1 h. A dead-man's switch that takes longer is none. */
#define UBALLOON_MAX_LEASE_MS	3600000
/* Longest time that one LOCK or UNLOCK may be asked to take: 10 s. */
#define UBALLOON_MAX_BUDGET_MS	10000
/* Longest time that PROVE may be asked to leave its page with the host: 1 s. */
#define UBALLOON_MAX_HOLD_MS	1000

/* Capabilities of the host as found, struct uballoon_info.capabilities. */
#define UBALLOON_CAP_HOST_TARGET	(1ULL << 0) /* the host sets a target */
#define UBALLOON_CAP_DOORBELL		(1ULL << 1) /* ... and announces changes at once */
#define UBALLOON_CAP_2M			(1ULL << 2) /* 2 MiB balloon pages */
#define UBALLOON_CAP_MUST_TELL		(1ULL << 3) /* host acknowledges before pages are reused */
#define UBALLOON_CAP_DEFLATE_ON_OOM	(1ULL << 4) /* may deflate below the host's target */
#define UBALLOON_CAP_GUEST_DRIVEN	(1ULL << 5) /* may inflate beyond the host's target */
#define UBALLOON_CAP_REPORTING		(1ULL << 6) /* host takes page reports */
#define UBALLOON_CAP_PROOF		(1ULL << 7) /* PROVE can tell what the host takes */

/**
 * enum uballoon_stop - why a LOCK or UNLOCK ended
 * @UBALLOON_STOP_NONE:		nothing has been moved yet
 * @UBALLOON_STOP_DONE:		all pages asked for were moved (all whole ones, see above)
 * @UBALLOON_STOP_TARGET:	the ceiling (LOCK) or floor (UNLOCK) of SET_TARGET, or the
 *				host's own bound, was reached
 * @UBALLOON_STOP_NOMEM:	LOCK: no page of that size could be allocated, or the module gave
 *				memory back a moment ago and holds off (holdoff_left_ms).
 *				UNLOCK: the balloon has no page of that size (left)
 * @UBALLOON_STOP_FLOOR:	what is available would have fallen below the module's floor, or
 *				below the relief line and its step
 * @UBALLOON_STOP_REFUSED:	the host refused the pages
 * @UBALLOON_STOP_NOT_NEEDED:	the host does not want more pages
 * @UBALLOON_STOP_RESET:	the host started over; the balloon was emptied
 * @UBALLOON_STOP_BUDGET:	the time budget was used up (a silent host counts)
 * @UBALLOON_STOP_INTERRUPTED:	a signal arrived
 */
enum uballoon_stop {
	UBALLOON_STOP_NONE,
	UBALLOON_STOP_DONE,
	UBALLOON_STOP_TARGET,
	UBALLOON_STOP_NOMEM,
	UBALLOON_STOP_FLOOR,
	UBALLOON_STOP_REFUSED,
	UBALLOON_STOP_NOT_NEEDED,
	UBALLOON_STOP_RESET,
	UBALLOON_STOP_BUDGET,
	UBALLOON_STOP_INTERRUPTED,
};

/**
 * struct uballoon_info - what the device is
 * @size:		in: sizeof(struct uballoon_info)
 * @abi_version:	out: UBALLOON_ABI_VERSION of the module
 * @capabilities:	out: UBALLOON_CAP_* bits
 * @ram_pages:		out: the guest's RAM, balloon included
 * @floor_pages:	out: LOCK never takes what is available below this (see
 *			uballoon_state.mem_available_pages)
 * @batch_pages_4k:	out: 4 KiB balloon pages handed to the host in one request
 * @batch_pages_2m:	out: 2 MiB balloon pages handed to the host in one request
 *			(a count of 2 MiB pages, 0 without UBALLOON_CAP_2M)
 * @host:		out: "virtio", "vmware", "xen" or "none", NUL-terminated
 * @reserved:		zero
 */
struct uballoon_info {
	__u32 size;
	__u32 abi_version;
	__u64 capabilities;
	__u64 ram_pages;
	__u64 floor_pages;
	__u32 batch_pages_4k;
	__u32 batch_pages_2m;
	char  host[16];
	__u64 reserved[4];
};

/**
 * struct uballoon_counters - what has happened since the device appeared
 *
 * All but *_calls, *_events and proofs_* count 4 KiB pages. They only grow. Locked
 * minus unlocked pages are the size: unlocked_* count all that was given back,
 * and the pages of OOM notifier, shrinker, lease and POP once more by cause.
 */
struct uballoon_counters {
	__u64 lock_calls;
	__u64 unlock_calls;
	__u64 locked_4k_pages;		/* handed over as 4 KiB pages */
	__u64 locked_2m_pages;		/* handed over as 2 MiB pages */
	__u64 unlocked_4k_pages;
	__u64 unlocked_2m_pages;
	__u64 refused_pages;		/* refused by the host */
	__u64 alloc_fail_4k_events;
	__u64 alloc_fail_2m_events;
	__u64 floor_events;		/* LOCK stopped at the floor of what is available */
	__u64 oom_events;		/* calls of the OOM notifier that found a balloon */
	__u64 oom_pages;		/* given back by them */
	__u64 shrink_events;		/* reclaim took from the balloon: kswapd or a task */
	__u64 shrink_pages;
	__u64 lease_events;		/* leases that ran out */
	__u64 lease_pages;
	__u64 pop_events;		/* POP, reset by the host, suspend, device removed */
	__u64 pop_pages;
	__u64 migrated_pages;		/* moved by compaction */
	__u64 host_target_events;	/* host changed its target */
	__u64 host_timeout_events;	/* host did not answer in time */
	__u64 host_stats_events;	/* host asked for guest statistics */
	__u64 reported_pages;		/* free pages of the guest reported, balloon not included */
	__u64 direct_events;		/* of shrink_events: by tasks that reclaim for themselves */
	__u64 direct_pages;		/* of shrink_pages: same */
	__u64 proofs_taken;		/* events: PROVE found that the host took its page ... */
	__u64 proofs_kept;		/* ... or nothing of it */
	__u64 reserved[5];
};

/**
 * enum uballoon_account - where the balloon's pages stand in the kernel's books
 * @UBALLOON_ACCOUNT_AUTO:	by what is true: what the host does not let go of is gone,
 *				the rest is available
 * @UBALLOON_ACCOUNT_AVAILABLE:	all of it in MemTotal, and in MemAvailable by way of KReclaimable:
 *				memory that programs can have
 * @UBALLOON_ACCOUNT_GONE:	all of it off MemTotal, as if the guest had been made smaller
 *
 * A virtio host with UBALLOON_CAP_DEFLATE_ON_OOM lets go of everything; one without it, and
 * VMware, of what the balloon is larger than the host's target. Where another driver of the
 * kernel moves the pages (Xen), they stand where that driver puts them, whatever is asked for.
 */
enum uballoon_account {
	UBALLOON_ACCOUNT_AUTO,
	UBALLOON_ACCOUNT_AVAILABLE,
	UBALLOON_ACCOUNT_GONE,
};

/* struct uballoon_state.flags */
#define UBALLOON_STATE_HOST_TARGET	(1U << 0) /* host_target_pages is valid */
#define UBALLOON_STATE_WRITER		(1U << 1) /* a file is open for writing */
#define UBALLOON_STATE_LEASE_EXPIRED	(1U << 2) /* the lease ran out; cleared by SET_TARGET */
#define UBALLOON_STATE_DRAINING		(1U << 3) /* memory is being given back in the background */
#define UBALLOON_STATE_BOOKS_ELSEWHERE	(1U << 4) /* another driver accounts for the pages */

/**
 * struct uballoon_state - the balloon now
 * @size:		in: sizeof(struct uballoon_state)
 * @flags:		out: UBALLOON_STATE_* bits
 * @size_4k_pages:	out: held as 4 KiB pages
 * @size_2m_pages:	out: held as 2 MiB pages (counted in 4 KiB pages); the balloon
 *			is the sum of both
 * @ceiling_pages:	out: LOCK fills to here. Lowered by the module when it gives
 *			memory back by itself
 * @floor_pages:	out: UNLOCK empties to here
 * @host_target_pages:	out: what the host wants the balloon to be
 * @limit_pages:	out: the largest balloon that host and module would allow now
 * @generation:		out: grows when the host's target changes, when the host starts over,
 *			and when the module gives memory back by itself
 * @lease_ms:		out: lease as set, 0 = off
 * @lease_left_ms:	out: time left of it
 * @holdoff_left_ms:	out: LOCK answers NOMEM for that long
 * @last_stop:		out: enum uballoon_stop of the last LOCK or UNLOCK
 * @ram_pages:		out: the guest's RAM now, balloon included
 * @module_floor_pages:	out: what LOCK leaves of what is available now
 * @mem_available_pages: out: MemAvailable as it would be if the balloon's pages were not counted
 *			in it, with the kernel's own rounding (si_mem_available() in
 *			Linux mm/page_alloc.c)
 * @available_pages:	out: pages of the balloon that programs see as memory they can have
 * @gone_pages:		out: pages of the balloon off MemTotal
 * @host_pages:		out: pages of the balloon that another driver accounts for.
 *			The three are the size, once nothing is under way
 * @firm_pages:		out: pages of the balloon that the host does not let go of as things are;
 *			relief takes none of them
 * @relief_pages:	out: the relief line as set
 * @account:		out: enum uballoon_account as set
 * @reserved32:		zero
 * @counters:		out: see there
 * @reserved:		zero
 */
struct uballoon_state {
	__u32 size;
	__u32 flags;
	__u64 size_4k_pages;
	__u64 size_2m_pages;
	__u64 ceiling_pages;
	__u64 floor_pages;
	__u64 host_target_pages;
	__u64 limit_pages;
	__u64 generation;
	__u32 lease_ms;
	__u32 lease_left_ms;
	__u32 holdoff_left_ms;
	__u32 last_stop;
	__u64 ram_pages;
	__u64 module_floor_pages;
	__u64 mem_available_pages;
	__u64 available_pages;
	__u64 gone_pages;
	__u64 host_pages;
	__u64 firm_pages;
	__u64 relief_pages;
	__u32 account;
	__u32 reserved32;
	struct uballoon_counters counters;
	__u64 reserved[4];
};

/**
 * struct uballoon_target - bounds for LOCK and UNLOCK, the relief line, the lease
 * @size:		in: sizeof(struct uballoon_target)
 * @lease_ms:		in: 0 = off, at most UBALLOON_MAX_LEASE_MS
 * @ceiling_pages:	in: LOCK fills to here, at most RAM
 * @floor_pages:	in: UNLOCK empties to here, at most @ceiling_pages
 * @relief_pages:	in: the relief line, at most RAM; 0 = only the OOM notifier gives back
 * @account:		in: enum uballoon_account
 * @reserved32:		in: zero
 * @reserved:		in: zero
 *
 * The relief line: while less than this is available (uballoon_state.mem_available_pages; with
 * several NUMA nodes each node's share of it on that node), reclaim gets back from the balloon
 * what is missing to the line and a quarter of the line beyond it, in 2 MiB pages first, without
 * waiting for whoever moves the balloon. LOCK leaves as much alone.
 *
 * Moves nothing itself. Starts the lease anew and takes back an expiry.
 * If the lease runs out, both bounds become 0 and the balloon is emptied in
 * the background. The lease goes on when the file is closed: a writer that
 * wants the balloon to stay takes the lease off first, one that crashed is
 * cleaned up after.
 *
 * EINVAL: size, reserved, lease, bounds, line or account as above.
 */
struct uballoon_target {
	__u32 size;
	__u32 lease_ms;
	__u64 ceiling_pages;
	__u64 floor_pages;
	__u64 relief_pages;
	__u32 account;
	__u32 reserved32;
	__u64 reserved[4];
};

/* struct uballoon_move.flags: LOCK takes exactly one of the first two, UNLOCK none. */
#define UBALLOON_MOVE_NOSLEEP	(1U << 0) /* take what is free, never reclaim */
#define UBALLOON_MOVE_CANSLEEP	(1U << 1) /* may reclaim; never wakes the OOM killer */

/* struct uballoon_move.page_order */
#define UBALLOON_ORDER_4K	0
#define UBALLOON_ORDER_2M	9

/**
 * struct uballoon_move - argument of LOCK and UNLOCK
 * @size:		in: sizeof(struct uballoon_move)
 * @flags:		in: UBALLOON_MOVE_* bits
 * @page_order:		in: UBALLOON_ORDER_4K or UBALLOON_ORDER_2M
 * @budget_ms:		in: 1 to UBALLOON_MAX_BUDGET_MS; overrun by at most one batch
 * @pages:		in: how much to move, 1 to RAM, a multiple of the page size. Where the
 *			guest's pages are larger than 4 KiB it is rounded, see above
 * @done_pages:		out: moved
 * @refused_pages:	out: refused by the host (LOCK), or kept because the host would
 *			not release them (UNLOCK)
 * @stop:		out: enum uballoon_stop
 * @reserved:		in: zero
 *
 * A host that does not answer is waited for 100 ms beyond the budget; pages that
 * it has then join the balloon when it answers.
 *
 * Partial progress is success: the call returns 0 and @done_pages and @stop
 * say how far it came and why it ended.
 *
 * EINVAL: size, flags, order, budget, pages or reserved as above.
 * A 2 MiB page that the host refuses whole is offered in parts, those of it that
 * the host takes are 4 KiB pages of the balloon.
 *
 * E2BIG: @pages is more than the guest's RAM.
 * EOPNOTSUPP: the host has no pages of that size.
 */
struct uballoon_move {
	__u32 size;
	__u32 flags;
	__u32 page_order;
	__u32 budget_ms;
	__u64 pages;
	__u64 done_pages;
	__u64 refused_pages;
	__u32 stop;
	__u32 reserved32;
	__u64 reserved[3];
};

/**
 * struct uballoon_pop - argument of POP
 * @size:		in: sizeof(struct uballoon_pop)
 * @reserved32:		in: zero
 * @done_pages:		out: given back
 * @reserved:		in: zero
 *
 * Gives everything back at once, without regard to the floor of SET_TARGET,
 * and sets both bounds to 0. Interruptible: what is left is given back in the
 * background.
 */
struct uballoon_pop {
	__u32 size;
	__u32 reserved32;
	__u64 done_pages;
	__u64 reserved[2];
};

/**
 * enum uballoon_proof - what PROVE found out
 * @UBALLOON_PROOF_UNKNOWN:	nothing; @stop of struct uballoon_prove says why
 * @UBALLOON_PROOF_TAKEN:	the host took the page, or some of it
 * @UBALLOON_PROOF_KEPT:	the host answered, and took nothing of the page
 */
enum uballoon_proof {
	UBALLOON_PROOF_UNKNOWN,
	UBALLOON_PROOF_TAKEN,
	UBALLOON_PROOF_KEPT,
};

/**
 * struct uballoon_prove - argument of PROVE
 * @size:		in: sizeof(struct uballoon_prove)
 * @flags:		in: UBALLOON_MOVE_* bits, as for LOCK
 * @page_order:		in: UBALLOON_ORDER_4K or UBALLOON_ORDER_2M
 * @budget_ms:		in: 1 to UBALLOON_MAX_BUDGET_MS
 * @hold_ms:		in: how long the page stays with the host once it has answered, 0 to
 *			UBALLOON_MAX_HOLD_MS
 * @answer:		out: enum uballoon_proof
 * @stop:		out: enum uballoon_stop: DONE if there is an answer, or why there is none
 * @reserved32:		in: zero
 * @pages:		out: what was handed over, in 4 KiB pages
 * @gone_pages:		out: of these, what the host took
 * @reserved:		in: zero
 *
 * Hands the host one page as LOCK does, takes it back, and looks whether a random mark that
 * was in it is gone. Where a host's word is the proof (Xen) nothing is moved: @pages is 0, and
 * the answer is TAKEN once the balloon holds something, before that UNKNOWN (NOT_NEEDED).
 *
 * The page is not part of the balloon, and no size, account or counter of pages changes. It
 * may go beyond the ceiling and the host's target while the call lasts, and below the floor, for
 * a balloon at rest is at one of these. But half of the floor, and the relief line, stay
 * available (else FLOOR), and the hold-off counts (NOMEM). If the host does not answer within the
 * budget, the page joins the balloon when it does.
 *
 * EINVAL: size, flags, order, budget, hold or reserved as above.
 * EOPNOTSUPP: no UBALLOON_CAP_PROOF, or the host has no pages of that size.
 */
struct uballoon_prove {
	__u32 size;
	__u32 flags;
	__u32 page_order;
	__u32 budget_ms;
	__u32 hold_ms;
	__u32 answer;
	__u32 stop;
	__u32 reserved32;
	__u64 pages;
	__u64 gone_pages;
	__u64 reserved[2];
};

#define UBALLOON_IOC_MAGIC	0xBA

#define UBALLOON_IOC_GET_INFO	_IOWR(UBALLOON_IOC_MAGIC, 0, struct uballoon_info)
#define UBALLOON_IOC_GET_STATE	_IOWR(UBALLOON_IOC_MAGIC, 1, struct uballoon_state)
#define UBALLOON_IOC_SET_TARGET	_IOW(UBALLOON_IOC_MAGIC, 2, struct uballoon_target)
#define UBALLOON_IOC_LOCK	_IOWR(UBALLOON_IOC_MAGIC, 3, struct uballoon_move)
#define UBALLOON_IOC_UNLOCK	_IOWR(UBALLOON_IOC_MAGIC, 4, struct uballoon_move)
/* Starts the lease anew. ETIME: it had already run out; call SET_TARGET. */
#define UBALLOON_IOC_KEEPALIVE	_IO(UBALLOON_IOC_MAGIC, 5)
#define UBALLOON_IOC_POP	_IOWR(UBALLOON_IOC_MAGIC, 6, struct uballoon_pop)
/* Modules of before do not know it: ENOTTY. */
#define UBALLOON_IOC_PROVE	_IOWR(UBALLOON_IOC_MAGIC, 7, struct uballoon_prove)

#ifdef __KERNEL__
#define UBALLOON_ASSERT_SIZE(type, n) static_assert(sizeof(type) == (n))
#else
#define UBALLOON_ASSERT_SIZE(type, n) _Static_assert(sizeof(type) == (n), #type)
#endif
UBALLOON_ASSERT_SIZE(struct uballoon_info, 88);
UBALLOON_ASSERT_SIZE(struct uballoon_counters, 256);
UBALLOON_ASSERT_SIZE(struct uballoon_state, 440);
UBALLOON_ASSERT_SIZE(struct uballoon_target, 72);
UBALLOON_ASSERT_SIZE(struct uballoon_move, 72);
UBALLOON_ASSERT_SIZE(struct uballoon_pop, 32);
UBALLOON_ASSERT_SIZE(struct uballoon_prove, 64);
#undef UBALLOON_ASSERT_SIZE

#endif /* _UAPI_UBALLOON_H */
