// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A toy guest: enough of a memory system to close the loop around a policy.
 *
 * Anonymous need grows at once where there is room, and into cache, then swap,
 * then nothing where there is not. Cold cache fills what is free at a steady
 * rate; hot cache is read all the time and comes back when it was evicted.
 * Missing memory is stall time, direct reclaim, and a PSI trigger as the kernel
 * would fire it.
 *
 * Leaves out: the speed of reclaim and of the disk, zones, fragmentation,
 * everything that makes memory management interesting. It is for reversals,
 * reliefs and hold-offs, not for figures to be published.
 */
#include <string.h>

#include "toy-guest.h"

#define MIB  (1ULL << 20)
#define SEC  1000000ULL
#define PAGE 4096

static uint64_t sat(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void toy_init(struct toy *t, uint64_t ram)
{
	memset(t, 0, sizeof(*t));
	t->ram = ram;
	t->kernel = 40 * MIB + ram / 64;
	t->need = 60 * MIB;
	t->move_rate = 1024 * MIB;
	t->time_us = 1000 * SEC;
	t->next_us = t->time_us;
	policy_config_default(&t->config);
	policy_init(&t->state);
}

static uint64_t wmark(const struct toy *t)
{
	return t->ram / 128;
}

/* What the guest has for programs and cache. */
static uint64_t room(const struct toy *t)
{
	return sat(t->ram - t->balloon, t->kernel + wmark(t) / 2);
}

uint64_t toy_missing(const struct toy *t)
{
	return sat(t->need, room(t));
}

static uint64_t unused(const struct toy *t)
{
	return sat(room(t), t->anon + t->cold + t->hot_resident);
}

void toy_sample(const struct toy *t, struct sample *ret)
{
	uint64_t cache = t->cold + t->hot_resident;

	*ret = (struct sample){
		.time_us = t->time_us,
		.ram = t->ram,
		.psi_armed = true,
		.trigger = t->trigger,
		.mem_have = (1U << _MEM_FIELD_MAX) - 1,
		.vm_have = (1U << _VM_FIELD_MAX) - 1,
		.psi_have = (1U << _PSI_FIELD_MAX) - 1,
		.balloon =
			{
				.valid = true,
				.may_exceed_host = true,
				.may_undercut_host = true,
				.host_target_valid = t->has_host_target,
				.host_target = t->host_target,
				.size = t->balloon,
				.limit = t->ram,
				.asked = t->asked,
				.moved = t->moved,
				.took_us = t->took_us,
			},
	};
	ret->mem[MEM_TOTAL] = t->ram - t->balloon;
	ret->mem[MEM_FREE] = unused(t) + wmark(t) / 2;
	ret->mem[MEM_AVAILABLE] = sat(unused(t) + cache, wmark(t) / 2);
	ret->mem[MEM_CACHED] = cache;
	ret->mem[MEM_ANON] = t->anon;
	ret->mem[MEM_SLAB_UNRECLAIMABLE] = t->kernel;
	ret->mem[MEM_COMMITTED_AS] = t->need + t->kernel;
	ret->mem[MEM_SWAP_TOTAL] = t->swap_total;
	ret->mem[MEM_SWAP_FREE] = t->swap_total - t->swapped;
	ret->mem[MEM_SWAP_ROOM] = ret->mem[MEM_SWAP_FREE];
	ret->mem[MEM_WATERMARK_HIGH] = wmark(t);
	memcpy(ret->vm, t->vm, sizeof(t->vm));
	memcpy(ret->psi, t->psi_us, sizeof(t->psi_us));
}

static void evict(struct toy *t, uint64_t *want, uint64_t *from)
{
	uint64_t n = min64(*want, *from);

	*from -= n;
	*want -= n;
	t->vm[VM_PGSCAN_KSWAPD] += n / PAGE;
	t->vm[VM_PGSTEAL_KSWAPD] += n / PAGE;
}

static void guest(struct toy *t, uint64_t dt_us)
{
	uint64_t over, n, missing;

	t->anon = t->need - min64(t->swapped, t->need);
	t->swapped = min64(t->swapped, t->need);
	over = sat(t->anon + t->cold + t->hot_resident, room(t));
	evict(t, &over, &t->cold);
	evict(t, &over, &t->hot_resident);
	if (over) {
		n = min64(over, t->swap_total - t->swapped);
		t->swapped += n;
		t->vm[VM_PSWPOUT] += n / PAGE;
		t->anon -= min64(over, t->anon);
	}
	missing = toy_missing(t);
	if (missing) {
		t->psi_us[PSI_MEM_SOME_US] += dt_us * 9 / 10;
		t->psi_us[PSI_MEM_FULL_US] += dt_us / 2;
		t->vm[VM_ALLOCSTALL] += dt_us / 1000;
		t->vm[VM_PGSCAN_DIRECT] += dt_us / 10;
		if (t->swapped)
			t->vm[VM_PSWPIN] += dt_us / 1000;
		t->short_us += dt_us;
		if (missing > t->worst_short)
			t->worst_short = missing;
	} else if (t->swapped) {
		n = min64(min64(t->swapped, unused(t)), 100 * MIB * dt_us / SEC);
		t->swapped -= n;
		t->anon += n;
		t->vm[VM_PSWPIN] += n / PAGE;
	}
	/* The hot cache comes back as fast as it is read, and says that it was missed. */
	n = min64(sat(t->hot, t->hot_resident), 200 * MIB * dt_us / SEC);
	if (n) {
		over = sat(n, unused(t));
		evict(t, &over, &t->cold);
		t->vm[VM_ACTIVATE_FILE] += n / PAGE;
		t->psi_us[PSI_IO_SOME_US] += dt_us / 50;
		if (unused(t) < n) {
			t->vm[VM_RESTORE_FILE] += n / PAGE;
			t->psi_us[PSI_MEM_SOME_US] += dt_us / 100;
		}
		t->hot_resident += min64(n, unused(t));
	}
	n = min64(sat(unused(t), wmark(t)), t->cold_rate * dt_us / SEC);
	t->cold += n;
}

static void transport(struct toy *t, uint64_t dt_us)
{
	uint64_t can = t->move_rate / PAGE * dt_us / SEC * PAGE;
	int64_t n;

	if (!t->left || t->stuck)
		return;
	if (t->left > 0) {
		/* Without reclaim only what is free; the kernel keeps its watermark. */
		uint64_t have =
			unused(t) + (t->decision.may_reclaim ? t->cold + t->hot_resident : 0);

		n = min64(min64(can, t->left), sat(have, wmark(t) / 2) / PAGE * PAGE);
		t->balloon += n;
	} else {
		n = -(int64_t)min64(min64(can, -t->left), t->balloon);
		t->balloon += n;
	}
	t->left -= n;
	t->moved += n;
	t->took_us += dt_us;
}

static void triggers(struct toy *t)
{
	if (t->time_us - t->trigger_us >= SEC) {
		t->trigger_us = t->time_us;
		t->trigger_some = t->psi_us[PSI_MEM_SOME_US];
		t->trigger_full = t->psi_us[PSI_MEM_FULL_US];
	}
	if (t->trigger_some == UINT64_MAX)
		return;
	if (t->psi_us[PSI_MEM_FULL_US] - t->trigger_full >= 100000)
		t->trigger = TRIGGER_EMERGENCY;
	else if (t->psi_us[PSI_MEM_SOME_US] - t->trigger_some >= 70000)
		t->trigger = TRIGGER_EARLY;
	else
		return;
	t->next_us = t->time_us;
	t->trigger_us = t->time_us;
	t->trigger_some = t->psi_us[PSI_MEM_SOME_US];
	t->trigger_full = t->psi_us[PSI_MEM_FULL_US];
}

static void decide(struct toy *t)
{
	struct sample s;
	int direction;

	toy_sample(t, &s);
	policy_decide(&t->config, &t->state, &s, &t->decision);
	if (t->on_decision)
		t->on_decision(t, &s);
	t->ticks++;
	t->left = t->asked = t->observe ? 0 : t->decision.step;
	t->moved = 0;
	t->took_us = 0;
	t->trigger = TRIGGER_NONE;
	t->next_us = t->time_us + t->decision.next_us;
	direction = (t->left > 0) - (t->left < 0);
	if (direction && t->direction && direction != t->direction)
		t->reversals++;
	if (direction)
		t->direction = direction;
	if (t->decision.reason == REASON_EMERGENCY && t->last_reason != REASON_EMERGENCY)
		t->emergencies++;
	if (direction < 0)
		t->decisions_down++;
	t->last_reason = t->decision.reason;
}

void toy_step(struct toy *t, uint64_t dt_us)
{
	transport(t, dt_us);
	t->time_us += dt_us;
	guest(t, dt_us);
	triggers(t);
	if (t->time_us >= t->next_us)
		decide(t);
	t->reclaimed += (double)t->balloon * dt_us / SEC;
	t->bound += (double)sat(t->ram, t->need + t->kernel) * dt_us / SEC;
}
