/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * near.h - what somebody meant who has mistyped a word
 */
#pragma once

#include <stddef.h>

struct near {
	const char *word;
	size_t length;
	const char *best;	/* NULL: none of those tried is near */
	unsigned int distance;	/* of the best; with none, one more than near is */
};

/* @length letters of @word, as it was typed. */
void near_init(struct near *n, const char *word, size_t length);
/* @candidate stays the caller's; of two that are as near the first is the best. */
void near_try(struct near *n, const char *candidate);
