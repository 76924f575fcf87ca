/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmstat.h - /proc/vmstat: the events of reclaim, swap and the working set
 */
#pragma once

#include <stddef.h>

#include "sense/sample.h"

/*
 * Fill ret->vm and set ret->vm_have from the text of /proc/vmstat. A field that
 * is missing or malformed is absent. Everything else in *ret is untouched.
 */
void vmstat_parse(const char *text, size_t len, struct sample *ret);

/* What counts pages of the kernel, page_bytes each, becomes pages of 4 KiB; events stay. */
void vmstat_convert(struct sample *s, uint64_t page_bytes);
