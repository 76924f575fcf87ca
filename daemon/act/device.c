// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * device.c - the transport over /dev/uballoon
 *
 * Bytes become 4 KiB pages, one move becomes one or two calls: 2 MiB pages as
 * far as they go, 4 KiB pages for the rest. Both share the time budget, so that
 * a move is never longer than asked by more than one batch of the module.
 *
 * Deflating starts with 2 MiB pages, too: it is how the guest gets most back
 * in the least time, and whole pages are what its allocator wants.
 *
 * The clock is read here only to split the budget and to say how long a move
 * took; nothing is decided by it. Leaves out: retries, leases, logging.
 */
#include "act/device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "basic/cleanup.h"
#include "uballoon.h"

#define PAGE_BYTES UBALLOON_PAGE_SIZE

_Static_assert((int)SAMPLE_ACCOUNT_AUTO == UBALLOON_ACCOUNT_AUTO &&
	       (int)SAMPLE_ACCOUNT_AVAILABLE == UBALLOON_ACCOUNT_AVAILABLE &&
	       (int)SAMPLE_ACCOUNT_GONE == UBALLOON_ACCOUNT_GONE, "the same accounts");

struct device {
	struct transport transport;
	int fd;
	uint64_t capabilities;
	uint64_t ram_pages;
};

static struct device *device_of(struct transport *t)
{
	return (struct device *)t;
}

static int device_call(const struct device *d, unsigned long request, void *arg)
{
	if (ioctl(d->fd, request, arg) >= 0)
		return 0;
	/* A driver that is going away may answer with either. */
	return errno == ENXIO ? -ENODEV : -errno;
}

static uint64_t monotonic_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int get_info(const struct device *d, struct uballoon_info *ret)
{
	struct uballoon_info info = {.size = sizeof(info)};
	int r;

	r = device_call(d, UBALLOON_IOC_GET_INFO, &info);
	if (r == -ENOTTY || r == -EINVAL)
		return -EPROTONOSUPPORT;
	if (r < 0)
		return r;
	if (info.abi_version != UBALLOON_ABI_VERSION)
		return -EPROTONOSUPPORT;
	*ret = info;
	return 0;
}

static int device_info(struct transport *t, struct transport_info *ret)
{
	struct uballoon_info info;
	int r;

	r = get_info(device_of(t), &info);
	if (r < 0)
		return r;
	*ret = (struct transport_info){
		.capabilities = info.capabilities,
		.ram = info.ram_pages * PAGE_BYTES,
	};
	memcpy(ret->host, info.host, sizeof(ret->host));
	ret->host[sizeof(ret->host) - 1] = '\0';
	return 0;
}

static int device_state(struct transport *t, struct sample_balloon *ret)
{
	struct uballoon_state state = {.size = sizeof(state)};
	struct device *d = device_of(t);
	int r;

	r = device_call(d, UBALLOON_IOC_GET_STATE, &state);
	if (r < 0)
		return r;
	/* It changes when memory is plugged or unplugged. */
	d->ram_pages = state.ram_pages;
	ret->valid = true;
	ret->host_target_valid = state.flags & UBALLOON_STATE_HOST_TARGET;
	ret->may_exceed_host = d->capabilities & UBALLOON_CAP_GUEST_DRIVEN;
	ret->may_undercut_host = d->capabilities & UBALLOON_CAP_DEFLATE_ON_OOM;
	ret->draining = state.flags & UBALLOON_STATE_DRAINING;
	ret->books_elsewhere = state.flags & UBALLOON_STATE_BOOKS_ELSEWHERE;
	ret->ram = state.ram_pages * PAGE_BYTES;
	ret->available = state.available_pages * PAGE_BYTES;
	ret->gone = state.gone_pages * PAGE_BYTES;
	ret->elsewhere = state.host_pages * PAGE_BYTES;
	ret->firm = state.firm_pages * PAGE_BYTES;
	ret->account = (enum sample_account)state.account;
	ret->page = (uint64_t)sysconf(_SC_PAGESIZE);
	ret->size = (state.size_4k_pages + state.size_2m_pages) * PAGE_BYTES;
	ret->large = state.size_2m_pages * PAGE_BYTES;
	ret->host_target = state.host_target_pages * PAGE_BYTES;
	ret->limit = state.limit_pages * PAGE_BYTES;
	ret->floor = state.module_floor_pages * PAGE_BYTES;
	/* Reclaim does not wait for another driver. */
	ret->relief_line = ret->books_elsewhere ? 0 : state.relief_pages * PAGE_BYTES;
	ret->holdoff_us = (uint64_t)state.holdoff_left_ms * 1000;
	ret->lease_expired = state.flags & UBALLOON_STATE_LEASE_EXPIRED;
	ret->lease_us = (uint64_t)state.lease_ms * 1000;
	ret->lease_events = state.counters.lease_events;
	ret->lease_given = state.counters.lease_pages * PAGE_BYTES;
	ret->oom_events = state.counters.oom_events;
	ret->oom_given = state.counters.oom_pages * PAGE_BYTES;
	ret->rescue_events = ret->oom_events + ret->lease_events;
	ret->relief_events = ret->rescue_events + state.counters.shrink_events;
	ret->relieved = state.counters.shrink_pages * PAGE_BYTES;
	ret->relieved_direct = state.counters.direct_pages * PAGE_BYTES;
	ret->proofs_taken = state.counters.proofs_taken;
	ret->proofs_kept = state.counters.proofs_kept;
	return 0;
}

