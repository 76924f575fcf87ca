/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport.h - what a balloon can do, seen from the daemon
 *
 * The loop owns one transport and moves the balloon only through it.
 * act/device.c implements it over /dev/uballoon; tests have one in memory.
 * All amounts are bytes. Every call is bounded in time (budget_us) and returns
 * 0 or a negative errno; -ENODEV means that the device has gone and the
 * transport should be freed. Partial progress is success.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sense/sample.h"

struct transport;

struct transport_info {
	char host[16];		/* "virtio", "vmware", "xen", "none" */
	uint64_t capabilities;	/* UBALLOON_CAP_* */
	uint64_t ram;		/* when it was opened */
};

struct transport_result {
	int64_t moved;		/* bytes, > 0 inflated */
	uint64_t refused;
	uint64_t took_us;
	uint32_t stop;		/* enum uballoon_stop */
};

struct transport_target {
	uint64_t ceiling;
	uint64_t floor;
	uint64_t relief_line;	/* see struct sample_balloon; 0 = none */
	enum sample_account account;
	uint64_t lease_us;	/* 0 = off */
};

struct transport_ops {
	/* What does not change while the device is there. */
	int (*info)(struct transport *t, struct transport_info *ret);
	/* The balloon now; fills everything but asked, moved, took_us and stop. Clears the poll state. */
	int (*state)(struct transport *t, struct sample_balloon *ret);
	/* Bounds for the next moves, the relief line, the account, and the lease anew. */
	int (*set_target)(struct transport *t, const struct transport_target *target);
	/*
	 * Move by |step| bytes at most within budget_us; 2 MiB pages first, 4 KiB
	 * pages where those run out. may_reclaim: allocation may evict cache.
	 */
	int (*move)(struct transport *t, int64_t step, bool may_reclaim, uint64_t budget_us,
		    struct transport_result *ret);
	/* -ETIME: the lease had run out; call set_target. */
	int (*keepalive)(struct transport *t);
	/*
	 * Whether the host takes a page that it has for hold_us; no longer than budget_us beside that.
	 * Optional: NULL, and -EOPNOTSUPP, where it cannot be proven.
	 */
	int (*prove)(struct transport *t, uint64_t budget_us, uint64_t hold_us,
		     enum sample_proof *ret);
	/* Everything back at once; what the host insists on as soon as it does not. */
	int (*pop)(struct transport *t);
	/* To poll for EPOLLIN (host's target changed) and EPOLLPRI (module gave memory back); -1 if none. */
	int (*fd)(struct transport *t);
	/* Close. The balloon stays as it is and the lease goes on. */
	void (*free)(struct transport *t);
};

struct transport {
	const struct transport_ops *ops;
};
