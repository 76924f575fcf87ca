/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fixture.h - /proc files of real kernels, for parser tests
 *
 * data/proc-6.1 and proc-6.12 were read in a guest with 256 MiB right after an
 * OOM kill (Debian's cloud kernels), proc-6.18 on a larger machine at rest.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

struct fixture_text {
	char data[32768];
	size_t len;
};

/* DATA_DIR is set by the build. */
static inline void fixture_load(const char *name, struct fixture_text *ret)
{
	char path[4096];
	FILE *f;

	assert_true(snprintf(path, sizeof(path), DATA_DIR "/%s", name) < (int)sizeof(path));
	f = fopen(path, "re");
	if (!f)
		fail_msg("cannot open %s", path);
	ret->len = fread(ret->data, 1, sizeof(ret->data), f);
	fclose(f);
	assert_in_range(ret->len, 1, sizeof(ret->data) - 1);
}
