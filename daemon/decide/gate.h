/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gate.h - why the balloon does not move now
 *
 * Internal to decide/.
 */
#pragma once

#include "decide/round.h"

/* Why nothing may be inflated now, not even by order; _REASON_MAX if it may. */
enum policy_reason gate_bar(const struct round *r);

/* Why an estimate may not be followed now; _REASON_MAX if it may. */
enum policy_reason gate_estimate(const struct round *r, const struct law_goal *g);

/* Memory was given back: nothing is inflated for base_us, longer where that repeats ... */
void gate_hold_off(const struct round *r, struct backoff *b, uint64_t base_us);
/* ... or for less than the plain hold-off, because it cost nobody anything. */
void gate_hold_off_cheaply(const struct round *r, struct backoff *b);
