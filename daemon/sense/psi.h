/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * psi.h - /proc/pressure: stall time, and triggers that wake when there is much
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct psi_totals {
	bool has_some;
	bool has_full;
	uint64_t some_us; /* cumulative since boot */
	uint64_t full_us;
};

/* The total= of both lines. Missing or malformed ones are absent. */
void psi_parse(const char *text, size_t len, struct psi_totals *ret);

/*
 * Have the kernel watch `resource` ("memory", "io") for stall_us of stalls
 * (some, or full if `full`) within window_us. *ret_fd then polls EPOLLPRI, at
 * most once a window, until it is closed; EPOLLERR means that the source is
 * gone.
 *
 * Windows that are no multiple of 2 s need CAP_SYS_RESOURCE; where the window
 * is refused, 1 s and 2 s are tried with the stall in proportion.
 * *ret_window_us is what was taken.
 *
 * -ENOENT: the kernel has no PSI. -EOPNOTSUPP: it is switched off (boot with
 * psi=1). -EPERM: no window is allowed here; poll the totals instead. -EINVAL:
 * stall_us is 0 or above window_us. Or what open() says.
 */
int psi_trigger_open(const char *root, const char *resource, bool full, uint64_t stall_us,
		     uint64_t window_us, int *ret_fd, uint64_t *ret_window_us);
