// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * term.c - what the standard output can show
 *
 * The only place that knows escape sequences. Only SGR sequences that every
 * terminal since the VT100 takes, no terminfo. Leaves out full-screen output.
 */
#include "ctl/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool term_is_live(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

unsigned int term_columns(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

const char *term_style(enum term_style style)
{
	const char *no_color = getenv("NO_COLOR");

	if (!term_is_live() || (no_color && *no_color))
		return "";

	switch (style) {
	case TERM_PLAIN:
		return "\033[0m";
	case TERM_BOLD:
		return "\033[1m";
	case TERM_GOOD:
		return "\033[32m";
	case TERM_BAD:
		return "\033[1;31m";
	case TERM_FAINT:
		return "\033[2m";
	}
	return "";
}
