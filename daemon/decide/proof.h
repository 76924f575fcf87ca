/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proof.h - does the host take what it is given?
 *
 * Internal to decide/.
 */
#pragma once

#include "decide/bounds.h"
#include "decide/view.h"

/* The answers so far. Only proof.c writes it. */
struct proof {
	uint64_t asked_us; /* when the transport was asked last; 0 = never */
	uint64_t wait_us; /* ... and for how long it is left alone since */
	uint32_t kept; /* proofs in a row of which the host took nothing */
	uint32_t untold; /* ... that told nothing since the last one that did */
	bool taken; /* the last proof that told anything was taken */
	bool denied; /* so many that the host is taken for one that takes nothing */
};

/* Once a decision: what the transport found out since the last one. */
void proof_note(const struct policy_config *c, struct proof *p, const struct sample *s);

/* What the balloon may be, as far as the host is known to take it. */
void proof_bound(const struct policy_config *c, const struct proof *p, const struct view *v,
		 struct bounds *b);

/*
 * It is time to ask. calm: the guest has a page to spare, and nobody waits for memory. *ret_hold_us:
 * how long the host is given to take it.
 */
bool proof_is_due(const struct policy_config *c, struct proof *p, const struct sample *s, bool calm,
		  uint64_t *ret_hold_us);

enum policy_taken proof_verdict(const struct proof *p);
