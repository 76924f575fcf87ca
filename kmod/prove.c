// SPDX-License-Identifier: GPL-2.0-only
/*
 * prove.c - does the host take what it is given?
 *
 * A host that answers need not have done anything: memory that is locked, backed by huge pages
 * or given to a device stays where it is, and the guest has given it up for nothing. So a page
 * gets a fresh random mark in each 4 KiB, goes to the host as pages of the balloon do, comes
 * back, and is read. A mark that is gone is the proof, whatever is in its place: a guest that
 * was started from a saved one finds the old contents there, not zeroes.
 *
 * The page is no part of the balloon: while the call lasts it is in flight, as if it was being
 * locked. If the host does not answer in time, it goes on as one that is: it joins the balloon
 * with the answer. If it is the way back that is not answered, the answer frees it.
 *
 * Left out: how often to ask, and what to make of the answer; a host whose page may keep its
 * contents although it was taken (VMware) has no UBALLOON_CAP_PROOF.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched/signal.h>

#include "core.h"

/* uballoon_batch.proof */
enum uballoon_proving {
	PROVING_NOT,
	PROVING_WAITED,			/* the pages of the answer are the caller's */
	PROVING_LEFT,			/* the way back, and the caller has left */
};

/* ---- the mark ---- */

struct mark {
	u64 words[2];
};

#define UNITS_PER_PAGE	(1U << UBALLOON_UNIT_SHIFT)

/* Writes the mark into each 4 KiB of @page (@look false), or counts where it is gone. */
static unsigned int mark_units(struct page *page, unsigned int order, const struct mark *mark,
			       bool look)
{
	unsigned int i, unit, gone = 0;
	u64 *at;

	for (i = 0; i < 1U << order; i++) {
		void *start = kmap_local_page(page + i);

		for (unit = 0; unit < UNITS_PER_PAGE; unit++) {
			at = start + unit * UBALLOON_PAGE_SIZE;
			if (look) {
				gone += READ_ONCE(at[0]) != mark->words[0] + i ||
					READ_ONCE(at[1]) != mark->words[1];
				continue;
			}
			WRITE_ONCE(at[0], mark->words[0] + i);
			WRITE_ONCE(at[1], mark->words[1]);
		}
		kunmap_local(start);
	}
	return gone;
}

/* ---- the page, on its way ---- */

/*
 * A balloon at rest is at a bound mostly, and is proven all the same: for a moment the page may go
 * beyond ceiling and host's target, and below the floor, but not to where reclaim begins.
 */
static u32 claim_page(struct uballoon *ub, u64 pages)
{
	u64 keep = max_t(u64, uballoon_floor(ub) / 2, READ_ONCE(ub->relief_pages));
	long slack = uballoon_available(ub) - keep;
	u32 stop = UBALLOON_STOP_NONE;

	spin_lock(&ub->lock);
	if (ub->gone)
		stop = UBALLOON_STOP_RESET;
	else if (ub->draining || ub->lease_expired)
		stop = UBALLOON_STOP_TARGET;
	else if (uballoon_holdoff_left_ms(ub))
		stop = UBALLOON_STOP_NOMEM;
	else if (uballoon_untold_any(ub))
		stop = UBALLOON_STOP_BUDGET;
	else if (slack < (long)pages)
		stop = UBALLOON_STOP_FLOOR;
	else
		ub->inflight_pages += pages;
	spin_unlock(&ub->lock);
	return stop;
}

static void unclaim_page(struct uballoon *ub, u64 pages)
{
	spin_lock(&ub->lock);
	ub->inflight_pages -= pages;
	spin_unlock(&ub->lock);
}

static struct page *alloc_page_into(struct uballoon *ub, struct uballoon_batch *b, bool may_reclaim,
				    ktime_t until)
{
	gfp_t gfp = GFP_HIGHUSER | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC;
	int nid;

	if (!may_reclaim)
		gfp &= ~__GFP_RECLAIM;
	nid = uballoon_richest_node(ub, may_reclaim, gfp);
	spin_lock(&ub->lock);
	ub->locker = current;
	spin_unlock(&ub->lock);
	b->count = uballoon_pages_alloc(&b->pages, b->order, nid, 1, gfp, until);
	spin_lock(&ub->lock);
	ub->locker = NULL;
	spin_unlock(&ub->lock);
	(void)uballoon_untold_refuse(ub, b);
	return list_first_entry_or_null(&b->pages, struct page, lru);
}

