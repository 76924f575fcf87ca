// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * history-data.c - the daemon's history in memory, for the verbs that show it
 *
 * The order is that of the records' numbers: the wall clock may have been set
 * back meanwhile, and the slots of a ring begin anywhere. Records that the ring
 * should have overwritten long ago (a crash lost the new ones) are left out.
 */
#include "ctl/history-data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "basic/when.h"
#include "decide/policy.h"

#define SEC 1000000ULL

struct collector {
	struct history_data h;
	size_t room;
	bool no_memory;
};

static void collect(void *ctx, const struct history_record *r)
{
	struct collector *c = ctx;

	if (c->h.n == c->room) {
		size_t room = c->room ? c->room * 2 : 1024;
		struct history_record *records = reallocarray(c->h.records, room, sizeof(*r));

		if (!records) {
			c->no_memory = true;
			return;
		}
		c->h.records = records;
		c->room = room;
	}
	c->h.records[c->h.n++] = *r;
}

static int by_number(const void *a, const void *b)
{
	const struct history_record *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static void forget_before(struct history_data *h, size_t first)
{
	if (first == 0)
		return;
	h->n -= first;
	memmove(h->records, h->records + first, h->n * sizeof(*h->records));
}

int history_data_read(int fd, struct history_data *ret)
{
	struct collector c = { 0 };
	struct history_scan scan;
	size_t first = 0;
	int r;

	r = history_scan(fd, collect, &c, &scan);
	if (r == 0 && c.no_memory)
		r = -ENOMEM;
	if (r < 0) {
		free(c.h.records);
		return r;
	}
	if (c.h.n > 0)
		qsort(c.h.records, c.h.n, sizeof(*c.h.records), by_number);
	c.h.capacity = scan.capacity;
	c.h.newest = scan.newest;
	while (first < c.h.n && c.h.records[first].number + scan.capacity <= scan.newest)
		first++;
	forget_before(&c.h, first);
	*ret = c.h;
	return 0;
}

enum ctl_exit history_data_load(struct ctl_bus *b, struct history_data *ret)
{
	enum ctl_exit code;
	int fd = -1, r;

	code = ctl_bus_open_history(b, &fd);
	if (code != CTL_OK)
		return ctl_fail(code, "%s", ctl_bus_why(b));
	r = history_data_read(fd, ret);
	close(fd);
	if (r == -EBADMSG)
		return ctl_fail(CTL_FAILED, "the history cannot be understood; are balloond and "
				"balloonctl of the same version?");
	if (r < 0)
		return ctl_fail(CTL_FAILED, "the history cannot be read: %s", strerror(-r));
	return CTL_OK;
}

void history_data_done(struct history_data *h)
{
	free(h->records);
	*h = (struct history_data){ 0 };
}

void history_data_trim(struct history_data *h, uint64_t from_us, uint64_t until_us)
{
	size_t first = 0;

	while (first < h->n && h->records[first].time_us < from_us)
		first++;
	forget_before(h, first);
	while (h->n > 0 && h->records[h->n - 1].time_us > until_us)
		h->n--;
}

enum ctl_exit history_data_when(const char *option, const char *text, uint64_t *ret_us)
{
	const char *why;

	if (text && when_parse(text, history_data_now(), ret_us, &why) < 0)
		return ctl_fail(CTL_USAGE, "--%s: '%s': %s", option, text, why);
	return CTL_OK;
}

uint64_t history_data_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec / 1000;
}

const char *history_data_time(char *buf, size_t n, uint64_t time_us)
{
	time_t t = (time_t)(time_us / SEC);
	struct tm tm;

	if (!localtime_r(&t, &tm) || strftime(buf, n, "%b %d %H:%M:%S", &tm) == 0)
		buf[0] = '\0';
	return buf;
}

const char *history_data_move(const struct history_record *r)
{
	if (r->flags & HISTORY_INFLATES)
		return "inflate";
	return r->flags & HISTORY_DEFLATES ? "deflate" : "";
}

const char *history_data_trigger(const struct history_record *r)
{
	if (r->flags & HISTORY_EMERGENCY)
		return "emergency";
	return r->flags & HISTORY_EARLY ? "early" : "";
}

const char *history_data_reason(const struct history_numbers *n)
{
	enum policy_mode mode = _MODE_MAX;

	(void)policy_mode_parse(n->mode, &mode);
	for (int i = 0; i < _REASON_MAX; i++)
		if (strcmp(policy_reason_name((enum policy_reason)i), n->reason) == 0)
			return policy_reason_text_in(mode, (enum policy_reason)i);
	return n->reason;
}
