// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What swap that is compressed memory means for the floor.
 *
 * Leaves out: how much room such a device offers (test-swaps.c), and what the floor bounds
 * (test-policy.c).
 */
#include "sample-maker.h"

/* 4 GiB of anonymous memory, and as much swap. */
static struct sample guest(void)
{
	struct sample s = healthy(SEC);

	s.mem[MEM_ANON] = 4 * GIB;
	s.mem[MEM_FREE] = 3 * GIB;
	s.mem[MEM_AVAILABLE] = 4 * GIB - 256 * MIB;
	s.mem[MEM_SWAP_TOTAL] = s.mem[MEM_SWAP_FREE] = s.mem[MEM_SWAP_ROOM] = 4 * GIB;
	return s;
}

static uint64_t floor_of(struct sample *s)
{
	struct policy_config c;
	struct policy_state st;

	policy_config_default(&c);
	policy_init(&st);
	return decide_at(&c, &st, s, SEC).n.floor;
}

static void a_disk_takes_all_of_it(void **state)
{
	struct sample s = guest();

	(void)state;
	assert_int_equal(floor_of(&s), policy_floor_curve(8 * GIB));
}

static void a_zram_takes_what_compression_saves(void **state)
{
	struct sample s = guest();

	(void)state;
	s.mem[MEM_SWAP_ROOM] = 2 * GIB;
	assert_int_equal(floor_of(&s), 2 * GIB + (100 + 32) * MIB);
	/* What does not compress stays. */
	s.mem[MEM_SWAP_ROOM] = 0;
	assert_int_equal(floor_of(&s), 4 * GIB + (100 + 32) * MIB);
}

/* Swapping out to memory does not lower the floor. */
static void what_is_in_it_is_still_there(void **state)
{
	struct sample s = guest();
	uint64_t before;

	(void)state;
	s.mem[MEM_SWAP_ROOM] = 2 * GIB;
	before = floor_of(&s);
	for (uint64_t out = 512 * MIB; out <= 4 * GIB; out += 512 * MIB) {
		s.mem[MEM_ANON] = 4 * GIB - out;
		s.mem[MEM_SWAP_FREE] = 4 * GIB - out;
		s.mem[MEM_SWAP_ROOM] = s.mem[MEM_SWAP_FREE] / 2;
		s.mem[MEM_ZRAM] = out / 2;
		assert_int_equal(floor_of(&s), before);
	}
}

/* A guest that is told nothing of it has what SwapFree says, and no more in any case. */
static void room_is_not_more_than_is_free(void **state)
{
	struct sample s = guest();

	(void)state;
	s.mem[MEM_SWAP_FREE] = 1 * GIB;
	assert_int_equal(floor_of(&s), 3 * GIB + (100 + 32) * MIB);
	s.mem_have &= ~(1U << MEM_SWAP_ROOM | 1U << MEM_ZRAM);
	s.mem[MEM_SWAP_ROOM] = 0;
	s.mem[MEM_ZRAM] = 5 * GIB;
	assert_int_equal(floor_of(&s), 3 * GIB + (100 + 32) * MIB);
	s.mem_have &= ~(1U << MEM_SWAP_FREE);
	assert_int_equal(floor_of(&s), policy_floor_curve(8 * GIB));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_takes_all_of_it),
		cmocka_unit_test(a_zram_takes_what_compression_saves),
		cmocka_unit_test(what_is_in_it_is_still_there),
		cmocka_unit_test(room_is_not_more_than_is_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
