/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake-transport.h - a balloon device in memory, for tests of what is above it
 */
#pragma once

#include "act/transport.h"

struct fake_device {
	/* Set by the test. Bytes. */
	bool present;		/* else every call, and open, says -ENODEV */
	int open_error;		/* open says this instead, e.g. -EBUSY */
	uint64_t ram;
	uint64_t size;
	uint64_t slice;		/* moved in one call at most; 0 = nothing moves */
	uint64_t slice_took_us;
	bool lease_expired;	/* keepalive says -ETIME until the next set_target */
	int move_error;		/* move says this */
	uint64_t insisted;	/* the host asks for so much and does not let go; 0 = no such host */
	uint64_t unit;		/* of which no part is moved; 0 = any size is */
	uint64_t lease_events, lease_given, oom_events, oom_given; /* counted by the module, bytes */
	void (*on_keepalive)(struct fake_device *d);
	int state_error;	/* the same for state, and for set_target */
	int target_error;
	int poll_fd;		/* 0 = none */
	bool claims;		/* what it holds stays part of the guest's free memory ... */
	uint64_t kept;		/* ... and of that it leaves so much alone */
	enum sample_proof proof; /* NONE = it cannot be proven */
	int prove_error;	/* prove says this */
	void (*on_move)(struct fake_device *d, int64_t step);

	/* What was done to it. */
	uint64_t relief_line;	/* as set_target() said, as is the next one */
	enum sample_account account;
	unsigned opens;
	unsigned read_only_opens;
	unsigned frees;
	unsigned moves;
	unsigned inflates;
	unsigned set_targets;
	unsigned keepalives;
	unsigned pops;
	unsigned proves;
	uint64_t held_us;	/* as the last prove said */
	bool draining;		/* what the host lets go of will be given back */
	uint64_t ceiling;
	uint64_t floor;
	uint64_t lease_us;
	uint64_t first_lease_us; /* of the first set_target after open */
	uint64_t largest;	/* balloon ever */
};

int fake_open(struct fake_device *d, bool read_only, struct transport **ret);
