/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * senses.h - what a tick sees beside the balloon
 */
#pragma once

#include <stdbool.h>

#include "basic/problem.h"
#include "config/config.h"
#include "loop/events.h"
#include "loop/world.h"
#include "sense/sample.h"
#include "serve/startup.h"

struct senses {
	const struct loop_world *world;
	struct events *events;
	struct startup *startup;
	struct problems *problems;
	enum sample_trigger fired;	/* since the last look */
};

/*
 * All are kept but not owned; startup may be NULL (nobody is asked). PROBLEM_DATA and PROBLEM_PSI
 * are its own.
 */
void senses_init(struct senses *s, const struct loop_world *world, struct events *events,
		 struct startup *startup, struct problems *problems);

/* Open, or close, the PSI triggers as configured. */
void senses_arm(struct senses *s, const struct config *c);
/* A trigger has fired, or is none any more. Whether that is a reason to look at once. */
bool senses_pressure(struct senses *s, enum sample_trigger which, bool lost);
/* Look: all of *ret but the balloon's part. */
void senses_look(struct senses *s, struct sample *ret);
