// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * config-keys.c - every key of balloond.conf: type, place, range, meaning
 *
 * Data only. The manual, conf/balloond.conf and the tests are compared with
 * this table; a key is added here and nowhere else in the code.
 *
 * Ranges are wide: they refuse what cannot work or would hurt (an interval of
 * 1 us, a lease that outlives the module's bound), not what is merely unusual.
 */
#include "config/config.h"

#include <errno.h>

#include "basic/log.h"

#define MS  1000ULL
#define S   (1000 * MS)
#define MIN (60 * S)
#define H   (60 * MIN)
#define MIB (1ULL << 20)
#define TIB (1ULL << 40)

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

static const char *mode_name(int i)
{
	return policy_mode_name((enum policy_mode)i);
}

static const char *law_name(int i)
{
	return policy_law_name((enum policy_law)i);
}

const char *config_on_stop_name(int i)
{
	switch ((enum config_on_stop)i) {
	case ON_STOP_RETURN:
		return "return";
	case ON_STOP_KEEP:
		return "keep";
	case _ON_STOP_MAX:
		break;
	}
	return NULL;
}

const char *config_account_name(int i)
{
	switch ((enum config_account)i) {
	case ACCOUNT_AUTO:
		return "auto";
	case ACCOUNT_AVAILABLE:
		return "available";
	case ACCOUNT_GONE:
		return "gone";
	case _ACCOUNT_MAX:
		break;
	}
	return NULL;
}

const char *config_without_module_name(int i)
{
	switch ((enum config_without_module)i) {
	case WITHOUT_MODULE_RECLAIM:
		return "reclaim";
	case WITHOUT_MODULE_WAIT:
		return "wait";
	case _WITHOUT_MODULE_MAX:
		break;
	}
	return NULL;
}

#define POLICY(field) offsetof(struct config, policy.field)

#define ENUM(n, off, name_of, first, h)                                                            \
	{.name = (n), .type = CONFIG_ENUM, .offset = (off), .size_key = -1, .enum_name = (name_of), \
	 .enum_first = (first), .unit = "name", .help = (h)}
#define SIZE(n, field, lo, hi, key, w, wv, h)                                                      \
	{.name = (n), .type = CONFIG_SIZE, .offset = POLICY(field), .min = (lo), .max = (hi),      \
	 .size_key = (key), .word = (w), .word_value = (wv), .unit = "size or share of RAM",       \
	 .help = (h)}
#define RATE(n, field, h)                                                                          \
	{.name = (n), .type = CONFIG_RATE, .offset = POLICY(field), .min = MIB, .max = TIB,        \
	 .size_key = -1, .word = "unlimited", .word_value = 0, .unit = "size per second",          \
	 .help = (h)}
#define TIME(n, off, lo, hi, w, h)                                                                 \
	{.name = (n), .type = CONFIG_TIME, .offset = (off), .min = (lo), .max = (hi),              \
	 .size_key = -1, .word = (w), .word_value = 0, .unit = "time", .help = (h)}
#define PERMILLE(n, field, lo, hi, h)                                                              \
	{.name = (n), .type = CONFIG_PERMILLE, .offset = POLICY(field), .min = (lo), .max = (hi),  \
	 .size_key = -1, .unit = "share", .help = (h)}
/* Windows as the kernel bounds them (kernel/sched/psi.c: 500 ms to 10 s). */
#define TRIGGER(n, field, h)                                                                       \
	{.name = (n), .type = CONFIG_TRIGGER, .offset = offsetof(struct config, field),            \
	 .min = 500 * MS, .max = 10 * S, .size_key = -1, .word = "off", .unit = "stall/window",    \
	 .help = (h)}

#define COUNT(n, field, lo, hi, h)                                                                 \
	{.name = (n), .type = CONFIG_COUNT, .offset = POLICY(field), .min = (lo), .max = (hi),     \
	 .size_key = -1, .unit = "number", .help = (h)}
#define BOOL(n, off, h)                                                                            \
	{.name = (n), .type = CONFIG_BOOL, .offset = (off), .max = 1, .size_key = -1,              \
	 .unit = "true or false", .help = (h)}

#define PATH(n, field, w, h)                                                                       \
	{.name = (n), .type = CONFIG_FILE, .offset = offsetof(struct config, field),               \
	 .size_key = -1, .word = (w), .unit = "absolute path", .help = (h)}

static const struct config_key keys[] = {
	ENUM("mode", POLICY(mode), mode_name, 0,
	     "Who decides: the law, the host, the operator, or nobody (observe)"),
	ENUM("law", POLICY(law), law_name, 0, "Control law of mode auto"),
	SIZE("limit", limit, MIB, 64 * TIB, SIZE_LIMIT, "none", UINT64_MAX,
	     "Largest balloon; none: only the floor limits it"),
	SIZE("floor", floor, MIB, 64 * TIB, SIZE_FLOOR, "auto", 0,
	     "The guest keeps at least this; auto: a curve by RAM"),
	SIZE("reserve", reserve, 0, 64 * TIB, SIZE_RESERVE, NULL, 0,
	     "Kept on top of memory that cannot be reclaimed"),
	TIME("lease", offsetof(struct config, lease_us), 2 * S, H, "off",
	     "The module empties the balloon if the daemon is silent for so long"),
	ENUM("on_stop", offsetof(struct config, on_stop), config_on_stop_name, 0,
	     "On exit: return the memory to the guest, or keep the balloon"),
	ENUM("account", offsetof(struct config, account), config_account_name, 0,
	     "How programs see the balloon: memory that they can have, or memory that is gone"),
	TIME("interval", POLICY(interval_us), 100 * MS, 30 * S, NULL,
	     "Between two samples while something moves"),
	TIME("idle_interval", POLICY(idle_interval_us), 100 * MS, 60 * S, NULL,
	     "Between two samples while nothing does"),
	ENUM("log_level", offsetof(struct config, log_level), log_level_name, LOG_ERR,
	     "Least important message that is logged"),
	PATH("metrics_file", metrics_file, "none",
	     "File for node_exporter's textfile collector; its name ends with .prom"),
	BOOL("adopt", offsetof(struct config, adopt),
	     "At the start of the service, take the device over from the kernel's driver"),
	ENUM("without_module", offsetof(struct config, without_module), config_without_module_name, 0,
	     "Where uballoon is missing: push cold cache out by memory.reclaim, or wait"),

	SIZE("adaptive.headroom_min", headroom_min, MIB, 64 * TIB, SIZE_HEADROOM_MIN, "auto", 0,
	     "Least available memory to keep for bursts"),
	SIZE("adaptive.headroom_max", headroom_max, MIB, 64 * TIB, SIZE_HEADROOM_MAX, "auto", 0,
	     "Most available memory to keep, however large the bursts were"),
	TIME("adaptive.probe_interval", POLICY(probe_interval_us), 500 * MS, 10 * MIN, NULL,
	     "Cache zone: one probe per interval"),
	PERMILLE("adaptive.probe_share", probe_permille, 1, 100,
		 "Cache zone: a probe takes at most this share of what the guest has"),
	PERMILLE("adaptive.probe_pressure", probe_pressure_permille, 1, 500,
		 "Cache zone: probes stop at this share of time stalled (some)"),
	PERMILLE("adaptive.pressure", pressure_permille, 1, 1000,
		 "Stalled (some) for more than this, with reclaim: deflate"),
	PERMILLE("adaptive.critical", critical_permille, 1, 1000,
		 "Stalled (full) for more than this, with reclaim: give everything back"),

	TIME("committed.interval", POLICY(committed_interval_us), 100 * MS, 10 * MIN, NULL,
	     "Between two goals"),
	COUNT("committed.down", committed_down, 1, 1000,
	      "Give up 1/n of what the guest has too much, at a time"),
	COUNT("committed.up", committed_up, 1, 1000,
	      "Take back 1/n of what the guest has too little, at a time"),
	BOOL("committed.without_swap", POLICY(committed_without_swap),
	     "Run without swap, where Committed_AS has nothing to overflow to"),

	BOOL("committed.self_shrink", POLICY(self_shrink),
	     "Bring back what was swapped out; needs CAP_SYS_NICE and CAP_SYS_PTRACE"),
	COUNT("committed.shrink_inertia", shrink_inertia, 0, 1000,
	      "... after so many intervals in which swap use has not grown"),
	COUNT("committed.shrink_hysteresis", shrink_hysteresis, 1, 1000,
	      "... 1/n of it an interval, and not more than 32 MiB"),

	SIZE("tail.worthwhile", worthwhile, MIB, TIB, SIZE_WORTHWHILE, "auto", 0,
	     "Smallest gain that is worth inflating for"),
	SIZE("tail.dead_band", dead_band, MIB, TIB, SIZE_DEAD_BAND, "auto", 0,
	     "Goals closer to the balloon than this are left alone"),
	TIME("tail.start_wait", POLICY(start_wait_us), 0, H, NULL,
	     "Longest wait for a boot, or for services that start; 0: none"),
	TIME("tail.settle", POLICY(settle_us), 0, 10 * MIN, NULL,
	     "Longest wait for healthy samples after an inflation"),
	SIZE("tail.stall_price", stall_price, MIB, TIB, SIZE_STALL_PRICE, NULL, 0,
	     "Memory that, left alone for an hour, is as dear as a second in which tasks wait"),
	TIME("tail.hold_off", POLICY(hold_off_us), 0, H, NULL,
	     "The least price of giving back: as much left alone for so long"),
	RATE("tail.inflate_rate", inflate_rate, "Fastest inflation"),
	RATE("tail.deflate_rate", deflate_rate, "Fastest deflation; not used under pressure"),
	TIME("tail.stuck", POLICY(stuck_us), S, 10 * MIN, NULL,
	     "No progress for so long: stop asking and say so"),
	TIME("tail.proof_interval", POLICY(proof_interval_us), 0, 24 * H, NULL,
	     "How often the host is proven to take what it is given; 0: never"),

	TRIGGER("psi.early", psi_early, "Memory stall (some) that wakes the daemon at once"),
	TRIGGER("psi.emergency", psi_emergency, "Memory stall (full) that wakes it as an emergency"),
};

_Static_assert(sizeof(enum policy_mode) == 4 && sizeof(enum policy_law) == 4 &&
	       sizeof(enum config_on_stop) == 4 &&
	       sizeof(enum config_without_module) == 4 &&
	       sizeof(enum config_account) == 4, "enumerations are stored as 32 bits");

_Static_assert(N_KEYS <= CONFIG_KEYS_MAX, "config_origins has a place for each");

const struct config_key *config_keys(size_t *ret_n)
{
	*ret_n = N_KEYS;
	return keys;
}

void config_default(struct config *ret)
{
	*ret = (struct config){
		/* One third of it is the period of the keepalive, far above any tick. */
		.lease_us = 30 * S,
		.on_stop = ON_STOP_RETURN,
		/* Start points of systemd-oomd's and Android's kind: early is felt, not seen. */
		.psi_early = {70 * MS, S},
		.psi_emergency = {100 * MS, S},
		.log_level = LOG_INFO,
	};
	policy_config_default(&ret->policy);
}
