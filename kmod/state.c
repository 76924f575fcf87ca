// SPDX-License-Identifier: GPL-2.0-only
/*
 * state.c - what is, in units of the calls
 *
 * The answers of GET_INFO and GET_STATE, which the files of debugfs and the log show, too. Inside
 * the module amounts are pages of the kernel; here they become units of 4 KiB.
 *
 * Leaves out: who asks (chardev.c, stats.c), and what changes it.
 */
#include "core.h"

void uballoon_core_info(struct uballoon *ub, struct uballoon_info *ret)
{
	const struct uballoon_host *host = ub->host;

	memset(ret, 0, sizeof(*ret));
	ret->size = sizeof(*ret);
	ret->abi_version = UBALLOON_ABI_VERSION;
	ret->capabilities = host->caps;
	ret->ram_pages = uballoon_units(uballoon_ram(ub));
	ret->floor_pages = uballoon_units(uballoon_floor(ub));
	ret->batch_pages_4k = uballoon_units(host->batch_4k);
	ret->batch_pages_2m = host->batch_2m;
	strscpy(ret->host, host->ops->name, sizeof(ret->host));
}

/* Pages of the kernel become units of the ABI; events and calls stay. */
static void counters_in_units(struct uballoon_counters *c)
{
	c->locked_4k_pages = uballoon_units(c->locked_4k_pages);
	c->locked_2m_pages = uballoon_units(c->locked_2m_pages);
	c->unlocked_4k_pages = uballoon_units(c->unlocked_4k_pages);
	c->unlocked_2m_pages = uballoon_units(c->unlocked_2m_pages);
	c->refused_pages = uballoon_units(c->refused_pages);
	c->oom_pages = uballoon_units(c->oom_pages);
	c->shrink_pages = uballoon_units(c->shrink_pages);
	c->lease_pages = uballoon_units(c->lease_pages);
	c->pop_pages = uballoon_units(c->pop_pages);
	c->migrated_pages = uballoon_units(c->migrated_pages);
	c->reported_pages = uballoon_units(c->reported_pages);
	c->direct_pages = uballoon_units(c->direct_pages);
}

/* The same for all of it. */
static void state_in_units(struct uballoon_state *st)
{
	st->size_4k_pages = uballoon_units(st->size_4k_pages);
	st->size_2m_pages = uballoon_units(st->size_2m_pages);
	st->ceiling_pages = uballoon_units(st->ceiling_pages);
	st->floor_pages = uballoon_units(st->floor_pages);
	st->host_target_pages = uballoon_units(st->host_target_pages);
	st->limit_pages = uballoon_units(st->limit_pages);
	st->ram_pages = uballoon_units(st->ram_pages);
	st->module_floor_pages = uballoon_units(st->module_floor_pages);
	st->mem_available_pages = uballoon_units(st->mem_available_pages);
	st->available_pages = uballoon_units(st->available_pages);
	st->gone_pages = uballoon_units(st->gone_pages);
	st->host_pages = uballoon_units(st->host_pages);
	st->firm_pages = uballoon_units(st->firm_pages);
	st->relief_pages = uballoon_units(st->relief_pages);
	counters_in_units(&st->counters);
}

void uballoon_core_state(struct uballoon *ub, struct uballoon_state *ret, u64 *ret_host_generation,
			 u64 *ret_relief_generation)
{
	u64 ram = uballoon_ram(ub), floor = uballoon_floor(ub);
	unsigned long now;

	memset(ret, 0, sizeof(*ret));
	ret->size = sizeof(*ret);
	ret->ram_pages = ram;
	ret->module_floor_pages = floor;
	ret->mem_available_pages = uballoon_available(ub);
	spin_lock(&ub->lock);
	if (ub->host_target_valid)
		ret->flags |= UBALLOON_STATE_HOST_TARGET;
	if (ub->writer)
		ret->flags |= UBALLOON_STATE_WRITER;
	if (ub->lease_expired)
		ret->flags |= UBALLOON_STATE_LEASE_EXPIRED;
	if (ub->draining)
		ret->flags |= UBALLOON_STATE_DRAINING;
	ret->size_4k_pages = uballoon_total(ub) - ub->size[UBALLOON_2M];
	ret->size_2m_pages = ub->size[UBALLOON_2M];
	ret->ceiling_pages = ub->ceiling_pages;
	ret->floor_pages = ub->floor_pages;
	ret->host_target_pages = ub->host_target_pages;
	ret->limit_pages = min(uballoon_host_bound(ub), ram - min(ram, floor));
	ret->generation = ub->host_generation + ub->relief_generation;
	ret->lease_ms = ub->lease_ms;
	now = jiffies;
	if (ub->lease_ms && !ub->lease_expired && time_before(now, ub->lease_end))
		ret->lease_left_ms = jiffies_to_msecs(ub->lease_end - now);
	ret->holdoff_left_ms = uballoon_holdoff_left_ms(ub);
	ret->last_stop = ub->last_stop;
	ret->available_pages = ub->available_pages;
	ret->gone_pages = ub->gone_pages;
	if (ub->host->ops->pages) {
		ret->flags |= UBALLOON_STATE_BOOKS_ELSEWHERE;
		ret->host_pages = ret->size_4k_pages;
	}
	ret->firm_pages = min(uballoon_firm(ub), ret->size_4k_pages + ret->size_2m_pages);
	ret->relief_pages = ub->relief_pages;
	ret->account = ub->account;
	ret->counters = ub->counters;
	*ret_host_generation = ub->host_generation;
	*ret_relief_generation = ub->relief_generation;
	spin_unlock(&ub->lock);
	state_in_units(ret);
}
