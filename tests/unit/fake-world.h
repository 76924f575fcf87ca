/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake-world.h - a world for the loop of the daemon to run in, made by a test
 *
 * A case sets what is special about its world and runs the loop with a script,
 * which the world calls once a tick, before the loop sees anything: it looks at
 * what happened, breaks things, sends signals, and ends the loop with SIGTERM.
 */
#pragma once

#include "sample-maker.h"

#include "fake-transport.h"
#include "loop/loop.h"
#include "serve/status.h"

struct fake_world {
	/* Set by the test, before or while the loop runs. Bytes. */
	struct fake_device device;
	struct fake_device reporting; /* what serves without it; not present unless a case says so */
	struct config config; /* before only */
	struct loop_options options; /* before only */
	int adopt_error; /* what the daemon before left does not work */
	uint64_t used; /* what the guest needs */
	uint64_t swapped; /* what of it is in swap */
	bool unreadable; /* /proc says nothing */
	bool stalls; /* tasks stall for half of the time and reclaim */
	uint64_t hurry_us; /* the time of its samples runs ahead by so much with each */
	bool has_week; /* the clock on the wall says week_s */
	uint32_t week_s;
	bool pressed; /* hardly anything is available */
	const char *proc; /* where other processes are; before only */
	int arm_error; /* what arming a trigger says instead of -ENOENT */
	int announce_fd; /* readable when a device comes or goes; 0 = none; before only */
	bool armed; /* there are triggers, for fake_world_pull(); before only */
	unsigned tick; /* counted by the world */
	unsigned step; /* for the script; the world only names it if the script hangs */

	/* What has happened. */
	struct loop *loop; /* gone after fake_world_run() */
	unsigned opens_tried;
	unsigned adopts_tried;
	uint64_t pulled_us; /* time of the last fake_world_pull() */

	/* The world's own. */
	void (*script)(struct fake_world *w);
	unsigned stalled; /* ticks so far */
	uint64_t ahead_us;
	int pull[2], end[2]; /* of the triggers: ours and the loop's; early, emergency */
};

/*
 * For cmocka: the group's setup, and each case's. *state becomes a healthy guest of 8 GiB with
 * 1 GiB in use, a device that works, short intervals and no D-Bus. A case that hangs is killed.
 */
int fake_world_begin(void **state);
int fake_world_setup(void **state);
int fake_world_teardown(void **state);

/* Run the loop until the script ends it, and free it. */
void fake_world_run(struct fake_world *w, void (*script)(struct fake_world *w));
/* Fire a trigger; for the script. */
void fake_world_pull(struct fake_world *w, enum sample_trigger which);
/* Give an order; for the script. */
struct order_answer fake_world_order(const struct fake_world *w, enum order_kind kind,
				     const char *text, uint64_t amount);
/* The tick that was last, and what it shows; for the script. */
const struct tick *fake_world_look(const struct fake_world *w);
const struct status *fake_world_status(const struct fake_world *w);
/* What the loop has to complain about, "" = nothing; for the script. */
const char *fake_world_problem(const struct fake_world *w, enum problem which);
