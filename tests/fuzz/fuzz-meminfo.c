// SPDX-License-Identifier: GPL-2.0-or-later
/* The names in /proc/meminfo: only known fields, never the watermark. */
#include "fuzz.h"
#include "sense/meminfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PROMISE(meminfo_present((const char *)data, size) < 1U << MEM_WATERMARK_HIGH);
	return 0;
}
