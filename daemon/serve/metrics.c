// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * metrics.c - the state as metrics for Prometheus and its kin
 *
 * One table row a metric. Base units (bytes, seconds, ratios), a metric without
 * a value is left out rather than 0. The two dialects differ in what a counter's family is called,
 * in # UNIT lines, and in the end mark.
 *
 * Names are interface: once published, a name keeps its meaning.
 */
#include "serve/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum source {
	AS_BYTES,	/* uint64_t, UINT64_MAX = none */
	AS_SECONDS,	/* uint64_t microseconds, UINT64_MAX = none */
	AS_RATIO,	/* uint32_t permille */
	AS_NUMBER,	/* uint64_t */
	AS_PRESENT,	/* text: 1 if it is not empty */
};

static const struct metric {
	const char *name;	/* without the counters' _total */
	const char *unit;	/* NULL = none; the name ends with it */
	bool counter;
	enum source source;
	size_t offset;
	const char *help;
} metrics[] = {
#define M(n, u, c, s, field, h) {"balloond_" n, u, c, s, offsetof(struct status, field), h}
	M("ram_bytes", "bytes", false, AS_BYTES, ram, "Memory of the guest, balloon included."),
	M("balloon_bytes", "bytes", false, AS_BYTES, size, "What the balloon holds."),
	M("target_bytes", "bytes", false, AS_BYTES, target, "Where the balloon is being led."),
	M("goal_bytes", "bytes", false, AS_BYTES, goal,
	  "What the law would want the balloon to be if nothing held it back."),
	M("host_target_bytes", "bytes", false, AS_BYTES, host_target,
	  "What the host wants the balloon to be; absent if it says nothing."),
	M("host_excess_bytes", "bytes", false, AS_BYTES, host_excess,
	  "What the host asks for and does not let go of, though the guest has not got it to spare."),
	M("limit_bytes", "bytes", false, AS_BYTES, limit,
	  "The largest balloon allowed; absent if there is no limit."),
	M("floor_bytes", "bytes", false, AS_BYTES, floor, "The least that the guest keeps."),
	M("headroom_bytes", "bytes", false, AS_BYTES, headroom,
	  "What the law wants to stay available for bursts."),
	M("available_bytes", "bytes", false, AS_BYTES, available, "MemAvailable of the guest, the balloon not counted in it."),
	M("account_available_bytes", "bytes", false, AS_BYTES, account_available,
	  "Of the balloon: memory that programs can have, in MemTotal and MemAvailable."),
	M("account_gone_bytes", "bytes", false, AS_BYTES, account_gone,
	  "Of the balloon: missing from MemTotal, because the host does not let go of it."),
	M("account_host_bytes", "bytes", false, AS_BYTES, account_host,
	  "Of the balloon: accounted for by another driver of the kernel."),
	M("relief_line_bytes", "bytes", false, AS_BYTES, relief_line,
	  "Below so much available memory the module gives back by itself."),
	M("pressure_some_ratio", "ratio", false, AS_RATIO, mem_some_permille,
	  "Share of the last interval in which some task stalled for memory."),
	M("pressure_full_ratio", "ratio", false, AS_RATIO, mem_full_permille,
	  "Share of the last interval in which all tasks stalled for memory."),
	M("pressure_io_ratio", "ratio", false, AS_RATIO, io_some_permille,
	  "Share of the last interval in which some task stalled for input or output."),
	M("refault_pages_per_second", NULL, false, AS_NUMBER, refault_rate,
	  "Pages of the working set that were read again, over the last interval."),
	M("lease_left_seconds", "seconds", false, AS_SECONDS, lease_left_us,
	  "Time after which the module gives everything back unless the lease is renewed."),
	M("hold_off_left_seconds", "seconds", false, AS_SECONDS, hold_off_left_us,
	  "Time for which the balloon will not be inflated."),
	M("held", NULL, false, AS_PRESENT, held, "1 while the operator holds the balloon."),
	M("problem", NULL, false, AS_PRESENT, problem, "1 while something is wrong."),
	M("host_takes_nothing", NULL, false, AS_NUMBER, takes_nothing,
	  "1 while the host is known to keep all that it is given."),
	M("config_error", NULL, false, AS_PRESENT, config_error,
	  "1 after a reload that failed, until one that does not."),
	M("inflated_bytes", "bytes", true, AS_BYTES, inflated_total,
	  "Given to the host since the daemon was started."),
	M("deflated_bytes", "bytes", true, AS_BYTES, deflated_total,
	  "Taken back since the daemon was started."),
	M("relief_events", NULL, true, AS_NUMBER, relief_events,
	  "Times that the module gave memory back by itself, most of them by the relief line."),
	M("rescue_events", NULL, true, AS_NUMBER, rescue_events,
	  "Of these: by the OOM notifier, or because the lease ran out."),
	M("rescued_bytes", "bytes", true, AS_BYTES, rescued,
	  "Given back by these; a rescue that had nothing to give is one, too."),
	M("relieved_bytes", "bytes", true, AS_BYTES, relieved,
	  "Given to programs that asked, by the relief line, since the device appeared."),
	M("relieved_direct_bytes", "bytes", true, AS_BYTES, relieved_direct,
	  "Of these: to tasks that reclaimed for themselves; the rest by kswapd."),
	M("proofs_taken", NULL, true, AS_NUMBER, proofs_taken,
	  "Times that the host took the page it was proven with, since the device appeared."),
	M("proofs_kept", NULL, true, AS_NUMBER, proofs_kept,
	  "Times that it did not."),
	M("emergencies", NULL, true, AS_NUMBER, emergencies,
	  "Times that the daemon gave everything back."),
	M("decisions", NULL, true, AS_NUMBER, ticks, "Decisions made since the daemon was started."),
#undef M
};

