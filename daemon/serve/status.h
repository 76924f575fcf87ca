/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status.h - what the daemon shows of itself, as plain data
 *
 * The bus, the service manager and the metrics have it from here.
 * Bytes and microseconds. Texts that are too long are cut.
 */
#pragma once

#include <stdint.h>

struct problems;
struct tick;

struct status {
	char mode[16];
	char law[16];
	char host[16];			/* "" = no device */
	uint64_t capabilities;		/* UBALLOON_CAP_* */
	uint64_t ram;
	uint64_t size;
	uint64_t target;
	uint64_t goal;
	uint64_t host_target;		/* UINT64_MAX = none */
	uint64_t manual_target;
	uint64_t limit;			/* UINT64_MAX = none */
	uint64_t floor;
	uint64_t headroom;
	uint64_t available;
	uint64_t free;			/* UINT64_MAX = unknown, as is cached */
	uint64_t cached;
	char reason[24];
	char reason_text[128];
	uint32_t mem_some_permille;
	uint32_t mem_full_permille;
	uint32_t io_some_permille;
	uint64_t refault_rate;		/* pages a second */
	uint64_t lease_left_us;
	uint64_t hold_off_left_us;
	uint64_t inflated_total;
	uint64_t deflated_total;
	uint64_t relief_events;
	uint64_t rescue_events;		/* of these, by the OOM notifier or because the lease ran out */
	uint64_t rescued;		/* given back by those */
	uint64_t host_excess;		/* the host does not let go of it, and the guest has not got it */
	uint64_t emergencies;
	char account[16];		/* "available", "gone", "mixed", "host"; "" = no device */
	char account_text[192];		/* why, in one sentence */
	uint64_t account_available;	/* of the balloon: programs can have it */
	uint64_t account_gone;		/* ... off MemTotal */
	uint64_t account_host;		/* ... another driver keeps the books */
	uint64_t relief_line;		/* below so much available the module gives back by itself */
	uint64_t relieved;		/* given to programs that asked, since the device appeared */
	uint64_t relieved_direct;	/* ... while these waited */
	char host_takes[16];		/* what it is given: "unknown", "yes", "in-doubt", "no" */
	uint64_t takes_nothing;		/* 1 if that is "no" */
	uint64_t proofs_taken;		/* times that it took the page it was proven with ... */
	uint64_t proofs_kept;		/* ... or not */
	uint64_t expected;		/* need that this hour is known for; UINT64_MAX = none */
	uint64_t expected_lost_us;	/* time that tasks lost in it */
	uint64_t expected_left_us;	/* until it ends; over an hour: it has not begun */
	uint64_t expected_weeks;	/* it came true so often; 0 = in part, or another day's */
	uint64_t expected_kept;		/* so much is kept for it */
	char held[128];			/* the operator's reason; "" = not held */
	uint64_t held_left_us;		/* UINT64_MAX = until released */
	char config_file[256];
	char config_error[256];
	char problem[256];
	uint64_t ticks;
};

/* Make *ret of a tick; the first problem of *p is shown. */
void status_fill(const struct tick *t, const struct problems *p, struct status *ret);
