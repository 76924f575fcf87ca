// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The reader of the history, with files that are not what they should be: another version, cut off,
 * torn, of a daemon that knows more. What is whole is read; nothing else is believed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/history-file.h"

#define CAPACITY 70 /* more than are read at once */

static int fd = -1;
static uint64_t seen[CAPACITY + 1];
static unsigned n_seen;

static void put(const struct history_record *r)
{
	assert_int_equal(pwrite(fd, r, sizeof(*r), (off_t)history_offset(CAPACITY, r->number)),
			 sizeof(*r));
}

static struct history_record note(uint64_t number)
{
	struct history_record r = {.number = number, .time_us = number, .kind = HISTORY_NOTE};

	snprintf(r.text, sizeof(r.text), "note %u", (unsigned)number);
	history_record_seal(&r);
	return r;
}

/* Full: the last CAPACITY of 100 records. */
static int setup(void **state)
{
	char path[] = "/tmp/test-history-file-XXXXXX";
	struct history_header h;

	(void)state;
	fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	history_header_make(&h, CAPACITY);
	assert_int_equal(pwrite(fd, &h, sizeof(h), 0), sizeof(h));
	for (uint64_t i = 1; i <= 100; i++) {
		struct history_record r = note(i);

		put(&r);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(fd);
	return 0;
}

static void see(void *ctx, const struct history_record *r)
{
	(void)ctx;
	seen[n_seen++] = r->number;
}

static int scan(struct history_scan *ret)
{
	n_seen = 0;
	return history_scan(fd, see, NULL, ret);
}

static void all_of_it(void **state)
{
	struct history_record r;
	struct history_scan s;

	(void)state;
	assert_int_equal(scan(&s), 0);
	assert_int_equal(s.capacity, CAPACITY);
	assert_int_equal(s.newest, 100);
	assert_int_equal(s.records, CAPACITY);
	assert_int_equal(s.bad, 0);
	assert_int_equal(n_seen, CAPACITY);
	assert_int_equal(history_scan(fd, NULL, NULL, &s), 0);
	assert_int_equal(history_read_record(fd, CAPACITY, 100, &r), 0);
	assert_string_equal(r.text, "note 100");
	/* Overwritten since, and not yet there. */
	assert_int_equal(history_read_record(fd, CAPACITY, 30, &r), -ENOENT);
	assert_int_equal(history_read_record(fd, CAPACITY, 101, &r), -ENOENT);
}

static void a_header_that_is_none(void **state)
{
	struct history_header h, good;
	struct history_scan s = {.capacity = 7};

	(void)state;
	history_header_make(&good, CAPACITY);
	for (int i = 0; i < 5; i++) {
		h = good;
		if (i == 0)
			h.magic ^= 1;
		else if (i == 1)
			h.version++;
		else if (i == 2)
			h.record_bytes--;
		else if (i == 3)
			h.checksum ^= 1;
		else
			history_header_make(&h, 0);
		assert_int_equal(pwrite(fd, &h, sizeof(h), 0), sizeof(h));
		assert_int_equal(scan(&s), -EBADMSG);
	}
	history_header_make(&h, HISTORY_CAPACITY_MAX + 1);
	assert_int_equal(pwrite(fd, &h, sizeof(h), 0), sizeof(h));
	assert_int_equal(scan(&s), -EBADMSG);
	assert_int_equal(s.capacity, 7);
	assert_int_equal(n_seen, 0);
}

static void cut_off(void **state)
{
	struct history_record r;
	struct history_scan s;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)history_offset(CAPACITY, 69) + 10), 0);
	assert_int_equal(scan(&s), -ENODATA);
	assert_int_equal(history_read_record(fd, CAPACITY, 69, &r), -ENODATA);
	assert_int_equal(ftruncate(fd, 10), 0);
	assert_int_equal(scan(&s), -ENODATA);
}

static void torn(void **state)
{
	struct history_record r = note(100), got;
	struct history_scan s;

	(void)state;
	/* In the middle, in a slot that would be empty but for a byte, and whole but elsewhere. */
	r.text[1] ^= 1;
	put(&r);
	memset(&r, 0, sizeof(r));
	r.text[5] = 1;
	assert_int_equal(pwrite(fd, &r, sizeof(r), (off_t)history_offset(CAPACITY, 99)), sizeof(r));
	r = note(98);
	assert_int_equal(pwrite(fd, &r, sizeof(r), (off_t)history_offset(CAPACITY, 97)), sizeof(r));
	assert_int_equal(scan(&s), 0);
	assert_int_equal(s.bad, 3);
	assert_int_equal(s.records, CAPACITY - 3);
	assert_int_equal(s.newest, 98);
	for (uint64_t number = 97; number <= 100; number++)
		assert_int_equal(history_read_record(fd, CAPACITY, number, &got),
				 number == 98 ? 0 : -ENOENT);
	/* Never used. */
	memset(&r, 0, sizeof(r));
	assert_int_equal(pwrite(fd, &r, sizeof(r), (off_t)history_offset(CAPACITY, 99)), sizeof(r));
	assert_int_equal(scan(&s), 0);
	assert_int_equal(s.bad, 2);
}

static void of_a_daemon_that_knows_more(void **state)
{
	struct history_record r = note(100), got = {};
	struct history_scan s;

	(void)state;
	r.kind = 77;
	history_record_seal(&r);
	put(&r);
	/* Texts without an end. */
	r = note(99);
	memset(r.text, 'x', sizeof(r.text));
	history_record_seal(&r);
	put(&r);
	r = note(98);
	r.kind = HISTORY_DECISION;
	memset(&r.n, 'y', sizeof(r.n));
	history_record_seal(&r);
	put(&r);
	assert_int_equal(scan(&s), 0);
	assert_int_equal(s.bad, 0);
	assert_int_equal(s.newest, 100);
	assert_int_equal(n_seen, CAPACITY - 1);
	assert_int_equal(history_read_record(fd, CAPACITY, 100, &got), -ENOENT);
	assert_int_equal(history_read_record(fd, CAPACITY, 99, &got), 0);
	assert_int_equal(strlen(got.text), sizeof(got.text) - 1);
	assert_int_equal(history_read_record(fd, CAPACITY, 98, &got), 0);
	assert_int_equal(strlen(got.n.mode), sizeof(got.n.mode) - 1);
	assert_int_equal(strlen(got.n.reason), sizeof(got.n.reason) - 1);
}

static void a_file_that_cannot_be_read(void **state)
{
	struct history_record r;
	struct history_scan s;
	int other = open("/", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(history_scan(other, see, NULL, &s), -EISDIR);
	assert_int_equal(history_read_record(other, CAPACITY, 1, &r), -EISDIR);
	close(other);
	assert_int_equal(history_scan(-1, see, NULL, &s), -EBADF);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(all_of_it), T(a_header_that_is_none), T(cut_off), T(torn),
		T(of_a_daemon_that_knows_more), T(a_file_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
