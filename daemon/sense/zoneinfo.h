/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zoneinfo.h - /proc/zoneinfo: how much free memory the kernel keeps for itself
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sum of the zones' high watermarks, in pages. False if there is none in the text. */
bool zoneinfo_parse(const char *text, size_t len, uint64_t *ret_high_pages);
