/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * term.h - what the standard output can show
 */
#pragma once

#include <stdbool.h>

enum term_style {
	TERM_PLAIN,
	TERM_BOLD,
	TERM_GOOD,
	TERM_BAD,
	TERM_FAINT,
};

/* Standard output is a terminal that can move its cursor back. */
bool term_is_live(void);

/* Columns of that terminal, 80 if unknown. */
unsigned int term_columns(void);

/*
 * The sequence that switches to @style, "" where colour is not wanted: not a
 * terminal, TERM=dumb, or NO_COLOR set and not empty (no-color.org).
 */
const char *term_style(enum term_style style);
