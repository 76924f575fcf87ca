/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy.h - from a sample to a decision
 *
 * Pure: (config, state, sample) -> decision. No I/O, no clock (time comes with
 * the sample), no allocation, no logging. The same inputs give the same output
 * on every machine, so that a recording can be replayed.
 *
 * A law (law-*.c) turns the sample into a goal for the balloon. One common tail
 * turns the goal into a step, the same for every law:
 *
 *   goal -> clamp (floor, host's target, limit) -> dead band
 *        -> price of turning round, settling -> rate limit -> step
 *
 * Units: bytes, microseconds, permille. Step is signed: > 0 inflates.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decide/peaks.h"
#include "decide/policy-config.h"
#include "sense/sample.h"

/* The numbers behind a decision, for status, explain and the history. Bytes. */
struct policy_numbers {
	uint64_t ram;
	uint64_t usable; /* U: what the guest has, RAM - balloon */
	uint64_t available; /* A: MemAvailable, the balloon not counted in it */
	uint64_t need; /* N = U - A */
	uint64_t headroom; /* learned */
	uint64_t floor; /* the guest keeps at least this */
	uint64_t hold_off_left_us;
	uint32_t mem_some_permille; /* PSI over the last interval */
	uint32_t mem_full_permille;
	uint32_t io_some_permille;
	uint64_t refault_rate; /* activations + restores, pages a second */
	struct peaks_forecast forecast; /* what this hour is known for, or the next */
};

struct policy_decision {
	uint64_t goal; /* what the law wants the balloon to be */
	uint64_t target; /* what the tail makes of it: where the steps lead */
	int64_t step; /* to move now, > 0 inflates; |step| is bounded by the rate */
	bool may_reclaim; /* inflate: allocation may evict cache */
	uint64_t relief_line; /* MemAvailable below which the module gives back by itself; 0 = as it is */
	uint64_t relieved; /* bytes that it gave to programs that asked since the last decision */
	uint64_t swap_in; /* bytes to bring back from swap meanwhile, at most; 0 = none */
	bool prove; /* see whether the host takes a page ... */
	uint64_t prove_hold_us; /* ... which it has that long for */
	enum policy_taken taken; /* what is known of that */
	bool urgent; /* deflate as fast as the transport can */
	enum policy_reason reason;
	uint64_t stood_still_us; /* nobody looked for so long beyond what was meant; 0 = in time */
	uint64_t host_excess; /* bytes that the host does not let go of, and the guest has not got */
	uint64_t next_us; /* look again after this, at the latest */
	struct policy_numbers n;
};

/* Memory of the controller between decisions. Opaque by convention: only decide/ reads it. */
#include "decide/policy-state.h"

/* Start afresh. Keeps nothing. */
void policy_init(struct policy_state *st);

/* When memory was needed: what outlives the daemon, for its owner to store and to bring back. */
void policy_peaks_export(const struct policy_state *st, struct peaks_memory *ret);
void policy_peaks_import(struct policy_state *st, const struct peaks_memory *m);
/* Changes whenever an hour has been written. */
uint32_t policy_peaks_stamp(const struct policy_state *st);

/*
 * Decide. *s must be newer than the sample before it; a sample that is not is
 * answered with REASON_NO_DATA and step 0, and changes nothing in *st.
 * Never asks for a step without a valid balloon (REASON_NO_DEVICE), but
 * computes goal and target all the same.
 */
void policy_decide(const struct policy_config *c, struct policy_state *st, const struct sample *s,
		   struct policy_decision *ret);
