/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sample-maker.h - samples for policy tests: a healthy guest, to be spoilt
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "decide/policy.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define SEC 1000000ULL

/* A guest of 8 GiB, balloon 0: N = 1 GiB, 1 GiB of cache, the rest free, all sources there. */
static inline struct sample healthy(uint64_t now_us)
{
	struct sample s = {
		.time_us = now_us,
		.ram = 8 * GIB,
		.psi_armed = true,
		.mem_have = (1U << _MEM_FIELD_MAX) - 1,
		.vm_have = (1U << _VM_FIELD_MAX) - 1,
		.psi_have = (1U << _PSI_FIELD_MAX) - 1,
		.balloon =
			{
				.valid = true,
				.may_exceed_host = true,
				.may_undercut_host = true,
				.limit = 8 * GIB,
			},
	};

	s.mem[MEM_TOTAL] = 8 * GIB;
	s.mem[MEM_FREE] = 6 * GIB;
	s.mem[MEM_AVAILABLE] = 7 * GIB;
	s.mem[MEM_CACHED] = 1 * GIB;
	s.mem[MEM_ANON] = 512 * MIB;
	s.mem[MEM_SLAB_UNRECLAIMABLE] = 100 * MIB;
	s.mem[MEM_SWAP_TOTAL] = 2 * GIB;
	s.mem[MEM_SWAP_FREE] = 2 * GIB;
	s.mem[MEM_SWAP_ROOM] = 2 * GIB;
	s.mem[MEM_WATERMARK_HIGH] = 64 * MIB;
	return s;
}

/* Move the balloon to size; what it takes is free memory first, then cache. */
static inline void set_balloon(struct sample *s, uint64_t size)
{
	uint64_t used = s->ram - s->balloon.size - s->mem[MEM_AVAILABLE];

	s->balloon.size = size;
	s->mem[MEM_TOTAL] = s->ram - size;
	s->mem[MEM_AVAILABLE] = s->ram - size > used ? s->ram - size - used : 0;
	s->mem[MEM_FREE] = s->mem[MEM_AVAILABLE] > s->mem[MEM_CACHED]
				   ? s->mem[MEM_AVAILABLE] - s->mem[MEM_CACHED]
				   : 0;
}

/* What happens over dt: stalls, and tasks that reclaim for themselves. */
static inline void press(struct sample *s, uint64_t dt_us, uint32_t some_permille,
			 uint32_t full_permille, uint64_t scans)
{
	s->psi[PSI_MEM_SOME_US] += dt_us * some_permille / 1000;
	s->psi[PSI_MEM_FULL_US] += dt_us * full_permille / 1000;
	s->vm[VM_PGSCAN_DIRECT] += scans;
	s->vm[VM_ALLOCSTALL] += scans / 32;
}

static inline struct policy_decision
decide_at(const struct policy_config *c, struct policy_state *st, struct sample *s, uint64_t now_us)
{
	struct policy_decision d;

	s->time_us = now_us;
	policy_decide(c, st, s, &d);
	return d;
}
