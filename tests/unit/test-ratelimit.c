// SPDX-License-Identifier: GPL-2.0-or-later
/* The VMware rates: fast, slow for four cycles after a failure, and back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "decide/ratelimit.h"

#define PAGE 4096
#define MIB  (1LL << 20)

static uint64_t alloc_pages(const struct ratelimit *r, bool *ret_reclaim)
{
	return ratelimit_alloc(r, ret_reclaim) / PAGE;
}

static void test_starts_fast(void **state)
{
	struct ratelimit r;
	bool reclaim = true;

	(void)state;
	ratelimit_init(&r);
	assert_int_equal(alloc_pages(&r, &reclaim), 0);
	assert_false(reclaim);
	assert_int_equal(ratelimit_free(&r) / PAGE, 16384);
	for (int i = 0; i < 10; i++)
		ratelimit_feedback(&r, 100 * MIB, 100 * MIB);
	assert_int_equal(alloc_pages(&r, &reclaim), 0);
}

static void test_four_slow_cycles_after_a_failure(void **state)
{
	struct ratelimit r;
	bool reclaim;

	(void)state;
	ratelimit_init(&r);
	ratelimit_feedback(&r, 100 * MIB, 99 * MIB);
	for (int i = 0; i < 4; i++) {
		/* The rate is at its maximum, success cannot raise it. */
		assert_int_equal(alloc_pages(&r, &reclaim), 2048);
		assert_true(reclaim);
		ratelimit_feedback(&r, MIB, MIB);
	}
	assert_int_equal(alloc_pages(&r, &reclaim), 0);
	assert_false(reclaim);
}

static void test_halves_and_creeps(void **state)
{
	static const unsigned int down[] = {1024, 512, 512};
	struct ratelimit r;
	bool reclaim;

	(void)state;
	ratelimit_init(&r);
	ratelimit_feedback(&r, MIB, 0);
	for (int i = 0; i < 3; i++) {
		ratelimit_feedback(&r, MIB, 0);
		assert_int_equal(alloc_pages(&r, &reclaim), down[i]);
	}
	ratelimit_feedback(&r, MIB, MIB);
	assert_int_equal(alloc_pages(&r, &reclaim), 528);
	/* The rate is kept while fast, for the next time. */
	for (int i = 0; i < 10; i++)
		ratelimit_feedback(&r, MIB, MIB);
	ratelimit_feedback(&r, MIB, 0);
	assert_in_range(alloc_pages(&r, &reclaim), 512 + 4 * 16, 512 + 4 * 16);
}

static void test_freeing(void **state)
{
	struct ratelimit r;

	(void)state;
	ratelimit_init(&r);
	for (int i = 0; i < 10; i++)
		ratelimit_feedback(&r, -MIB, 0);
	assert_int_equal(ratelimit_free(&r) / PAGE, 512);
	ratelimit_feedback(&r, -MIB, -MIB);
	assert_int_equal(ratelimit_free(&r) / PAGE, 528);
	for (int i = 0; i < 2000; i++)
		ratelimit_feedback(&r, -MIB, -MIB);
	assert_int_equal(ratelimit_free(&r) / PAGE, 16384);
}

static void test_no_cycle(void **state)
{
	struct ratelimit r;
	bool reclaim;

	(void)state;
	ratelimit_init(&r);
	ratelimit_feedback(&r, MIB, 0);
	for (int i = 0; i < 100; i++)
		ratelimit_feedback(&r, 0, 0);
	assert_int_equal(alloc_pages(&r, &reclaim), 2048);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starts_fast),
		cmocka_unit_test(test_four_slow_cycles_after_a_failure),
		cmocka_unit_test(test_halves_and_creeps),
		cmocka_unit_test(test_freeing),
		cmocka_unit_test(test_no_cycle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
