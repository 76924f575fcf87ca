// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The self-shrink of law committed: when, how much, and how often.
 */
#include "sample-maker.h"

struct fixture {
	struct policy_config c;
	struct policy_state st;
	struct sample s;
	uint64_t now_us;
};

/* Swap of 4 GiB, this much of it in use; nothing to do for the balloon. */
static void init(struct fixture *f, uint64_t used)
{
	policy_config_default(&f->c);
	f->c.law = LAW_COMMITTED;
	f->c.self_shrink = true;
	policy_init(&f->st);
	f->now_us = 1000 * SEC;
	f->s = healthy(f->now_us);
	f->s.mem[MEM_SWAP_TOTAL] = 4 * GIB;
	f->s.mem[MEM_SWAP_FREE] = 4 * GIB - used;
	f->s.mem[MEM_COMMITTED_AS] = 8 * GIB;
	decide_at(&f->c, &f->st, &f->s, f->now_us);
}

static struct policy_decision tick(struct fixture *f)
{
	f->now_us += f->c.committed_interval_us;
	return decide_at(&f->c, &f->st, &f->s, f->now_us);
}

static void test_after_inertia(void **state)
{
	struct fixture f;

	(void)state;
	init(&f, 200 * MIB);
	/* One interval to begin with, and three without growth. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(tick(&f).swap_in, 0);
	assert_int_equal(tick(&f).swap_in, 10 * MIB);
	/* Growth begins it anew. */
	f.s.mem[MEM_SWAP_FREE] -= 100 * MIB;
	for (int i = 0; i < 3; i++)
		assert_int_equal(tick(&f).swap_in, 0);
	assert_int_equal(tick(&f).swap_in, 15 * MIB);
	/* Within an interval, nothing more. */
	f.now_us += SEC;
	assert_int_equal(decide_at(&f.c, &f.st, &f.s, f.now_us).swap_in, 0);
}

static void test_each_page_once(void **state)
{
	struct fixture f;
	uint64_t sum = 0;

	(void)state;
	init(&f, 200 * MIB);
	/* The slots stay in use. */
	for (int i = 0; i < 1000; i++)
		sum += tick(&f).swap_in;
	assert_int_equal(sum, 200 * MIB);
}

static void test_bounded(void **state)
{
	struct fixture f;
	uint64_t most = 0;

	(void)state;
	init(&f, 4 * GIB);
	for (int i = 0; i < 50; i++) {
		uint64_t now = tick(&f).swap_in;

		most = now > most ? now : most;
	}
	assert_int_equal(most, 32 * MIB);
}

static void test_never_when_memory_is_short(void **state)
{
	(void)state;
	for (int k = 0; k < 5; k++) {
		struct fixture f;
		uint64_t sum = 0;

		init(&f, 1 * GIB);
		if (k == 1)
			f.s.mem[MEM_AVAILABLE] = 260 * MIB; /* the headroom is 256 MiB */
		if (k == 3)
			f.c.hold = true;
		if (k == 4)
			f.c.self_shrink = false;
		for (int i = 0; i < 20; i++) {
			if (k == 2) {
				f.s.mem[MEM_FREE] = 70 * MIB;
				press(&f.s, f.c.committed_interval_us, 200, 0, 1000);
			}
			sum += tick(&f).swap_in;
		}
		if (k == 0)
			assert_true(sum > 0);
		else
			assert_int_equal(sum, 0);
	}
}

static void test_the_goal_leaves_room(void **state)
{
	struct policy_decision with, without;
	struct fixture f;

	(void)state;
	init(&f, 1 * GIB);
	f.s.mem[MEM_COMMITTED_AS] = 2 * GIB;
	with = tick(&f);
	init(&f, 1 * GIB);
	f.c.self_shrink = false;
	f.s.mem[MEM_COMMITTED_AS] = 2 * GIB;
	without = tick(&f);
	/* An eighth of the surplus is given up at a time. */
	assert_true(without.goal - with.goal == 1 * GIB / 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_after_inertia),
		cmocka_unit_test(test_each_page_once),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_never_when_memory_is_short),
		cmocka_unit_test(test_the_goal_leaves_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
