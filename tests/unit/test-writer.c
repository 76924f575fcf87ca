// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The thread that writes: what cannot be written is told to who asks, leaves what was there, and leaves
 * nothing lying about. The disk is full, read-only, or takes a part.
 *
 * A disk that hangs is for test-history.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/writer.h"
#include "stopped-thread.h"

static char dir[] = "/tmp/test-writer-XXXXXX";
static char path[64], beside[80];
static struct writer *w;

static int setup(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	snprintf(beside, sizeof(beside), "%s.new", path);
	return writer_new(&w);
}

static int teardown(void **state)
{
	(void)state;
	writer_free(w);
	unlink(path);
	unlink(beside);
	return rmdir(dir);
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void has(const char *name, const char *want)
{
	char got[64] = "";
	FILE *f = fopen(name, "r");

	assert_non_null(f);
	got[fread(got, 1, sizeof(got) - 1, f)] = '\0';
	fclose(f);
	assert_string_equal(got, want);
}

static int replaced(const char *name, const char *text)
{
	assert_int_equal(writer_replace(w, WRITER_METRICS, name, text, strlen(text)), 0);
	writer_flush(w);
	return writer_replace_result(w, WRITER_METRICS);
}

static int recorded(int fd, const void *data, size_t n, off_t offset)
{
	assert_int_equal(writer_record(w, fd, data, n, offset), 0);
	writer_flush(w);
	return writer_record_result(w);
}

static void a_file_that_cannot_be_replaced(void **state)
{
	char other[96];

	(void)state;
	snprintf(other, sizeof(other), "%s/missing/file", dir);
	assert_int_equal(replaced(other, "x"), -ENOENT);
	put(path, "before");
	snprintf(other, sizeof(other), "%s/file", path);
	assert_int_equal(replaced(other, "x"), -ENOTDIR);
	has(path, "before");
	/* The next one that works is what counts. */
	assert_int_equal(replaced(path, "after"), 0);
	has(path, "after");
}

static void a_folder_stands_in_the_way(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(replaced(path, "x"), -EISDIR);
	/* Nothing of it is left. */
	assert_int_equal(access(beside, F_OK), -1);
	assert_int_equal(rmdir(path), 0);
	/* Of one that was killed: not written into, whatever it is. */
	assert_int_equal(symlink("/dev/null", beside), 0);
	assert_int_equal(replaced(path, "x"), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(access(beside, F_OK), -1);
	/* A folder with something in it cannot be cleared away. */
	assert_int_equal(mkdir(beside, 0700), 0);
	assert_int_equal(replaced(path, "y"), -EEXIST);
	has(path, "x");
	assert_int_equal(rmdir(beside), 0);
}

static void a_disk_that_is_full(void **state)
{
	struct rlimit before, small = {.rlim_cur = 8, .rlim_max = RLIM_INFINITY};
	char got[8];
	int fd;

	(void)state;
	fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	assert_int_equal(recorded(fd, "record", 6, 0), -ENOSPC);
	close(fd);
	put(path, "before");
	/* Files may have 8 bytes: the first part is taken, the rest is not. */
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	small.rlim_max = before.rlim_max;
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(replaced(path, "more than eight bytes"), -EFBIG);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(recorded(fd, "more than eight bytes", 21, 0), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(access(beside, F_OK), -1);
	assert_int_equal(pread(fd, got, 8, 0), 8);
	assert_memory_equal(got, "more tha", 8);
	assert_int_equal(recorded(fd, "-", 1, 4), 0);
	assert_int_equal(pread(fd, got, 8, 0), 8);
	assert_memory_equal(got, "more-tha", 8);
	close(fd);
}

static void a_record_that_cannot_be_written(void **state)
{
	int fd;

	(void)state;
	put(path, "before");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(recorded(fd, "x", 1, 0), -EBADF);
	close(fd);
	has(path, "before");
}

static void what_is_too_large_is_refused_at_once(void **state)
{
	static char large[1 << 20], longer[PATH_MAX + 16];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	assert_int_equal(writer_replace(w, WRITER_METRICS, longer, "x", 1), -ENAMETOOLONG);
	assert_int_equal(writer_replace(w, WRITER_METRICS, path, large, sizeof(large)), -E2BIG);
	assert_int_equal(writer_record(w, 0, large, WRITER_RECORD_MAX + 1, 0), -E2BIG);
	writer_flush(w);
	assert_int_equal(access(path, F_OK), -1);
}

/* What happens in dir: a letter for each event in a row of its kind. */
static void events(int watch, char *ret, size_t size)
{
	char buf[65536] __attribute__((aligned(8)));
	ssize_t n = read(watch, buf, sizeof(buf));
	size_t used = 0;

	assert_true(n > 0);
	for (char *p = buf; p < buf + n;) {
		const struct inotify_event *e = (const struct inotify_event *)p;
		char c = e->mask & IN_MOVED_TO ? 'f' : strcmp(e->name, "records") == 0 ? 'r' : 0;

		if (c && used + 1 < size && (!used || ret[used - 1] != c))
			ret[used++] = c;
		p += sizeof(*e) + e->len;
	}
	ret[used] = '\0';
}

/* A disk that is slower than records come never comes to the end of them. */
static void files_are_written_among_records(void **state)
{
	int watch = inotify_init1(IN_CLOEXEC), fd;
	char name[64], seen[16];

	(void)state;
	snprintf(name, sizeof(name), "%s/records", dir);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && watch >= 0);
	stop_thread(writer_thread());
	assert_true(inotify_add_watch(watch, dir, IN_MODIFY | IN_MOVED_TO) >= 0);
	for (off_t i = 0; i < 100; i++)
		assert_int_equal(writer_record(w, fd, "x", 1, i), 0);
	assert_int_equal(writer_replace(w, WRITER_HOLD, path, "x", 1), 0);
	release_thread();
	writer_flush(w);
	events(watch, seen, sizeof(seen));
	/* At most one record comes first, and the others follow. */
	assert_true(strcmp(seen, "fr") == 0 || strcmp(seen, "rfr") == 0);
	has(path, "x");
	close(watch);
	close(fd);
	unlink(name);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_file_that_cannot_be_replaced),
		T(a_folder_stands_in_the_way),
		T(a_disk_that_is_full),
		T(a_record_that_cannot_be_written),
		T(what_is_too_large_is_refused_at_once),
		T(files_are_written_among_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
