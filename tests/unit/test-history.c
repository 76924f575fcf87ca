// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The history on a real disk: what is recorded and when, what survives a restart, and every
 * way in which the file can be damaged. Time is an argument.
 */
#include "sample-maker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/history.h"

#define T0 (1700000000 * SEC)

static char dir[] = "/tmp/test-history-XXXXXX";
static char path[64], damaged[64];

struct fixture {
	struct writer *writer;
	struct history *history;
	struct history_opened opened;
	uint64_t now_us;
	struct sample s;
	struct policy_decision d;
};

static struct fixture f;

static void open_it(const char *where)
{
	assert_int_equal(writer_new(&f.writer), 0);
	assert_int_equal(history_open(where, f.writer, &f.history, &f.opened), 0);
}

static void close_it(void)
{
	writer_free(f.writer);
	history_free(f.history);
	f.writer = NULL;
	f.history = NULL;
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/history", dir);
	snprintf(damaged, sizeof(damaged), "%s/history.damaged", dir);
	f = (struct fixture){.now_us = 1000 * SEC};
	f.s = healthy(f.now_us);
	set_balloon(&f.s, GIB);
	f.d.reason = REASON_STEADY;
	f.d.target = GIB;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (f.history)
		close_it();
	unlink(path);
	unlink(damaged);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

/* The daemon decides, @after_us later. */
static void decide(uint64_t after_us, enum policy_reason reason)
{
	f.now_us += after_us;
	f.d.reason = reason;
	history_decision(f.history, f.now_us, T0 + f.now_us, &f.s, &f.d, MODE_AUTO, LAW_ADAPTIVE);
	writer_flush(f.writer);
}

/* Everything that a reader finds. */
static struct history_record found[HISTORY_CAPACITY];
static size_t n_found;

static void collect(void *ctx, const struct history_record *r)
{
	(void)ctx;
	assert_true(n_found < HISTORY_CAPACITY);
	found[n_found++] = *r;
}

static struct history_scan look(void)
{
	struct history_scan scan;
	int fd;

	writer_flush(f.writer);
	fd = history_open_reader(f.history);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	n_found = 0;
	assert_int_equal(history_scan(fd, collect, NULL, &scan), 0);
	close(fd);
	return scan;
}

static void checksum_is_crc32(void **state)
{
	(void)state;
	/* The check value of CRC-32/ISO-HDLC. */
	assert_int_equal(history_checksum("123456789", 9), 0xcbf43926);
	assert_int_equal(history_checksum("", 0), 0);
}

static void what_is_recorded(void **state)
{
	(void)state;
	open_it(dir);
	assert_true(f.opened.in_file);
	assert_string_equal(f.opened.news, "");
	decide(0, REASON_STEADY);
	assert_int_equal(look().records, 1);
	assert_true(found[0].flags & HISTORY_CHANGED);
	assert_string_equal(found[0].n.reason, "steady");
	assert_string_equal(found[0].n.mode, "auto");
	assert_string_equal(found[0].n.law, "adaptive");
	assert_int_equal(found[0].time_us, T0 + f.now_us);
	assert_int_equal(found[0].n.size, GIB);

	/* The same again is recorded after 10 s, with the extremes in between. */
	f.d.n.mem_some_permille = 77;
	f.s.mem[MEM_AVAILABLE] = 123;
	f.s.trigger = TRIGGER_EARLY;
	decide(SEC, REASON_STEADY);
	f.d.n.mem_some_permille = 0;
	f.s.mem[MEM_AVAILABLE] = GIB;
	f.s.trigger = TRIGGER_NONE;
	for (int i = 0; i < 8; i++)
		decide(SEC, REASON_STEADY);
	assert_int_equal(look().records, 1);
	decide(SEC, REASON_STEADY);
	assert_int_equal(look().records, 2);
	assert_false(found[1].flags & HISTORY_CHANGED);
	assert_true(found[1].flags & HISTORY_EARLY);
	assert_int_equal(found[1].n.mem_some_permille, 77);
	assert_int_equal(found[1].n.available_min, 123);
	assert_int_equal(found[1].n.available, GIB);
	/* Only once. */
	decide(10 * SEC, REASON_STEADY);
	assert_int_equal(look().records, 3);
	assert_int_equal(found[2].n.mem_some_permille, 0);
	assert_false(found[2].flags & HISTORY_EARLY);

	/* A change is recorded at once: another reason, another direction. */
	decide(SEC, REASON_HOLD_OFF);
	assert_int_equal(look().records, 4);
	assert_true(found[3].flags & HISTORY_CHANGED);
	f.d.step = -4096;
	decide(SEC, REASON_HOLD_OFF);
	assert_int_equal(look().records, 5);
	assert_true(found[4].flags & HISTORY_DEFLATES);
	history_note(f.history, T0, "%0200d", 0);
	assert_int_equal(look().records, 6);
	assert_int_equal(found[5].kind, HISTORY_NOTE);
	assert_int_equal(strlen(found[5].text), sizeof(found[5].text) - 1);
}

static void missing_is_not_zero(void **state)
{
	(void)state;
	open_it(NULL);
	f.s.mem_have = 0;
	f.s.balloon = (struct sample_balloon){};
	decide(0, REASON_NO_DATA);
	look();
	assert_true(found[0].n.available == UINT64_MAX && found[0].n.free == UINT64_MAX);
	assert_true(found[0].flags & HISTORY_NO_BALLOON);
	assert_true(found[0].n.host_target == UINT64_MAX);
}

static void a_restless_policy_keeps_a_day(void **state)
{
	uint64_t oldest = UINT64_MAX;

	(void)state;
	open_it(dir);
	/* Another reason each second, for 40 h. */
	for (int i = 0; i < 40 * 3600; i++)
		decide(SEC, i % 2 ? REASON_SETTLING : REASON_CACHE);
	assert_int_equal(look().bad, 0);
	assert_int_equal(n_found, HISTORY_CAPACITY);
	for (size_t i = 0; i < n_found; i++)
		if (found[i].time_us < oldest)
			oldest = found[i].time_us;
	assert_true(T0 + f.now_us - oldest >= 24 * 3600 * SEC);
	/* And the file is as large as it was. */
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, HISTORY_HEADER_BYTES + HISTORY_CAPACITY * HISTORY_RECORD_BYTES);
}

