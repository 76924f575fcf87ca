/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz.h - what a fuzz target is: returns 0, and aborts on a broken promise. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROMISE(x)                                                                                 \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)
