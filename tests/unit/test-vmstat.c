// SPDX-License-Identifier: GPL-2.0-or-later
/* /proc/vmstat: real files, and what a parser must not fall for. */
#include <string.h>

#include "fixture.h"
#include "sense/vmstat.h"

/* Debian's cloud kernels are built without it. */
#define NO_ZSWAP (1U << VM_ZSWPIN | 1U << VM_ZSWPOUT)

static void parse(const char *text, struct sample *ret)
{
	memset(ret, 0, sizeof(*ret));
	vmstat_parse(text, strlen(text), ret);
}

static void test_real_kernels(void **state)
{
	static const struct {
		const char *file;
		uint32_t absent;
		uint64_t refault_file, activate_file, allocstall, oom_kill;
	} rows[] = {
		{"proc-6.1/vmstat", NO_ZSWAP, 0, 0, 17, 1},
		{"proc-6.12/vmstat", NO_ZSWAP, 0, 0, 34, 1},
		{"proc-6.18/vmstat", 0, 1189959, 233651, 0, 0},
	};
	struct fixture_text t;
	struct sample s;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		fixture_load(rows[i].file, &t);
		memset(&s, 0, sizeof(s));
		vmstat_parse(t.data, t.len, &s);
		assert_int_equal(s.vm_have, ((1U << _VM_FIELD_MAX) - 1) & ~rows[i].absent);
		assert_int_equal(s.vm[VM_REFAULT_FILE], rows[i].refault_file);
		assert_int_equal(s.vm[VM_ACTIVATE_FILE], rows[i].activate_file);
		assert_int_equal(s.vm[VM_ALLOCSTALL], rows[i].allocstall);
		assert_int_equal(s.vm[VM_OOM_KILL], rows[i].oom_kill);
	}
}

static void test_absent_is_not_zero(void **state)
{
	struct sample s;

	(void)state;
	parse("pswpin 7\n", &s);
	assert_int_equal(s.vm_have, 1U << VM_PSWPIN);
	assert_int_equal(s.vm[VM_PSWPIN], 7);
	parse("", &s);
	assert_int_equal(s.vm_have, 0);
	parse("workingset_refault 5\n", &s);
	assert_int_equal(s.vm_have, 0);
}

static void test_names_match_whole(void **state)
{
	struct sample s;

	(void)state;
	parse("pgscan_direct_throttle 5\npgscan_directx 1\nxpswpin 2\n", &s);
	assert_int_equal(s.vm_have, 0);
}

static void test_allocstall_is_a_sum(void **state)
{
	struct sample s;

	(void)state;
	parse("allocstall_dma 1\nallocstall_normal 20\nallocstall_movable 300\n", &s);
	assert_int_equal(s.vm[VM_ALLOCSTALL], 321);
	parse("allocstall_dma 18446744073709551615\nallocstall_normal 1\n", &s);
	assert_int_equal(s.vm_have, 0);
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {
		"pswpin\n",
		"pswpin \n",
		"pswpin x\n",
		"pswpin -1\n",
		"pswpin 1 2\n",
		"pswpin 0x10\n",
		"pswpin 1k\n",
		"pswpin 18446744073709551616\n",
		"pswpin 99999999999999999999\n",
		"pswpin +1\n",
	};
	struct sample s;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		parse(bad[i], &s);
		assert_int_equal(s.vm_have, 0);
		assert_int_equal(s.vm[VM_PSWPIN], 0);
	}
	parse("pswpin 18446744073709551615\n", &s);
	assert_true(s.vm[VM_PSWPIN] == UINT64_MAX);
}

/* A read that ends in the middle of a number. */
static void test_cut_line_does_not_count(void **state)
{
	struct sample s;

	(void)state;
	parse("pswpin 123\npswpout 45", &s);
	assert_int_equal(s.vm_have, 1U << VM_PSWPIN);
}

static void test_stale_values_go(void **state)
{
	struct sample s;

	(void)state;
	parse("pswpin 123\n", &s);
	vmstat_parse("oom_kill 1\n", 11, &s);
	assert_int_equal(s.vm_have, 1U << VM_OOM_KILL);
	assert_int_equal(s.vm[VM_PSWPIN], 0);
}

static void test_larger_pages(void **state)
{
	struct sample s;

	(void)state;
	parse("pswpin 7\nworkingset_refault_file 5\nallocstall_normal 3\noom_kill 2\n"
	      "pswpout 4611686018427387904\n", &s);
	vmstat_convert(&s, 16384);
	assert_int_equal(s.vm[VM_PSWPIN], 28);
	assert_int_equal(s.vm[VM_REFAULT_FILE], 20);
	assert_int_equal(s.vm[VM_ALLOCSTALL], 3);
	assert_int_equal(s.vm[VM_OOM_KILL], 2);
	assert_int_equal(s.vm_have, 1U << VM_PSWPIN | 1U << VM_REFAULT_FILE |
				    1U << VM_ALLOCSTALL | 1U << VM_OOM_KILL);
	vmstat_convert(&s, 4096);
	assert_int_equal(s.vm[VM_PSWPIN], 28);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_kernels),
		cmocka_unit_test(test_absent_is_not_zero),
		cmocka_unit_test(test_names_match_whole),
		cmocka_unit_test(test_allocstall_is_a_sum),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_cut_line_does_not_count),
		cmocka_unit_test(test_stale_values_go),
		cmocka_unit_test(test_larger_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