static void survives_a_restart(void **state)
{
	struct history_scan scan;

	(void)state;
	open_it(dir);
	decide(0, REASON_STEADY);
	decide(10 * SEC, REASON_FREE);
	close_it();
	open_it(dir);
	assert_true(f.opened.in_file);
	assert_int_equal(f.opened.records, 2);
	assert_int_equal(f.opened.torn, 0);
	assert_string_equal(f.opened.news, "");
	decide(SEC, REASON_STEADY);
	scan = look();
	assert_int_equal(scan.records, 3);
	assert_int_equal(scan.newest, 3);
}

static void memory_only(void **state)
{
	(void)state;
	open_it(NULL);
	assert_false(f.opened.in_file);
	for (int i = 0; i < 5000; i++)
		decide(10 * SEC, REASON_STEADY);
	assert_int_equal(look().records, HISTORY_MEMORY_CAPACITY);
	close_it();
	open_it("/nonexistent/directory");
	assert_false(f.opened.in_file);
	assert_non_null(strstr(f.opened.news, "kept in memory"));
	decide(SEC, REASON_STEADY);
	assert_int_equal(look().records, 1);
}

static void one_daemon_a_directory(void **state)
{
	struct history_opened opened;
	struct history *second;

	(void)state;
	open_it(dir);
	assert_int_equal(history_open(dir, f.writer, &second, &opened), 0);
	assert_false(opened.in_file);
	assert_non_null(strstr(opened.news, "another balloond"));
	writer_flush(f.writer);
	history_free(second);
}

/* --- damage --- */

static void overwrite(off_t offset, const void *data, size_t n)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, n, offset), n);
	close(fd);
}

static void make_some(int n)
{
	open_it(dir);
	for (int i = 0; i < n; i++)
		decide(10 * SEC, REASON_STEADY);
	close_it();
}

static void a_torn_record_is_skipped(void **state)
{
	(void)state;
	make_some(5);
	/* Half of record 3, as a crash leaves it. */
	overwrite((off_t)history_offset(HISTORY_CAPACITY, 3) + 80, "torn torn torn", 14);
	open_it(dir);
	assert_true(f.opened.in_file);
	assert_string_equal(f.opened.news, "");
	assert_int_equal(f.opened.torn, 1);
	assert_int_equal(f.opened.records, 4);
	decide(SEC, REASON_STEADY);
	assert_int_equal(look().records, 5);
}

static void is_set_aside(void)
{
	open_it(dir);
	assert_true(f.opened.in_file);
	assert_non_null(strstr(f.opened.news, "history.damaged"));
	assert_int_equal(f.opened.records, 0);
	assert_int_equal(access(damaged, F_OK), 0);
	decide(SEC, REASON_STEADY);
	assert_int_equal(look().records, 1);
	close_it();
}

