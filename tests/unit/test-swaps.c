// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /proc/swaps and zram: what swap frees and what it holds, with files of the test's own.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

#include "sense/swaps.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define SEC 1000000ULL

#define HEAD "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
/* Of 2 GiB, half is free. */
#define DISK "/dev/sda2                               partition\t2097152\t\t1048576\t\t-2\n"
#define ZRAM0 "/dev/zram0                              partition\t2097152\t\t1048576\t\t100\n"
#define ZRAM1 "/dev/zram1                              partition\t2097152\t\t1048576\t\t100\n"
/* 1 GiB in 256 MiB. */
#define QUARTER "1073741824 250000000 268435456        0 268435456      100        0     2000\n"

struct fixture {
	char dir[64];
	struct swaps swaps;
	struct procfile_buffer buffer;
	struct sample s;
};

static void put(const struct fixture *f, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	static struct fixture f;
	char path[128];

	f = (struct fixture){.dir = "/tmp/balloond-swaps-XXXXXX"};
	if (!mkdtemp(f.dir))
		return -1;
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/zram%d", f.dir, i);
		if (mkdir(path, 0700) < 0)
			return -1;
	}
	swaps_init(&f.swaps, f.dir, f.dir);
	f.s.time_us = 5 * SEC;
	f.s.mem_have = 1U << MEM_SWAP_TOTAL | 1U << MEM_SWAP_FREE;
	f.s.mem[MEM_SWAP_TOTAL] = 16 * GIB;
	f.s.mem[MEM_SWAP_FREE] = 8 * GIB;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char cmd[128];

	swaps_done(&f->swaps);
	free(f->buffer.data);
	snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", f->dir);
	return system(cmd);
}

static int look(struct fixture *f)
{
	f->s.mem_have &= ~(1U << MEM_SWAP_ROOM | 1U << MEM_ZRAM);
	f->s.mem[MEM_SWAP_ROOM] = f->s.mem[MEM_ZRAM] = 0;
	return swaps_read(&f->swaps, &f->buffer, &f->s);
}

/* As if the files were new. */
static int look_anew(struct fixture *f)
{
	f->s.time_us += 60 * SEC;
	return look(f);
}

/* The ratio is rounded up to a permille. */
static void assert_about(uint64_t have, uint64_t want)
{
	assert_in_range(have, want - want / 100, want);
}

static void what_each_device_frees_and_holds(void **state)
{
	static const struct {
		const char *list;
		const char *mm_stat; /* of zram0 */
		uint64_t room;
		uint64_t held;
	} rows[] = {
		{"", "", 0, 0},
		{DISK, "", GIB, 0},
		{DISK DISK, "", 2 * GIB, 0},
		/* Nothing stored, or not enough to tell. */
		{ZRAM0, "0 0 0 0 0 0 0 0 0\n", 512 * MIB, 0},
		{ZRAM0, "16777215 100 4194304 0 0 0 0 0 0\n", 512 * MIB, 4 * MIB},
		{ZRAM0, "16777216 100 4194304 0 0 0 0 0 0\n", 768 * MIB, 4 * MIB},
		{ZRAM0, QUARTER, 768 * MIB, 256 * MIB},
		{DISK ZRAM0, QUARTER, GIB + 768 * MIB, 256 * MIB},
		/* Older kernels have fewer numbers. */
		{ZRAM0, "1073741824 250000000 268435456 0 0 0 0\n", 768 * MIB, 256 * MIB},
		/* What does not compress, and a pool full of holes. */
		{ZRAM0, "1073741824 1073741824 1073741824 0 0 0 0 0 0\n", 0, GIB},
		{ZRAM0, "1073741824 1073741824 2147483648 0 0 0 0 0 0\n", 0, 2 * GIB},
		/* 44 MiB are left to the pool, for 176 MiB; none. */
		{ZRAM0, "1073741824 250000000 268435456 314572800 0 0 0 0 0\n", 132 * MIB,
		 256 * MIB},
		{ZRAM0, "1073741824 250000000 268435456 268435456 0 0 0 0 0\n", 0, 256 * MIB},
		{ZRAM0, "1073741824 250000000 268435456 1 0 0 0 0 0\n", 0, 256 * MIB},
		{ZRAM0, "0 0 0 104857600 0 0 0 0 0\n", 100 * MIB, 0},
		/* A zram by name, and none. */
		{"/dev/zram0\\040(deleted) partition 2097152 1048576 1\n", QUARTER, 768 * MIB,
		 256 * MIB},
		{"/dev/zram0p1 partition 1048576 524288 1\n"
		 "/dev/zram0p2 partition 1048576 524288 1\n",
		 QUARTER, 768 * MIB, 256 * MIB},
		{"/var/zram0 file 2097152 1048576 1\n", QUARTER, GIB, 0},
		{"/dev/zram partition 2097152 1048576 1\n", QUARTER, GIB, 0},
		{"/dev/zram0x partition 2097152 1048576 1\n", QUARTER, GIB, 0},
	};
	struct fixture *f = *state;
	char text[1024];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), HEAD "%s", rows[i].list);
		put(f, "swaps", text);
		put(f, "zram0/mm_stat", rows[i].mm_stat);
		assert_int_equal(look_anew(f), 0);
		assert_true(sample_has_mem(&f->s, MEM_SWAP_ROOM));
		assert_true(sample_has_mem(&f->s, MEM_ZRAM));
		assert_about(f->s.mem[MEM_SWAP_ROOM], rows[i].room);
		assert_int_equal(f->s.mem[MEM_ZRAM], rows[i].held);
	}
	/* Never more than is free. */
	put(f, "swaps", HEAD DISK);
	f->s.mem[MEM_SWAP_FREE] = 100 * MIB;
	assert_int_equal(look(f), 0);
	assert_int_equal(f->s.mem[MEM_SWAP_ROOM], 100 * MIB);
}

