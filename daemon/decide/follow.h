/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * follow.h - from a goal to the move under way
 *
 * Internal to decide/.
 */
#pragma once

#include "decide/round.h"

/* Begin, continue or drop a move; the reason for what it has come to. */
enum policy_reason follow_goal(const struct round *r, const struct law_goal *g);
