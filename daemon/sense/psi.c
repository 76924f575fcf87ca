// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pressure stall information: totals and triggers.
 *
 * Only total= is read. The averages are smoothed (avg10 lags by two seconds)
 * and rounded to a hundredth of a percent, while differences of the total are
 * exact with any clock.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sense/psi.h"
#include "sense/text.h"

#define SEC 1000000ULL

void psi_parse(const char *text, size_t len, struct psi_totals *ret)
{
	struct text t = {text, text + len}, line, word;
	struct psi_totals r = {0};

	while (text_line(&t, &line)) {
		bool full, found = false;
		uint64_t v;

		if (!text_word(&line, &word))
			continue;
		full = text_equals(word, "full");
		if (!full && !text_equals(word, "some"))
			continue;
		while (text_word(&line, &word))
			if (text_skip(&word, "total=")) {
				found = text_u64(word, &v);
				break;
			}
		if (!found)
			continue;
		if (full) {
			r.has_full = true;
			r.full_us = v;
		} else {
			r.has_some = true;
			r.some_us = v;
		}
	}
	*ret = r;
}

static int trigger_try(const char *path, bool full, uint64_t stall_us, uint64_t window_us)
{
	char spec[64];
	int n, fd, r;

	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	n = snprintf(spec, sizeof(spec), "%s %" PRIu64 " %" PRIu64, full ? "full" : "some",
		     stall_us, window_us);
	/* The kernel wants the terminator, too. */
	if (write(fd, spec, n + 1) == n + 1)
		return fd;
	r = errno ? -errno : -EIO;
	close(fd);
	return r;
}

int psi_trigger_open(const char *root, const char *resource, bool full, uint64_t stall_us,
		     uint64_t window_us, int *ret_fd, uint64_t *ret_window_us)
{
	const uint64_t windows[] = {window_us, 1 * SEC, 2 * SEC};
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/pressure/%s", root, resource);
	int r = -EPERM;

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	/* One hour bounds the products below; the kernel takes at most 10 s. */
	if (!stall_us || stall_us > window_us || window_us > 3600 * SEC)
		return -EINVAL;

	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		r = trigger_try(path, full, stall_us * windows[i] / window_us ?: 1, windows[i]);
		if (r >= 0) {
			*ret_fd = r;
			*ret_window_us = windows[i];
			return 0;
		}
		/* Refused windows: EINVAL since 6.5, EPERM or EACCES before. The rest is final. */
		if (r != -EINVAL && r != -EPERM && r != -EACCES)
			return r;
	}
	return r == -EINVAL || r == -EACCES ? -EPERM : r;
}
