// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory of peaks.
 *
 * A job that runs every night finds a balloon that has grown since the last one, and waits for it
 * each time anew. So for each hour of the local week it is remembered how much was needed and how
 * much time all tasks lost to stalls meanwhile. The next time that much is kept, if leaving it
 * alone until the hour ends is cheaper than what was lost (tail.stall_price). Where the relief line
 * served the peak, nothing was lost and nothing is kept.
 *
 * An hour that was seen as a whole is weighed against the last one: the need comes down by half of
 * the difference, the loss is the mean. A peak for which memory was ready and which then cost
 * nothing proves the memory right, not the peak harmless: its loss is forgotten by an eighth only,
 * until it is tried again without. A peak that fails to come twice in a row is forgotten. An hour
 * seen in part raises what is remembered and lowers nothing.
 *
 * Before a week has passed the same hour of another day is the best guess, with half of its weight.
 *
 * Invariants: without the time of the week nothing is learned and nothing kept; whatever the clock
 * on the wall does, an hour counts as seen only for time that has passed.
 *
 * Leaves out: where the memory is stored (serve/peaks-file.c), and what the law makes of it.
 */
#include <string.h>

#include "decide/peaks.h"

#define SEC	   1000000ULL
#define HOUR_S	   3600U
#define HOUR_US	   (HOUR_S * SEC)
#define DAY_HOURS  24U
/* What a sample shows is taken to have been so for this long before it at most. */
#define DT_MAX_US  (60 * SEC)
/* So much of an hour is the whole of it. */
#define WHOLE_US   (HOUR_US / 4 * 3)
/* So long before an hour begins its peak is prepared for. */
#define AHEAD_S	   300U
/* A need this close to the one remembered is the same. */
#define NEAR_DIVISOR 16
/* The part of the loss that is forgotten when memory that was ready has served the peak. */
#define PROVEN_DIVISOR 8
/* Another day's hour counts so much less. */
#define OTHER_DAY_DIVISOR 2

/* What is known of an hour; false: nothing. */
static bool guess(const struct peaks *p, uint32_t hour, struct peaks_slot *ret)
{
	const struct peaks_slot *s = &p->memory.slot[hour], *other;

	if (s->stamp) {
		*ret = *s;
		return true;
	}
	for (uint32_t i = DAY_HOURS; i < PEAKS_SLOTS; i += DAY_HOURS) {
		other = &p->memory.slot[(hour + i) % PEAKS_SLOTS];
		if (other->stamp > s->stamp)
			s = other;
	}
	*ret = *s;
	ret->lost_us /= OTHER_DAY_DIVISOR;
	ret->weeks = 0;
	return s->stamp;
}

/* The forecast of one hour, which ends in left_s. */
static void look(const struct policy_config *c, const struct peaks *p, const struct view *v,
		 uint32_t hour, uint32_t left_s, struct peaks_forecast *ret)
{
	struct peaks_slot s;
	uint64_t bytes;

	*ret = (struct peaks_forecast){.left_us = left_s * SEC, .ahead = left_s > HOUR_S};
	if (!guess(p, hour, &s))
		return;
	/* The guest may have less RAM than when it was learned. */
	ret->need = min_u64(s.need, v->ram);
	ret->lost_us = min_u64(s.lost_us, HOUR_US);
	ret->weeks = s.weeks;
	bytes = sub_sat(ret->need, v->need);
	ret->worth = scale(bytes, left_s, HOUR_S) < scale(c->stall_price, ret->lost_us, SEC);
}

void peaks_forecast(const struct policy_config *c, const struct peaks *p, const struct view *v,
		    struct peaks_forecast *ret)
{
	uint32_t hour = v->week_s / HOUR_S, left_s = HOUR_S - v->week_s % HOUR_S;
	struct peaks_forecast next;

	*ret = (struct peaks_forecast){};
	if (!v->has_week)
		return;
	look(c, p, v, hour, left_s, ret);
	if (left_s > AHEAD_S)
		return;
	look(c, p, v, (hour + 1) % PEAKS_SLOTS, left_s + HOUR_S, &next);
	if (next.worth && (!ret->worth || next.need > ret->need))
		*ret = next;
}

