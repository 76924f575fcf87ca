// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether the transport makes progress at all.
 *
 * It is stuck when it has been too slow for as long as the configuration says,
 * or stopped at the module's own floor, below which it will not go however
 * often it is asked. Then it is left alone in that direction for a while, or
 * until there is more above that floor.
 *
 * Leaves out: what becomes of the move (move.c).
 */
#include "decide/progress.h"

#define SEC 1000000ULL

/* Slower than this the transport is stuck: a tenth of the slowest that works, bytes a second. */
#define STUCK_RATE 15000000ULL
/* ... and is asked again after this. */
#define STUCK_RETRY_US (60 * SEC)

static int sign_of(int64_t bytes)
{
	return (bytes > 0) - (bytes < 0);
}

static uint64_t size_of(int64_t bytes)
{
	return bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes;
}

static void try_again(struct progress *p, const struct view *v)
{
	if (v->now_us >= p->stuck_until_us)
		p->stuck_sign = 0;
	/* The module's floor is no obstacle any more once there is more to take. */
	if (p->stuck_sign > 0 && p->stuck_reason == REASON_FLOOR && v->lock_floor &&
	    sub_sat(v->available, v->lock_floor) >= v->worthwhile)
		p->stuck_sign = 0;
}

/* Bytes of what was asked for; what went the other way is none. */
static uint64_t achieved(const struct sample_balloon *b)
{
	return sign_of(b->moved) == sign_of(b->asked) ? size_of(b->moved) : 0;
}

static bool hit_floor(const struct sample_balloon *b)
{
	return b->asked > 0 && achieved(b) < size_of(b->asked) && b->stop == POLICY_STOP_FLOOR;
}

static bool fast_enough(const struct sample_balloon *b, const struct view *v)
{
	uint64_t took_us = clamp_u64(b->took_us ? b->took_us : v->dt_us, 1, UINT32_MAX);

	return achieved(b) >= size_of(b->asked) || scale(achieved(b), SEC, took_us) >= STUCK_RATE;
}

bool progress_note(const struct policy_config *c, struct progress *p, const struct sample *s,
		   const struct view *v)
{
	const struct sample_balloon *b = &s->balloon;
	bool floored = hit_floor(b), first = !p->last_us;

	try_again(p, v);
	if (!b->valid || !b->asked || (!floored && (first || fast_enough(b, v)))) {
		p->last_us = v->now_us;
		return false;
	}
	if (!floored && v->now_us - p->last_us < c->stuck_us)
		return false;
	*p = (struct progress){
		.last_us = v->now_us,
		.stuck_sign = sign_of(b->asked),
		.stuck_reason = floored ? REASON_FLOOR : REASON_STUCK,
		.stuck_until_us = v->now_us + STUCK_RETRY_US,
	};
	return true;
}

void progress_interrupt(struct progress *p)
{
	p->last_us = 0;
}

bool progress_is_stuck(const struct progress *p, int sign)
{
	return sign && p->stuck_sign == sign;
}
