// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From a sample to the policy's terms.
 *
 * Memory is taken as it is; counters become rates against a reference about a
 * second back. A window of that length makes a permille at 100 ms mean the
 * same as one at 1 s: without it a single 70 ms stall would read as 70 %.
 *
 * Invariants: a rate exists only if both ends of the difference had the
 * counter and it did not run backwards; an absent counter never reads as 0
 * activity (has_psi, has_vm). N and the floor never exceed RAM.
 *
 * Leaves out: judging any of it (pressure.c, the laws).
 */
#include <string.h>

#include "decide/view.h"

#define MIB (1ULL << 20)
#define SEC 1000000ULL
#define WEEK_S (7 * 86400)

/* The shortest window of a rate; shorter ones would be dominated by single events. */
#define WINDOW_US 900000

/*
 * Without /proc/zoneinfo: the high watermarks are 1.5 times the low ones, and those follow
 * the root of RAM; 1 % of RAM is above them from 1 GiB on and close below.
 */
#define WATERMARK_GUESS_DIVISOR 100

static uint64_t auto_size(uint64_t configured, uint64_t ram, uint64_t divisor, uint64_t lo,
			  uint64_t hi)
{
	return configured ? configured : clamp_u64(ram / divisor, lo, hi);
}

/* Memory that neither reclaim nor the swap that is left can make room from. */
static uint64_t unreclaimable(const struct sample *s)
{
	uint64_t anon = 0, pinned = 0, kernel = 0, room = s->mem[MEM_SWAP_FREE];

	if (sample_has_mem(s, MEM_UNEVICTABLE))
		pinned = s->mem[MEM_UNEVICTABLE];
	if (sample_has_mem(s, MEM_MLOCKED))
		pinned = max_u64(pinned, s->mem[MEM_MLOCKED]);
	if (sample_has_mem(s, MEM_SLAB_UNRECLAIMABLE))
		kernel = s->mem[MEM_SLAB_UNRECLAIMABLE];
	if (sample_has_mem(s, MEM_KERNEL))
		kernel = add_sat(kernel, s->mem[MEM_KERNEL]);
	/* What was swapped out to memory is still there. */
	if (sample_has_mem(s, MEM_ZRAM))
		kernel = add_sat(kernel, s->mem[MEM_ZRAM]);
	if (sample_has_mem(s, MEM_SWAP_ROOM))
		room = min_u64(room, s->mem[MEM_SWAP_ROOM]);
	/* Without SwapFree nothing says that it could be swapped, nor that it could not. */
	if (sample_has_mem(s, MEM_SWAP_FREE)) {
		if (sample_has_mem(s, MEM_ANON))
			anon = s->mem[MEM_ANON];
		if (sample_has_mem(s, MEM_SHMEM))
			anon = add_sat(anon, s->mem[MEM_SHMEM]);
		anon = sub_sat(anon, room);
	}
	/* Locked memory is anonymous, too, for the most part: the larger of the two, not the sum.
	 */
	return add_sat(kernel, max_u64(pinned, anon));
}

static bool vm_delta(const struct sample *s, const struct view_ref *ref, uint32_t fields,
		     uint64_t *ret)
{
	uint32_t have = s->vm_have & ref->vm_have & fields;
	uint64_t sum = 0;

	if (!have)
		return false;
	for (int i = 0; i < _VM_FIELD_MAX; i++)
		if (have & (1U << i))
			sum = add_sat(sum, sub_sat(s->vm[i], ref->vm[i]));
	*ret = sum;
	return true;
}

static bool psi_permille(const struct sample *s, const struct view_ref *ref,
			 enum sample_psi_field f, uint64_t window_us, uint32_t *ret)
{
	uint32_t bit = 1U << f;

	if (!(s->psi_have & ref->psi_have & bit) || s->psi[f] < ref->psi[f])
		return false;
	/* A late read can put more stall into the window than time. */
	*ret = min_u64(scale(s->psi[f] - ref->psi[f], 1000, window_us), 1000);
	return true;
}

/*
 * What all tasks wait for together is lost, if it is they who do: kswapd's work alone is a stall, too
 * (Linux mm/vmscan.c, balance_pgdat()). While the kernel has had memory to hand out all the time,
 * what stalls is a group at its own limit.
 */
static uint32_t lost(const struct view *v, const struct view_past *past)
{
	if (v->has_free && min_u64(v->free, past->free) > v->worthwhile)
		return 0;
	return v->paying || v->swapped_in || v->restores ? v->mem_full : 0;
}

