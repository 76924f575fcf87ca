/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest.h - a guest that can be simulated: demand in, /proc out
 *
 * The model and its limits are described in balloon-trace(5). All amounts are
 * bytes, all times microseconds, all rates bytes a second. Pure and
 * deterministic: the same calls give the same numbers on every machine.
 *
 * Invariant after every call:
 *   anon + idle + hot + cold + free + balloon == ram
 *   swapped_anon + swapped_idle <= swap
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sense/sample.h"

/* guest_demand.cold: as much as there is room for, read once, never again. */
#define GUEST_COLD_FILLS UINT64_MAX

/* What the workload wants now. */
struct guest_demand {
	uint64_t need;		/* anonymous (not reclaimable) memory */
	uint64_t idle;		/* the part of it that nobody touches: may sleep in swap */
	uint64_t hot;		/* page cache that is read again and again */
	uint64_t cold;		/* page cache that is worth nothing, or GUEST_COLD_FILLS */
	uint64_t committed;	/* Committed_AS; 0 = from need */
	uint64_t fill_rate;	/* cold cache grows no faster: what is read and written; 0 = not known */
	/*
	 * Where it is known what goes through the page cache, cold cache is what came
	 * in and has not been reclaimed, whatever `cold` says; a second:
	 */
	uint64_t stream;	/* file pages that come in, hot cache aside; 0 = not known */
	uint64_t again;		/* the part of it that was evicted from cold cache before */
	uint64_t back;		/* not a rate: of hot, what was evicted where it was recorded */
	uint64_t drop;		/* cold cache that goes without reclaim by kswapd or a task */
};

/*
 * How fast the machine is, and its workload: what a trace or an option may say
 * (0 there: nothing is said; see guest_speed_or()).
 */
struct guest_speed {
	uint64_t disk_rate;	/* the disk, reads and writes together; files and swap are on it */
	uint64_t iops;		/* ... requests a second that it serves */
	uint64_t hot_period_us;	/* within which all of the hot cache is looked at once */
	uint64_t touch_rate;	/* how fast the workload can touch new memory */
	uint64_t reclaim_rate;	/* dropping clean page cache: kswapd, and as fast again the task itself */
};

/* What of it makes sense: from a floppy disk to memory, from a spinning loop to a month. */
#define GUEST_RATE_MIN (1ULL << 16)
#define GUEST_RATE_MAX (1ULL << 40)
#define GUEST_IOPS_MAX 100000000ULL
#define GUEST_PERIOD_MIN_US 100000ULL
#define GUEST_PERIOD_MAX_US (30 * 86400 * 1000000ULL)

struct guest_config {
	uint64_t ram;
	uint64_t swap;
	uint64_t balloon;	/* what it holds at the beginning */
	uint64_t lock_rate;	/* balloon: hand over */
	uint64_t unlock_rate;	/* balloon: take back */
	struct guest_speed speed;
	uint64_t fill_rate;	/* cold cache filling free memory, where the demand's is not known */
	uint64_t module_floor;	/* LOCK never takes what is available below this */
	uint64_t rescue_min;	/* the driver's OOM notifier gives back at least this in one call */
	uint32_t rescue_divisor; /* ... and at least this part of the balloon; 0 = no such rule */
	uint64_t relief_line;	/* while less is available reclaim gets the rest from the balloon; 0 = never */
	uint64_t rescue_hold_off_us; /* LOCK answers NOMEM for that long after it */
	uint32_t committed_permille; /* Committed_AS as a share of need, where the trace has none */
};

struct guest {
	struct guest_config c;
	uint64_t watermark_min;
	uint64_t watermark_low;
	uint64_t watermark_high;
	uint64_t total_reserve;	/* what MemAvailable subtracts from MemFree */

	struct guest_demand demand; /* without what the OOM killer ended */
	uint64_t wanted;	/* demand.need as the trace has it */
	uint64_t now_us;

	/* Where the RAM is. */
	uint64_t anon;		/* resident, touched all the time */
	uint64_t idle;		/* resident, not touched */
	uint64_t hot;
	uint64_t cold;
	uint64_t free;
	uint64_t balloon;
	/* Where the swap is. */
	uint64_t swapped_anon;
	uint64_t swapped_idle;

