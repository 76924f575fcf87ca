/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hold.h - the operator's order to stand still, which survives a restart
 *
 * Times of the wall clock, since the order may outlive the machine's boot.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "serve/writer.h"

/* Longest reason in bytes. */
#define HOLD_REASON_MAX 120
/* Longest hold with a limit: 366 days. */
#define HOLD_MAX_US (366ULL * 86400 * 1000000)

struct hold {
	bool held;
	uint64_t since_us;
	uint64_t until_us;	/* 0 = until released */
	char reason[HOLD_REASON_MAX + 1];
};

/* One line of printable UTF-8 that is not empty and fits; else why not, as a sentence fragment. */
const char *hold_reason_check(const char *reason);

/* Time left at `now_us`, never more than was asked for, whatever the clock did; UINT64_MAX = no limit. */
uint64_t hold_left(const struct hold *h, uint64_t now_us);

/*
 * Hand *h over to be kept in the state directory; WRITER_HOLD has the outcome. If it fails the file before
 * it is kept.
 */
int hold_save(struct writer *w, const char *dir, const struct hold *h);
int hold_forget(struct writer *w, const char *dir);
/* 1: *ret; 0: there is none; -EBADMSG: it is not readable; or what reading said. */
int hold_load(const char *dir, struct hold *ret);