static void rates(const struct view_past *past, const struct sample *s, struct view *v)
{
	const struct view_ref *ref = &past->newer;
	uint64_t window_us, n, per_s[6] = {0};
	static const uint32_t groups[6] = {
		1U << VM_ALLOCSTALL | 1U << VM_PGSCAN_DIRECT,
		1U << VM_PSWPIN | 1U << VM_PSWPOUT,
		1U << VM_ACTIVATE_ANON | 1U << VM_ACTIVATE_FILE | 1U << VM_RESTORE_ANON |
			1U << VM_RESTORE_FILE,
		1U << VM_RESTORE_ANON | 1U << VM_RESTORE_FILE,
		1U << VM_PSWPIN,
		1U << VM_RESTORE_FILE,
	};

	if (!ref->time_us || sub_sat(s->time_us, ref->time_us) < WINDOW_US)
		if (past->older.time_us)
			ref = &past->older;
	if (!ref->time_us || s->time_us <= ref->time_us)
		return;
	/* The first reference may be closer than the window; do not blow up what it shows. */
	window_us = min_u64(max_u64(s->time_us - ref->time_us, WINDOW_US), UINT32_MAX);

	v->has_psi = psi_permille(s, ref, PSI_MEM_SOME_US, window_us, &v->mem_some);
	if (!psi_permille(s, ref, PSI_MEM_FULL_US, window_us, &v->mem_full))
		v->mem_full = 0;
	v->has_io = psi_permille(s, ref, PSI_IO_SOME_US, window_us, &v->io_some);

	v->has_vm = true;
	for (int i = 0; i < 6; i++) {
		if (!vm_delta(s, ref, groups[i], &n))
			v->has_vm = false;
		else
			/* Round up: one stall in a window of two seconds is not none. */
			per_s[i] = add_sat(scale(n, SEC, window_us), n > 0);
	}
	v->paying = per_s[0];
	v->swapping = per_s[1];
	v->refaults = per_s[2];
	v->restores = per_s[3];
	v->swapped_in = per_s[4];
	v->file_restores = per_s[5];
	v->lost = lost(v, past);
}

bool view_make(const struct policy_config *c, const struct view_past *past, const struct sample *s,
	       struct view *ret)
{
	struct view v = {.now_us = s->time_us};
	const struct sample_balloon *b = &s->balloon;
	uint64_t wmark, line = b->relief_line;
	bool usable = true;

	v.dt_us = past->last_us ? sub_sat(s->time_us, past->last_us) : 0;
	v.has_week = s->has_week && s->week_s < WEEK_S;
	v.week_s = v.has_week ? s->week_s : 0;
	v.page = max_u64(b->page, SAMPLE_PAGE_BYTES);
	v.size = s->balloon.valid ? s->balloon.size : 0;
	v.ram = s->ram;
	if (!v.ram && sample_has_mem(s, MEM_TOTAL))
		v.ram = add_sat(s->mem[MEM_TOTAL], v.size);
	/* Steps are signed. */
	if (!v.ram || v.ram > INT64_MAX || v.size > v.ram)
		usable = false;
	v.usable = sub_sat(v.ram, v.size);

	if (sample_has_mem(s, MEM_AVAILABLE))
		v.available = min_u64(s->mem[MEM_AVAILABLE], v.usable);
	else
		usable = false;
	v.need = v.usable - v.available;

	wmark = sample_has_mem(s, MEM_WATERMARK_HIGH) ? s->mem[MEM_WATERMARK_HIGH]
						      : v.ram / WATERMARK_GUESS_DIVISOR;
	v.has_free = sample_has_mem(s, MEM_FREE);
	if (v.has_free)
		v.free = sub_sat(min_u64(s->mem[MEM_FREE], v.usable), wmark);

	v.floor = c->floor ? c->floor : policy_floor_curve(v.ram);
	v.floor = min_u64(max_u64(v.floor, add_sat(unreclaimable(s), c->reserve)), v.ram);
	/*
	 * From RAM: 64 MiB are what a small service needs to start, 8 GiB what a large guest
	 * allocates in a second; worthwhile is what a host would notice.
	 */
	v.headroom_min = auto_size(c->headroom_min, v.ram, 32, 64 * MIB, 8192 * MIB);
	v.headroom_max = max_u64(auto_size(c->headroom_max, v.ram, 8, 128 * MIB, 65536 * MIB),
				 v.headroom_min);
	v.worthwhile = auto_size(c->worthwhile, v.ram, 128, 8 * MIB, 1024 * MIB);
	v.dead_band = auto_size(c->dead_band, v.ram, 512, 4 * MIB, 256 * MIB);

	if (s->balloon.valid && s->balloon.relief_line)
		v.relievable = sub_sat(v.size, s->balloon.firm);
	/* A line that keeps cache, too, is higher than what programs need of it (relief.c). */
	v.relief = v.relievable &&
		   v.relievable >= (b->floor ? min_u64(line, b->floor / 4 * 3) : line);
	/* As kmod/move.c has it: reclaim is not to want back what was just taken. */
	v.lock_floor = b->floor ? max_u64(b->floor, add_sat(line, line / 4)) : 0;
	rates(past, s, &v);
	*ret = v;
	return usable;
}

void view_forget(struct view_past *past)
{
	*past = (struct view_past){};
}

bool view_is_stale(const struct view_past *past, const struct sample *s)
{
	return past->last_us && s->time_us <= past->last_us;
}

void view_remember(struct view_past *past, const struct sample *s, const struct view *v)
{
	past->free = v->free;
	past->last_us = s->time_us;
	if (past->newer.time_us && s->time_us - past->newer.time_us < WINDOW_US)
		return;
	past->older = past->newer;
	past->newer = (struct view_ref){
		.time_us = s->time_us,
		.vm_have = s->vm_have,
		.psi_have = s->psi_have,
	};
	memcpy(past->newer.vm, s->vm, sizeof(s->vm));
	memcpy(past->newer.psi, s->psi, sizeof(s->psi));
}
