/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * meminfo.h - /proc/meminfo, by libproc2
 */
#pragma once

#include <stddef.h>

#include "sense/sample.h"

struct meminfo_info;

struct meminfo {
	struct meminfo_info *info;
	uint32_t present; /* fields that this kernel has */
};

/*
 * Which fields can be made from the lines in the text of /proc/meminfo, as a
 * mask like mem_have.
 */
uint32_t meminfo_present(const char *text, size_t len);

/*
 * text is what /proc/meminfo says now; it is looked at for which fields there
 * are. Returns -ENOMEM or what libproc2 says; *m is then fit for
 * meminfo_done().
 */
int meminfo_init(struct meminfo *m, const char *text, size_t len);
void meminfo_done(struct meminfo *m);

/*
 * Fill ret->mem and set ret->mem_have, but for MEM_WATERMARK_HIGH. Always
 * reads anew. On error (negative errno) mem_have is 0.
 */
int meminfo_read(struct meminfo *m, struct sample *ret);
