/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backoff.h - hold-offs that double while inflating again turns out wrong
 *
 * Internal to decide/; struct policy_backoff lives in policy-state.h.
 */
#pragma once

#include <stdint.h>

#include "decide/policy.h"

/*
 * Hold off from now on. base_us the first time; twice the last length if the
 * inflation after the last one did not hold, at most max_us (but never less
 * than base_us).
 */
void backoff_trip(struct policy_backoff *b, uint64_t now_us, uint64_t base_us, uint64_t max_us);

/* The balloon is being inflated again. */
void backoff_inflated(struct policy_backoff *b, uint64_t now_us);

/* Call once a decision: an inflation that held as long as the hold-off before it ends the series.
 */
void backoff_prove(struct policy_backoff *b, uint64_t now_us);
