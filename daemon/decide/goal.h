/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * goal.h - what the balloon should be: the law's goal within the bounds
 *
 * Internal to decide/.
 */
#pragma once

#include "decide/round.h"

void goal_make(struct round *r, struct law_goal *ret);

/* The order to come down to the bounds; its goal is the size where it is within them. */
struct law_goal goal_of_bound(const struct round *r);
