// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * writer.c - write to files without waiting for the disk
 *
 * Even a write of 200 bytes into the page cache may wait: for a free page, for the journal, and for
 * the disk itself if the page was evicted and has to be read first. That is the state of a
 * machine that thrashes, where the disk is busy with swap for seconds. So one thread does nothing
 * but write, from a queue of fixed size; the loop never takes longer than it takes to copy a
 * record and to wake the thread. tests/bench/history.c measures both.
 *
 * Invariants: the lock is never held across a system call that touches a file;
 * nothing is allocated or first touched after writer_new(); the thread blocks all signals.
 *
 * Leaves out: what is written, and fsync(). What a crash of the machine may cost is the
 * file system's write-back interval.
 */
#include "serve/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "basic/thread.h"

/* A minute of a disk that hangs at two records a second. */
#define QUEUE_MAX 128
#define EXIT_WAIT_S 2

struct record {
	int fd;
	off_t offset;
	size_t n;
	unsigned char data[WRITER_RECORD_MAX];
};

struct file {
	bool wanted;		/* path and data are new */
	bool remove;		/* there is to be no file */
	bool busy;		/* it is being written */
	char path[PATH_MAX];
	size_t n;
	char data[WRITER_FILE_MAX];
	mode_t mode;
	int result;
};

struct writer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_cond_t idle;

	/* All below: protected by lock. */
	bool stop;
	bool busy;		/* the thread writes something that is not in the queue any more */
	bool file_next;		/* a record was written last: now a file, if one is wanted */
	unsigned head;		/* next to be written */
	unsigned queued;
	struct record queue[QUEUE_MAX];
	struct file files[_WRITER_FILE_MAX];
	int record_result;

	/* The thread's own. */
	struct record current;
	struct file current_file;
};

