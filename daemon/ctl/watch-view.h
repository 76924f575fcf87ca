/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watch-view.h - one picture of balloonctl watch, made of text
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "ctl/ctl-props.h"

#define WATCH_EVENTS_MAX 64

struct watch_event {
	char text[200];
};

struct watch_view {
	const struct ctl_props *props;
	const char *failure;		/* the daemon cannot be asked; what is shown is old. NULL = it can */
	const struct watch_event *events; /* oldest first */
	unsigned int n_events;
	unsigned int columns;
	unsigned int lines;
	uint64_t now_us;		/* CLOCK_REALTIME */
};

/* The whole screen, from its upper left corner on; never a column or a line more than there are. */
void watch_draw(FILE *f, const struct watch_view *v);

/* The same in one line, for what is not a terminal. */
void watch_print_line(FILE *f, const struct watch_view *v);
