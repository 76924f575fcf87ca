// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Thrash: time lost on what was pushed out and is wanted back.
 *
 * MemAvailable counts cache that is used as if it could be had, and kswapd
 * evicts it without one task reclaiming for itself, so neither says that a
 * guest reads its working set again and again. The kernel does: it tells what
 * was in use before it was evicted and comes back soon (workingset_restore,
 * Linux mm/workingset.c), and stall time says what that costs. How many bytes
 * come back says nothing: a disk of 200 requests a second lets less than a
 * megabyte through, and everybody waits.
 *
 * So what counts is time: of memory stalls the part that can be waiting for
 * the disk (kswapd's work is a stall, too, but nobody waits for a disk then), and
 * not more than the pages that came back take; and not less than they take of a disk that
 * others use, too, however soon they came. Some of it is ordinary; what is beyond adds up.
 *
 * The answer is as large as some probes, and twice the last one as long as
 * nothing larger has been tried since. Then the balloon has a cap. When the memory
 * left alone has cost as much as the time that was lost (the rule for renting skis),
 * it is raised to a little below where it hurt; beyond that not before twice as much
 * has been paid, and twice as much again each time that it hurt there. It is raised by
 * probes, so that little is lost if it was too early. The price of a second is the
 * operator's (stall_price).
 *
 * Invariant: once it has been reached the cap never makes the balloon smaller, and
 * free memory is not subject to it: that evicts nothing.
 *
 * What is available below the cap is in use, even if the kernel calls it available. So
 * the relief line keeps it (relief.c): a program that grows takes it from the balloon, not from
 * the cache.
 *
 * Leaves out: stalls for other reasons (pressure.c).
 */
#include "decide/move.h"
#include "decide/thrash.h"

#define SEC	   1000000ULL
#define PAGE_BYTES 4096ULL

/* The longest that a page which is read keeps its reader: a seek of a disk and its queue. */
#define PAGE_READ_MAX_US 20000ULL
/* At least so long it keeps a disk that other guests read from, too: 4000 pages a second. */
#define PAGE_READ_MIN_US 250ULL
/* Of the time, what any guest may wait for its cache, however large its balloon: 1 %. */
#define ORDINARY_MAX_PERMILLE 10
/* That others wait for the disk counts twice as much at most: it has to go on for a while. */
#define READ_MAX_PERMILLE (2 * ORDINARY_MAX_PERMILLE)
/* Lost beyond that, it is thrash. */
#define LOST_ENOUGH_US (SEC / 5)
/* What has ended is forgotten within minutes, not hours. */
#define LOST_MAX_US (2 * SEC)
/* What a sample shows is taken to have been so for this long before it at most. */
#define DT_MAX_US (60 * SEC)
/* The first answer, in probes. */
#define ANSWER_PROBES 4
/* Doublings of the price. */
#define TIMES_MAX 10

/*
 * Of a second, the thousandths in which pages of the working set were waited for, by somebody
 * or by everybody, whichever the stalls are of.
 */
static uint64_t waited_permille(const struct view *v, uint32_t stalled)
{
	uint64_t most = scale(v->restores, PAGE_READ_MAX_US, 1000);

	if (!v->has_vm || !v->has_psi)
		return 0;
	if (v->has_io)
		most = min_u64(most, v->io_some);
	return min_u64(stalled, most);
}

/* A task that stalls alone is some, and all. */
static uint32_t stalled(const struct view *v)
{
	return v->mem_some > v->mem_full ? v->mem_some : v->mem_full;
}

/* The same, and what reading them costs even if nobody waits. */
static uint64_t lost_permille(const struct view *v)
{
	uint64_t read = v->has_vm ? scale(v->file_restores, PAGE_READ_MIN_US, 1000) : 0;

	return max_u64(waited_permille(v, stalled(v)), min_u64(read, READ_MAX_PERMILLE));
}

/* The kernel has memory to hand out: what is evicted is so within a group, at its own limit. */
static bool is_excused(const struct view *v)
{
	return v->has_free && v->free > v->worthwhile;
}

/*
 * Of so much time, what may be lost for a balloon as large as it is, or would be: to have none
 * would be dearer.
 */
static uint64_t ordinary_us(const struct policy_config *c, const struct thrash *t,
			    const struct view *v, uint64_t dt_us)
{
	uint64_t most = scale(ORDINARY_MAX_PERMILLE, dt_us, 1000);
	uint64_t bytes = max_u64(max_u64(v->size, t->wanted), v->worthwhile);
	/* A second of each hour, in bytes. */
	uint64_t price = max_u64(policy_price_of_stall(c, SEC) / 1000, 1);

	return min_u64(most, scale(dt_us, bytes, price));
}

static bool beyond_ordinary(const struct policy_config *c, const struct thrash *t,
			    const struct view *v, uint64_t permille)
{
	return scale(permille, SEC, 1000) > ordinary_us(c, t, v, SEC);
}

/* What it costs, which goes on for as long as what was evicted is being read again. */
static void note_cost(const struct policy_config *c, struct thrash *t, const struct view *v,
		      bool excused, uint64_t dt_us)
{
	if (!beyond_ordinary(c, t, v, lost_permille(v)))
		t->mends = false;
	if (t->mends || !excused)
		t->cost_us = add_sat(t->cost_us, scale(lost_permille(v), dt_us, 1000));
}

/* Moved beyond the cap it can only be by free memory, or the host's will: and it did not hurt. */
static void note_size(struct thrash *t, const struct view *v)
{
	if (t->reached && v->inflating)
		t->cap = max_u64(t->cap, v->size);
	t->reached |= v->size <= t->cap;
}

bool thrash_note(const struct policy_config *c, struct thrash *t, const struct view *v)
{
	uint64_t dt_us = min_u64(v->dt_us, DT_MAX_US);
	bool excused = is_excused(v);
	uint64_t lost_us = excused ? 0 : scale(lost_permille(v), dt_us, 1000);

	/* What was learned of a guest with more memory says nothing of one with less. */
	if (v->ram < t->ram)
		*t = (struct thrash){};
	t->ram = v->ram;
	t->lost_us = sub_sat(add_sat(t->lost_us, lost_us), ordinary_us(c, t, v, dt_us));
	t->lost_us = min_u64(t->lost_us, LOST_MAX_US);
	/* What led to it belongs to it. */
	if (!t->lost_us && !t->capped)
		t->cost_us = 0;
	t->came_back = add_sat(t->came_back, scale(scale(v->restores, PAGE_BYTES, 1), dt_us, SEC));
	note_cost(c, t, v, excused, dt_us);
	note_size(t, v);
	/* More than the disk has filled is of no use yet, unless that was lost to something else. */
	return t->lost_us >= (t->came_back >= t->answer ? LOST_ENOUGH_US : LOST_MAX_US);
}

static uint64_t probe_size(const struct policy_config *c, const struct view *v)
{
	return scale(v->usable, c->probe_permille, 1000);
}

bool thrash_is_part(const struct policy_config *c, const struct thrash *t, const struct view *v)
{
	return beyond_ordinary(c, t, v, waited_permille(v, stalled(v)));
}

bool thrash_is_most(const struct policy_config *c, const struct thrash *t, const struct view *v)
{
	return thrash_is_part(c, t, v) && waited_permille(v, stalled(v)) > stalled(v) / 2;
}

static uint64_t step_size(const struct policy_config *c, const struct view *v)
{
	return max_u64(probe_size(c, v), v->worthwhile);
}

void thrash_answer(const struct policy_config *c, struct thrash *t, const struct view *v,
		   uint64_t least, uint64_t lo)
{
	uint64_t amount = max_u64(ANSWER_PROBES * probe_size(c, v), add_sat(t->answer, t->answer));

	/* The first answer to it, not one of a row. */
	if (!t->answer) {
		bool again = t->hurt && v->size <= add_sat(t->hurt, ANSWER_PROBES * step_size(c, v));

		t->times = again ? min_u64(t->times + 1, TIMES_MAX) : 0;
		t->hurt = v->size;
	}
	t->answer = amount;
	t->came_back = 0;
	amount = max_u64(amount, least);
	amount = add_sat(amount, MOVE_PAGE - 1) / MOVE_PAGE * MOVE_PAGE;
	amount = min_u64(amount, sub_sat(v->size, lo));
	t->keeps = add_sat(v->available, amount);
	/* On its way down further than that it goes on. */
	t->cap = t->capped && !t->reached ? min_u64(t->cap, v->size - amount) : v->size - amount;
	t->capped = true;
	t->reached = false;
	t->mends = true;
	t->foregone = 0;
	t->lost_us = 0;
	t->next_step_us = add_sat(v->now_us, c->probe_interval_us);
}

uint64_t thrash_cap(const struct thrash *t, const struct view *v, uint64_t headroom)
{
	uint64_t unused = v->has_free ? sub_sat(v->free, headroom) : 0;

	if (!t->capped)
		return UINT64_MAX;
	if (!t->reached)
		return t->cap;
	return max_u64(t->cap, add_sat(v->size, unused));
}

/* Bytes x milliseconds that pay for the time lost; more of them to go where it was. */
static uint64_t price(const struct policy_config *c, const struct thrash *t, const struct view *v)
{
	uint64_t once = policy_price_of_stall(c, t->cost_us);
	uint64_t margin = (ANSWER_PROBES / 2) * step_size(c, v);

	/* What was given back beyond the first answer was to be quick, not because it was needed. */
	if (add_sat(t->cap, ANSWER_PROBES * step_size(c, v)) < t->hurt)
		return 0;
	return add_sat(t->cap, margin) < t->hurt ? once : scale(once, 2ULL << t->times, 1);
}

/* The balloon that neither the cap nor what the relief line keeps stands in the way of. */
static uint64_t reach(const struct thrash *t, const struct view *v)
{
	return min_u64(t->cap, add_sat(v->size, sub_sat(v->available, t->keeps)));
}

void thrash_forgo(const struct policy_config *c, struct thrash *t, const struct view *v,
		  uint64_t wanted)
{
	uint64_t dt_ms = min_u64(v->dt_us, DT_MAX_US) / 1000;

	t->wanted = wanted;
	if (!t->capped)
		return;
	t->foregone = add_sat(t->foregone, scale(sub_sat(wanted, reach(t, v)), dt_ms, 1));
	if (!t->reached || t->mends || t->lost_us || v->now_us < t->next_step_us)
		return;
	if (wanted <= reach(t, v) || t->foregone < price(c, t, v))
		return;
	/* What is lost from here on is another matter. */
	if (t->cap >= t->hurt)
		t->cost_us = 0;
	/* Where programs have grown below the cap it is what is kept for their cache that is tried. */
	if (reach(t, v) >= t->cap)
		t->cap = add_sat(t->cap, step_size(c, v));
	t->keeps = sub_sat(min_u64(t->keeps, v->available), step_size(c, v));
	t->answer = 0;
	t->next_step_us = add_sat(v->now_us, c->probe_interval_us);
	t->capped = reach(t, v) < wanted;
}

uint64_t thrash_keeps(const struct thrash *t)
{
	return t->capped && t->reached ? t->keeps : 0;
}

uint64_t thrash_wait(const struct policy_config *c, const struct thrash *t, const struct view *v)
{
	uint64_t beyond = sub_sat(t->wanted, reach(t, v)), cost = price(c, t, v);

	if (!t->capped || !beyond)
		return 0;
	return max_u64(scale(sub_sat(cost, t->foregone) / beyond, 1000, 1),
		       sub_sat(t->next_step_us, v->now_us));
}