static void devices_come_and_go(void **state)
{
	struct fixture *f = *state;

	put(f, "zram0/mm_stat", QUARTER);
	put(f, "zram1/mm_stat", "1073741824 500000000 536870912 0 0 0 0 0 0\n");
	put(f, "swaps", HEAD ZRAM0 ZRAM1);
	assert_int_equal(look(f), 0);
	assert_about(f->s.mem[MEM_SWAP_ROOM], (768 + 512) * MIB);
	assert_int_equal(f->s.mem[MEM_ZRAM], (256 + 512) * MIB);
	put(f, "swaps", HEAD ZRAM1);
	assert_int_equal(look_anew(f), 0);
	assert_about(f->s.mem[MEM_SWAP_ROOM], 512 * MIB);
	assert_int_equal(f->s.mem[MEM_ZRAM], 512 * MIB);
	put(f, "swaps", HEAD DISK ZRAM0);
	assert_int_equal(look_anew(f), 0);
	assert_about(f->s.mem[MEM_SWAP_ROOM], (1024 + 768) * MIB);
	assert_int_equal(f->s.mem[MEM_ZRAM], 256 * MIB);
}

static void nothing_is_read_while_swap_is_the_same(void **state)
{
	struct fixture *f = *state;

	put(f, "zram0/mm_stat", QUARTER);
	put(f, "swaps", HEAD ZRAM0);
	assert_int_equal(look(f), 0);
	put(f, "swaps", HEAD);
	f->s.time_us += 60 * SEC - 1;
	assert_int_equal(look(f), 0);
	assert_about(f->s.mem[MEM_SWAP_ROOM], 768 * MIB);
	f->s.time_us++;
	assert_int_equal(look(f), 0);
	assert_int_equal(f->s.mem[MEM_SWAP_ROOM], 0);

	put(f, "swaps", HEAD ZRAM0);
	f->s.mem[MEM_SWAP_FREE]--;
	assert_int_equal(look(f), 0);
	assert_about(f->s.mem[MEM_SWAP_ROOM], 768 * MIB);
	put(f, "swaps", HEAD);
	f->s.mem[MEM_SWAP_TOTAL]--;
	assert_int_equal(look(f), 0);
	assert_int_equal(f->s.mem[MEM_SWAP_ROOM], 0);
}

static void a_list_that_is_wrong_says_nothing(void **state)
{
	static const char *const lists[] = {
		"",
		"Filename",
		DISK,
		HEAD "\n",
		HEAD "/dev/sda2\n",
		HEAD "/dev/sda2 partition 10\n",
		HEAD "/dev/sda2 partition 10 -1 1\n",
		HEAD "/dev/sda2 partition x 0 1\n",
		HEAD "/dev/sda2 partition 10 11 1\n",
		HEAD "/dev/sda2 partition 18446744073709551615 0 1\n",
		HEAD "/dev/sda2 partition 99999999999999999999999 0 1\n",
		HEAD ZRAM0 "/dev/sda2 partition\n",
	};
	struct fixture *f = *state;

	put(f, "zram0/mm_stat", QUARTER);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		put(f, "swaps", lists[i]);
		assert_int_equal(look_anew(f), -EBADMSG);
		assert_false(sample_has_mem(&f->s, MEM_SWAP_ROOM));
		assert_false(sample_has_mem(&f->s, MEM_ZRAM));
		/* Nor does it when it is not looked at again. */
		assert_int_equal(look(f), -EBADMSG);
	}
	/* A line that has been cut is not a line. */
	put(f, "swaps", HEAD DISK "/dev/sdb1 partition 2097152 10");
	assert_int_equal(look_anew(f), 0);
	assert_int_equal(f->s.mem[MEM_SWAP_ROOM], GIB);
}

