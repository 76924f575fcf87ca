// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one record of the history costs the loop while the disk is busy: written by the loop
 * itself, and handed to the writer's thread.
 *
 * A child writes to the same file system as fast as it can, with fsync() after
 * each 4 MiB, so that the journal is at work. "Evicted": the page to be written to
 * has left the page cache, as it has on a machine that is short of memory, and
 * is read first. Wall time of the call, in turns within one run; the largest is
 * what a decision would wait.
 *
 *   history DIRECTORY [SECONDS [CSV]]
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "basic/history-file.h"
#include "serve/writer.h"

#define LOAD_BYTES (4 << 20)
#define LOAD_FILE  (64 << 20)
#define PERIOD_NS  (2 * 1000 * 1000)
#define CALLS_MAX  100000

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(FILE *csv, const char *what, double *us, int n)
{
	qsort(us, n, sizeof(*us), compare);
	for (int i = 0; csv && i < n; i++)
		fprintf(csv, "%s,%d,%.2f\n", what, i + 1, us[i]);
	printf("%-22s median %8.1f us, 99 %% %10.1f us, largest %10.1f us of %d\n", what, us[n / 2],
	       us[n * 99 / 100], us[n - 1], n);
}

static void load(int fd)
{
	char *block = malloc(LOAD_BYTES);

	if (!block)
		_exit(1);
	memset(block, 1, LOAD_BYTES);
	for (off_t at = 0;; at = (at + LOAD_BYTES) % LOAD_FILE)
		if (pwrite(fd, block, LOAD_BYTES, at) < 0 || fsync(fd) < 0)
			_exit(1);
}

static int temporary(const char *dir)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/history-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

int main(int argc, char **argv)
{
	static double direct_us[CALLS_MAX], evicted_us[CALLS_MAX], thread_us[CALLS_MAX];
	char record[HISTORY_RECORD_BYTES] = {1};
	double seconds = argc > 2 ? atof(argv[2]) : 10, end;
	struct timespec pause = {0, PERIOD_NS};
	struct writer *w;
	int fd, load_fd, n = 0;
	FILE *csv = NULL;
	pid_t child;

	fd = argc > 1 ? temporary(argv[1]) : -1;
	load_fd = argc > 1 ? temporary(argv[1]) : -1;
	if (fd < 0 || load_fd < 0 || writer_new(&w) < 0) {
		fprintf(stderr, "usage: bench-history DIRECTORY [SECONDS [CSV]]\n");
		return 2;
	}
	if (argc > 3) {
		csv = fopen(argv[3], "w");
		if (!csv) {
			perror(argv[3]);
			return 1;
		}
	}
	child = fork();
	if (child == 0)
		load(load_fd);
	end = now_us() + seconds * 1e6;
	for (n = 0; now_us() < end && n < CALLS_MAX; n++) {
		off_t at = (off_t)history_offset(18432, (uint64_t)n);
		double t = now_us();

		if (pwrite(fd, record, sizeof(record), at) < 0)
			break;
		direct_us[n] = now_us() - t;
		if (fdatasync(fd) < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
			break;
		t = now_us();
		if (pwrite(fd, record, sizeof(record), at) < 0)
			break;
		evicted_us[n] = now_us() - t;
		if (fdatasync(fd) < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
			break;
		t = now_us();
		(void)writer_record(w, fd, record, sizeof(record), at);
		thread_us[n] = now_us() - t;
		nanosleep(&pause, NULL);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	if (csv)
		fprintf(csv, "what,rank,us\n");
	if (n > 0) {
		report(csv, "written by the loop", direct_us, n);
		report(csv, "... evicted", evicted_us, n);
		report(csv, "handed to the thread", thread_us, n);
	}
	writer_free(w);
	if (csv && fclose(csv) != 0) {
		perror(argv[3]);
		return 1;
	}
	return 0;
}
