// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fake-transport.c - a balloon device in memory
 *
 * Keeps the promises of act/transport.h, bounds and lease included, and counts
 * what is asked of it. A transport that was opened for reading refuses what
 * the device would refuse. Only for tests; never part of a program that is installed.
 */
#include "fake-transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "uballoon.h"

struct fake {
	struct transport transport;
	struct fake_device *device;
	bool read_only;
	bool target_set;
};

static struct fake *fake_of(struct transport *t)
{
	return (struct fake *)t;
}

static int fake_info(struct transport *t, struct transport_info *ret)
{
	const struct fake_device *d = fake_of(t)->device;

	if (!d->present)
		return -ENODEV;
	*ret = (struct transport_info){
		.host = "fake",
		.capabilities = UBALLOON_CAP_GUEST_DRIVEN | UBALLOON_CAP_DEFLATE_ON_OOM,
		.ram = d->ram,
	};
	return 0;
}

static int fake_state(struct transport *t, struct sample_balloon *ret)
{
	const struct fake_device *d = fake_of(t)->device;

	if (!d->present)
		return -ENODEV;
	if (d->state_error < 0)
		return d->state_error;
	ret->valid = true;
	ret->may_exceed_host = true;
	ret->may_undercut_host = !d->insisted;
	ret->host_target_valid = d->insisted;
	ret->host_target = d->insisted;
	ret->lease_expired = d->lease_expired;
	ret->lease_us = d->lease_us;
	ret->lease_events = d->lease_events;
	ret->lease_given = d->lease_given;
	ret->oom_events = d->oom_events;
	ret->oom_given = d->oom_given;
	ret->rescue_events = d->oom_events + d->lease_events;
	ret->size = d->size;
	ret->claim = d->claims;
	ret->kept = d->kept;
	ret->ram = d->ram;
	ret->relief_line = d->relief_line;
	ret->available = d->account == SAMPLE_ACCOUNT_GONE ? 0 : d->size;
	ret->gone = d->size - ret->available;
	ret->limit = d->ram;
	return 0;
}

static int fake_set_target(struct transport *t, const struct transport_target *to)
{
	struct fake_device *d = fake_of(t)->device;

	if (!d->present)
		return -ENODEV;
	if (fake_of(t)->read_only)
		return -EBADF;
	if (d->target_error < 0)
		return d->target_error;
	if (to->ceiling > d->ram || to->floor > to->ceiling || to->relief_line > d->ram)
		return -EINVAL;
	if (!fake_of(t)->target_set)
		d->first_lease_us = to->lease_us;
	fake_of(t)->target_set = true;
	d->set_targets++;
	d->ceiling = to->ceiling;
	d->floor = to->floor;
	d->lease_us = to->lease_us;
	d->relief_line = to->relief_line;
	d->account = to->account;
	d->draining = false;
	d->lease_expired = false;
	return 0;
}

static int fake_move(struct transport *t, int64_t step, bool may_reclaim, uint64_t budget_us,
		     struct transport_result *ret)
{
	struct fake_device *d = fake_of(t)->device;
	uint64_t least = d->floor > d->insisted ? d->floor : d->insisted;
	uint64_t room, n = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;

	(void)may_reclaim, (void)budget_us;
	if (d->on_move)
		d->on_move(d, step);
	if (!d->present)
		return -ENODEV;
	if (fake_of(t)->read_only)
		return -EBADF;
	if (d->move_error < 0)
		return d->move_error;
	d->moves++;
	d->inflates += step > 0;

	*ret = (struct transport_result){
		.stop = UBALLOON_STOP_DONE,
		.took_us = d->slice_took_us,
	};
	if (n > d->slice) {
		n = d->slice;
		ret->stop = UBALLOON_STOP_BUDGET;
	}
	room = step > 0	? d->ceiling > d->size ? d->ceiling - d->size : 0
	       : d->size > least ? d->size - least : 0;
	if (d->unit)
		room -= room % d->unit;
	if (n > room) {
		n = room;
		ret->stop = UBALLOON_STOP_TARGET;
	}
	ret->moved = step > 0 ? (int64_t)n : -(int64_t)n;
	d->size += (uint64_t)ret->moved;
	if (d->size > d->largest)
		d->largest = d->size;
	return 0;
}

static int fake_keepalive(struct transport *t)
{
	struct fake_device *d = fake_of(t)->device;

	if (!d->present)
		return -ENODEV;
	if (fake_of(t)->read_only)
		return -EBADF;
	d->keepalives++;
	if (d->on_keepalive)
		d->on_keepalive(d);
	return d->lease_expired ? -ETIME : 0;
}

static int fake_prove(struct transport *t, uint64_t budget_us, uint64_t hold_us,
		      enum sample_proof *ret)
{
	struct fake_device *d = fake_of(t)->device;

	(void)budget_us;
	d->proves++;
	d->held_us = hold_us;
	if (!d->present)
		return -ENODEV;
	if (d->prove_error < 0)
		return d->prove_error;
	if (d->proof == SAMPLE_PROOF_NONE)
		return -EOPNOTSUPP;
	*ret = d->proof;
	return 0;
}

static int fake_pop(struct transport *t)
{
	struct fake_device *d = fake_of(t)->device;

	d->pops++;
	d->ceiling = d->floor = 0;
	d->draining = true;
	if (d->size > d->insisted)
		d->size = d->insisted + (d->unit ? (d->size - d->insisted) % d->unit : 0);
	return 0;
}

static int fake_fd(struct transport *t)
{
	return fake_of(t)->device->poll_fd ?: -1;
}

static void fake_free(struct transport *t)
{
	fake_of(t)->device->frees++;
	free(t);
}

static const struct transport_ops fake_ops = {
	.info = fake_info,
	.state = fake_state,
	.set_target = fake_set_target,
	.move = fake_move,
	.keepalive = fake_keepalive,
	.prove = fake_prove,
	.pop = fake_pop,
	.fd = fake_fd,
	.free = fake_free,
};

int fake_open(struct fake_device *d, bool read_only, struct transport **ret)
{
	struct fake *f;

	if (!d->present)
		return -ENODEV;
	if (d->open_error < 0)
		return d->open_error;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	*f = (struct fake){{&fake_ops}, d, read_only, false};
	d->opens++;
	d->read_only_opens += read_only;
	*ret = &f->transport;
	return 0;
}