static bool answered(struct uballoon *ub, const void *arg)
{
	const struct uballoon_batch *b = arg;

	return READ_ONCE(b->answered);
}

/*
 * Waits for the answer. NONE: batch and pages are the caller's again. Else they are not, and
 * @left says what is to become of them.
 */
static u32 await_answer(struct uballoon *ub, struct uballoon_batch *b, enum uballoon_proving left,
			ktime_t until)
{
	ktime_t grace = ktime_add_ms(ktime_get(), UBALLOON_HOST_GRACE_MS);
	u32 stop;

	if (ktime_after(grace, until))
		until = grace;
	stop = uballoon_wait(ub, answered, b, until, TASK_INTERRUPTIBLE);
	/* A signal does not wait for more than an answer that is about to come. */
	if (stop == UBALLOON_STOP_INTERRUPTED)
		uballoon_wait(ub, answered, b, grace, TASK_KILLABLE);
	spin_lock(&ub->lock);
	if (b->answered)
		stop = UBALLOON_STOP_NONE;
	else
		b->proof = left;
	spin_unlock(&ub->lock);
	if (stop == UBALLOON_STOP_BUDGET)
		uballoon_host_silent(ub, "a proof");
	return stop;
}

/* Both return NONE if the page is with the caller again. */
static u32 give(struct uballoon *ub, struct uballoon_batch *b, ktime_t until)
{
	b->proof = PROVING_WAITED;
	atomic_inc(&b->parts);
	ub->host->ops->lock(ub->host, b);
	return await_answer(ub, b, PROVING_NOT, until);
}

static u32 take_back(struct uballoon *ub, struct uballoon_batch *b, struct list_head *pages,
		     ktime_t until)
{
	struct uballoon_host *host = ub->host;
	u32 stop;

	b->unlock = true;
	b->answered = false;
	atomic_inc(&b->parts);
	host->ops->unlock(host, b);
	if (host->caps & UBALLOON_CAP_MUST_TELL) {
		stop = await_answer(ub, b, PROVING_LEFT, until);
		if (stop != UBALLOON_STOP_NONE)
			return stop;
	}
	spin_lock(&ub->lock);
	list_splice_init(&b->pages, pages);
	if (!b->answered)
		b->proof = PROVING_LEFT;
	spin_unlock(&ub->lock);
	return UBALLOON_STOP_NONE;
}

/**
 * uballoon_proof_answered - the host has answered a batch that may be a proof's
 * @ub:	balloon
 * @b:	batch
 *
 * Return: false if it is to be finished as any other.
 */
bool uballoon_proof_answered(struct uballoon *ub, struct uballoon_batch *b)
{
	enum uballoon_proving proving;
	LIST_HEAD(pages);

	spin_lock(&ub->lock);
	proving = b->proof;
	if (proving == PROVING_LEFT) {
		if (!list_empty(&b->pages))
			ub->inflight_pages -= 1ULL << b->order;
		list_splice_init(&b->pages, &pages);
	}
	b->answered = proving != PROVING_NOT;
	spin_unlock(&ub->lock);
	if (proving == PROVING_NOT)
		return false;
	uballoon_pages_free(&pages, b->order);
	uballoon_batch_put(ub, b);
	return true;
}

/* ---- PROVE ---- */

static bool never(struct uballoon *ub, const void *arg)
{
	return false;
}

/* Leaves the page where it is for so long. */
static u32 hold(struct uballoon *ub, unsigned int ms)
{
	u32 stop;

	if (!ms)
		return UBALLOON_STOP_NONE;
	stop = uballoon_wait(ub, never, NULL, ktime_add_ms(ktime_get(), ms), TASK_INTERRUPTIBLE);
	return stop == UBALLOON_STOP_BUDGET ? UBALLOON_STOP_NONE : stop;
}