static int device_set_target(struct transport *t, const struct transport_target *to)
{
	struct device *d = device_of(t);
	struct uballoon_target target = {
		.size = sizeof(target),
		/* Rounded up: 0 means that there is no lease at all. */
		.lease_ms = (uint32_t)((to->lease_us + 999) / 1000),
		.ceiling_pages = to->ceiling / PAGE_BYTES,
		.floor_pages = to->floor / PAGE_BYTES,
		.relief_pages = to->relief_line / PAGE_BYTES,
		.account = to->account,
	};

	if (target.ceiling_pages > d->ram_pages)
		target.ceiling_pages = d->ram_pages;
	if (target.relief_pages > d->ram_pages)
		target.relief_pages = d->ram_pages;
	if (target.floor_pages > target.ceiling_pages)
		target.floor_pages = target.ceiling_pages;
	/* When only large pages are left, the last step down may be one of them: see device_move(). */
	if (d->capabilities & UBALLOON_CAP_2M)
		target.floor_pages -= target.floor_pages % UBALLOON_PAGES_PER_2M;
	return device_call(d, UBALLOON_IOC_SET_TARGET, &target);
}

/* One call. pages must be over 0 and a multiple of the page size. */
static int move_order(const struct device *d, bool inflate, uint32_t order, uint64_t pages,
		      bool may_reclaim, uint64_t budget_us, struct uballoon_move *ret)
{
	uint64_t budget_ms = budget_us / 1000;

	*ret = (struct uballoon_move){
		.size = sizeof(*ret),
		.page_order = order,
		.budget_ms = budget_ms < 1		       ? 1
			     : budget_ms > UBALLOON_MAX_BUDGET_MS ? UBALLOON_MAX_BUDGET_MS
							       : (uint32_t)budget_ms,
		.pages = pages,
	};
	if (inflate)
		ret->flags = may_reclaim ? UBALLOON_MOVE_CANSLEEP : UBALLOON_MOVE_NOSLEEP;
	return device_call(d, inflate ? UBALLOON_IOC_LOCK : UBALLOON_IOC_UNLOCK, ret);
}

/* Is it worth asking for small pages after the large ones ended like this? */
static bool try_small_after(uint32_t stop)
{
	switch ((enum uballoon_stop)stop) {
	case UBALLOON_STOP_NONE:
	case UBALLOON_STOP_DONE:	/* the rest is less than a large page */
	case UBALLOON_STOP_TARGET:	/* the same, seen by the module */
	case UBALLOON_STOP_NOMEM:	/* no large page is free */
	case UBALLOON_STOP_REFUSED:	/* a host that refuses a large page may take it in parts */
		return true;
	case UBALLOON_STOP_FLOOR:
	case UBALLOON_STOP_NOT_NEEDED:
	case UBALLOON_STOP_RESET:
	case UBALLOON_STOP_BUDGET:
	case UBALLOON_STOP_INTERRUPTED:
		return false;
	}
	return false;
}

static int device_move(struct transport *t, int64_t step, bool may_reclaim, uint64_t budget_us,
		       struct transport_result *ret)
{
	const struct device *d = device_of(t);
	bool inflate = step > 0;
	uint64_t pages = (inflate ? (uint64_t)step : 0 - (uint64_t)step) / PAGE_BYTES;
	uint64_t large, done = 0, start = monotonic_us(), used;
	struct transport_result result = {.stop = UBALLOON_STOP_DONE};
	struct uballoon_move move;
	int r;

	if (pages > d->ram_pages)
		pages = d->ram_pages;

	large = d->capabilities & UBALLOON_CAP_2M ? pages - pages % UBALLOON_PAGES_PER_2M : 0;
	if (large > 0) {
		r = move_order(d, inflate, UBALLOON_ORDER_2M, large, may_reclaim, budget_us, &move);
		if (r < 0)
			return r;
		done += move.done_pages;
		result.refused += move.refused_pages * PAGE_BYTES;
		result.stop = move.stop;
	}

	used = monotonic_us() - start;
	if (pages > done && used < budget_us && try_small_after(result.stop)) {
		r = move_order(d, inflate, UBALLOON_ORDER_4K, pages - done, may_reclaim,
			       budget_us - used, &move);
		/* What the first call moved is moved; the next move will meet the error again. */
		if (r < 0 && done == 0)
			return r;
		if (r >= 0) {
			done += move.done_pages;
			result.refused += move.refused_pages * PAGE_BYTES;
			result.stop = move.stop;
		}
	} else if (pages > done && try_small_after(result.stop)) {
		result.stop = UBALLOON_STOP_BUDGET;
	}