struct out {
	char *buf;
	size_t n;
	size_t used;	/* may exceed n */
};

__attribute__((format(printf, 2, 3)))
static void put(struct out *o, const char *format, ...)
{
	size_t left = o->used < o->n ? o->n - o->used : 0;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(left ? o->buf + o->used : NULL, left, format, ap);
	va_end(ap);
	o->used += len > 0 ? (size_t)len : 0;
}

static void head(struct out *o, enum metrics_dialect dialect, const struct metric *m)
{
	const char *suffix = m->counter && dialect == METRICS_PROMETHEUS ? "_total" : "";

	put(o, "# HELP %s%s %s\n# TYPE %s%s %s\n", m->name, suffix, m->help, m->name, suffix,
	    m->counter ? "counter" : "gauge");
	if (m->unit && dialect == METRICS_OPENMETRICS)
		put(o, "# UNIT %s %s\n", m->name, m->unit);
}

static void one(struct out *o, enum metrics_dialect dialect, const struct metric *m,
		const struct status *s)
{
	const char *at = (const char *)s + m->offset, *total = m->counter ? "_total" : "";
	uint64_t v = 0;
	uint32_t permille;

	if (m->source == AS_RATIO) {
		memcpy(&permille, at, sizeof(permille));
		v = permille;
	} else if (m->source == AS_PRESENT) {
		v = *at != '\0';
	} else {
		memcpy(&v, at, sizeof(v));
		if (v == UINT64_MAX)
			return;
	}

	head(o, dialect, m);
	switch (m->source) {
	case AS_BYTES:
	case AS_NUMBER:
	case AS_PRESENT:
		put(o, "%s%s %" PRIu64 "\n", m->name, total, v);
		return;
	case AS_SECONDS:
		put(o, "%s%s %" PRIu64 ".%06" PRIu64 "\n", m->name, total, v / 1000000, v % 1000000);
		return;
	case AS_RATIO:
		put(o, "%s%s %" PRIu64 ".%03" PRIu64 "\n", m->name, total, v / 1000, v % 1000);
		return;
	}
}

/* Facts that are words: the value is always 1. The words are our own, without quotes. */
static void words(struct out *o, const struct status *s)
{
	put(o,
	    "# HELP balloond_build_info Version of the daemon.\n"
	    "# TYPE balloond_build_info gauge\n"
	    "balloond_build_info{version=\"" VERSION "\"} 1\n"
	    "# HELP balloond_mode Who decides, by which law, for which host.\n"
	    "# TYPE balloond_mode gauge\n"
	    "balloond_mode{mode=\"%s\",law=\"%s\",host=\"%s\"} 1\n"
	    "# HELP balloond_reason Why the last decision was made.\n"
	    "# TYPE balloond_reason gauge\n"
	    "balloond_reason{reason=\"%s\"} 1\n",
	    s->mode, s->law, s->host, s->reason);
}

int metrics_format(const struct status *s, enum metrics_dialect dialect, char *buf, size_t n)
{
	struct out o = {buf, n, 0};

	words(&o, s);
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		one(&o, dialect, &metrics[i], s);
	if (dialect == METRICS_OPENMETRICS)
		put(&o, "# EOF\n");
	return o.used < n ? 0 : -ENOBUFS;
}
