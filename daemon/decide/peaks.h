/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peaks.h - when memory was needed, by hour of the week
 *
 * Internal to decide/, but for struct peaks_memory, which is kept in a file. Bytes, microseconds.
 */
#pragma once

#include "decide/view.h"

#define PEAKS_SLOTS (7 * 24)
#define PEAKS_WEEKS_MAX 8

/* One hour of the local week. No padding: serve/peaks-file.c stores it as it is. */
struct peaks_slot {
	uint64_t need; /* largest N of that hour, bytes */
	uint64_t lost_us; /* time that all tasks lost to stalls in it */
	uint32_t stamp; /* number of the hour that was written last; 0 = nothing is known */
	uint8_t weeks; /* times that it came true, up to PEAKS_WEEKS_MAX; 0 = seen in part only */
	uint8_t missed; /* it did not the last time */
	uint16_t reserved;
};
_Static_assert(sizeof(struct peaks_slot) == 24, "no padding");

/* What outlives the daemon. Slot 0 is Monday 00:00. */
struct peaks_memory {
	uint32_t hours; /* written since ever: the stamp of the newest slot */
	uint32_t reserved;
	struct peaks_slot slot[PEAKS_SLOTS];
};
_Static_assert(sizeof(struct peaks_memory) == 8 + PEAKS_SLOTS * 24, "no padding");

/* Only peaks.c writes it. */
struct peaks {
	struct peaks_memory memory;

	/* The hour under way. */
	bool filling; /* there is one */
	bool ready; /* it began with the memory there that it was known to need */
	uint32_t hour; /* of the week */
	uint64_t covered_us; /* of it that was looked at */
	uint64_t need; /* largest N; 0 = not seen yet */
	uint64_t least; /* least N */
	uint64_t lost_us;
};

/* What the hour is known for: the one under way, or the next if it begins in some minutes. */
struct peaks_forecast {
	uint64_t need; /* bytes; 0 = nothing is known */
	uint64_t lost_us; /* half of it if it is another day's */
	uint64_t left_us; /* until the hour ends */
	uint32_t weeks; /* 0 = seen in part only, or another day's */
	bool ahead; /* the hour has not begun */
	bool worth; /* to have that much ready costs less than what was lost */
	uint16_t reserved;
};

/* Once a decision: learn. */
void peaks_note(const struct policy_config *c, struct peaks *p, const struct view *v);

void peaks_forecast(const struct policy_config *c, const struct peaks *p, const struct view *v,
		    struct peaks_forecast *ret);
/* The need to be prepared for now, bytes; 0 = none, or it is not worth it. */
uint64_t peaks_keep(const struct policy_config *c, const struct peaks *p, const struct view *v);

/* The memory with what the hour under way would add if it ended now. */
void peaks_export(const struct peaks *p, struct peaks_memory *ret);
/* Go on from *m; what was learned since the start is dropped. */
void peaks_import(struct peaks *p, const struct peaks_memory *m);
