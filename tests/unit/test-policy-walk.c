// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Invariants of the policy over random walks.
 *
 * A walk is a guest whose demand, stalls, host and transport wander at random,
 * with sources that vanish now and then. Whatever happens:
 *   - a step stays within the bounds, and none is asked without data or device
 *   - nothing is inflated below the floor, beyond a limit, or in a hold-off, whose end is told
 *   - after a deflate the direction does not change within the hold-off, unless
 *     an operator or a host orders it and no shortage was behind the deflate
 *   - the same inputs give the same output
 *   - more stall time never gives a larger target
 *   - nothing is written behind the state
 *
 * WALKS walks of STEPS decisions; the seed is fixed so that a failure repeats.
 */
#include <stdlib.h>
#include <string.h>

#include "sample-maker.h"
#include "uballoon.h"

#define WALKS 10000
#define STEPS 200

static uint64_t rng;

static uint64_t rnd(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return n ? rng % n : 0;
}

static bool chance(unsigned int percent)
{
	return rnd(100) < percent;
}

struct walk {
	struct policy_config c;
	struct {
		struct policy_state st;
		uint64_t canary;
	} mem;
	struct sample s;
	uint64_t need;
	bool large; /* the balloon is of large pages, but for less than one */
	uint64_t now_us;
	uint64_t urgent_us;
};

static void walk_init(struct walk *w)
{
	static const uint64_t rams[] = {64 * MIB, 512 * MIB, 2 * GIB, 8 * GIB, 1024 * GIB};

	memset(w, 0, sizeof(*w));
	policy_config_default(&w->c);
	policy_init(&w->mem.st);
	w->mem.canary = 0x5ca1ab1e;
	w->now_us = (1 + rnd(1000000)) * SEC;
	w->s = healthy(w->now_us);
	w->s.ram = rams[rnd(5)];
	w->s.balloon.limit = w->s.ram;
	w->c.mode = rnd(_MODE_MAX);
	w->c.law = chance(20) ? LAW_COMMITTED : LAW_ADAPTIVE;
	w->c.manual_target = rnd(w->s.ram);
	if (chance(20))
		w->c.limit = rnd(w->s.ram);
	if (chance(20))
		w->c.floor = rnd(w->s.ram);
	if (chance(20))
		w->c.inflate_rate = 1 + rnd(1 * GIB);
	if (chance(20))
		w->c.deflate_rate = 1 + rnd(1 * GIB);
	if (chance(10))
		w->c.settle_us = 0;
	w->s.balloon.may_exceed_host = chance(70);
	w->s.balloon.may_undercut_host = chance(70);
	w->large = w->now_us / SEC % 2;
	w->s.balloon.host_target_valid = chance(40);
	w->s.balloon.host_target = rnd(w->s.ram);
	w->s.psi_armed = chance(80);
	if (chance(20))
		w->s.mem[MEM_SWAP_TOTAL] = w->s.mem[MEM_SWAP_FREE] = 0;
	w->c.self_shrink = chance(50);
	w->need = w->s.ram / 16 + rnd(w->s.ram / 4);
}

