// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What swapping out frees.
 *
 * A page that is swapped out to zram stays in memory, compressed. So a free byte of
 * such a device is room only as far as compression makes it: by the ratio of what the device
 * stores to the memory that it takes (mm_stat), and no further than its mem_limit goes.
 * Before it stores enough to tell, the ratio is taken for one half: lzo and zstd
 * mostly do better, the first pages to leave are not the typical ones. A device whose mm_stat
 * cannot be read is taken for that, too.
 *
 * As long as meminfo shows the same swap, nothing has been swapped in or out, and nothing
 * is read; but every minute, because pools are compacted. zram is known by its name.
 *
 * Leaves out: zswap, whose pages have their place on a real device, where they are
 * written when the pool has its share of memory; zram's own writing to a device; files
 * on a zram, and a zram below a mapper; which device is filled first: where a zram stands before
 * a disk, the disk's room counts from the first page on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "basic/arith.h"
#include "sense/swaps.h"
#include "sense/text.h"

#define SEC		  1000000ULL
#define SWAPS_INTERVAL_US (60 * SEC)
#define TELLING_BYTES	  (16ULL << 20)

/* Of mm_stat, bytes. */
struct zram {
	uint64_t stored;
	uint64_t used;
	uint64_t limit; /* 0 = none */
};

void swaps_init(struct swaps *s, const char *proc, const char *block)
{
	*s = (struct swaps){.proc = proc, .block = block ? block : "/sys/block", .fd = -1};
	for (int i = 0; i < SWAPS_MAX; i++)
		s->zram[i].fd = -1;
}

static void forget(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void swaps_done(struct swaps *s)
{
	forget(&s->fd);
	for (int i = 0; i < SWAPS_MAX; i++)
		forget(&s->zram[i].fd);
}

/* /dev/zramN, a partition of it, or either with an escaped " (deleted)" behind. */
static bool is_zram(struct text name, uint64_t *ret_number)
{
	struct text digits;

	if (!text_skip(&name, "/dev/zram"))
		return false;
	digits = (struct text){name.p, name.p};
	while (digits.end < name.end && *digits.end >= '0' && *digits.end <= '9')
		digits.end++;
	if (digits.end < name.end && *digits.end != 'p' && *digits.end != '\\')
		return false;
	return text_u64(digits, ret_number);
}

static bool parse_zram(const char *data, size_t len, struct zram *ret)
{
	struct text t = {data, data + len}, line, word;
	uint64_t v[4];

	if (!text_line(&t, &line))
		return false;
	for (int i = 0; i < 4; i++)
		if (!text_word(&line, &word) || !text_u64(word, &v[i]))
			return false;
	/* v[1] is without the allocator's loss. */
	*ret = (struct zram){.stored = v[0], .used = v[2], .limit = v[3]};
	return true;
}

static bool read_zram(struct swaps *s, int i, struct zram *ret)
{
	char name[64], buf[256];
	ssize_t n;

	snprintf(name, sizeof(name), "zram%llu/mm_stat", (unsigned long long)s->zram[i].number);
	/* The file of a device that has gone, or gone and come back, says ENODEV. */
	for (int again = 0; again < 2; again++) {
		if (s->zram[i].fd < 0)
			s->zram[i].fd = procfile_open(s->block, name);
		if (s->zram[i].fd < 0)
			return false;
		n = pread(s->zram[i].fd, buf, sizeof(buf), 0);
		if (n >= 0)
			return parse_zram(buf, n, ret);
		forget(&s->zram[i].fd);
	}
	return false;
}

static uint64_t room_of(const struct zram *z, uint64_t free)
{
	uint64_t permille = 500;

	if (z->stored >= TELLING_BYTES)
		permille = min_u64(z->used / (z->stored / 1000) + 1, 1000);
	if (z->limit)
		free = min_u64(free, scale(sub_sat(z->limit, z->used), 1000, permille));
	return scale(free, 1000 - permille, 1000);
}

/* @i: which zram of the list it is. */
static void add_zram(struct swaps *s, int i, uint64_t number, uint64_t free)
{
	struct zram z = {0};

	if (s->zram[i].number != number)
		forget(&s->zram[i].fd);
	s->zram[i].number = number;
	if (!read_zram(s, i, &z))
		s->has_held = false;
	s->room = add_sat(s->room, room_of(&z, free));
	/* Its partitions are one pool. */
	for (int k = 0; k < i; k++)
		if (s->zram[k].number == number)
			return;
	s->held = add_sat(s->held, z.used);
}

static int look(struct swaps *s, struct procfile_buffer *b)
{
	struct text t, line, name, word;
	uint64_t size, used, number;
	int zrams = 0;
	long n;

	s->room = s->held = 0;
	s->has_held = true;
	if (s->fd < 0)
		s->fd = procfile_open(s->proc, "swaps");
	n = s->fd < 0 ? s->fd : procfile_read(s->fd, b);
	if (n < 0)
		return n;
	t = (struct text){b->data, b->data + n};
	if (!text_line(&t, &line) || !text_word(&line, &word) || !text_equals(word, "Filename"))
		return -EBADMSG;
	while (text_line(&t, &line)) {
		if (!text_word(&line, &name) || !text_word(&line, &word) ||
		    !text_word(&line, &word) || !text_u64(word, &size) ||
		    !text_word(&line, &word) || !text_u64(word, &used) ||
		    used > size || size > UINT64_MAX / 1024)
			return -EBADMSG;
		size = (size - used) * 1024;
		if (!is_zram(name, &number))
			s->room = add_sat(s->room, size);
		else if (zrams < SWAPS_MAX)
			add_zram(s, zrams++, number, size);
	}
	for (int i = zrams; i < SWAPS_MAX; i++)
		forget(&s->zram[i].fd);
	return 0;
}

int swaps_read(struct swaps *s, struct procfile_buffer *b, struct sample *sample)
{
	uint64_t total = sample->mem[MEM_SWAP_TOTAL], free = sample->mem[MEM_SWAP_FREE];

	if (!sample_has_mem(sample, MEM_SWAP_TOTAL) || !sample_has_mem(sample, MEM_SWAP_FREE))
		return 0;
	/* A kernel without swap has no list of it either. */
	if (!total) {
		sample->mem_have |= 1U << MEM_SWAP_ROOM | 1U << MEM_ZRAM;
		sample->mem[MEM_SWAP_ROOM] = sample->mem[MEM_ZRAM] = 0;
		return 0;
	}
	if (!s->time_us || total != s->total || free != s->free ||
	    sample->time_us - s->time_us >= SWAPS_INTERVAL_US) {
		s->result = look(s, b);
		s->time_us = sample->time_us;
		s->total = total;
		s->free = free;
	}
	if (s->result < 0)
		return s->result;
	/* The two files are not read at one instant. */
	sample->mem[MEM_SWAP_ROOM] = min_u64(s->room, free);
	sample->mem_have |= 1U << MEM_SWAP_ROOM;
	if (s->has_held) {
		sample->mem[MEM_ZRAM] = s->held;
		sample->mem_have |= 1U << MEM_ZRAM;
	}
	return 0;
}
