// SPDX-License-Identifier: GPL-2.0-only
/*
 * none.c - a host with no hypervisor: pages are only withheld
 *
 * Accepts every page at once and wants no message back, so the whole system
 * runs on any machine that can load a module. Nobody gains memory by it.
 *
 * Left out: a host target, everything that can fail.
 */
#include "../core.h"
#include "host.h"

/* As if it were the fastest host: what a request of the others holds. */
#define BATCH_4K	512
#define BATCH_2M	32

static void none_lock(struct uballoon_host *host, struct uballoon_batch *b)
{
	b->hold = UBALLOON_HOLD_QUIET;
	uballoon_batch_done(host->core, b);
}

static void none_unlock(struct uballoon_host *host, struct uballoon_batch *b)
{
	uballoon_batch_done(host->core, b);
}

static const struct uballoon_host_ops none_ops = {
	.name	= "none",
	.lock	= none_lock,
	.unlock	= none_unlock,
};

static struct uballoon_host none_host = {
	.ops		= &none_ops,
	.caps		= UBALLOON_CAP_2M | UBALLOON_CAP_DEFLATE_ON_OOM | UBALLOON_CAP_GUEST_DRIVEN,
	.batch_4k	= BATCH_4K,
	.batch_2m	= BATCH_2M,
};

static int none_init(void)
{
	struct uballoon *ub;
	int r;

	ub = uballoon_core_new(&none_host);
	if (IS_ERR(ub))
		return PTR_ERR(ub);
	r = uballoon_attach(&none_host);
	if (r)
		uballoon_core_free(ub);
	return r;
}

static void none_exit(void)
{
	uballoon_detach(&none_host);
	uballoon_core_drop(none_host.core);
	uballoon_core_free(none_host.core);
}

const struct uballoon_host_driver uballoon_none_driver = {
	.name	= "none",
	.init	= none_init,
	.exit	= none_exit,
};
