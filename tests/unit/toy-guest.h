/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * toy-guest.h - a small guest for closing the loop in unit tests
 */
#pragma once

#include "decide/policy.h"

struct toy {
	/* Set by the test. Bytes. */
	uint64_t ram;
	uint64_t kernel; /* unreclaimable */
	uint64_t need; /* anonymous memory that programs want */
	uint64_t hot; /* page cache that they keep reading */
	uint64_t cold_rate; /* bytes a second of cache read once; fills what is free */
	uint64_t move_rate; /* balloon, bytes a second */
	uint64_t swap_total;
	bool has_host_target;
	uint64_t host_target;
	bool stuck; /* the balloon does not move */
	bool observe; /* the steps are not carried out */

	struct policy_config config;

	/* The guest. */
	uint64_t time_us;
	uint64_t balloon;
	uint64_t anon; /* resident */
	uint64_t swapped;
	uint64_t cold;
	uint64_t hot_resident;
	uint64_t psi_us[_PSI_FIELD_MAX];
	uint64_t vm[_VM_FIELD_MAX];

	/* The loop. */
	struct policy_state state;
	struct policy_decision decision;
	uint64_t next_us;
	int64_t left; /* of the step, still to be moved */
	int64_t asked;
	int64_t moved;
	uint64_t took_us;
	uint64_t trigger_us; /* start of the triggers' window */
	uint64_t trigger_some;
	uint64_t trigger_full;
	enum sample_trigger trigger;
	int direction;

	/* The score. */
	uint64_t ticks;
	uint64_t short_us; /* demand above what the guest has */
	uint64_t worst_short;
	uint64_t reversals;
	uint64_t emergencies;
	uint64_t decisions_down;
	double reclaimed; /* byte-seconds */
	double bound;
	enum policy_reason last_reason;
	void (*on_decision)(const struct toy *t, const struct sample *s);
};

/* An idle guest of so much RAM, nothing in the cache, default configuration. */
void toy_init(struct toy *t, uint64_t ram);
/* Advance by dt_us, deciding where the policy wants to. */
void toy_step(struct toy *t, uint64_t dt_us);
/* What /proc would show now. */
void toy_sample(const struct toy *t, struct sample *ret);
/* What programs want beyond what the guest has, bytes. */
uint64_t toy_missing(const struct toy *t);
