// SPDX-License-Identifier: GPL-2.0-or-later
/* /proc/pressure: an absent total is 0. */
#include "fuzz.h"
#include "sense/psi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct psi_totals t;

	psi_parse((const char *)data, size, &t);
	PROMISE(t.has_some || !t.some_us);
	PROMISE(t.has_full || !t.full_us);
	return 0;
}