	uint64_t hot_evicted;	/* of the hot cache: was there, will be read back */
	uint64_t killed;	/* demand that the OOM killer ended; it does not come back until need falls */
	uint64_t oom_us;	/* for how long allocation has found nothing at all */
	uint64_t hold_off_until_us;
	bool kswapd_runs;	/* from below the low watermark to the high one */
	uint64_t stream_owed;	/* of the stream: what the disk or memory had no room for yet */
	uint64_t cold_evicted;	/* of the cold cache, and not read again */
	uint64_t back_was;	/* demand.back of the last step */
	uint64_t evict_rate;	/* of file pages, over about a hot period */
	uint64_t aged;		/* evicted and activated since the hot cache that is missing went, on average */
	/* What is left of this step ... */
	uint64_t kswapd_left;	/* ... for kswapd: bytes */
	uint64_t kswapd_us;	/* ... and what it has worked of it */
	uint64_t evicted;	/* ... file pages evicted in it */
	uint64_t shrink_left;	/* ... to be taken back from the host by relief: bytes */
	uint64_t disk_left_us;	/* ... of the disk's time */
	uint64_t write_left_us;	/* ... and of it for swapping out */
	uint64_t unmet;		/* wanted in the last step, and not there */
	uint64_t oom_kills;
	uint64_t rescues;	/* OOM notifier calls that found a balloon */
	uint64_t shrinks;	/* times that reclaim took something from the balloon */
	uint64_t relieved_bytes; /* ... and what it took */
	uint64_t relief_line;	/* in force now; the caller may set it */

	/* The move under way, see guest_move(). */
	int64_t asked;
	int64_t moved;
	bool may_reclaim;
	uint64_t took_us;
	uint32_t stop;		/* enum uballoon_stop */

	/* Counters, cumulative; bytes until guest_sample() makes pages of them. */
	uint64_t swapin_bytes;
	uint64_t swapout_bytes;
	uint64_t refault_hot_bytes;
	uint64_t workingset_bytes; /* ... of it: so soon that the kernel takes it for working set */
	uint64_t refault_cold_bytes;
	uint64_t direct_bytes;
	uint64_t kswapd_bytes;
	uint64_t psi_us[_PSI_FIELD_MAX];
	uint64_t kswapd_some_us; /* the part of PSI some that only kswapd's work caused */
	uint64_t balloon_some_us; /* the part of PSI some that only the balloon's own reclaim caused */
	uint64_t tasks_full_us;	/* PSI full, if only tasks could wait: without kswapd and the balloon */
};

/*
 * Rates of a plain virtual machine; see balloon-trace(5) for the sources. ram
 * and swap are the caller's.
 */
void guest_config_default(struct guest_config *c, uint64_t ram, uint64_t swap);

/* Field by field: what is said, where something is; else what `otherwise` says. */
struct guest_speed guest_speed_or(const struct guest_speed *said,
				  const struct guest_speed *otherwise);

/* The same on top of a configuration. A CPU that touches slowly reclaims as slowly, if not said. */
void guest_config_speed(struct guest_config *c, const struct guest_speed *said);

/* Sets the watermarks and the reserve of a guest whose RAM is known. */
void guest_watermarks(struct guest *g);

/* What a guest of this RAM keeps for itself: MemAvailable is that much below MemFree. */
uint64_t guest_reserve(uint64_t ram);

/*
 * The inverse of guest_available(): the need of a guest that has `usable` of
 * its RAM, so much available, and a page cache of that size.
 */
uint64_t guest_need_seen(uint64_t ram, uint64_t usable, uint64_t available, uint64_t file);

/* A guest that has been running with this demand and balloon for a while. */
void guest_init(struct guest *g, const struct guest_config *c, const struct guest_demand *d);

/* Start a move, in whole pages of 4 KiB; > 0 inflates. What was under way ends where it is. */
void guest_move(struct guest *g, int64_t step, bool may_reclaim);

/* Whether a move is under way. */
bool guest_moving(const struct guest *g);

/* How long the rest of it takes at full rate; UINT64_MAX if there is none. */
uint64_t guest_move_time(const struct guest *g);

/* Nothing happens that needs a closer look than a second: no stall, no move, no shortage. */
bool guest_calm(const struct guest *g);

/* Let dt_us pass, at the end of which the workload wants *d. */
void guest_step(struct guest *g, const struct guest_demand *d, uint64_t dt_us);

/* MemAvailable, as si_mem_available() in Linux mm/page_alloc.c computes it. */
uint64_t guest_available(const struct guest *g);

/* What /proc and the device would say. sample->trigger is left to the caller (TRIGGER_NONE). */
void guest_sample(const struct guest *g, struct sample *ret);
