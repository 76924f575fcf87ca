/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history-file.h - the file in which balloond keeps its history, and its reader
 *
 * One header of HISTORY_HEADER_BYTES, then `capacity` slots of one record each,
 * used as a ring: record number n lies in slot n % capacity. Numbers begin at 1
 * and never repeat, so the newest record is the one with the largest number and
 * no pointer has to be kept up to date. Each record has a checksum of its own: a reader sees a
 * record as it was written or not at all, also while it is being written.
 *
 * Native byte order (the magic tells), fixed sizes, no padding (asserted). Modes, laws and reasons are
 * names, not numbers, so that a file outlives a version that adds one.
 *
 * Shared by the daemon, which writes, and balloonctl, which is handed the file
 * read-only. Leaves out writing (serve/history.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_MAGIC	     0x7473486e6f6c6c61ULL /* "allonHst" */
#define HISTORY_VERSION	     1
#define HISTORY_HEADER_BYTES 4096
#define HISTORY_TEXT_MAX     136
#define HISTORY_CAPACITY_MAX (1U << 20)

enum history_kind {
	HISTORY_DECISION = 1,	/* what was seen and what was decided */
	HISTORY_NOTE = 2,	/* something happened; `text` says what */
};

/* Bits of history_record.flags. */
#define HISTORY_CHANGED	     (1U << 0) /* another reason, mode, law or direction than the record before */
#define HISTORY_EARLY	     (1U << 1) /* a pressure trigger has fired since the record before */
#define HISTORY_EMERGENCY    (1U << 2) /* ... the emergency one */
#define HISTORY_INFLATES     (1U << 3) /* a step was asked for */
#define HISTORY_DEFLATES     (1U << 4)
#define HISTORY_NO_BALLOON   (1U << 5) /* no device: size and limits mean nothing */

struct history_header {
	uint64_t magic;
	uint32_t version;
	uint32_t record_bytes;
	uint32_t capacity;
	uint32_t checksum;	/* of the fields above */
};

/* Bytes. UINT64_MAX = unknown, or none. */
struct history_numbers {
	uint64_t ram;
	uint64_t size;
	uint64_t target;
	uint64_t goal;
	uint64_t host_target;
	uint64_t available;
	uint64_t available_min;		/* since the record before */
	uint64_t free;
	uint64_t cached;
	uint64_t headroom;
	uint64_t floor;
	uint64_t hold_off_left_us;
	uint64_t refault_rate;		/* pages a second, largest since the record before */
	uint32_t mem_some_permille;	/* largest since the record before, as are the next two */
	uint32_t mem_full_permille;
	uint32_t io_some_permille;
	uint32_t relieved_kib;		/* the module gave programs that asked, since the record before */
	char mode[8];
	char law[12];
	char reason[12];
};

struct history_record {
	uint64_t number;	/* 0 = empty slot */
	uint64_t time_us;	/* CLOCK_REALTIME */
	uint16_t kind;		/* enum history_kind */
	uint16_t reserved;
	uint32_t flags;		/* HISTORY_* */
	union {
		struct history_numbers n;
		char text[HISTORY_TEXT_MAX + 16];	/* NUL-terminated */
	};
	uint32_t reserved32;
	uint32_t checksum;	/* CRC-32 of all before */
};

#define HISTORY_RECORD_BYTES sizeof(struct history_record)
_Static_assert(sizeof(struct history_header) == 24, "no padding");
_Static_assert(sizeof(struct history_numbers) == 152, "no padding");
_Static_assert(sizeof(struct history_record) == 184, "no padding");

/* CRC-32 as in IEEE 802.3. */
uint32_t history_checksum(const void *data, size_t n);

void history_header_make(struct history_header *h, uint32_t capacity);
/* Number and time are set; gives the record its checksum. */
void history_record_seal(struct history_record *r);
/* 1: a record with this place in the ring; 0: an empty slot; -EBADMSG: neither. */
int history_record_check(const struct history_record *r, uint32_t capacity, uint32_t slot);
/* Where record `number` lies in the file. */
uint64_t history_offset(uint32_t capacity, uint64_t number);

/* What a look at all slots found. */
struct history_scan {
	uint32_t capacity;
	uint64_t newest;	/* number of the newest record, 0 = none */
	uint32_t records;
	uint32_t bad;		/* neither records nor empty */
};

/*
 * Look at all of it; @each (may be NULL) gets each record in the order of the
 * slots. Returns 0, what reading said, -EBADMSG if the header is not one, or
 * -ENODATA if the file is shorter than its header says.
 */
int history_scan(int fd, void (*each)(void *ctx, const struct history_record *r), void *ctx,
		 struct history_scan *ret);

/* One record; 0, -ENOENT if it is not (or no longer) there, or what reading said. */
int history_read_record(int fd, uint32_t capacity, uint64_t number, struct history_record *ret);
