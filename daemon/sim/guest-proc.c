// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-proc.c - what a simulated guest shows of itself
 *
 * The formulas by which a kernel makes /proc of its state: watermarks,
 * MemAvailable, the counters. Reads the guest's amounts and changes none.
 *
 * Leaves out: how the amounts come about (guest.c), and fields that the model
 * has no idea of (locked and unreclaimable memory are 0).
 */
#include <string.h>

#include "basic/arith.h"
#include "sim/guest.h"
#include "uballoon.h"

#define KIB (1ULL << 10)
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define PAGE 4096ULL
#define SEC 1000000ULL
/* A trace begins on a Monday at 00:00. */
#define WEEK_S (7 * 86400)

/* One direct reclaim is asked for 32 pages (SWAP_CLUSTER_MAX). */
#define DIRECT_RECLAIM_BYTES (32 * PAGE)

static uint64_t isqrt(uint64_t v)
{
	uint64_t r = 0;

	for (uint64_t bit = 1ULL << 31; bit; bit >>= 1) {
		uint64_t t = r | bit;

		if (t * t <= v)
			r = t;
	}
	return r;
}

/*
 * Linux mm/page_alloc.c: init_per_zone_wmark_min() and __setup_per_zone_wmarks(); and
 * mm/khugepaged.c: set_recommended_min_free_kbytes(), eleven 2 MiB blocks a zone, which is what
 * counts wherever huge pages are on. Bytes.
 */
void guest_watermarks(struct guest *g)
{
	uint64_t zones = g->c.ram > 3 * GIB ? 3 : 2;
	uint64_t min = isqrt(g->c.ram / KIB * 16) * KIB;
	uint64_t gap;

	min = max_u64(min_u64(max_u64(min, 128 * KIB), 256 * MIB),
		      min_u64(zones * 22 * MIB, g->c.ram / 20));
	gap = max_u64(min / 4, g->c.ram / 1000);
	g->watermark_min = min;
	g->watermark_low = min + gap;
	g->watermark_high = min + 2 * gap;
	/* The high watermark plus what lower zones keep for themselves (lowmem_reserve_ratio 256). */
	g->total_reserve = g->watermark_high + g->c.ram / 256;
}

uint64_t guest_reserve(uint64_t ram)
{
	struct guest g = { .c.ram = ram };

	guest_watermarks(&g);
	return g.total_reserve;
}

uint64_t guest_need_seen(uint64_t ram, uint64_t usable, uint64_t available, uint64_t file)
{
	struct guest g = { .c.ram = ram };

	guest_watermarks(&g);
	return sub_sat(usable, available + g.total_reserve + min_u64(file / 2, g.watermark_low));
}

uint64_t guest_available(const struct guest *g)
{
	uint64_t file = g->hot + g->cold;
	uint64_t have = g->free + file - min_u64(file / 2, g->watermark_low);

	return sub_sat(have, g->total_reserve);
}

void guest_sample(const struct guest *g, struct sample *ret)
{
	uint64_t workingset_pages = g->workingset_bytes / PAGE;
	uint64_t in_pages = g->swapin_bytes / PAGE;
	struct sample s = {
		.time_us = g->now_us,
		.ram = g->c.ram,
		.has_week = true,
		.week_s = g->now_us / SEC % WEEK_S,
		.mem_have = (1U << _MEM_FIELD_MAX) - 1,
		.vm_have = ((1U << _VM_FIELD_MAX) - 1) & ~(1U << VM_ZSWPIN | 1U << VM_ZSWPOUT),
		.psi_have = (1U << _PSI_FIELD_MAX) - 1,
		.mem = {
			[MEM_TOTAL] = g->c.ram - g->balloon,
			[MEM_FREE] = g->free,
			[MEM_AVAILABLE] = guest_available(g),
			[MEM_CACHED] = g->hot + g->cold,
			[MEM_ANON] = g->anon + g->idle,
			[MEM_ACTIVE_FILE] = g->hot,
			[MEM_INACTIVE_FILE] = g->cold,
			[MEM_COMMITTED_AS] = g->demand.committed ?:
				g->demand.need / 1000 * g->c.committed_permille,
			[MEM_SWAP_TOTAL] = g->c.swap,
			[MEM_SWAP_FREE] = g->c.swap - g->swapped_anon - g->swapped_idle,
			[MEM_SWAP_ROOM] = g->c.swap - g->swapped_anon - g->swapped_idle,
			[MEM_WATERMARK_HIGH] = g->watermark_high,
		},
		.vm = {
			[VM_PSWPIN] = in_pages,
			[VM_PSWPOUT] = g->swapout_bytes / PAGE,
			[VM_REFAULT_ANON] = in_pages,
			[VM_ACTIVATE_ANON] = in_pages,
			[VM_RESTORE_ANON] = in_pages,
			[VM_REFAULT_FILE] = (g->refault_hot_bytes + g->refault_cold_bytes) / PAGE,
			[VM_ACTIVATE_FILE] = workingset_pages,
			[VM_RESTORE_FILE] = workingset_pages,
			[VM_ALLOCSTALL] = g->direct_bytes / DIRECT_RECLAIM_BYTES,
			[VM_PGSCAN_DIRECT] = g->direct_bytes / PAGE,
			[VM_PGSTEAL_DIRECT] = g->direct_bytes / PAGE,
			[VM_PGSCAN_KSWAPD] = g->kswapd_bytes / PAGE,
			[VM_PGSTEAL_KSWAPD] = g->kswapd_bytes / PAGE,
			[VM_OOM_KILL] = g->oom_kills,
		},
		.balloon = {
			.valid = true,
			.may_exceed_host = true,
			.may_undercut_host = true,
			.size = g->balloon,
			.limit = g->c.ram - g->c.module_floor,
			.floor = g->c.module_floor,
			.holdoff_us = sub_sat(g->hold_off_until_us, g->now_us),
			.ram = g->c.ram,
			.available = g->balloon,
			.relief_line = g->relief_line,
			.relief_events = g->rescues + g->shrinks,
			.rescue_events = g->rescues,
			.relieved = g->relieved_bytes,
			.asked = g->asked,
			.moved = g->moved,
			.took_us = g->took_us,
			.stop = guest_moving(g) ? UBALLOON_STOP_BUDGET : g->stop,
		},
	};

	memcpy(s.psi, g->psi_us, sizeof(s.psi));
	*ret = s;
}
