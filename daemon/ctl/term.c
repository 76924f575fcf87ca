// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * term.c - what the standard output can show
 *
 * The only place that knows escape sequences. Only SGR sequences that every
 * terminal since the VT100 takes (the other screen: since xterm; others ignore it), no
 * terminfo.
 */
#include "ctl/term.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

bool term_is_live(void)
{
	const char *term = getenv("TERM");
	static int live = -1;

	/* Asked once: what a pager shows is for the same terminal. */
	if (live < 0)
		live = isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
	return live;
}

unsigned int term_columns(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return 80;
	return size.ws_col;
}

unsigned int term_lines(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
		return 24;
	return size.ws_row;
}

static struct termios saved;
static bool keys_taken, screen_taken;

void term_screen_enter(void)
{
	struct termios t;

	if (isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &saved) == 0) {
		t = saved;
		t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		t.c_cc[VMIN] = 1;
		t.c_cc[VTIME] = 0;
		/* Suspended, it would leave the shell with this screen. */
		t.c_cc[VSUSP] = _POSIX_VDISABLE;
		keys_taken = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
	}
	fputs("\033[?1049h\033[?25l" TERM_HOME TERM_CLEAR_REST, stdout);
	fflush(stdout);
	screen_taken = true;
}

void term_screen_leave(void)
{
	if (screen_taken) {
		fputs("\033[?25h\033[?1049l", stdout);
		fflush(stdout);
	}
	if (keys_taken)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	screen_taken = keys_taken = false;
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
