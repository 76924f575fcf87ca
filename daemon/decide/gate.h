/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gate.h - why the balloon does not move now
 *
 * Internal to decide/.
 */
#pragma once

#include "decide/round.h"

/* Why nothing may be inflated to goal now, not even by order; _REASON_MAX if it may. */
enum policy_reason gate_bar(const struct round *r, uint64_t goal);

/* Why an estimate may not be followed now; _REASON_MAX if it may. */
enum policy_reason gate_estimate(const struct round *r, const struct law_goal *g);