	/* Only large pages are left, and one of them is more than what is missing: it is given whole. */
	used = monotonic_us() - start;
	if (!inflate && pages > done && result.stop == UBALLOON_STOP_NOMEM && used < budget_us &&
	    d->capabilities & UBALLOON_CAP_2M) {
		r = move_order(d, inflate, UBALLOON_ORDER_2M, UBALLOON_PAGES_PER_2M, may_reclaim,
			       budget_us - used, &move);
		if (r >= 0 && move.done_pages > 0) {
			done += move.done_pages;
			result.stop = UBALLOON_STOP_DONE;
		}
	}

	result.moved = (int64_t)(done * PAGE_BYTES) * (inflate ? 1 : -1);
	result.took_us = monotonic_us() - start;
	*ret = result;
	return 0;
}

static int device_keepalive(struct transport *t)
{
	return device_call(device_of(t), UBALLOON_IOC_KEEPALIVE, NULL);
}

static uint32_t to_ms(uint64_t us, uint64_t least_ms, uint64_t most_ms)
{
	uint64_t ms = us / 1000;

	return (uint32_t)(ms < least_ms ? least_ms : ms > most_ms ? most_ms : ms);
}

static int prove_order(const struct device *d, uint32_t order, uint64_t budget_us, uint64_t hold_us,
		       struct uballoon_prove *ret)
{
	*ret = (struct uballoon_prove){
		.size = sizeof(*ret),
		.flags = UBALLOON_MOVE_CANSLEEP,
		.page_order = order,
		.budget_ms = to_ms(budget_us, 1, UBALLOON_MAX_BUDGET_MS),
		.hold_ms = to_ms(hold_us, 0, UBALLOON_MAX_HOLD_MS),
	};
	return device_call(d, UBALLOON_IOC_PROVE, ret);
}

/*
 * A host with large pages may take none but those, and the balloon is made of them first: a
 * small one that it keeps proves nothing then.
 */
static int device_prove(struct transport *t, uint64_t budget_us, uint64_t hold_us,
			enum sample_proof *ret)
{
	const struct device *d = device_of(t);
	bool large = d->capabilities & UBALLOON_CAP_2M;
	struct uballoon_prove p;
	int r;

	if (!(d->capabilities & UBALLOON_CAP_PROOF))
		return -EOPNOTSUPP;
	r = prove_order(d, large ? UBALLOON_ORDER_2M : UBALLOON_ORDER_4K, budget_us, hold_us, &p);
	if (r >= 0 && large && p.stop == UBALLOON_STOP_NOMEM) {
		r = prove_order(d, UBALLOON_ORDER_4K, budget_us, hold_us, &p);
		if (p.answer == UBALLOON_PROOF_KEPT)
			p.answer = UBALLOON_PROOF_UNKNOWN;
	}
	if (r < 0)
		return r;
	*ret = p.answer == UBALLOON_PROOF_TAKEN ? SAMPLE_PROOF_TAKEN :
	       p.answer == UBALLOON_PROOF_KEPT	? SAMPLE_PROOF_KEPT :
						  SAMPLE_PROOF_UNKNOWN;
	return 0;
}

static int device_pop(struct transport *t)
{
	struct uballoon_pop pop = {.size = sizeof(pop)};

	return device_call(device_of(t), UBALLOON_IOC_POP, &pop);
}

static int device_fd(struct transport *t)
{
	return device_of(t)->fd;
}

static void device_free(struct transport *t)
{
	struct device *d = device_of(t);

	close(d->fd);
	free(d);
}

static const struct transport_ops device_ops = {
	.info = device_info,
	.state = device_state,
	.set_target = device_set_target,
	.move = device_move,
	.keepalive = device_keepalive,
	.prove = device_prove,
	.pop = device_pop,
	.fd = device_fd,
	.free = device_free,
};

/* fd is the device's in any case. */
static int device_new(int fd, struct transport **ret)
{
	_cleanup_close_ int owned = fd;
	_cleanup_free_ struct device *d = NULL;
	struct uballoon_info info;
	int r;

	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->transport.ops = &device_ops;
	d->fd = fd;
	r = get_info(d, &info);
	if (r < 0)
		return r;
	d->capabilities = info.capabilities;
	d->ram_pages = info.ram_pages;
	steal_fd(&owned);
	*ret = &steal_pointer(d)->transport;
	return 0;
}

int device_open(const char *node, bool read_only, struct transport **ret)
{
	int fd;

	fd = open(node, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENXIO ? -ENODEV :
		       errno == EPERM			 ? -EACCES :
							   -errno;
	return device_new(fd, ret);
}

int device_adopt(int fd, struct transport **ret)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) != O_RDWR) {
		close(fd);
		return -EBADF;
	}
	return device_new(fd, ret);
}