static void no_list(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(look(f), -ENOENT);
	assert_false(sample_has_mem(&f->s, MEM_SWAP_ROOM));
	/* Without swap none is missing, without meminfo nothing is asked for. */
	f->s.mem[MEM_SWAP_TOTAL] = f->s.mem[MEM_SWAP_FREE] = 0;
	assert_int_equal(look(f), 0);
	assert_true(sample_has_mem(&f->s, MEM_SWAP_ROOM) && sample_has_mem(&f->s, MEM_ZRAM));
	assert_int_equal(f->s.mem[MEM_SWAP_ROOM], 0);
	f->s.mem_have = 1U << MEM_SWAP_TOTAL;
	assert_int_equal(look(f), 0);
	assert_int_equal(f->s.mem_have, 1U << MEM_SWAP_TOTAL);
}

/* What such a device holds is not known then, and half of what is free is room. */
static void a_zram_that_is_wrong_is_taken_for_half(void **state)
{
	static const char *const stats[] = {
		"",
		"1073741824 250000000 268435456 0 268435456",
		"1073741824 250000000 268435456\n",
		"1073741824 250000000 x 0\n",
		"1073741824 250000000 -1 0\n",
		"99999999999999999999999 0 0 0\n",
	};
	struct fixture *f = *state;
	char path[128];

	put(f, "swaps", HEAD ZRAM0);
	assert_int_equal(look(f), 0);
	assert_int_equal(f->s.mem[MEM_SWAP_ROOM], 512 * MIB);
	for (size_t i = 0; i < sizeof(stats) / sizeof(stats[0]); i++) {
		put(f, "zram0/mm_stat", stats[i]);
		assert_int_equal(look_anew(f), 0);
		assert_true(sample_has_mem(&f->s, MEM_SWAP_ROOM));
		assert_int_equal(f->s.mem[MEM_SWAP_ROOM], 512 * MIB);
		assert_false(sample_has_mem(&f->s, MEM_ZRAM));
	}
	/* Nothing wraps. */
	put(f, "zram0/mm_stat",
	    "18446744073709551615 0 18446744073709551615 18446744073709551615\n");
	assert_int_equal(look_anew(f), 0);
	assert_int_equal(f->s.mem[MEM_SWAP_ROOM], 0);
	put(f, "zram0/mm_stat", "18446744073709551615 0 0 18446744073709551615\n");
	assert_int_equal(look_anew(f), 0);
	assert_about(f->s.mem[MEM_SWAP_ROOM], GIB);

	/* A file that opens and cannot be read is opened again. */
	snprintf(path, sizeof(path), "%s/zram1/mm_stat", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	put(f, "swaps", HEAD ZRAM1);
	assert_int_equal(look_anew(f), 0);
	assert_int_equal(f->s.mem[MEM_SWAP_ROOM], 512 * MIB);
	assert_int_equal(rmdir(path), 0);
	put(f, "zram1/mm_stat", QUARTER);
	assert_int_equal(look_anew(f), 0);
	assert_about(f->s.mem[MEM_SWAP_ROOM], 768 * MIB);
}

static unsigned int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void files_stay_open_and_are_closed(void **state)
{
	struct fixture *f = *state;
	unsigned int before = open_fds();

	put(f, "zram0/mm_stat", QUARTER);
	put(f, "zram1/mm_stat", QUARTER);
	put(f, "swaps", HEAD ZRAM0 ZRAM1);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(look_anew(f), 0);
		assert_int_equal(open_fds(), before + 3);
	}
	put(f, "swaps", HEAD ZRAM1);
	assert_int_equal(look_anew(f), 0);
	assert_int_equal(open_fds(), before + 2);
	swaps_done(&f->swaps);
	assert_int_equal(open_fds(), before);
}

/* More than any kernel has. */
static void a_list_without_end(void **state)
{
	struct fixture *f = *state;
	char text[8192] = HEAD;

	put(f, "zram0/mm_stat", QUARTER);
	for (int i = 0; i < SWAPS_MAX + 3; i++)
		strcat(text, ZRAM0);
	put(f, "swaps", text);
	f->s.mem[MEM_SWAP_FREE] = 100 * GIB;
	assert_int_equal(look(f), 0);
	assert_about(f->s.mem[MEM_SWAP_ROOM], SWAPS_MAX * 768 * MIB);
	assert_int_equal(f->s.mem[MEM_ZRAM], 256 * MIB);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_each_device_frees_and_holds),
		CASE(devices_come_and_go),
		CASE(nothing_is_read_while_swap_is_the_same),
		CASE(a_list_that_is_wrong_says_nothing),
		CASE(no_list),
		CASE(a_zram_that_is_wrong_is_taken_for_half),
		CASE(files_stay_open_and_are_closed),
		CASE(a_list_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
