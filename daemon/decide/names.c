// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names of modes, laws and reasons, and the reasons in words.
 *
 * The names are interface: configuration, bus, JSON and recordings use them.
 * Each table is indexed by its enum and complete (asserted), so that a new
 * value without a name does not build. Mode observe moves nothing: its sentences say
 * what would be.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "decide/policy-config.h"

#define ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

static const char *const mode_names[] = {
	[MODE_AUTO] = "auto",
	[MODE_HOST] = "host",
	[MODE_MANUAL] = "manual",
	[MODE_OBSERVE] = "observe",
};
_Static_assert(ELEMENTS(mode_names) == _MODE_MAX, "a mode without a name");

static const char *const law_names[] = {
	[LAW_ADAPTIVE] = "adaptive",
	[LAW_COMMITTED] = "committed",
};
_Static_assert(ELEMENTS(law_names) == _LAW_MAX, "a law without a name");

static const char *const taken_names[] = {
	[TAKEN_UNKNOWN] = "unknown",
	[TAKEN_PROVEN] = "yes",
	[TAKEN_IN_DOUBT] = "in-doubt",
	[TAKEN_NOTHING] = "no",
};
_Static_assert(ELEMENTS(taken_names) == _TAKEN_MAX, "a verdict without a name");

/* clang-format off */
static const struct {
	const char *name;
	const char *text;
} reasons[] = {
	[REASON_STARTING] = { "starting", "Collecting the first samples, or the first after a standstill; nothing is moved yet." },
	[REASON_STEADY] = { "steady", "The balloon is where it should be." },
	[REASON_FREE] = { "free", "Inflating: the guest has free memory beyond its headroom." },
	[REASON_CACHE] = { "cache", "Inflating in small probes: page cache that seems cold is pushed out." },
	[REASON_COMMITTED] = { "committed", "Moving after the memory that programs have committed." },
	[REASON_HOST] = { "host", "The host's target decides." },
	[REASON_MANUAL] = { "manual", "The operator's target decides." },
	[REASON_HEADROOM] = { "headroom", "Deflating: available memory fell below the headroom, or a known peak is near." },
	[REASON_WORKING_SET] = { "working-set", "Deflating: the cache that was pushed out is being read again." },
	[REASON_PRICE] = { "price", "Not inflating until the memory left alone has been as dear as what it cost to take it the last time." },
	[REASON_STALLS] = { "stalls", "Tasks stall for memory, but nothing says that the balloon's would help." },
	[REASON_PRESSURE] = { "pressure", "Deflating: tasks stall while memory is being reclaimed." },
	[REASON_EMERGENCY] = { "emergency", "Giving everything back: the guest is critically short of memory." },
	[REASON_FLOOR] = { "floor", "The floor of what the guest keeps forbids a larger balloon." },
	[REASON_LIMIT] = { "limit", "The configured limit, or the host's or the module's, forbids a larger balloon." },
	[REASON_DEAD_BAND] = { "dead-band", "The goal is too close to be worth a move." },
	[REASON_SETTLING] = { "settling", "Waiting for the effects of the last inflation before judging it." },
	[REASON_HOLD_OFF] = { "hold-off", "The module allows no inflation for a moment after its last resort." },
	[REASON_RELIEF] = { "relief", "The module gave memory to programs that asked; that is ordinary." },
	[REASON_RESCUE] = { "rescue", "The module gave memory back as its last resort: before a kill, or because the lease ran out." },
	[REASON_STUCK] = { "stuck", "The transport makes no progress; asking again later." },
	[REASON_NO_DATA] = { "no-data", "A number that the decision needs is missing or stale; nothing is moved." },
	[REASON_NO_DEVICE] = { "no-device", "There is no balloon device; nothing can be moved." },
	[REASON_NO_SWAP] = { "no-swap", "Law committed does not run without swap, unless committed.without_swap is true." },
	[REASON_START_WAIT] = { "start-wait", "The guest, or a service in it, is starting; nothing is taken until it has." },
	[REASON_NOT_TAKEN] = { "not-taken", "Not inflating: the host did not take what it was given; it is asked again." },
	[REASON_HELD] = { "held", "The operator holds the balloon; only a shortage of memory moves it." },
};
/* clang-format on */
_Static_assert(ELEMENTS(reasons) == _REASON_MAX, "a reason without a name");

/* What is not said of a move is the same in mode observe. */
/* clang-format off */
static const char *const observed[_REASON_MAX] = {
	[REASON_FREE] = "Would inflate: the guest has free memory beyond its headroom.",
	[REASON_CACHE] = "Would inflate in small probes, to push out page cache that seems cold.",
	[REASON_COMMITTED] = "Would move after the memory that programs have committed.",
	[REASON_HOST] = "Would follow the host's target.",
	[REASON_HEADROOM] = "Would deflate: available memory fell below the headroom.",
	[REASON_WORKING_SET] = "Would deflate: cache that was pushed out is being read again.",
	[REASON_PRESSURE] = "Would deflate: tasks stall while memory is being reclaimed.",
	[REASON_EMERGENCY] = "Would give everything back: the guest is critically short of memory.",
	[REASON_FLOOR] = "The floor of what the guest keeps would forbid a larger balloon.",
	[REASON_LIMIT] = "The configured limit, or the host's or the module's, would forbid a larger balloon.",
	[REASON_SETTLING] = "Would wait for the effects of the last inflation before judging it.",
	[REASON_PRICE] = "Would not inflate until the memory left alone has been as dear as what it cost to take it the last time.",
	[REASON_NOT_TAKEN] = "Would not inflate: the host did not take what it was given.",
	[REASON_HELD] = "The operator holds the balloon; only a shortage of memory would move it.",
};
/* clang-format on */

const char *policy_mode_name(enum policy_mode m)
{
	return (size_t)m < ELEMENTS(mode_names) ? mode_names[m] : NULL;
}

const char *policy_law_name(enum policy_law l)
{
	return (size_t)l < ELEMENTS(law_names) ? law_names[l] : NULL;
}

const char *policy_taken_name(enum policy_taken t)
{
	return (size_t)t < ELEMENTS(taken_names) ? taken_names[t] : NULL;
}

const char *policy_reason_name(enum policy_reason r)
{
	return (size_t)r < ELEMENTS(reasons) ? reasons[r].name : NULL;
}

const char *policy_reason_text(enum policy_reason r)
{
	return (size_t)r < ELEMENTS(reasons) ? reasons[r].text : NULL;
}

const char *policy_reason_text_in(enum policy_mode m, enum policy_reason r)
{
	if (m == MODE_OBSERVE && (size_t)r < ELEMENTS(observed) && observed[r])
		return observed[r];
	return policy_reason_text(r);
}

static int parse(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

int policy_mode_parse(const char *name, enum policy_mode *ret)
{
	int r = parse(mode_names, ELEMENTS(mode_names), name);

	if (r < 0)
		return r;
	*ret = r;
	return 0;
}

int policy_law_parse(const char *name, enum policy_law *ret)
{
	int r = parse(law_names, ELEMENTS(law_names), name);

	if (r < 0)
		return r;
	*ret = r;
	return 0;
}
