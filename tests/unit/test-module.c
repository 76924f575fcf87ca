// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the module says of itself in sysfs, with files that come, go, and are wrong.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

#include "sense/module.h"

#define MIB (1ULL << 20)

struct fixture {
	char dir[64];
	struct module m;
	struct sample s;
};

static void put(struct fixture *f, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void take_away(struct fixture *f)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/mem_available_pages", f->dir);
	(void)unlink(path);
	snprintf(path, sizeof(path), "%s/available_pages", f->dir);
	(void)unlink(path);
}

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){.dir = "/tmp/balloond-module-XXXXXX"};
	if (!mkdtemp(f.dir))
		return -1;
	module_init(&f.m, f.dir);
	f.s.mem_have = 1U << MEM_AVAILABLE | 1U << MEM_TOTAL | 1U << MEM_FREE;
	f.s.mem[MEM_TOTAL] = 2000 * MIB;
	f.s.mem[MEM_AVAILABLE] = 1800 * MIB;
	f.s.mem[MEM_FREE] = 100 * MIB;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	module_done(&f->m);
	take_away(f);
	return rmdir(f->dir);
}

static void no_module_changes_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(module_leave_out(&f->m, &f->s), 0);
	assert_int_equal(f->s.mem[MEM_AVAILABLE], 1800 * MIB);
	assert_int_equal(f->s.mem[MEM_TOTAL], 2000 * MIB);
}

static void the_balloon_is_left_out(void **state)
{
	struct fixture *f = *state;

	put(f, "mem_available_pages", "76800\n");
	put(f, "available_pages", "358400\n");
	assert_int_equal(module_leave_out(&f->m, &f->s), 0);
	assert_int_equal(f->s.mem[MEM_AVAILABLE], 300 * MIB);
	assert_int_equal(f->s.mem[MEM_TOTAL], 600 * MIB);
	assert_int_equal(f->s.mem[MEM_FREE], 100 * MIB);
	/* The same files, read again. */
	put(f, "mem_available_pages", "51200\n");
	put(f, "available_pages", "0\n");
	f->s.mem[MEM_TOTAL] = 2000 * MIB;
	assert_int_equal(module_leave_out(&f->m, &f->s), 0);
	assert_int_equal(f->s.mem[MEM_AVAILABLE], 200 * MIB);
	assert_int_equal(f->s.mem[MEM_TOTAL], 2000 * MIB);
	/* More than there is: lines are not read at one instant. */
	put(f, "available_pages", "999999999\n");
	assert_int_equal(module_leave_out(&f->m, &f->s), 0);
	assert_int_equal(f->s.mem[MEM_TOTAL], 0);
}

static void what_was_absent_stays_absent(void **state)
{
	struct fixture *f = *state;

	put(f, "mem_available_pages", "76800\n");
	put(f, "available_pages", "358400\n");
	f->s.mem_have = 1U << MEM_FREE;
	assert_int_equal(module_leave_out(&f->m, &f->s), 0);
	assert_int_equal(f->s.mem_have, 1U << MEM_FREE);
}

static void nonsense_is_no_data(void **state)
{
	static const char *const bad[] = {"", "\n", "-1\n", "12k\n", "99999999999999999999999\n",
					  "18446744073709551615\n"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f->s.mem_have = 1U << MEM_AVAILABLE | 1U << MEM_TOTAL | 1U << MEM_FREE;
		put(f, "mem_available_pages", bad[i]);
		put(f, "available_pages", "358400\n");
		assert_int_equal(module_leave_out(&f->m, &f->s), -ENODATA);
		assert_int_equal(f->s.mem_have, 1U << MEM_FREE);
	}
	/* One file without the other, as an interrupted removal might leave it. */
	take_away(f);
	module_done(&f->m);
	put(f, "available_pages", "358400\n");
	f->s.mem_have = 1U << MEM_AVAILABLE;
	assert_int_equal(module_leave_out(&f->m, &f->s), -ENODATA);
	assert_int_equal(f->s.mem_have, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_module_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(the_balloon_is_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_absent_stays_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense_is_no_data, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