static void walk_world(struct walk *w)
{
	struct sample *s = &w->s;
	uint64_t dt_us = chance(20) ? SEC / 10 : chance(90) ? SEC : rnd(30 * SEC) + 1;
	uint64_t usable = s->ram - s->balloon.size, cache, free;

	w->now_us += dt_us;
	s->time_us = w->now_us;
	/* Two hours of a minute each, over and over, on days of two; of eight in the week. */
	s->has_week = w->now_us / SEC % 20;
	s->week_s = w->now_us / (128 * SEC) % 8 * 86400 + w->now_us / SEC * 60 % 7200;
	if (chance(10))
		w->need = rnd(s->ram);
	else
		w->need = w->need * (980 + rnd(42)) / 1000;
	s->mem_have = (1U << _MEM_FIELD_MAX) - 1;
	s->vm_have = (1U << _VM_FIELD_MAX) - 1;
	s->psi_have = (1U << _PSI_FIELD_MAX) - 1;
	free = usable > w->need ? usable - w->need : 0;
	cache = free / 100 * rnd(100);
	s->mem[MEM_TOTAL] = usable;
	s->mem[MEM_AVAILABLE] = free;
	s->mem[MEM_FREE] = free - cache;
	s->mem[MEM_CACHED] = cache;
	s->mem[MEM_ANON] = w->need / 2;
	s->mem[MEM_MLOCKED] = chance(5) ? rnd(s->ram) : 0;
	s->mem[MEM_WATERMARK_HIGH] = s->ram / 128;
	s->mem[MEM_COMMITTED_AS] = w->need;
	if (chance(10))
		press(s, dt_us, rnd(1000), rnd(500), rnd(1000));
	if (chance(10))
		s->vm[VM_ACTIVATE_FILE] += rnd(10000);
	if (chance(5))
		s->vm[VM_RESTORE_FILE] += rnd(100000);
	/* Now and then the working set does not fit, for a minute or two. */
	if (w->now_us / (64 * SEC) % 4 == 0 && s->balloon.size) {
		s->vm[VM_RESTORE_FILE] += rnd(1000);
		s->psi[PSI_IO_SOME_US] += rnd(dt_us);
		press(s, dt_us, rnd(500), rnd(50), 0);
		s->mem[MEM_FREE] = s->mem[MEM_WATERMARK_HIGH];
	}
	if (chance(5)) {
		s->vm[VM_PSWPOUT] += rnd(10000);
		s->mem[MEM_SWAP_FREE] = rnd(s->mem[MEM_SWAP_TOTAL] + 1);
	}
	/* Now and then services start, for half a minute. */
	s->start = w->now_us / (32 * SEC) % 16 == 5 ? SAMPLE_START_SERVICES : SAMPLE_START_NONE;
	s->trigger = chance(3) ? 1 + rnd(2) : TRIGGER_NONE;
	if (chance(2))
		s->mem_have &= ~(1U << rnd(_MEM_FIELD_MAX));
	if (chance(2))
		s->vm_have = 0;
	if (chance(2))
		s->psi_have = 0;
	if (chance(2))
		s->balloon.host_target = rnd(s->ram);
	if (chance(1)) {
		s->balloon.relief_events++;
		s->balloon.rescue_events += chance(50);
		s->balloon.relieved += s->balloon.size;
		s->balloon.size = rnd(s->balloon.size + 1) / 4096 * 4096;
		s->balloon.relieved -= s->balloon.size;
	}
	s->balloon.draining = chance(1);
	s->balloon.holdoff_us = chance(1) ? SEC : 0;
	s->balloon.limit = chance(5) ? rnd(s->ram) : s->ram;
	s->balloon.floor = chance(20) ? rnd(s->ram) : 0;
	s->balloon.valid = !chance(1);
	s->balloon.large = w->large ? s->balloon.size / (2 * MIB) * (2 * MIB) : 0;
}

static void carry_out(struct walk *w, const struct policy_decision *d)
{
	struct sample_balloon *b = &w->s.balloon;
	int64_t moved = chance(80) ? d->step : d->step / 4096 / (int64_t)(1 + rnd(10)) * 4096;

	if (chance(5))
		moved = 0;
	b->asked = d->step;
	b->moved = moved;
	b->took_us = d->step ? 1 + rnd(SEC) : 0;
	b->stop = chance(2) ? rnd(UBALLOON_STOP_INTERRUPTED + 1) : UBALLOON_STOP_BUDGET;
	b->size += moved;
	b->proof = !d->prove			 ? SAMPLE_PROOF_NONE :
		   w->now_us / SEC % 64 < 48 ? SAMPLE_PROOF_KEPT :
					       SAMPLE_PROOF_TAKEN;
}

static bool same(const struct policy_decision *a, const struct policy_decision *b)
{
	return a->goal == b->goal && a->target == b->target && a->step == b->step &&
	       a->may_reclaim == b->may_reclaim && a->urgent == b->urgent &&
	       a->prove == b->prove && a->taken == b->taken &&
	       a->reason == b->reason && a->next_us == b->next_us && a->swap_in == b->swap_in &&
	       memcmp(&a->n, &b->n, sizeof(a->n)) == 0;
}

