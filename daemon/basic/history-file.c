// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * history-file.c - the file in which balloond keeps its history, and its reader
 *
 * Reads in blocks from the stack with pread(), so that daemon and balloonctl
 * can look at the same open file at the same time and nothing is allocated.
 *
 * Invariant: nothing in the file is believed before its checksum and its place
 * in the ring have been compared; strings are terminated here, whatever was written.
 */
#include "basic/history-file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "basic/printable.h"

#define BLOCK_RECORDS 64

uint32_t history_checksum(const void *data, size_t n)
{
	/* A nibble at a time: no table to fill, fast enough for a whole file in 20 ms. */
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const unsigned char *p = data;
	uint32_t crc = UINT32_MAX;

	while (n-- > 0) {
		crc ^= *p++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}

void history_header_make(struct history_header *h, uint32_t capacity)
{
	*h = (struct history_header){
		.magic = HISTORY_MAGIC,
		.version = HISTORY_VERSION,
		.record_bytes = HISTORY_RECORD_BYTES,
		.capacity = capacity,
	};
	h->checksum = history_checksum(h, offsetof(struct history_header, checksum));
}

void history_record_seal(struct history_record *r)
{
	r->checksum = history_checksum(r, offsetof(struct history_record, checksum));
}

static bool is_zero(const struct history_record *r)
{
	const unsigned char *p = (const unsigned char *)r;

	for (size_t i = 0; i < sizeof(*r); i++)
		if (p[i])
			return false;
	return true;
}

int history_record_check(const struct history_record *r, uint32_t capacity, uint32_t slot)
{
	if (r->number == 0)
		return is_zero(r) ? 0 : -EBADMSG;
	if (r->number % capacity != slot ||
	    r->checksum != history_checksum(r, offsetof(struct history_record, checksum)))
		return -EBADMSG;
	return 1;
}

uint64_t history_offset(uint32_t capacity, uint64_t number)
{
	return HISTORY_HEADER_BYTES + number % capacity * HISTORY_RECORD_BYTES;
}

/* All n bytes: 0, -ENODATA at the end of the file, or -errno. */
static int read_at(int fd, void *buf, size_t n, uint64_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, (char *)buf + done, n - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -ENODATA;
		done += (size_t)got;
	}
	return 0;
}

static int read_header(int fd, uint32_t *ret_capacity)
{
	struct history_header h, want;
	int r;

	r = read_at(fd, &h, sizeof(h), 0);
	if (r < 0)
		return r;
	if (h.capacity == 0 || h.capacity > HISTORY_CAPACITY_MAX)
		return -EBADMSG;
	history_header_make(&want, h.capacity);
	if (memcmp(&h, &want, sizeof(h)) != 0)
		return -EBADMSG;
	*ret_capacity = h.capacity;
	return 0;
}

static void tame_word(char *word, size_t size)
{
	word[size - 1] = '\0';
	for (; *word; word++)
		if (!(*word >= 'a' && *word <= 'z') && !(*word >= '0' && *word <= '9') && *word != '-')
			*word = '?';
}

/* Whoever wrote it: strings end, and control no terminal; a kind that is not known is not shown. */
static bool tame(struct history_record *r)
{
	switch (r->kind) {
	case HISTORY_NOTE:
		r->text[sizeof(r->text) - 1] = '\0';
		(void)printable_line(r->text);
		return true;
	case HISTORY_DECISION:
		tame_word(r->n.mode, sizeof(r->n.mode));
		tame_word(r->n.law, sizeof(r->n.law));
		tame_word(r->n.reason, sizeof(r->n.reason));
		return true;
	}
	return false;
}

int history_scan(int fd, void (*each)(void *ctx, const struct history_record *r), void *ctx,
		 struct history_scan *ret)
{
	struct history_record block[BLOCK_RECORDS];
	struct history_scan s = {};
	int r;

	r = read_header(fd, &s.capacity);
	if (r < 0)
		return r;
	for (uint32_t slot = 0; slot < s.capacity;) {
		uint32_t n = s.capacity - slot < BLOCK_RECORDS ? s.capacity - slot : BLOCK_RECORDS;

		r = read_at(fd, block, n * HISTORY_RECORD_BYTES,
			    HISTORY_HEADER_BYTES + slot * HISTORY_RECORD_BYTES);
		if (r < 0)
			return r;
		for (uint32_t i = 0; i < n; i++) {
			r = history_record_check(&block[i], s.capacity, slot + i);
			s.bad += r < 0;
			if (r <= 0)
				continue;
			s.records++;
			if (block[i].number > s.newest)
				s.newest = block[i].number;
			if (each && tame(&block[i]))
				each(ctx, &block[i]);
		}
		slot += n;
	}
	*ret = s;
	return 0;
}

int history_read_record(int fd, uint32_t capacity, uint64_t number, struct history_record *ret)
{
	struct history_record record;
	int r;

	r = read_at(fd, &record, sizeof(record), history_offset(capacity, number));
	if (r < 0)
		return r;
	if (history_record_check(&record, capacity, (uint32_t)(number % capacity)) <= 0 ||
	    record.number != number || !tame(&record))
		return -ENOENT;
	*ret = record;
	return 0;
}
