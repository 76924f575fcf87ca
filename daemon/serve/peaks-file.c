// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * peaks-file.c - when memory was needed, over restarts and upgrades
 *
 * One struct file, native byte order (the magic tells), replaced by rename in the writer's thread:
 * at the end of an hour in which the machine thrashes the loop has other things to wait for. Not
 * synced, see hold.c; the checksum tells a file that the crash of a machine has left half written.
 *
 * Invariant: nothing in the file is believed before all of it has been checked.
 */
#include "serve/peaks-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "basic/cleanup.h"
#include "basic/history-file.h"
#include "basic/readfull.h"

#define FILE_NAME "peaks"
#define MAGIC	  0x736b65506e6c6c61ULL /* "allnPeks" */
#define VERSION_1 1

/* So much the clock may have been set back: a time zone, or a host that was ahead. */
#define FUTURE_US (86400ULL * 1000000)

struct file {
	uint64_t magic;
	uint32_t version;
	uint32_t bytes;
	uint64_t saved_us; /* CLOCK_REALTIME */
	struct peaks_memory memory;
	uint32_t reserved;
	uint32_t checksum; /* CRC-32 of all before */
};
_Static_assert(sizeof(struct file) == 32 + sizeof(struct peaks_memory), "no padding");
_Static_assert(sizeof(struct file) <= WRITER_FILE_MAX, "it can be handed over");

static uint32_t checksum(const struct file *f)
{
	return history_checksum(f, offsetof(struct file, checksum));
}

static int make_path(char *buf, size_t n, const char *dir)
{
	int len = snprintf(buf, n, "%s/" FILE_NAME, dir);

	return len < 0 || (size_t)len >= n ? -ENAMETOOLONG : 0;
}

int peaks_file_save(struct writer *w, const char *dir, uint64_t now_us,
		    const struct peaks_memory *m)
{
	struct file f = {
		.magic = MAGIC,
		.version = VERSION_1,
		.bytes = sizeof(f),
		.saved_us = now_us,
		.memory = *m,
	};
	char path[PATH_MAX];
	int r;

	r = make_path(path, sizeof(path), dir);
	if (r < 0)
		return r;
	f.checksum = checksum(&f);
	return writer_replace(w, WRITER_PEAKS, path, &f, sizeof(f));
}

/* What the policy counts on. */
static bool is_sound(const struct peaks_memory *m)
{
	for (size_t i = 0; i < PEAKS_SLOTS; i++)
		if (m->slot[i].stamp > m->hours || m->slot[i].weeks > PEAKS_WEEKS_MAX)
			return false;
	return true;
}

static int check(const struct file *f, size_t n, uint64_t now_us, const char **ret_why)
{
	if (n >= offsetof(struct file, bytes) && f->magic == MAGIC && f->version != VERSION_1) {
		*ret_why = "another version of balloond wrote it";
		return -EPROTONOSUPPORT;
	}
	if (n != sizeof(*f) || f->magic != MAGIC || f->bytes != sizeof(*f) ||
	    f->checksum != checksum(f) || !is_sound(&f->memory)) {
		*ret_why = n < sizeof(*f) ? "it is too short" : "it is damaged";
		return -EBADMSG;
	}
	if (f->saved_us > now_us && f->saved_us - now_us > FUTURE_US) {
		*ret_why = "it is from the future, or the clock is wrong";
		return -ETIME;
	}
	return 1;
}

int peaks_file_load(const char *dir, uint64_t now_us, struct peaks_memory *ret,
		    const char **ret_why)
{
	struct {
		struct file f;
		char more; /* longer than it should be */
	} buf = {};
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	ssize_t n;
	int r;

	r = make_path(path, sizeof(path), dir);
	if (r == 0) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd < 0 && errno == ENOENT)
			return 0;
		r = fd < 0 ? -errno : 0;
	}
	n = r < 0 ? r : readfull(fd, &buf, sizeof(buf.f) + 1);
	if (n < 0) {
		*ret_why = strerror((int)-n);
		return (int)n;
	}
	r = check(&buf.f, (size_t)n, now_us, ret_why);
	if (r > 0)
		*ret = buf.f.memory;
	return r;
}