static void check(struct walk *w, const struct policy_decision *d)
{
	const struct sample_balloon *b = &w->s.balloon;
	uint64_t after = b->size + d->step;
	bool estimate =
		w->c.mode == MODE_AUTO && !(b->host_target_valid && b->host_target > b->size);

	assert_true(d->next_us >= SEC / 10 && d->next_us <= w->c.idle_interval_us);
	assert_int_equal(d->step % 4096, 0);
	assert_non_null(policy_reason_name(d->reason));
	if (!b->valid || w->c.mode == MODE_OBSERVE || !sample_has_mem(&w->s, MEM_AVAILABLE))
		assert_int_equal(d->step, 0);
	if (d->reason == REASON_HOLD_OFF)
		assert_true(d->n.hold_off_left_us >= b->holdoff_us && b->holdoff_us);
	if (d->step < 0) {
		assert_true(after <= b->size);
		if (b->host_target_valid && !b->may_undercut_host)
			assert_true(after >= (b->host_target < b->size ? b->host_target : b->size));
		if (!d->urgent && w->c.deflate_rate)
			assert_true(-(uint64_t)d->step <= 2 * w->c.deflate_rate);
	}
	if (d->step > 0) {
		assert_true(after <= w->s.ram - d->n.floor);
		assert_true(d->n.floor >=
				    (w->c.floor ? w->c.floor : policy_floor_curve(w->s.ram)) ||
			    d->n.floor == w->s.ram);
		assert_true(after <= w->c.limit);
		assert_true(after <= b->limit || after <= b->size);
		if (b->floor)
			assert_true(w->s.mem[MEM_AVAILABLE] >= b->floor + (uint64_t)d->step);
		if (!b->may_exceed_host)
			assert_true(b->host_target_valid && after <= b->host_target);
		assert_true(d->n.hold_off_left_us == 0 || !estimate);
		assert_true(b->holdoff_us == 0);
		assert_true(!d->urgent);
		/* What was given back in need is paid for, whoever wants it again. */
		if (w->urgent_us)
			assert_true(d->n.hold_off_left_us == 0);
		if (estimate && w->c.law == LAW_ADAPTIVE)
			assert_true((uint64_t)d->step <= w->s.mem[MEM_AVAILABLE] / 2);
		if (w->c.inflate_rate)
			assert_true((uint64_t)d->step <= 2 * w->c.inflate_rate);
	}
	/* Room for it, and nobody is waiting for memory. */
	if (d->swap_in)
		assert_true(w->c.self_shrink && !d->urgent &&
			    w->s.mem[MEM_AVAILABLE] >= d->n.headroom + d->swap_in);
	if (d->step < 0 && d->urgent)
		w->urgent_us = w->now_us;
	assert_int_equal(w->mem.canary, 0x5ca1ab1e);
}

static void test_walks(void **state)
{
	uint64_t up = 0, down = 0, urgent = 0, reasons = 0, swap_in = 0;

	(void)state;
	rng = 88172645463325252ULL;
	for (int i = 0; i < WALKS; i++) {
		struct walk w;

		walk_init(&w);
		/* Without dice: those of the other walks are to fall as they do. */
		w.c.proof_interval_us = i % 4 ? 600 * SEC : 10 * SEC;
		for (int k = 0; k < STEPS; k++) {
			struct policy_decision d, again, worse;
			struct policy_state copy;
			struct sample s;

			walk_world(&w);
			s = w.s;
			copy = w.mem.st;
			policy_decide(&w.c, &copy, &s, &again);
			copy = w.mem.st;
			s.psi[PSI_MEM_SOME_US] += rnd(SEC);
			s.psi[PSI_MEM_FULL_US] += rnd(SEC);
			policy_decide(&w.c, &copy, &s, &worse);
			policy_decide(&w.c, &w.mem.st, &w.s, &d);
			assert_true(same(&d, &again));
			assert_true(worse.target <= d.target);
			check(&w, &d);
			carry_out(&w, &d);
			up += d.step > 0;
			down += d.step < 0;
			urgent += d.urgent;
			swap_in += d.swap_in > 0;
			reasons |= 1ULL << d.reason;
		}
	}
	/* The walks have been everywhere, but for the operator's hold. */
	assert_true(up > WALKS && down > WALKS && urgent > WALKS / 2 && swap_in > WALKS / 10);
	assert_true(reasons == (((1ULL << _REASON_MAX) - 1) & ~(1ULL << REASON_HELD)));
}

/* While it is held, the balloon only gives back, and only what safety demands. */
static void test_held_walks(void **state)
{
	uint64_t held = 0, urgent = 0, bounds = 0, after = 0;

	(void)state;
	rng = 88172645463325252ULL;
	for (int i = 0; i < WALKS; i++) {
		uint64_t from = rnd(STEPS), to = from + rnd(STEPS);
		struct walk w;

		walk_init(&w);
		for (uint64_t k = 0; k < STEPS; k++) {
			struct policy_decision d;
			uint64_t size;

			w.c.hold = k >= from && k < to;
			walk_world(&w);
			size = w.s.balloon.size;
			policy_decide(&w.c, &w.mem.st, &w.s, &d);
			if (w.c.hold) {
				assert_true(d.step <= 0 && d.target <= size);
				if (d.step < 0)
					assert_true(d.urgent || d.reason == REASON_FLOOR ||
						    d.reason == REASON_LIMIT ||
						    d.reason == REASON_HOST ||
						    d.reason == REASON_WORKING_SET);
				held += d.reason == REASON_HELD;
				urgent += d.urgent;
				bounds += d.step < 0 && !d.urgent;
			} else {
				assert_true(d.reason != REASON_HELD);
				after += k > to && d.step != 0;
			}
			carry_out(&w, &d);
		}
	}
	assert_true(held > WALKS && urgent > WALKS / 20 && bounds > WALKS / 100 &&
		    after > WALKS / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walks),
		cmocka_unit_test(test_held_walks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