static void damaged_files_are_set_aside(void **state)
{
	char noise[100 * HISTORY_RECORD_BYTES];
	uint32_t capacity = 17;
	struct history_header header;
	int fd;

	(void)state;
	make_some(200);
	memset(noise, 0xa5, sizeof(noise));
	overwrite((off_t)history_offset(HISTORY_CAPACITY, 50), noise, sizeof(noise));
	is_set_aside();

	overwrite(0, "garbage", 7);
	is_set_aside();

	assert_int_equal(truncate(path, 100000), 0);
	is_set_aside();

	assert_int_equal(truncate(path, 0), 0);
	is_set_aside();

	/* A header that is sound, of another capacity: the rest cannot be where it says. */
	history_header_make(&header, capacity);
	overwrite(0, &header, sizeof(header));
	is_set_aside();

	/* What a header claims is not allocated, and zero is not divided by. */
	for (int i = 0; i < 2; i++) {
		history_header_make(&header, i ? UINT32_MAX : 0);
		overwrite(0, &header, sizeof(header));
		is_set_aside();
	}

	fd = open("/dev/urandom", O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, noise, sizeof(noise)), sizeof(noise));
	close(fd);
	assert_int_equal(truncate(path, 0), 0);
	overwrite(0, noise, sizeof(noise));
	is_set_aside();
}

static void odd_files_are_set_aside(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	is_set_aside();
	unlink(path);
	unlink(damaged);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	is_set_aside();
	unlink(path);
	unlink(damaged);
	assert_int_equal(mkdir(path, 0700), 0);
	is_set_aside();
	assert_int_equal(rmdir(damaged), 0);
}

static void a_record_in_the_wrong_place_is_not_believed(void **state)
{
	struct history_record r;
	int fd;

	(void)state;
	make_some(3);
	fd = open(path, O_RDONLY);
	assert_int_equal(history_read_record(fd, HISTORY_CAPACITY, 2, &r), 0);
	assert_int_equal(history_read_record(fd, HISTORY_CAPACITY, 4, &r), -ENOENT);
	assert_int_equal(history_read_record(fd, HISTORY_CAPACITY, 2 + HISTORY_CAPACITY, &r), -ENOENT);
	close(fd);
	overwrite((off_t)history_offset(HISTORY_CAPACITY, 9), &r, sizeof(r));
	open_it(dir);
	assert_int_equal(f.opened.records, 3);
	assert_int_equal(f.opened.torn, 1);
}

/* --- the writer --- */

static void a_disk_that_is_behind_loses_records_not_time(void **state)
{
	char block[WRITER_RECORD_MAX] = {};
	int lost = 0, pipes[2];

	(void)state;
	/* pwrite() on a pipe fails; the queue is what is tested: it is bounded. */
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(writer_new(&f.writer), 0);
	for (int i = 0; i < 100000; i++)
		lost += writer_record(f.writer, pipes[1], block, sizeof(block), 0) == -ENOBUFS;
	writer_flush(f.writer);
	assert_int_equal(writer_record_result(f.writer), -ESPIPE);
	assert_true(lost > 0);
	assert_int_equal(writer_record(f.writer, 0, block, sizeof(block) + 1, 0), -E2BIG);
	writer_free(f.writer);
	close(pipes[0]);
	close(pipes[1]);
}

static void a_file_is_replaced_as_a_whole(void **state)
{
	char text[16] = "";
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(writer_new(&f.writer), 0);
	assert_int_equal(writer_replace(f.writer, WRITER_METRICS, path, "first", 5), 0);
	writer_flush(f.writer);
	fd = open(path, O_RDONLY);
	assert_int_equal(writer_replace(f.writer, WRITER_METRICS, path, "second", 6), 0);
	writer_flush(f.writer);
	assert_int_equal(writer_replace_result(f.writer, WRITER_METRICS), 0);
	/* Who had it open still reads the old one. */
	assert_int_equal(read(fd, text, sizeof(text)), 5);
	assert_string_equal(text, "first");
	close(fd);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(st.st_size, 6);
	assert_int_equal(
		writer_replace(f.writer, WRITER_METRICS, "/nonexistent/file.prom", "x", 1), 0);
	writer_flush(f.writer);
	assert_int_equal(writer_replace_result(f.writer, WRITER_METRICS), -ENOENT);
	writer_free(f.writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(checksum_is_crc32),
		T(what_is_recorded),
		T(missing_is_not_zero),
		T(a_restless_policy_keeps_a_day),
		T(survives_a_restart),
		T(memory_only),
		T(one_daemon_a_directory),
		T(a_torn_record_is_skipped),
		T(damaged_files_are_set_aside),
		T(odd_files_are_set_aside),
		T(a_record_in_the_wrong_place_is_not_believed),
		T(a_disk_that_is_behind_loses_records_not_time),
		T(a_file_is_replaced_as_a_whole),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
