// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * score.c - adding up what happened
 *
 * The run hands over stretches of time in order, each with demand and balloon
 * at both ends and linear between them; shortages are integrated exactly, also
 * where demand and memory cross inside a stretch.
 *
 * Leaves out: an overall grade. Memory beyond the bound and time lost pull in
 * opposite directions, and how much of one is worth the other is the user's
 * business (tests/bench/policy.py tries some prices).
 */
#include <string.h>

#include "basic/arith.h"
#include "sim/score.h"

/* A deflation is over when the balloon has not become smaller for that long. */
#define DEFLATION_GAP_US 5000000ULL

uint64_t score_demand(const struct guest_demand *d, uint64_t ram)
{
	return min_u64(d->need + d->hot, ram);
}

void score_init(struct score *s, struct score_run *r, uint64_t ram, uint64_t floor)
{
	*s = (struct score) { .ram = ram, .floor = min_u64(floor, ram) };
	*r = (struct score_run) { .s = s };
}

static void end_shortage(struct score_run *r)
{
	if (!r->short_now_us)
		return;
	r->s->shortages++;
	r->s->relief_max_us = max_u64(r->s->relief_max_us, r->short_now_us);
	r->short_now_us = 0;
}

/* Positive part of a line from over0 to over1: its integral, and how long, which is returned. */
static uint64_t add_shortage(struct score_run *r, double over0, double over1, uint64_t dt_us)
{
	struct score *s = r->s;
	double share, area, top = over0 > over1 ? over0 : over1;
	uint64_t us;

	if (top <= 0) {
		end_shortage(r);
		return 0;
	}
	if (over0 >= 0 && over1 >= 0) {
		share = 1;
		area = (over0 + over1) / 2;
	} else {
		share = top / (over0 > over1 ? over0 - over1 : over1 - over0);
		area = top * share / 2;
	}
	us = share * dt_us;
	if (over0 < 0)
		end_shortage(r);
	r->short_now_us += us;
	s->short_us += us;
	s->short_bs += area * dt_us / 1e6;
	s->depth_max = max_u64(s->depth_max, top);
	if (over1 < 0)
		end_shortage(r);
	return us;
}

static void end_deflation(struct score_run *r, uint64_t demand, uint64_t balloon)
{
	struct score *s = r->s;
	uint64_t over;

	if (!r->deflating)
		return;
	over = sub_sat(s->ram - balloon, max_u64(demand, s->floor));
	s->overshoot_max = max_u64(s->overshoot_max, over);
	s->overshoot_sum += over;
	s->deflations++;
	r->deflating = false;
}

static void add_move(struct score_run *r, const struct score_stretch *st)
{
	struct score *s = r->s;
	int direction = (st->balloon1 > st->balloon0) - (st->balloon1 < st->balloon0);

	if (direction >= 0)
		r->still_us += st->dt_us;
	if (direction > 0 || r->still_us >= DEFLATION_GAP_US)
		end_deflation(r, st->demand0, st->balloon0);
	if (!direction)
		return;
	if (direction < 0) {
		s->deflated += st->balloon0 - st->balloon1;
		r->deflating = true;
		r->still_us = 0;
	} else {
		s->inflated += st->balloon1 - st->balloon0;
	}
	if (r->direction && direction != r->direction)
		s->reversals++;
	r->direction = direction;
}

void score_add(struct score_run *r, const struct score_stretch *st)
{
	struct score *s = r->s;
	uint64_t cap0 = s->ram - max_u64(st->demand0, s->floor);
	uint64_t cap1 = s->ram - max_u64(st->demand1, s->floor);
	double dt_s = st->dt_us / 1e6;
	uint64_t short_us;

	s->duration_us += st->dt_us;
	s->reclaimed_bs += ((double)min_u64(st->gain0, cap0) + min_u64(st->gain1, cap1)) / 2 * dt_s;
	short_us = add_shortage(r, (double)st->wanted0 + st->balloon0 - s->ram,
				(double)st->wanted1 + st->balloon1 - s->ram, st->dt_us);
	/* Who is short waits, too, mostly: the same time is not lost twice. */
	s->lost_us += max_u64(short_us, st->tasks_full_us);
	s->tasks_full_us += st->tasks_full_us;
	if (max_u64(st->demand0 + st->balloon0, st->demand1 + st->balloon1) > s->ram)
		s->late_us += st->dt_us;
	if (st->full_us * 2 > st->dt_us) {
		r->stall_now_us += st->dt_us;
		s->stall_max_us = max_u64(s->stall_max_us, r->stall_now_us);
	} else {
		r->stall_now_us = 0;
	}
	add_move(r, st);
}

void score_finish(struct score_run *r, uint64_t demand, uint64_t balloon)
{
	end_shortage(r);
	end_deflation(r, demand, balloon);
}
