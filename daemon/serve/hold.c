// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hold.c - the operator's order to stand still, which survives a restart
 *
 * A text file of four lines in the state directory: what it is, since when and until when
 * (microseconds of the wall clock, 0 = no limit), and the reason. A file that cannot be
 * understood is an error and no hold: the caller says so, and the operator knows.
 *
 * Replaced as a whole, by the thread that writes (writer.h). Not synced: file systems
 * order a rename behind the data, and an order given within seconds of a power
 * failure may be lost.
 */
#include "serve/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "basic/cleanup.h"
#include "basic/printable.h"

#define FILE_NAME "hold"
#define FIRST_LINE "balloond hold 1"

const char *hold_reason_check(const char *reason)
{
	if (!reason[strspn(reason, " ")])
		return "it needs a reason, for those who come after";
	if (strlen(reason) > HOLD_REASON_MAX)
		return "the reason is too long; 120 bytes are kept";
	for (const unsigned char *s = (const unsigned char *)reason; *s; s += utf8_sequence(s))
		if (utf8_sequence(s) == 0 || !printable_is(s))
			return "the reason must be one line of plain text";
	return NULL;
}

uint64_t hold_left(const struct hold *h, uint64_t now_us)
{
	if (h->until_us == 0)
		return UINT64_MAX;
	if (now_us < h->since_us)
		return h->until_us - h->since_us;
	return now_us < h->until_us ? h->until_us - now_us : 0;
}

static int make_path(char *buf, size_t n, const char *dir)
{
	int len = snprintf(buf, n, "%s/" FILE_NAME, dir);

	return len < 0 || (size_t)len >= n ? -ENAMETOOLONG : 0;
}

int hold_save(struct writer *w, const char *dir, const struct hold *h)
{
	char path[PATH_MAX], text[512];
	int r;

	r = make_path(path, sizeof(path), dir);
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), FIRST_LINE "\n%" PRIu64 "\n%" PRIu64 "\n%s\n", h->since_us,
		 h->until_us, h->reason);
	return writer_replace(w, WRITER_HOLD, path, text, strlen(text));
}

int hold_forget(struct writer *w, const char *dir)
{
	char path[PATH_MAX];
	int r;

	r = make_path(path, sizeof(path), dir);
	return r < 0 ? r : writer_remove(w, WRITER_HOLD, path);
}

static int parse(char *text, struct hold *ret)
{
	struct hold h = {.held = true};
	char *reason, *end;
	int used = 0;

	if (sscanf(text, FIRST_LINE "\n%" SCNu64 "\n%" SCNu64 "\n%n", &h.since_us, &h.until_us,
		   &used) != 2 || used == 0)
		return -EBADMSG;
	reason = text + used;
	end = strchr(reason, '\n');
	if (!end || end[1] != '\0')
		return -EBADMSG;
	*end = '\0';
	if (hold_reason_check(reason) || (h.until_us && (h.until_us < h.since_us ||
							 h.until_us - h.since_us > HOLD_MAX_US)))
		return -EBADMSG;
	snprintf(h.reason, sizeof(h.reason), "%s", reason);
	*ret = h;
	return 1;
}

int hold_load(const char *dir, struct hold *ret)
{
	char path[PATH_MAX], text[512];
	_cleanup_close_ int fd = -1;
	ssize_t n;
	int r;

	r = make_path(path, sizeof(path), dir);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	if (strlen(text) != (size_t)n)
		return -EBADMSG;
	return parse(text, ret);
}
