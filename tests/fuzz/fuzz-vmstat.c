// SPDX-License-Identifier: GPL-2.0-or-later
/* /proc/vmstat: an absent field is 0, nothing else of the sample is touched. */
#include <string.h>

#include "fuzz.h"
#include "sense/vmstat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sample s, untouched;

	memset(&s, 0xaa, sizeof(s));
	untouched = s;
	vmstat_parse((const char *)data, size, &s);
	PROMISE(!(s.vm_have >> _VM_FIELD_MAX));
	for (int i = 0; i < _VM_FIELD_MAX; i++)
		PROMISE(sample_has_vm(&s, i) || !s.vm[i]);
	PROMISE(memcmp(s.mem, untouched.mem, sizeof(s.mem)) == 0);
	PROMISE(memcmp(s.psi, untouched.psi, sizeof(s.psi)) == 0);
	PROMISE(s.mem_have == untouched.mem_have && s.psi_have == untouched.psi_have);
	return 0;
}
