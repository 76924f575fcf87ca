// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * history.c - the last 24 hours of samples and decisions
 *
 * A ring of records in a file of fixed size, preallocated, so that a full disk
 * cannot end it (format: basic/history-file.h). Written by the writer's
 * thread; readers are handed the file itself, so that an answer costs the daemon nothing.
 *
 * Which decisions are recorded: one each 10 s, with the extremes since the one
 * before, and each that differs from the one before in kind. The latter have a
 * budget (a burst of 512, then one per 10 s), so that a policy that changes its
 * mind every second does not push the morning out of the ring; beyond the
 * budget a change waits for the next regular record. Hence 24 h are
 * guaranteed: 8640 regular + 8640 + 512 changes < HISTORY_CAPACITY.
 *
 * Invariant: numbers rise by one; what was recorded before a restart stays.
 * Leaves out: reading (basic/history-file.c) and showing (ctl/).
 */
#include "serve/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "basic/arith.h"

#define FILE_NAME    "history"
#define NEW_NAME     "history.new"
#define DAMAGED_NAME "history.damaged"

/*
 * Torn records after a crash of the machine: at most one or two at each border of pages that
 * were under way. More than this is damage of another kind.
 */
#define TORN_MAX 64

#define CHANGES_BURST 512

_Static_assert(HISTORY_CAPACITY >= 2 * 86400 / 10 + CHANGES_BURST + 512, "24 h fit");
_Static_assert(HISTORY_RECORD_BYTES <= WRITER_RECORD_MAX, "a record fits into the queue");

struct history {
	struct writer *writer;
	int dir_fd;		/* locked: one daemon a directory; -1 = memory only */
	int fd;
	uint32_t capacity;
	uint64_t next;		/* number of the next record */
	bool lost;		/* the last one did not fit into the queue */

	uint64_t recorded_us;	/* last decision that was recorded */
	uint64_t refilled_us;
	uint32_t changes_left;
	struct history_record last; /* decision; kind 0 = none yet */
	struct history_record seen; /* extremes and flags since then */
};

static uint64_t mem(const struct sample *s, enum sample_mem_field f)
{
	return sample_has_mem(s, f) ? s->mem[f] : UINT64_MAX;
}

static uint64_t file_bytes(uint32_t capacity)
{
	return HISTORY_HEADER_BYTES + capacity * HISTORY_RECORD_BYTES;
}

/* --- the file --- */

static int make_file(int fd, uint32_t capacity)
{
	struct history_header header;

	/* Where the file system cannot preallocate, a hole does as well until the disk is full. */
	if (fallocate(fd, 0, 0, (off_t)file_bytes(capacity)) < 0) {
		if (errno != EOPNOTSUPP && errno != ENOSYS)
			return -errno;
		if (ftruncate(fd, (off_t)file_bytes(capacity)) < 0)
			return -errno;
	}
	history_header_make(&header, capacity);
	if (pwrite(fd, &header, sizeof(header), 0) != sizeof(header))
		return errno ? -errno : -EIO;
	return 0;
}

