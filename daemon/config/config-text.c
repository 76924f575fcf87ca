// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * config-text.c - balloond.conf: the text of one file
 *
 * What libconfig lets pass is refused before it sees the text: a comment that
 * is never closed (it would swallow the rest of the file without a word), NUL
 * bytes (its parser ends there), and @include (it would read relative to the
 * working directory of whoever asks, and give errors without the file's name;
 * drop-ins do what it is for).
 *
 * A drop-in that is empty, or a link to /dev/null, says nothing: it is there to
 * take the place of one of the same name in a later directory.
 *
 * Leaves out: what the text means (config.c), which files there are
 * (config-dropins.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "basic/cleanup.h"
#include "basic/readfull.h"
#include "config/config-read.h"

/* Ten times the commented default file; anything larger is some other file. */
#define FILE_BYTES_MAX (64 * 1024)

/* What libconfig would let pass; see the head of this file. Returns false after a complaint. */
static bool check_text(const char *path, const char *text, size_t n, struct config_errors *errors)
{
	enum { CODE, STRING, LINE_COMMENT, COMMENT } state = CODE;
	unsigned line = 1, opened = 0;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0) {
		config_errors_add(errors, path, line, NULL,
				  "a byte order mark (BOM), three bytes that editors do not show; "
				  "save the file as UTF-8 without one");
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		char c = text[i], next = i + 1 < n ? text[i + 1] : '\0';

		if (c == '\0') {
			config_errors_add(errors, path, line, NULL,
					  "NUL byte; this is not a text file");
			return false;
		}
		if (c == '\n')
			line++;

		switch (state) {
		case CODE:
			if (c == '"') {
				state = STRING;
				opened = line;
			} else if (c == '#' || (c == '/' && next == '/')) {
				state = LINE_COMMENT;
			} else if (c == '/' && next == '*') {
				state = COMMENT;
				opened = line;
				i++;
			} else if (c == '@') {
				config_errors_add(errors, path, line, NULL,
						  "@include is not supported; put the other file "
						  "beside it as a drop-in, see balloond.conf(5)");
				return false;
			}
			break;
		case STRING:
			if (c == '\\' && next != '\0' && next != '\n')
				i++;
			else if (c == '"')
				state = CODE;
			break;
		case LINE_COMMENT:
			if (c == '\n')
				state = CODE;
			break;
		case COMMENT:
			if (c == '*' && next == '/') {
				state = CODE;
				i++;
			}
			break;
		}
	}

	if (state == STRING || state == COMMENT) {
		config_errors_add(errors, path, opened, NULL, "%s that starts here is never closed",
				  state == STRING ? "the string" : "the comment");
		return false;
	}
	return true;
}

bool config_is_dangling(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 && errno == ENOENT && lstat(path, &st) == 0;
}

static bool is_dev_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* Returns 1 and a file that is one, 0 if there is none, or an error. */
static int open_file(const char *path, bool dropin, int *ret_fd, struct config_errors *errors)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	/* Not blocking: a FIFO without a writer would stop the daemon before it starts. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT && !(dropin && config_is_dangling(path)))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		config_errors_add(errors, path, 0, NULL, "cannot be opened: %s", r == -ENOENT ?
				  "it is a link to a file that is not there" : strerror(-r));
		return r;
	}
	if (dropin && is_dev_null(&st))
		return 0;
	if (!S_ISREG(st.st_mode)) {
		config_errors_add(errors, path, 0, NULL, "is %s, not a file", S_ISDIR(st.st_mode) ?
				  "a directory" : "a device, pipe or socket");
		return -EINVAL;
	}
	*ret_fd = steal_fd(&fd);
	return 1;
}

int config_text_read_fd(int fd, const char *name, bool dropin, char **ret_text,
			struct config_errors *errors)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n;

	text = malloc(FILE_BYTES_MAX + 2);
	if (!text) {
		errors->no_memory = true;
		return -ENOMEM;
	}
	/* One byte more tells what is too large. */
	n = readfull(fd, text, FILE_BYTES_MAX + 1);
	if (n < 0) {
		config_errors_add(errors, name, 0, NULL, "cannot be read: %s", strerror((int)-n));
		return (int)n;
	}
	if (n > FILE_BYTES_MAX) {
		config_errors_add(errors, name, 0, NULL,
				  "is larger than 64 KiB; this is not a balloond.conf");
		return -EINVAL;
	}
	if (n == 0 && dropin)
		return 0;
	text[n] = '\0';
	if (!check_text(name, text, (size_t)n, errors))
		return -EINVAL;
	*ret_text = steal_pointer(text);
	return 1;
}

int config_text_read(const char *path, bool dropin, char **ret_text, struct config_errors *errors)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = open_file(path, dropin, &fd, errors);
	return r <= 0 ? r : config_text_read_fd(fd, path, dropin, ret_text, errors);
}
