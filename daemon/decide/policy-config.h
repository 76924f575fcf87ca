/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy-config.h - what the policy is told to do, and the words for what it did
 *
 * Below every other header of decide/, so that a part of the controller can
 * declare its own memory without knowing the whole. Others include policy.h.
 *
 * Units: bytes, microseconds, permille.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum policy_mode {
	MODE_AUTO, /* the configured law, at least the host's target */
	MODE_HOST, /* the host's target */
	MODE_MANUAL, /* the operator's target */
	MODE_OBSERVE, /* as auto, but nothing is to be moved */
	_MODE_MAX,
};

enum policy_law {
	LAW_ADAPTIVE,
	LAW_COMMITTED,
	_LAW_MAX,
};

/* Why the decision is what it is: the last rule that had a say. */
enum policy_reason {
	REASON_STARTING, /* not enough samples yet */
	REASON_STEADY, /* on target */
	REASON_FREE, /* inflating: free memory above the headroom */
	REASON_CACHE, /* inflating: probing the page cache */
	REASON_COMMITTED, /* moving after Committed_AS */
	REASON_HOST, /* moving to the host's target */
	REASON_MANUAL, /* moving to the operator's target */
	REASON_HEADROOM, /* deflating: MemAvailable below the headroom */
	REASON_WORKING_SET, /* deflating: what was pushed out is being read again */
	REASON_PRESSURE, /* deflating: stalls and reclaim */
	REASON_EMERGENCY, /* giving everything back */
	REASON_FLOOR, /* the floor forbids (more) inflation, or demands deflation */
	REASON_LIMIT, /* the configured or the host's limit */
	REASON_DEAD_BAND, /* goal too close to be worth a move */
	REASON_SETTLING, /* waiting for the effects of the last inflate */
	REASON_HOLD_OFF, /* the module allows no inflation after its last resort */
	REASON_RELIEF, /* the module gave memory to programs that asked */
	REASON_RESCUE, /* ... as its last resort: out of memory, or the lease ran out */
	REASON_STUCK, /* the transport makes no progress */
	REASON_NO_DATA, /* a needed number is missing or stale */
	REASON_NO_DEVICE, /* nothing to move */
	REASON_HELD, /* the operator said to stand still */
	REASON_NO_SWAP, /* law committed does not run without swap */
	REASON_PRICE, /* a larger balloon was dear, and is not worth that yet */
	REASON_STALLS, /* tasks stall, but not for what the balloon has */
	REASON_START_WAIT, /* the guest boots, or starts services */
	REASON_NOT_TAKEN, /* the host does not take what it is given */
	_REASON_MAX,
};

/* Whether the host takes what it is given, as far as that is proven. */
enum policy_taken {
	TAKEN_UNKNOWN, /* not proven yet, or it cannot be */
	TAKEN_PROVEN,
	TAKEN_IN_DOUBT, /* not the last time */
	TAKEN_NOTHING, /* not for some time */
	_TAKEN_MAX,
};

/*
 * Tunables. policy_config_default() fills them; config/ documents each with
 * unit, range and reason, and is the only writer.
 */
struct policy_config {
	enum policy_mode mode;
	enum policy_law law;

	uint64_t manual_target; /* bytes of balloon, for MODE_MANUAL */
	/* Stand still: follow no law and no order; shortage, relief and bounds still count. */
	bool hold;
	uint64_t limit; /* largest balloon, bytes; UINT64_MAX = only the floor limits */
	uint64_t floor; /* the guest keeps at least this; 0 = the curve by RAM */
	uint64_t reserve; /* on top of memory that cannot be reclaimed, bytes */

	/* law adaptive */
	uint64_t headroom_min; /* MemAvailable to keep, bytes; 0 = from RAM */
	uint64_t headroom_max; /* bytes; 0 = from RAM */
	uint64_t probe_interval_us; /* cache zone: one probe per interval */
	uint32_t probe_permille; /* ... of at most this share of what the guest has */
	uint32_t probe_pressure_permille; /* ... while PSI some is below this */
	uint32_t pressure_permille; /* PSI some over this, with reclaim, deflates */
	uint32_t critical_permille; /* PSI full over this, with reclaim, gives everything back */

	/* law committed */
	uint64_t committed_interval_us; /* between two goals */
	uint32_t committed_down; /* give up 1/n of the surplus at a time */
	uint32_t committed_up; /* take back 1/n of what is missing at a time */
	bool committed_without_swap; /* run although Committed_AS has no swap to overflow to */
	bool self_shrink; /* bring back what was swapped out */
	uint32_t shrink_inertia; /* ... after so many intervals without more of it */
	uint32_t shrink_hysteresis; /* ... 1/n of it an interval */

	/* the tail */
	uint64_t worthwhile; /* smallest gain worth a move, bytes; 0 = from RAM */
	uint64_t dead_band; /* bytes; 0 = from RAM */
	uint64_t start_wait_us; /* longest wait for a boot, and for services; 0 = none */
	uint64_t settle_us; /* longest wait for three healthy samples after an inflate */
	uint64_t hold_off_us; /* what was given back is left alone so long at least, for as much */
	uint64_t stall_price; /* bytes that, left alone for an hour, are as dear as a second lost */
	uint64_t inflate_rate; /* bytes a second, 0 = unlimited */
	uint64_t deflate_rate; /* bytes a second, 0 = unlimited; not used under pressure */
	uint64_t stuck_us; /* no progress for so long: stop asking */
	uint64_t proof_interval_us; /* how often the host is proven to take what it gets; 0 = never */
	uint64_t interval_us; /* between samples while something moves */
	uint64_t idle_interval_us; /* ... while nothing does */
};

/* Fill *c with the defaults, the ones that balloond.conf documents. */
void policy_config_default(struct policy_config *c);

/*
 * The least memory that a guest of this RAM keeps, in bytes: piecewise linear
 * (Linux drivers/hv/hv_balloon.c compute_balloon_floor(), extended to 32 GiB).
 */
uint64_t policy_floor_curve(uint64_t ram);

/*
 * What time that tasks lost is worth, in memory left alone x time: bytes x milliseconds, by
 * c->stall_price. The one rate of exchange, wherever one is weighed against the other.
 */
uint64_t policy_price_of_stall(const struct policy_config *c, uint64_t lost_us);

/* Names as used in the configuration, on the bus and in JSON; NULL if out of range. */
const char *policy_mode_name(enum policy_mode m);
const char *policy_law_name(enum policy_law l);
const char *policy_reason_name(enum policy_reason r);
/* One sentence for people. */
const char *policy_reason_text(enum policy_reason r);
/* The same for who is in that mode: in observe it says what would be done. */
const char *policy_reason_text_in(enum policy_mode m, enum policy_reason r);
/* As an answer to "does the host take it?": "unknown", "yes", "in-doubt", "no". */
const char *policy_taken_name(enum policy_taken t);
/* -EINVAL if there is no such name. */
int policy_mode_parse(const char *name, enum policy_mode *ret);
int policy_law_parse(const char *name, enum policy_law *ret);
