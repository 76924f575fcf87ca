/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz-steps.h - what a step of ubfuzz is: drawn from a seed, and what the header says of it
 *
 * A step follows from seed, thread and number alone. Most calls are right and some are spoilt,
 * in a field or two, or by where their argument lies; few are nothing but noise.
 *
 * Left out: doing it (ubfuzz.c).
 */
#ifndef FUZZ_STEPS_H
#define FUZZ_STEPS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include "uballoon.h"

/* Amounts go up to this, which may be more than the guest has. */
#define RAM_PAGES	(512UL << 20 >> UBALLOON_PAGE_SHIFT)

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

enum kind {
	INFO, STATE, TARGET, LOCK, UNLOCK, KEEPALIVE, POP, JUNK,
	LAST_CALL = JUNK,
	POLL, EPOLL, OPEN, OTHER, SHOW, PARAMETER, CHILD, CLOSE,
	KINDS,
};

#define CALL(name, weight, nr, what, writes) \
	{ name, weight, UBALLOON_IOC_##nr, sizeof(struct uballoon_##what), writes }

static const struct {
	const char *name;
	unsigned int weight;
	unsigned long nr;
	size_t size;
	bool writes;		/* EBADF on a file for reading */
} kinds[KINDS] = {
	[INFO]		= CALL("info", 6, GET_INFO, info, false),
	[STATE]		= CALL("state", 12, GET_STATE, state, false),
	[TARGET]	= CALL("target", 12, SET_TARGET, target, true),
	[LOCK]		= CALL("lock", 24, LOCK, move, true),
	[UNLOCK]	= CALL("unlock", 20, UNLOCK, move, true),
	[KEEPALIVE]	= { "keepalive", 4, UBALLOON_IOC_KEEPALIVE, 0, true },
	[POP]		= CALL("pop", 2, POP, pop, true),
	[JUNK]		= { "junk", 4, 0, 512, false },
	[POLL]		= { .name = "poll", .weight = 4 },
	[EPOLL]		= { .name = "epoll", .weight = 1 },
	[OPEN]		= { .name = "open", .weight = 3 },
	[OTHER]		= { .name = "other", .weight = 1 },
	[SHOW]		= { .name = "show", .weight = 2 },
	[PARAMETER]	= { .name = "parameter", .weight = 1 },
	[CHILD]		= { .name = "child", .weight = 1 },
	[CLOSE]		= { .name = "close", .weight = 1 },
};

/* Where a call finds its argument. */
enum place {
	GOOD, ODD, LAST,			/* aligned, not so, before what is not there */
	NOWHERE, KERNEL, BEYOND, HALF,		/* EFAULT at once */
	READ_ONLY,				/* EFAULT when all is done */
	PLACES,
};

static const char *const place_names[PLACES] = {
	"good", "odd", "last", "nowhere", "kernel", "beyond", "half", "read-only",
};

union argument {
	struct uballoon_info info;
	struct uballoon_state state;
	struct uballoon_target target;
	struct uballoon_move move;
	struct uballoon_pop pop;
	uint64_t words[64];
	unsigned char bytes[512];
	uint32_t size;		/* where each struct has it */
};

struct step {
	enum kind kind;
	bool reader;		/* on the thread's own file */
	unsigned long nr;
	size_t size;
	union argument arg;
	enum place place;
	uint64_t choice;	/* for what else there is to choose */
};

struct dice {
	uint64_t state;
};

/* splitmix64: one state a step, so that each is drawn anew. */
static uint64_t roll(struct dice *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t below(struct dice *d, uint64_t n)
{
	return roll(d) % n;
}

static bool one_in(struct dice *d, unsigned int n)
{
	return !below(d, n);
}

static struct dice dice_of(uint64_t seed, unsigned int thread, uint64_t step)
{
	struct dice d = { seed };

	d.state = roll(&d) ^ thread;
	d.state = roll(&d) ^ step;
	return d;
}

static uint64_t odd_number(struct dice *d)
{
	switch (below(d, 8)) {
	case 0: return 0;
	case 1: return UINT64_MAX;
	case 2: return 1ULL << below(d, 64);
	case 3: return (1ULL << below(d, 64)) - 1;
	case 4: return below(d, 1024);
	case 5: return RAM_PAGES - 1 + below(d, 3);
	case 6: return -below(d, 4096);
	}
	return roll(d);
}

static uint64_t amount(struct dice *d)
{
	switch (below(d, 5)) {
	case 0: return 1 + below(d, 16);
	case 1: return 1 + below(d, 8192);
	case 2: return UBALLOON_PAGES_PER_2M * (1 + below(d, 64));
	case 3: return UBALLOON_PAGES_PER_2M * (1 + below(d, RAM_PAGES / UBALLOON_PAGES_PER_2M));
	}
	return 1 + below(d, RAM_PAGES);
}

static void draw_target(struct dice *d, struct uballoon_target *t)
{
	t->ceiling_pages = one_in(d, 3) ? below(d, RAM_PAGES / 2) : RAM_PAGES * 3 / 4;
	t->floor_pages = one_in(d, 3) ? below(d, t->ceiling_pages + 1) : 0;
	if (one_in(d, 3))
		t->lease_ms = one_in(d, 4) ? below(d, UBALLOON_MAX_LEASE_MS + 1) : below(d, 300);
	t->relief_pages = one_in(d, 2) ? below(d, RAM_PAGES / 8) : 0;
	t->account = below(d, UBALLOON_ACCOUNT_GONE + 1);
}

static void draw_move(struct dice *d, struct uballoon_move *mv, bool lock)
{
	mv->page_order = one_in(d, 2) ? UBALLOON_ORDER_4K : UBALLOON_ORDER_2M;
	mv->budget_ms = 1 + below(d, one_in(d, 8) ? UBALLOON_MAX_BUDGET_MS / 5 : 200);
	mv->pages = amount(d);
	if (mv->page_order == UBALLOON_ORDER_2M)
		mv->pages += -mv->pages % UBALLOON_PAGES_PER_2M;
	if (lock)
		mv->flags = one_in(d, 4) ? UBALLOON_MOVE_CANSLEEP : UBALLOON_MOVE_NOSLEEP;
}

static void spoil(struct dice *d, union argument *arg, size_t size)
{
	unsigned int n = 1 + below(d, 3);

	while (n--) {
		size_t at = below(d, size);

		switch (below(d, 3)) {
		case 0:
			arg->bytes[at] ^= 1 << below(d, 8);
			break;
		case 1:
			arg->words[at / 8] = odd_number(d);
			break;
		case 2: {
			uint32_t word = odd_number(d);

			memcpy(arg->bytes + (at & ~3UL), &word, sizeof(word));
		}
		}
	}
}

static void draw_junk(struct dice *d, struct step *s)
{
	size_t i;

	s->nr = one_in(d, 3) ? (uint32_t)roll(d) :
		_IOC(below(d, 4), UBALLOON_IOC_MAGIC, below(d, 9), 1 + below(d, 599));
	for (i = 0; i < ARRAY_SIZE(s->arg.words); i++)
		s->arg.words[i] = odd_number(d);
	/* It might be somebody else's call if the file is closed and its number used again. */
	if (_IOC_TYPE(s->nr) != UBALLOON_IOC_MAGIC && _IOC_TYPE(s->nr) < 'a')
		s->nr |= 0x80 << _IOC_TYPESHIFT;
}

static void draw(uint64_t seed, unsigned int thread, uint64_t number, struct step *s)
{
	struct dice d = dice_of(seed, thread, number);
	unsigned int i, sum = 0, at;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < KINDS; i++)
		sum += kinds[i].weight;
	at = below(&d, sum);
	while (at >= kinds[s->kind].weight)
		at -= kinds[s->kind++].weight;
	s->reader = one_in(&d, kinds[s->kind].writes ? 12 : 2);
	s->nr = kinds[s->kind].nr;
	s->size = kinds[s->kind].size;
	s->choice = roll(&d);
	if (s->kind > LAST_CALL)
		return;
	if (one_in(&d, 8))
		s->place = below(&d, PLACES);
	s->arg.size = s->size;
	switch (s->kind) {
	case TARGET:
		draw_target(&d, &s->arg.target);
		break;
	case LOCK:
	case UNLOCK:
		draw_move(&d, &s->arg.move, s->kind == LOCK);
		break;
	case JUNK:
		draw_junk(&d, s);
		return;
	default:
		break;
	}
	if (s->size && one_in(&d, 6))
		spoil(&d, &s->arg, s->size);
}

static bool any_set(const __u64 *words, size_t n)
{
	while (n--)
		if (words[n])
			return true;
	return false;
}

#define RESERVED(x)	any_set((x).reserved, ARRAY_SIZE((x).reserved))

static bool bad_order(const struct uballoon_move *mv)
{
	if (mv->page_order == UBALLOON_ORDER_2M)
		return mv->pages % UBALLOON_PAGES_PER_2M;
	return mv->page_order != UBALLOON_ORDER_4K;
}

static bool bad_flags(const struct uballoon_move *mv, bool lock)
{
	if (!lock)
		return mv->flags;
	return mv->flags != UBALLOON_MOVE_NOSLEEP && mv->flags != UBALLOON_MOVE_CANSLEEP;
}

/* Whether the header says that the call fails, whatever the device is like. */
static bool must_fail(const struct step *s)
{
	const struct uballoon_target *t = &s->arg.target;
	const struct uballoon_move *mv = &s->arg.move;

	if (s->reader && kinds[s->kind].writes)
		return true;
	if (s->kind == KEEPALIVE)
		return false;
	if (s->place >= NOWHERE && !(s->place == READ_ONLY && s->kind == TARGET))
		return true;
	if (s->kind != JUNK && s->arg.size != s->size)
		return true;
	switch (s->kind) {
	case INFO:
		return RESERVED(s->arg.info);
	case STATE:
		return RESERVED(s->arg.state) || s->arg.state.reserved32;
	case TARGET:
		return RESERVED(*t) || t->reserved32 || t->lease_ms > UBALLOON_MAX_LEASE_MS ||
		       t->floor_pages > t->ceiling_pages || t->ceiling_pages > 1ULL << 40 ||
		       t->relief_pages > 1ULL << 40 || t->account > UBALLOON_ACCOUNT_GONE;
	case LOCK:
	case UNLOCK:
		return RESERVED(*mv) || mv->reserved32 || !mv->pages || mv->pages > 1ULL << 40 ||
		       !mv->budget_ms || mv->budget_ms > UBALLOON_MAX_BUDGET_MS || bad_order(mv) ||
		       bad_flags(mv, s->kind == LOCK);
	case POP:
		return RESERVED(s->arg.pop) || s->arg.pop.reserved32;
	default:
		/* Garbage that has the number of a call has no size that fits it. */
		return true;
	}
}

#endif /* FUZZ_STEPS_H */