uint64_t peaks_keep(const struct policy_config *c, const struct peaks *p, const struct view *v)
{
	struct peaks_forecast f;

	peaks_forecast(c, p, v, &f);
	return f.worth ? f.need : 0;
}

/* About as much was needed as remembered, or at least half of the rise. */
static bool has_come(const struct peaks *p, const struct peaks_slot *s)
{
	return add_sat(p->need, s->need / NEAR_DIVISOR) >= s->need ||
	       p->need - p->least >= sub_sat(s->need, p->least) / 2;
}

/* The hour was seen as a whole, and not for the first time. */
static void weigh(const struct peaks *p, struct peaks_slot *s)
{
	bool come = has_come(p, s);

	if (!come && s->missed) {
		*s = (struct peaks_slot){.need = p->need, .lost_us = p->lost_us, .weeks = 1};
		return;
	}
	s->need = max_u64(p->need, s->need - sub_sat(s->need, p->need) / 2);
	if (come && p->ready)
		s->lost_us = max_u64(p->lost_us, s->lost_us - s->lost_us / PROVEN_DIVISOR);
	else
		s->lost_us = s->lost_us / 2 + p->lost_us / 2;
	s->missed = !come;
	s->weeks = min_u64(s->weeks + come, PEAKS_WEEKS_MAX);
}

/* Only upward. Whether there was anything to raise. */
static bool raise(const struct peaks *p, struct peaks_slot *s)
{
	/* Nor does a glimpse of an idle hour hide what is known of it from other days. */
	if (!s->stamp && !p->lost_us)
		return false;
	if (p->need <= s->need && p->lost_us <= s->lost_us)
		return false;
	s->need = max_u64(s->need, p->need);
	s->lost_us = max_u64(s->lost_us, p->lost_us);
	return true;
}

/* Write the hour under way into the memory. */
static void merge(const struct peaks *p, struct peaks_memory *m)
{
	struct peaks_slot *s = &m->slot[p->hour];

	if (!p->filling || !p->need)
		return;
	if (p->covered_us < WHOLE_US) {
		if (!raise(p, s))
			return;
	} else if (!s->weeks) {
		/* The first time. What was seen of it in part before counts, if it was more. */
		s->need = max_u64(s->need, p->need);
		s->lost_us = max_u64(s->lost_us, p->lost_us);
		s->weeks = 1;
	} else {
		weigh(p, s);
	}
	s->stamp = ++m->hours;
}

static void begin(const struct policy_config *c, struct peaks *p, const struct view *v,
		  uint32_t hour)
{
	struct peaks_forecast f;

	look(c, p, v, hour, HOUR_S, &f);
	p->filling = true;
	p->ready = f.worth && v->usable >= f.need;
	p->hour = hour;
	p->covered_us = 0;
	p->need = 0;
	p->least = UINT64_MAX;
	p->lost_us = 0;
}

void peaks_note(const struct policy_config *c, struct peaks *p, const struct view *v)
{
	uint32_t hour = v->week_s / HOUR_S;
	uint64_t dt_us = min_u64(v->dt_us, DT_MAX_US);

	if (!v->has_week)
		return;
	if (!p->filling || hour != p->hour) {
		merge(p, &p->memory);
		begin(c, p, v, hour);
	}
	p->covered_us = add_sat(p->covered_us, dt_us);
	if (!v->own_reclaim)
		p->lost_us = min_u64(p->lost_us + scale(v->mem_full, dt_us, 1000), HOUR_US);
	if (v->settling)
		return;
	p->need = max_u64(p->need, v->need);
	p->least = min_u64(p->least, v->need);
}

void peaks_export(const struct peaks *p, struct peaks_memory *ret)
{
	*ret = p->memory;
	merge(p, ret);
}

void peaks_import(struct peaks *p, const struct peaks_memory *m)
{
	memset(p, 0, sizeof(*p));
	p->memory = *m;
}