static void conclude(struct uballoon *ub, struct uballoon_prove *p, unsigned int order,
		     unsigned int gone)
{
	p->pages = 1ULL << order;
	p->gone_pages = gone;
	p->answer = gone ? UBALLOON_PROOF_TAKEN : UBALLOON_PROOF_KEPT;
	spin_lock(&ub->lock);
	if (gone)
		ub->counters.proofs_taken++;
	else
		ub->counters.proofs_kept++;
	spin_unlock(&ub->lock);
}

/* The way of one page, which has a mark. The caller's part of the batch ends here. */
static u32 send_round(struct uballoon *ub, struct uballoon_batch *b, struct uballoon_prove *p,
		      struct page *page, const struct mark *mark, ktime_t until)
{
	unsigned int order = b->order;
	LIST_HEAD(pages);
	u32 stop, held;

	stop = give(ub, b, until);
	if (stop != UBALLOON_STOP_NONE)
		goto out;
	if (!b->count) {
		stop = b->stop == UBALLOON_STOP_NONE ? UBALLOON_STOP_REFUSED : b->stop;
		list_splice_init(&b->refused, &pages);
		goto out_free;
	}
	held = hold(ub, p->hold_ms);
	if (b->hold == UBALLOON_HOLD_TOLD) {
		stop = take_back(ub, b, &pages, until);
		if (stop != UBALLOON_STOP_NONE)
			goto out;
	} else {
		list_splice_init(&b->pages, &pages);
	}
	stop = held;
	if (stop == UBALLOON_STOP_NONE) {
		conclude(ub, p, order, mark_units(page, order, mark, true));
		stop = UBALLOON_STOP_DONE;
	}
out_free:
	uballoon_pages_free(&pages, order);
	unclaim_page(ub, 1ULL << order);
out:
	uballoon_batch_put(ub, b);
	return stop;
}

static u32 prove_by_page(struct uballoon *ub, struct uballoon_prove *p, ktime_t until)
{
	unsigned int order = p->page_order;
	struct uballoon_batch *b;
	struct page *page;
	struct mark mark;
	u32 stop;

	stop = claim_page(ub, 1ULL << order);
	if (stop != UBALLOON_STOP_NONE)
		return stop;
	/* Nobody else locks: it is the host that has not answered the others. */
	b = uballoon_batch_get(ub, UBALLOON_RESERVED);
	if (!b) {
		unclaim_page(ub, 1ULL << order);
		return UBALLOON_STOP_BUDGET;
	}
	b->order = order;
	page = alloc_page_into(ub, b, p->flags & UBALLOON_MOVE_CANSLEEP, until);
	if (!page) {
		uballoon_batch_put(ub, b);
		unclaim_page(ub, 1ULL << order);
		return UBALLOON_STOP_NOMEM;
	}
	get_random_bytes(&mark, sizeof(mark));
	mark_units(page, order, &mark, false);
	return send_round(ub, b, p, page, &mark, until);
}

/* Who exchanges pages with the hypervisor has its word for each: the size is the proof. */
static u32 prove_by_word(struct uballoon *ub, struct uballoon_prove *p)
{
	if (!uballoon_size(ub))
		return UBALLOON_STOP_NOT_NEEDED;
	p->answer = UBALLOON_PROOF_TAKEN;
	spin_lock(&ub->lock);
	ub->counters.proofs_taken++;
	spin_unlock(&ub->lock);
	return UBALLOON_STOP_DONE;
}

/**
 * uballoon_prove - PROVE
 * @ub:	balloon of a host with UBALLOON_CAP_PROOF
 * @p:	validated, page_order the kernel's; out: answer, stop, pages, gone_pages (in 4 KiB)
 */
void uballoon_prove(struct uballoon *ub, struct uballoon_prove *p)
{
	ktime_t until = ktime_add_ms(ktime_get(), p->budget_ms);

	p->answer = UBALLOON_PROOF_UNKNOWN;
	p->pages = 0;
	p->gone_pages = 0;
	if (ub->host->ops->move) {
		p->stop = prove_by_word(ub, p);
		return;
	}
	p->stop = uballoon_move_begin(ub, until);
	if (p->stop != UBALLOON_STOP_NONE)
		return;
	p->stop = prove_by_page(ub, p, until);
	uballoon_move_end(ub);
	p->pages = uballoon_units(p->pages);
}