static int write_record(const struct record *r)
{
	size_t done = 0;

	while (done < r->n) {
		ssize_t n = pwrite(r->fd, r->data + done, r->n - done, r->offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int write_all(int fd, const char *data, size_t left)
{
	while (left > 0) {
		ssize_t n = write(fd, data, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data += n;
		left -= (size_t)n;
	}
	return 0;
}

/* The new file has a name that node_exporter does not read: it wants *.prom. */
static int write_file(const struct file *f)
{
	char temporary[PATH_MAX + 8];
	_cleanup_close_ int fd = -1;
	int r;

	if (f->remove)
		return unlink(f->path) < 0 && errno != ENOENT ? -errno : 0;
	snprintf(temporary, sizeof(temporary), "%s.new", f->path);
	/* Left over from a daemon that was killed, or laid there by somebody else: not ours to follow. */
	(void)unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, f->mode);
	if (fd < 0)
		return -errno;
	r = write_all(fd, f->data, f->n);
	/* Whatever the umask is. */
	if (r == 0 && fchmod(fd, f->mode) < 0)
		r = -errno;
	if (r == 0 && rename(temporary, f->path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(temporary);
	return r;
}

/*
 * The file to be written next; NULL: none, or it is the turn of a record. A disk that is slower than
 * records come has always one more, and files are to be written all the same.
 */
static struct file *next_file(struct writer *w)
{
	if (w->queued > 0 && !w->file_next)
		return NULL;
	for (int i = 0; i < _WRITER_FILE_MAX; i++)
		if (w->files[i].wanted)
			return &w->files[i];
	return NULL;
}

/* Take the next job out of the queue; called with the lock held, and drops it while writing. */
static bool work(struct writer *w)
{
	struct file *f = next_file(w);
	int r;

	w->file_next = !f;
	if (!f && w->queued > 0) {
		w->current = w->queue[w->head];
		w->head = (w->head + 1) % QUEUE_MAX;
		w->queued--;
		w->busy = true;
		pthread_mutex_unlock(&w->lock);
		r = write_record(&w->current);
		pthread_mutex_lock(&w->lock);
		w->record_result = r;
	} else if (f) {
		w->current_file = *f;
		f->wanted = false;
		f->busy = true;
		w->busy = true;
		pthread_mutex_unlock(&w->lock);
		r = write_file(&w->current_file);
		pthread_mutex_lock(&w->lock);
		f->result = r;
		f->busy = false;
		pthread_cond_broadcast(&w->idle);
	} else {
		return false;
	}
	w->busy = false;
	return true;
}

static void *run(void *arg)
{
	struct writer *w = arg;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		if (work(w))
			continue;
		pthread_cond_broadcast(&w->idle);
		if (w->stop)
			break;
		pthread_cond_wait(&w->wake, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int writer_new(struct writer **ret)
{
	struct writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	/* The queue fills when the disk hangs; by then there may be no page to be had for it. */
	explicit_bzero(w, sizeof(*w));
	w->files[WRITER_METRICS].mode = 0644;
	w->files[WRITER_PEAKS].mode = 0600;
	w->files[WRITER_HOLD].mode = 0600;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	pthread_cond_init(&w->idle, NULL);
	r = thread_start(&w->thread, run, w);
	if (r < 0) {
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void writer_free(struct writer *w)
{
	struct timespec until;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += EXIT_WAIT_S;
	if (pthread_timedjoin_np(w->thread, NULL, &until) == 0) {
		free(w);
		return;
	}
	/*
	 * It still waits for the disk: it keeps its memory until the process ends, and
	 * writes nothing more, since the files are about to be closed.
	 */
	pthread_mutex_lock(&w->lock);
	w->queued = 0;
	for (int i = 0; i < _WRITER_FILE_MAX; i++)
		w->files[i].wanted = false;
	pthread_mutex_unlock(&w->lock);
}

int writer_record(struct writer *w, int fd, const void *data, size_t n, off_t offset)
{
	struct record *r;
	int result = 0;

	if (n > WRITER_RECORD_MAX)
		return -E2BIG;
	pthread_mutex_lock(&w->lock);
	if (w->queued < QUEUE_MAX) {
		r = &w->queue[(w->head + w->queued) % QUEUE_MAX];
		r->fd = fd;
		r->offset = offset;
		r->n = n;
		memcpy(r->data, data, n);
		w->queued++;
		pthread_cond_signal(&w->wake);
	} else {
		result = -ENOBUFS;
	}
	pthread_mutex_unlock(&w->lock);
	return result;
}

int writer_replace(struct writer *w, enum writer_file which, const char *path, const void *data,
		   size_t n)
{
	struct file *f = &w->files[which];

	if (strlen(path) >= sizeof(f->path))
		return -ENAMETOOLONG;
	if (n > sizeof(f->data))
		return -E2BIG;
	pthread_mutex_lock(&w->lock);
	strcpy(f->path, path);
	memcpy(f->data, data, n);
	f->n = n;
	f->remove = false;
	f->wanted = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

int writer_remove(struct writer *w, enum writer_file which, const char *path)
{
	struct file *f = &w->files[which];

	if (strlen(path) >= sizeof(f->path))
		return -ENAMETOOLONG;
	pthread_mutex_lock(&w->lock);
	strcpy(f->path, path);
	f->remove = true;
	f->wanted = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

int writer_wait(struct writer *w, enum writer_file which, uint64_t timeout_us)
{
	struct file *f = &w->files[which];
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(timeout_us / 1000000);
	until.tv_nsec += (long)(timeout_us % 1000000) * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&w->lock);
	while (r == 0 && (f->wanted || f->busy))
		r = timeout_us ? -pthread_cond_clockwait(&w->idle, &w->lock, CLOCK_MONOTONIC, &until)
			       : -ETIMEDOUT;
	if (r == 0)
		r = f->result;
	pthread_mutex_unlock(&w->lock);
	return r;
}

int writer_record_result(struct writer *w)
{
	int r;

	pthread_mutex_lock(&w->lock);
	r = w->record_result;
	pthread_mutex_unlock(&w->lock);
	return r;
}

int writer_replace_result(struct writer *w, enum writer_file which)
{
	int r;

	pthread_mutex_lock(&w->lock);
	r = w->files[which].result;
	pthread_mutex_unlock(&w->lock);
	return r;
}

void writer_flush(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	while (w->queued > 0 || next_file(w) || w->busy)
		pthread_cond_wait(&w->idle, &w->lock);
	pthread_mutex_unlock(&w->lock);
}