static int create(int dir_fd, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	int r;

	(void)unlinkat(dir_fd, NEW_NAME, 0);
	fd = openat(dir_fd, NEW_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = make_file(fd, HISTORY_CAPACITY);
	/* Under its name it is complete, whenever the machine dies. */
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dir_fd, NEW_NAME, dir_fd, FILE_NAME) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dir_fd, NEW_NAME, 0);
		return r;
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* 1: a sound file; 0: there is none; else what is wrong with it. */
static int open_existing(int dir_fd, int *ret_fd, struct history_scan *ret_scan)
{
	_cleanup_close_ int fd = -1;
	struct history_scan scan;
	struct stat st;
	int r;

	/* Not blocking: somebody may have put a FIFO there. */
	fd = openat(dir_fd, FILE_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	r = history_scan(fd, NULL, NULL, &scan);
	if (r < 0)
		return r;
	if (scan.capacity != HISTORY_CAPACITY || scan.bad > TORN_MAX)
		return -EBADMSG;
	*ret_fd = steal_fd(&fd);
	*ret_scan = scan;
	return 1;
}

static const char *what_is_wrong(int r)
{
	switch (-r) {
	case EBADMSG:
		return "it is damaged, or of another version";
	case ENODATA:
		return "it is cut off";
	case ELOOP:
		return "it is a symbolic link";
	}
	return strerror(-r);
}

static int open_in(struct history *h, const char *dir, struct history_opened *ret)
{
	struct history_scan scan = {};
	int r;

	h->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->dir_fd < 0)
		return -errno;
	if (flock(h->dir_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	r = open_existing(h->dir_fd, &h->fd, &scan);
	if (r < 0) {
		bool kept = renameat(h->dir_fd, FILE_NAME, h->dir_fd, DAMAGED_NAME) == 0;

		snprintf(ret->news, sizeof(ret->news),
			 "the history in %s/" FILE_NAME " cannot be used: %s. %s", dir,
			 what_is_wrong(r), kept ? "It is kept as " DAMAGED_NAME ", and a new one begins"
						: "A new one begins");
	}
	if (r > 0) {
		h->next = scan.newest + 1;
		ret->records = scan.records;
		ret->torn = scan.bad;
	} else {
		r = create(h->dir_fd, &h->fd);
	}
	return r < 0 ? r : 0;
}

static int open_memory(struct history *h)
{
	int r;

	h->capacity = HISTORY_MEMORY_CAPACITY;
	h->fd = memfd_create("balloond-history", MFD_CLOEXEC);
	if (h->fd < 0)
		return -errno;
	/* Whoever is given it to read could open it anew, and write. */
	if (fchmod(h->fd, 0600) < 0)
		return -errno;
	r = make_file(h->fd, h->capacity);
	return r;
}

int history_open(const char *dir, struct writer *w, struct history **ret,
		 struct history_opened *ret_opened)
{
	_cleanup_(history_freep) struct history *h = calloc(1, sizeof(*h));
	struct history_opened opened = {};
	int r;

	if (!h)
		return -ENOMEM;
	h->writer = w;
	h->dir_fd = h->fd = -1;
	h->next = 1;
	h->capacity = HISTORY_CAPACITY;
	h->changes_left = CHANGES_BURST;
	if (dir) {
		r = open_in(h, dir, &opened);
		opened.in_file = r == 0;
		if (r < 0 && h->dir_fd >= 0) {
			close(h->dir_fd);
			h->dir_fd = -1;
		}
		if (r == -EBUSY)
			snprintf(opened.news, sizeof(opened.news),
				 "another balloond writes the history in %s; this one keeps its own in "
				 "memory", dir);
		else if (r < 0)
			snprintf(opened.news, sizeof(opened.news),
				 "no history can be kept in %s (%s); it is kept in memory and ends with "
				 "the daemon", dir, strerror(-r));
	}
	if (!opened.in_file) {
		r = open_memory(h);
		if (r < 0)
			return r;
	}
	*ret_opened = opened;
	*ret = steal_pointer(h);
	return 0;
}

void history_free(struct history *h)
{
	if (!h)
		return;
	if (h->fd >= 0)
		close(h->fd);
	if (h->dir_fd >= 0)
		close(h->dir_fd);
	free(h);
}

int history_open_reader(const struct history *h)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", h->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int history_result(struct history *h)
{
	return h->lost ? -ENOBUFS : writer_record_result(h->writer);
}

/* --- records --- */

static void append(struct history *h, struct history_record *r, uint64_t real_us)
{
	int result;

	r->number = h->next;
	r->time_us = real_us;
	history_record_seal(r);
	result = writer_record(h->writer, h->fd, r, sizeof(*r),
			       (off_t)history_offset(h->capacity, r->number));
	/* A number that was not written is used again: no gap in the ring. */
	h->lost = result < 0;
	if (result == 0)
		h->next++;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static void fill(struct history_record *r, const struct sample *s, const struct policy_decision *d,
		 enum policy_mode mode, enum policy_law law)
{
	const struct sample_balloon *b = &s->balloon;
	struct history_numbers *n = &r->n;

	/* Also what lies between and behind the fields: it is part of the checksum. */
	memset(r, 0, sizeof(*r));
	r->kind = HISTORY_DECISION;
	r->flags = (b->valid ? 0 : HISTORY_NO_BALLOON) | (d->step > 0 ? HISTORY_INFLATES : 0) |
		   (d->step < 0 ? HISTORY_DEFLATES : 0) |
		   (s->trigger == TRIGGER_EARLY ? HISTORY_EARLY : 0) |
		   (s->trigger == TRIGGER_EMERGENCY ? HISTORY_EMERGENCY : 0);
	n->ram = s->ram;
	n->size = b->valid ? b->size : 0;
	n->target = d->target;
	n->goal = d->goal;
	n->host_target = b->valid && b->host_target_valid ? b->host_target : UINT64_MAX;
	n->available = n->available_min = mem(s, MEM_AVAILABLE);
	n->free = mem(s, MEM_FREE);
	n->cached = mem(s, MEM_CACHED);
	n->headroom = d->n.headroom;
	n->floor = d->n.floor;
	n->hold_off_left_us = d->n.hold_off_left_us;
	n->refault_rate = d->n.refault_rate;
	n->mem_some_permille = d->n.mem_some_permille;
	n->mem_full_permille = d->n.mem_full_permille;
	n->io_some_permille = d->n.io_some_permille;
	n->relieved_kib = (uint32_t)min_u64(d->relieved >> 10, UINT32_MAX);
	snprintf(n->mode, sizeof(n->mode), "%s", policy_mode_name(mode) ?: "");
	snprintf(n->law, sizeof(n->law), "%s", policy_law_name(law) ?: "");
	snprintf(n->reason, sizeof(n->reason), "%s", policy_reason_name(d->reason) ?: "");
}

/* What r must show of the decisions since the record before. */
static void merge(struct history_record *r, const struct history_record *before)
{
	struct history_numbers *n = &r->n;
	const struct history_numbers *b = &before->n;

	if (before->kind == 0)
		return;
	r->flags |= before->flags & (HISTORY_EARLY | HISTORY_EMERGENCY);
	if (b->available_min < n->available_min)
		n->available_min = b->available_min;
	n->refault_rate = max_u64(n->refault_rate, b->refault_rate);
	n->mem_some_permille = max_u32(n->mem_some_permille, b->mem_some_permille);
	n->mem_full_permille = max_u32(n->mem_full_permille, b->mem_full_permille);
	n->io_some_permille = max_u32(n->io_some_permille, b->io_some_permille);
	n->relieved_kib += min_u64(b->relieved_kib, UINT32_MAX - n->relieved_kib);
}

static bool differs(const struct history_record *a, const struct history_record *b)
{
	const uint32_t kind = HISTORY_INFLATES | HISTORY_DEFLATES | HISTORY_NO_BALLOON;

	return b->kind == 0 || (a->flags & kind) != (b->flags & kind) ||
	       strcmp(a->n.reason, b->n.reason) != 0 || strcmp(a->n.mode, b->n.mode) != 0 ||
	       strcmp(a->n.law, b->n.law) != 0;
}

static void refill(struct history *h, uint64_t now_us)
{
	uint64_t n = (now_us - h->refilled_us) / HISTORY_PERIOD_US;

	if (h->refilled_us == 0 || n >= CHANGES_BURST - h->changes_left) {
		h->refilled_us = now_us;
		h->changes_left = CHANGES_BURST;
		return;
	}
	h->refilled_us += n * HISTORY_PERIOD_US;
	h->changes_left += (uint32_t)n;
}

void history_decision(struct history *h, uint64_t now_us, uint64_t real_us, const struct sample *s,
		      const struct policy_decision *d, enum policy_mode mode, enum policy_law law)
{
	struct history_record r;
	bool due = h->recorded_us == 0 || now_us - h->recorded_us >= HISTORY_PERIOD_US;

	fill(&r, s, d, mode, law);
	if (differs(&r, &h->last))
		r.flags |= HISTORY_CHANGED;
	merge(&r, &h->seen);
	refill(h, now_us);
	if (!due && (!(r.flags & HISTORY_CHANGED) || h->changes_left == 0)) {
		h->seen = r;
		return;
	}
	if (!due)
		h->changes_left--;
	append(h, &r, real_us);
	if (h->lost) {
		h->seen = r;
		return;
	}
	h->recorded_us = now_us;
	h->last = r;
	h->seen.kind = 0;
}

void history_note(struct history *h, uint64_t real_us, const char *format, ...)
{
	struct history_record r;
	va_list ap;

	memset(&r, 0, sizeof(r));
	r.kind = HISTORY_NOTE;
	va_start(ap, format);
	vsnprintf(r.text, sizeof(r.text), format, ap);
	va_end(ap);
	append(h, &r, real_us);
}
