/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history-data.h - the daemon's history in memory, for the verbs that show it
 */
#pragma once

#include <stddef.h>

#include "basic/history-file.h"
#include "ctl/ctl-bus.h"

struct history_data {
	struct history_record *records;	/* by number, oldest first */
	size_t n;
	uint32_t capacity;
	uint64_t newest;		/* number, 0 = none */
};

void history_data_done(struct history_data *h);

/* Read what @fd holds. 0 or a negative errno. */
int history_data_read(int fd, struct history_data *ret);
/* Ask the daemon, read it. Prints its own failure. */
enum ctl_exit history_data_load(struct ctl_bus *b, struct history_data *ret);
/* Forget what lies before @from_us or behind @until_us; both of CLOCK_REALTIME. */
void history_data_trim(struct history_data *h, uint64_t from_us, uint64_t until_us);
/*
 * The moment that @text, the argument of --@option, means; *ret_us stays as it is without one.
 * Prints its own failure.
 */
enum ctl_exit history_data_when(const char *option, const char *text, uint64_t *ret_us);

/* Microseconds of CLOCK_REALTIME. */
uint64_t history_data_now(void);
/* "Nov 21 05:12:03" in local time. Returns buf. */
const char *history_data_time(char *buf, size_t n, uint64_t time_us);
/* "inflate", "deflate" or "": what a decision does. */
const char *history_data_move(const struct history_record *r);
/* "early", "emergency" or "": the kernel's trigger that had fired. */
const char *history_data_trigger(const struct history_record *r);
/* The reason of a decision in words; the word itself if this version does not know it. */
const char *history_data_reason(const struct history_numbers *n);
