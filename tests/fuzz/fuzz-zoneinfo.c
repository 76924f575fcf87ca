// SPDX-License-Identifier: GPL-2.0-or-later
/* /proc/zoneinfo: the result is written only if there is one. */
#include "fuzz.h"
#include "sense/zoneinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t pages = 42;

	PROMISE(zoneinfo_parse((const char *)data, size, &pages) || pages == 42);
	return 0;
}
