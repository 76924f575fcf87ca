/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * swaps.h - /proc/swaps and zram: what swap frees, and what it holds in memory
 */
#pragma once

#include <stdbool.h>

#include "sense/procfile.h"
#include "sense/sample.h"

/* No kernel has more areas of swap. */
#define SWAPS_MAX 32

struct swaps {
	const char *proc;
	const char *block;
	int fd; /* -1 = not open */
	struct {
		uint64_t number; /* N of zramN */
		int fd;
	} zram[SWAPS_MAX];
	/* The last look, and what it was for. */
	uint64_t time_us; /* 0 = never */
	uint64_t total;
	uint64_t free;
	int result;
	bool has_held;
	uint64_t room;
	uint64_t held;
};

/*
 * Opens nothing yet. proc: where swaps is; block: where zramN/mm_stat is, NULL = /sys/block.
 * Both must live as long.
 */
void swaps_init(struct swaps *s, const char *proc, const char *block);
void swaps_done(struct swaps *s);

/*
 * Set MEM_SWAP_ROOM and MEM_ZRAM of *sample, which has its time, MEM_SWAP_TOTAL and
 * MEM_SWAP_FREE; without these, nothing is set. Files are read only when they may say
 * something new. Or a negative errno: which swap there is cannot be read, both are absent.
 */
int swaps_read(struct swaps *s, struct procfile_buffer *b, struct sample *sample);
