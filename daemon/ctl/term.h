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

/* Standard output is, or was before a pager had it, a terminal that can move its cursor back. */
bool term_is_live(void);

/* Columns and lines of that terminal, 80 and 24 if unknown. */
unsigned int term_columns(void);
unsigned int term_lines(void);

/*
 * Take the whole screen: another buffer than the one that is left behind, no
 * cursor, keys come one by one and unseen (if standard input is a terminal, too; Ctrl-C still
 * is a signal). Leave puts everything back; it may be called twice.
 */
void term_screen_enter(void);
void term_screen_leave(void);
/* To the upper left corner; to the end of the line, the screen. */
#define TERM_HOME	"\033[H"
#define TERM_CLEAR_LINE "\033[K"
#define TERM_CLEAR_REST "\033[J"

/*
 * The sequence that switches to @style, "" where colour is not wanted: not a
 * terminal, TERM=dumb, or NO_COLOR set and not empty (no-color.org).
 */
const char *term_style(enum term_style style);
