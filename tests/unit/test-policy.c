// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policy as tables: (configuration, state, sample, now) -> decision.
 */
#include <errno.h>
#include <string.h>

#include "sample-maker.h"
#include "uballoon.h"

_Static_assert(POLICY_STOP_NOMEM == UBALLOON_STOP_NOMEM, "ABI");
_Static_assert(POLICY_STOP_FLOOR == UBALLOON_STOP_FLOOR, "ABI");
_Static_assert(POLICY_STOP_REFUSED == UBALLOON_STOP_REFUSED, "ABI");

static struct policy_config config(enum policy_mode mode)
{
	struct policy_config c;

	policy_config_default(&c);
	c.mode = mode;
	return c;
}

static void test_floor_curve(void **state)
{
	static const struct {
		uint64_t ram_mib;
		uint64_t floor_mib;
	} rows[] = {
		{0, 0},	     {4, 4},	  {64, 40},	 {127, 71},	{128, 72},
		{256, 104},  {512, 168},  {1024, 232},	 {2047, 359},	{2048, 360},
		{4096, 488}, {8192, 744}, {16384, 1000}, {32768, 1512}, {1048576, 33256},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(policy_floor_curve(rows[i].ram_mib * MIB) / MIB,
				 rows[i].floor_mib);
	for (uint64_t ram = 16 * MIB, last = 0; ram < 64 * GIB; ram += 16 * MIB) {
		assert_true(policy_floor_curve(ram) >= last);
		assert_true(policy_floor_curve(ram) <= ram);
		last = policy_floor_curve(ram);
	}
}

static void test_names(void **state)
{
	enum policy_mode m;
	enum policy_law l;

	(void)state;
	for (int i = 0; i < _MODE_MAX; i++) {
		assert_int_equal(policy_mode_parse(policy_mode_name(i), &m), 0);
		assert_int_equal(m, i);
	}
	for (int i = 0; i < _LAW_MAX; i++) {
		assert_int_equal(policy_law_parse(policy_law_name(i), &l), 0);
		assert_int_equal(l, i);
	}
	for (int i = 0; i < _REASON_MAX; i++) {
		assert_non_null(policy_reason_name(i));
		assert_non_null(policy_reason_text(i));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(policy_reason_name(i), policy_reason_name(k));
	}
	assert_null(policy_mode_name(_MODE_MAX));
	assert_null(policy_law_name(-1));
	assert_null(policy_reason_name(_REASON_MAX));
	assert_null(policy_reason_text(_REASON_MAX));
	m = MODE_HOST;
	assert_int_equal(policy_mode_parse("Auto", &m), -EINVAL);
	assert_int_equal(m, MODE_HOST);
	assert_int_equal(policy_law_parse("", &l), -EINVAL);
}

/* One row: a healthy guest is spoilt by setup(), seen at 1 s and at 2 s; the second counts. */
struct row {
	const char *name;
	enum policy_mode mode;
	void (*configure)(struct policy_config *c);
	void (*setup)(struct sample *s); /* before the first look */
	void (*happen)(struct sample *s); /* between the two */
	enum policy_reason reason;
	int64_t step; /* ANY: see sign */
	int sign;
	bool urgent;
	uint64_t next_us; /* 0: do not care */
};

#define ANY INT64_MAX

static void size_4g(struct sample *s)
{
	set_balloon(s, 4 * GIB);
}

static void near_floor(struct sample *s)
{
	set_balloon(s, 8 * GIB - 760 * MIB);
}

static void size_6g(struct sample *s)
{
	set_balloon(s, 6 * GIB);
}

static void full_balloon(struct sample *s)
{
	/* U = 1.25 GiB, N = 1 GiB: exactly the headroom. */
	set_balloon(s, 8 * GIB - 1280 * MIB);
}

static void no_device(struct sample *s)
{
	memset(&s->balloon, 0, sizeof(s->balloon));
}

static void no_available(struct sample *s)
{
	set_balloon(s, 4 * GIB);
	s->mem_have &= ~(1U << MEM_AVAILABLE);
}

static void no_free(struct sample *s)
{
	s->mem_have &= ~(1U << MEM_FREE);
	s->psi_have = 0;
}

static void cache_everywhere(struct sample *s)
{
	s->mem[MEM_CACHED] = 6 * GIB + 900 * MIB;
	s->mem[MEM_FREE] = 100 * MIB;
}

static void cache_and_io(struct sample *s)
{
	cache_everywhere(s);
	s->psi[PSI_IO_SOME_US] += 5000;
}

static void stall_io_and_refault(struct sample *s)
{
	s->psi[PSI_IO_SOME_US] += 5000;
	s->vm[VM_ACTIVATE_FILE] += 1;
}

static void stall_io(struct sample *s)
{
	s->psi[PSI_IO_SOME_US] += 5000;
}

static void activations(struct sample *s)
{
	s->vm[VM_ACTIVATE_FILE] += 5000;
}

static void bare_refaults(struct sample *s)
{
	s->vm[VM_REFAULT_FILE] += 100000;
}

/* Everybody waits for a disk that serves few requests, and kswapd does all the reclaim. */
static void restores(struct sample *s)
{
	s->vm[VM_RESTORE_FILE] += 100;
	s->psi[PSI_MEM_SOME_US] += 600000;
	s->psi[PSI_MEM_FULL_US] += 600000;
	s->psi[PSI_IO_SOME_US] += 700000;
}

/* The same, but nothing was waited for: a disk that is fast enough. */
static void restores_quickly(struct sample *s)
{
	s->vm[VM_RESTORE_FILE] += 100000;
	s->psi[PSI_MEM_SOME_US] += 5000;
	s->psi[PSI_IO_SOME_US] += 5000;
}

/* kswapd stalls, and programs wait for something else. */
static void restores_few(struct sample *s)
{
	s->vm[VM_RESTORE_FILE] += 3;
	s->psi[PSI_MEM_SOME_US] += 300000;
	s->psi[PSI_IO_SOME_US] += 300000;
}

static void restores_alone(struct sample *s)
{
	s->vm[VM_RESTORE_FILE] += 5000;
}

/* A kernel's bug that others saw: the total jumps by 2^32 ns. */
static void stall_total_jumps(struct sample *s)
{
	s->psi[PSI_MEM_SOME_US] += 4294967;
	s->psi[PSI_MEM_FULL_US] += 4294967;
}

static void size_4g_cached(struct sample *s)
{
	set_balloon(s, 4 * GIB);
	s->mem[MEM_CACHED] = 2 * GIB + 900 * MIB;
	s->mem[MEM_FREE] = 100 * MIB;
}

/* kswapd has nothing to do: what is evicted is so within a group, at its own limit. */
static void size_4g_free(struct sample *s)
{
	set_balloon(s, 4 * GIB);
	s->mem[MEM_FREE] = 300 * MIB;
}

static void host_wants_5g_cached(struct sample *s)
{
	size_4g_cached(s);
	s->balloon.host_target_valid = true;
	s->balloon.host_target = 5 * GIB;
}

static void swap_out(struct sample *s)
{
	s->vm[VM_PSWPOUT] += 300;
}

static void low_available(struct sample *s)
{
	s->mem[MEM_AVAILABLE] = 100 * MIB;
	s->mem[MEM_FREE] = 70 * MIB;
}

static void stalled_and_scanning(struct sample *s)
{
	s->vm[VM_RESTORE_FILE] += 1000;
	s->mem[MEM_FREE] = 70 * MIB;
	press(s, SEC, 90, 10, 5000);
}

static void stalled_scanning_low(struct sample *s)
{
	low_available(s);
	press(s, SEC, 90, 10, 5000);
}

static void stalled_only(struct sample *s)
{
	s->mem[MEM_FREE] = 70 * MIB;
	press(s, SEC, 900, 90, 0);
}

static void fully_stalled(struct sample *s)
{
	s->vm[VM_RESTORE_FILE] += 1000;
	s->mem[MEM_FREE] = 70 * MIB;
	press(s, SEC, 300, 150, 5000);
}

/* What a program does that grows into clean cache: 15 % of the time, nobody else has anything to do. */
static void grows_into_cache(struct sample *s)
{
	s->mem[MEM_FREE] = 70 * MIB;
	press(s, SEC, 150, 150, 1000);
}

static void grows_into_cache_trigger(struct sample *s)
{
	grows_into_cache(s);
	s->trigger = TRIGGER_EMERGENCY;
}

static void fully_stalled_but_free(struct sample *s)
{
	press(s, SEC, 990, 900, 5000);
}

static void trigger_early(struct sample *s)
{
	s->vm[VM_RESTORE_FILE] += 1000;
	s->mem[MEM_FREE] = 70 * MIB;
	s->vm[VM_PGSCAN_DIRECT] += 1000;
	s->trigger = TRIGGER_EARLY;
}

static void trigger_early_alone(struct sample *s)
{
	s->mem[MEM_FREE] = 70 * MIB;
	s->trigger = TRIGGER_EARLY;
}

static void trigger_emergency(struct sample *s)
{
	s->vm[VM_RESTORE_FILE] += 1000;
	s->mem[MEM_FREE] = 70 * MIB;
	s->vm[VM_PGSCAN_DIRECT] += 1000;
	s->trigger = TRIGGER_EMERGENCY;
}

static void nearly_out(struct sample *s)
{
	s->mem[MEM_AVAILABLE] = 10 * MIB;
	s->mem[MEM_FREE] = 70 * MIB;
	s->vm[VM_PGSCAN_DIRECT] += 100;
}

static void relief(struct sample *s)
{
	s->balloon.relief_events++;
	s->balloon.relieved += 512 * MIB;
	set_balloon(s, s->balloon.size - 512 * MIB);
}

static void rescue_and_low(struct sample *s)
{
	relief(s);
	s->balloon.rescue_events++;
	low_available(s);
}

static void relief_nibble(struct sample *s)
{
	s->balloon.relief_events++;
	s->balloon.relieved += 2 * MIB;
	set_balloon(s, s->balloon.size - 2 * MIB);
}

static void draining(struct sample *s)
{
	s->balloon.draining = true;
}

static void module_holds_off(struct sample *s)
{
	s->balloon.holdoff_us = 5 * SEC;
}

static void mlock_3g(struct sample *s)
{
	s->mem[MEM_MLOCKED] = 3 * GIB;
	s->mem[MEM_UNEVICTABLE] = 3 * GIB;
}

static void host_wants_5g(struct sample *s)
{
	s->balloon.host_target_valid = true;
	s->balloon.host_target = 5 * GIB;
}

static void host_wants_more_than_floor(struct sample *s)
{
	s->balloon.host_target_valid = true;
	s->balloon.host_target = 8 * GIB;
}

static void host_wants_2g_only(struct sample *s)
{
	s->balloon.host_target_valid = true;
	s->balloon.host_target = 2 * GIB;
	s->balloon.may_exceed_host = false;
}

static void host_rules(struct sample *s)
{
	set_balloon(s, 6 * GIB);
	s->balloon.host_target_valid = true;
	s->balloon.host_target = 6 * GIB;
	s->balloon.may_undercut_host = false;
}

static void host_silent_guest_bound(struct sample *s)
{
	s->balloon.may_exceed_host = false;
}

static void at_host_target(struct sample *s)
{
	set_balloon(s, 6 * GIB);
	host_wants_5g(s);
	s->balloon.host_target = 6 * GIB;
}

static void module_limit(struct sample *s)
{
	set_balloon(s, 4 * GIB);
	s->balloon.limit = 1 * GIB;
}

static void limit_1g(struct policy_config *c)
{
	c->limit = 1 * GIB;
}

static void target_5g(struct policy_config *c)
{
	c->manual_target = 5 * GIB;
}

static void target_all(struct policy_config *c)
{
	c->manual_target = 8 * GIB;
}

static void rate_100m(struct policy_config *c)
{
	target_5g(c);
	c->inflate_rate = 100 * MIB;
}

static void down_rate_100m(struct policy_config *c)
{
	c->manual_target = 1 * GIB;
	c->deflate_rate = 100 * MIB;
}

static void committed(struct policy_config *c)
{
	c->law = LAW_COMMITTED;
}

static void commit_2g(struct sample *s)
{
	s->mem[MEM_COMMITTED_AS] = 2 * GIB;
}

static void commit_no_swap(struct sample *s)
{
	commit_2g(s);
	s->mem[MEM_SWAP_TOTAL] = s->mem[MEM_SWAP_FREE] = 0;
}

static void commit_7g(struct sample *s)
{
	set_balloon(s, 4 * GIB);
	s->mem[MEM_COMMITTED_AS] = 7 * GIB;
}

#define M(x) ((x) * (int64_t)MIB)
/* Half of A less headroom, whole 2 MiB pages: (7168 - 256) / 2. */
#define HALF_SLACK M(3456)

/* One row a line, for the eye. */
/* clang-format off */
static const struct row rows[] = {
	{ "free memory", MODE_AUTO, NULL, NULL, NULL, REASON_FREE, HALF_SLACK, 1, false, SEC },
	{ "observe moves nothing", MODE_OBSERVE, NULL, NULL, NULL, REASON_FREE, 0, 0, false, SEC },
	{ "observe without device", MODE_OBSERVE, NULL, no_device, NULL, REASON_FREE, 0, 0, false, SEC },
	{ "no device", MODE_AUTO, NULL, no_device, NULL, REASON_NO_DEVICE, 0, 0, false, 0 },
	{ "no MemAvailable", MODE_AUTO, NULL, no_available, NULL, REASON_NO_DATA, 0, 0, false, SEC },
	{ "no MemAvailable, manual", MODE_MANUAL, target_5g, no_available, NULL, REASON_NO_DATA, 0, 0, false, SEC },
	{ "no MemFree, no PSI", MODE_AUTO, NULL, no_free, NULL, REASON_STEADY, 0, 0, false, 0 },
	{ "on target", MODE_AUTO, NULL, full_balloon, NULL, REASON_STEADY, 0, 0, false, 5 * SEC },
	{ "probe of 1 %", MODE_AUTO, NULL, cache_everywhere, NULL, REASON_CACHE, M(80), 1, false, SEC },
	{ "no probe while evicted pages are waited for", MODE_AUTO, NULL, cache_and_io, stall_io_and_refault, REASON_STEADY, 0, 0, false, 0 },
	{ "programs wait for disks", MODE_AUTO, NULL, cache_and_io, stall_io, REASON_CACHE, M(80), 1, false, SEC },
	{ "no probe while cache comes back", MODE_AUTO, NULL, cache_everywhere, activations, REASON_STEADY, 0, 0, false, 0 },
	{ "a cold stream is no signal", MODE_AUTO, NULL, cache_everywhere, bare_refaults, REASON_CACHE, M(80), 1, false, 0 },
	/* Four probes of 1 % of 4 GiB. */
	{ "working set is read again", MODE_AUTO, NULL, size_4g_cached, restores, REASON_WORKING_SET, -167776 * 1024LL, -1, false, SEC },
	{ "... whatever the operator wants", MODE_MANUAL, target_5g, size_4g_cached, restores, REASON_WORKING_SET, -167776 * 1024LL, -1, false, SEC },
	{ "... or the host", MODE_HOST, NULL, host_wants_5g_cached, restores, REASON_WORKING_SET, -167776 * 1024LL, -1, false, SEC },
	{ "... unless the kernel has free memory", MODE_MANUAL, target_5g, size_4g_free, restores, REASON_MANUAL, ANY, 1, false, SEC },
	{ "... or nobody waits for it", MODE_AUTO, NULL, size_4g_cached, restores_quickly, REASON_STEADY, 0, 0, false, 0 },
	{ "... or for so few pages only", MODE_AUTO, NULL, size_4g_cached, restores_few, REASON_STALLS, 0, 0, false, 0 },
	{ "PSI jumps", MODE_AUTO, NULL, size_4g_cached, stall_total_jumps, REASON_STALLS, 0, 0, false, 0 },
	{ "restores without a stall", MODE_AUTO, NULL, size_4g_cached, restores_alone, REASON_STEADY, 0, 0, false, 0 },
	{ "no probe while swapping", MODE_AUTO, NULL, cache_everywhere, swap_out, REASON_STEADY, 0, 0, false, 0 },
	/* A fell by 924 MiB at once: the headroom learned is the largest, 1 GiB, and as much may follow. */
	{ "below headroom", MODE_AUTO, NULL, size_6g, low_available, REASON_HEADROOM, M(-2 * 924), -1, false, SEC / 10 },
	{ "headroom is not for manual", MODE_MANUAL, target_5g, size_4g, low_available, REASON_MANUAL, ANY, 1, false, 0 },
	{ "stall confirmed by scans", MODE_AUTO, NULL, size_6g, stalled_and_scanning, REASON_PRESSURE, M(-3072), -1, true, SEC / 10 },
	{ "stall and little left", MODE_AUTO, NULL, size_6g, stalled_scanning_low, REASON_PRESSURE, M(-6144), -1, true, SEC / 10 },
	{ "stall alone", MODE_AUTO, NULL, full_balloon, stalled_only, REASON_STALLS, 0, 0, false, 0 },
	{ "full stall", MODE_AUTO, NULL, size_6g, fully_stalled, REASON_EMERGENCY, M(-6144), -1, true, SEC / 10 },
	{ "full stall, manual", MODE_MANUAL, target_5g, size_6g, fully_stalled, REASON_EMERGENCY, M(-6144), -1, true, SEC / 10 },
	{ "full stall, host", MODE_HOST, NULL, at_host_target, fully_stalled, REASON_EMERGENCY, M(-6144), -1, true, SEC / 10 },
	{ "a program grows into cache", MODE_AUTO, NULL, full_balloon, grows_into_cache, REASON_STALLS, 0, 0, false, 0 },
	{ "the same, by trigger", MODE_AUTO, NULL, full_balloon, grows_into_cache_trigger, REASON_STALLS, 0, 0, false, SEC / 10 },
	{ "full stall with memory free", MODE_AUTO, NULL, size_4g, fully_stalled_but_free, REASON_FREE, ANY, 1, false, 0 },
	{ "early trigger", MODE_AUTO, NULL, size_6g, trigger_early, REASON_PRESSURE, M(-3072), -1, true, SEC / 10 },
	{ "early trigger alone", MODE_AUTO, NULL, full_balloon, trigger_early_alone, REASON_STEADY, 0, 0, false, SEC / 10 },
	{ "emergency trigger", MODE_AUTO, NULL, size_6g, trigger_emergency, REASON_EMERGENCY, M(-6144), -1, true, SEC / 10 },
	/* Everything back, but nobody has stalled: no emergency, which would be held against the guest. */
	{ "nearly out", MODE_AUTO, NULL, size_6g, nearly_out, REASON_PRESSURE, M(-6144), -1, true, SEC / 10 },
	{ "module gave memory back", MODE_AUTO, NULL, size_4g, relief, REASON_RELIEF, 0, 0, false, 0 },
	{ "last resort gave back and little left", MODE_AUTO, NULL, size_4g, rescue_and_low, REASON_EMERGENCY, M(-3584), -1, true, SEC / 10 },
	{ "reclaim nibbles", MODE_AUTO, NULL, size_4g, relief_nibble, REASON_FREE, ANY, 1, false, 0 },
	{ "draining", MODE_AUTO, NULL, size_4g, draining, REASON_RESCUE, 0, 0, false, 0 },
	{ "module holds off", MODE_AUTO, NULL, size_4g, module_holds_off, REASON_HOLD_OFF, 0, 0, false, 0 },
	{ "limit", MODE_AUTO, limit_1g, size_4g, NULL, REASON_LIMIT, M(-3072), -1, false, 0 },
	{ "module's limit forbids only more", MODE_AUTO, NULL, module_limit, NULL, REASON_LIMIT, 0, 0, false, 0 },
	{ "locked memory raises the floor", MODE_AUTO, NULL, size_6g, mlock_3g, REASON_FLOOR, M(-1024 - 32 - 100), -1, false, 0 },
	{ "manual up", MODE_MANUAL, target_5g, size_4g, NULL, REASON_MANUAL, M(1024), 1, false, SEC },
	{ "manual down", MODE_MANUAL, target_5g, size_6g, NULL, REASON_MANUAL, M(-1024), -1, false, SEC },
	{ "manual, what is free first", MODE_MANUAL, target_all, size_4g, NULL, REASON_MANUAL, M(1984), 1, false, SEC },
	{ "manual stops at the floor", MODE_MANUAL, target_all, near_floor, NULL, REASON_MANUAL, M(16), 1, false, SEC },
	{ "rate up", MODE_MANUAL, rate_100m, size_4g, NULL, REASON_MANUAL, M(100), 1, false, SEC },
	{ "rate down", MODE_MANUAL, down_rate_100m, size_4g, NULL, REASON_MANUAL, M(-100), -1, false, SEC },
	{ "rate is not for emergencies", MODE_MANUAL, down_rate_100m, size_6g, fully_stalled, REASON_EMERGENCY, M(-6144), -1, true, 0 },
	{ "host up", MODE_HOST, NULL, host_wants_5g, NULL, REASON_HOST, M(5120), 1, false, SEC },
	{ "host, what is free first", MODE_HOST, NULL, host_wants_more_than_floor, NULL, REASON_HOST, ANY, 1, false, 0 },
	{ "host without a target", MODE_HOST, NULL, size_4g, NULL, REASON_NO_DATA, 0, 0, false, 0 },
	{ "auto obeys the host at once", MODE_AUTO, NULL, host_wants_5g, NULL, REASON_HOST, M(5120), 1, false, 0 },
	{ "auto does not go below the host's target", MODE_AUTO, NULL, at_host_target, low_available, REASON_STEADY, 0, 0, false, 0 },
	{ "host bounds the guest", MODE_AUTO, NULL, host_wants_2g_only, NULL, REASON_HOST, M(2048), 1, false, 0 },
	{ "host bound came down", MODE_AUTO, NULL, host_wants_2g_only, size_4g, REASON_HOST, M(-2048), -1, false, 0 },
	{ "no undercutting", MODE_AUTO, NULL, host_rules, fully_stalled, REASON_HOST, 0, 0, false, 0 },
	{ "silent host, guest bound", MODE_AUTO, NULL, host_silent_guest_bound, NULL, REASON_HOST, 0, 0, false, 0 },
	{ "committed down by an eighth", MODE_AUTO, committed, commit_2g, NULL, REASON_COMMITTED, M(764), 1, false, 0 },
	{ "committed without swap", MODE_AUTO, committed, commit_no_swap, NULL, REASON_NO_SWAP, 0, 0, false, 0 },
	{ "committed up at once", MODE_AUTO, committed, commit_7g, NULL, REASON_COMMITTED, M(-3072 - 32), -1, false, 0 },
};
/* clang-format on */

static void check(const struct row *row)
{
	struct policy_config c = config(row->mode);
	struct sample s = healthy(100 * SEC);
	struct policy_decision d;
	struct policy_state st;
	int sign;

	if (row->configure)
		row->configure(&c);
	policy_init(&st);
	if (row->setup)
		row->setup(&s);
	d = decide_at(&c, &st, &s, 100 * SEC);
	assert_int_equal(d.step, 0);
	if (row->happen)
		row->happen(&s);
	d = decide_at(&c, &st, &s, 101 * SEC);
	sign = (d.step > 0) - (d.step < 0);
	if (d.reason != row->reason || sign != row->sign || d.urgent != row->urgent ||
	    (row->step != ANY && d.step != row->step) ||
	    (row->next_us && d.next_us != row->next_us))
		fail_msg("%s: %s, step %lld KiB, urgent %d, next %llu us", row->name,
			 policy_reason_name(d.reason), (long long)d.step / 1024, d.urgent,
			 (unsigned long long)d.next_us);
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static void test_numbers_explain_the_decision(void **state)
{
	struct policy_config c = config(MODE_AUTO);
	struct sample s = healthy(100 * SEC);
	struct policy_decision d;
	struct policy_state st;

	(void)state;
	policy_init(&st);
	set_balloon(&s, 6 * GIB);
	decide_at(&c, &st, &s, 100 * SEC);
	fully_stalled(&s);
	s.psi[PSI_IO_SOME_US] += 20000;
	d = decide_at(&c, &st, &s, 101 * SEC);
	assert_true(d.n.ram == 8 * GIB && d.n.usable == 2 * GIB && d.n.available == 1 * GIB);
	assert_true(d.n.need == 1 * GIB && d.n.headroom == 256 * MIB && d.n.floor == 744 * MIB);
	assert_int_equal(d.n.mem_some_permille, 300);
	assert_int_equal(d.n.mem_full_permille, 150);
	assert_int_equal(d.n.io_some_permille, 20);
	assert_in_range(d.n.refault_rate, 1000, 1001);
	/* 0.15 s at 1024 MiB x h, for 6 GiB; and all of RAM for 10 s at the least. */
	assert_true(d.goal == 0 && d.target == 0);
}

/* A guest that has lived with little cache is taken there again without probing. */
static void test_lean_guest_is_known(void **state)
{
	struct policy_config c = config(MODE_AUTO);
	struct sample s = healthy(100 * SEC);
	struct policy_decision d;
	struct policy_state st;
	uint64_t now = 100 * SEC;

	(void)state;
	policy_init(&st);
	c.hold_off_us = 0;
	/* A = 1 GiB, all of it cache; the module leaves it at that. */
	set_balloon(&s, 6 * GIB);
	s.balloon.floor = 1 * GIB;
	s.mem[MEM_FREE] = 70 * MIB;
	for (int i = 0; i < 130; i++, now += SEC) {
		d = decide_at(&c, &st, &s, now);
		assert_int_equal(d.step, 0);
	}
	/* The balloon went, new cache came: 1 GiB a second of 8 GiB, not 80 MiB at a time. */
	set_balloon(&s, 0);
	s.mem[MEM_FREE] = 70 * MIB;
	d = decide_at(&c, &st, &s, now);
	assert_int_equal(d.reason, REASON_CACHE);
	assert_int_equal(d.step, 1 * GIB);
	assert_in_range(d.target, 7 * GIB / 2 - 130 * MIB, 7 * GIB / 2);
	/* As soon as the working set is read again, that knowledge is worth nothing. */
	set_balloon(&s, 3 * GIB);
	s.mem[MEM_FREE] = 70 * MIB;
	s.psi[PSI_MEM_SOME_US] += 9 * SEC;
	s.psi[PSI_IO_SOME_US] += 9 * SEC;
	s.vm[VM_RESTORE_FILE] += 100000;
	now += 10 * SEC;
	d = decide_at(&c, &st, &s, now);
	assert_int_equal(d.reason, REASON_WORKING_SET);
	set_balloon(&s, 0);
	s.mem[MEM_FREE] = 70 * MIB;
	for (now += 3600 * SEC; now < 8000 * SEC; now += SEC) {
		d = decide_at(&c, &st, &s, now);
		if (d.step)
			break;
	}
	assert_int_equal(d.reason, REASON_CACHE);
	assert_int_equal(d.step, 80 * MIB);
}

static void test_ram_from_memtotal(void **state)
{
	struct policy_config c = config(MODE_OBSERVE);
	struct sample s = healthy(100 * SEC);
	struct policy_decision d;
	struct policy_state st;

	(void)state;
	policy_init(&st);
	no_device(&s);
	s.ram = 0;
	decide_at(&c, &st, &s, 100 * SEC);
	d = decide_at(&c, &st, &s, 101 * SEC);
	assert_true(d.n.ram == 8 * GIB);
	s.mem_have &= ~(1U << MEM_TOTAL);
	d = decide_at(&c, &st, &s, 102 * SEC);
	assert_int_equal(d.reason, REASON_NO_DATA);
}

/* A short window must not turn one stall into a flood. */
static void test_rates_at_100_ms(void **state)
{
	struct policy_config c = config(MODE_AUTO);
	struct sample s = healthy(100 * SEC);
	struct policy_decision d;
	struct policy_state st;

	(void)state;
	policy_init(&st);
	full_balloon(&s);
	for (int i = 0; i < 30; i++)
		(void)decide_at(&c, &st, &s, 100 * SEC + i * SEC / 10);
	s.psi[PSI_MEM_SOME_US] += 50000;
	d = decide_at(&c, &st, &s, 103 * SEC);
	assert_in_range(d.n.mem_some_permille, 25, 56);
	/* And it is forgotten after two seconds. */
	for (int i = 1; i <= 20; i++)
		d = decide_at(&c, &st, &s, 103 * SEC + i * SEC / 10);
	assert_int_equal(d.n.mem_some_permille, 0);
}

static void test_counters_that_run_backwards_are_no_data(void **state)
{
	struct policy_config c = config(MODE_AUTO);
	struct sample s = healthy(100 * SEC);
	struct policy_decision d;
	struct policy_state st;

	(void)state;
	policy_init(&st);
	cache_everywhere(&s);
	s.psi[PSI_MEM_SOME_US] = 5000000;
	decide_at(&c, &st, &s, 100 * SEC);
	s.psi[PSI_MEM_SOME_US] = 0;
	d = decide_at(&c, &st, &s, 101 * SEC);
	assert_int_equal(d.n.mem_some_permille, 0);
	assert_int_equal(d.step, 0);
}

/* The module's floor is no fault: accepted at once, asked again a minute later. */
static void test_module_floor_is_accepted(void **state)
{
	struct policy_config c = config(MODE_AUTO);
	struct sample s = healthy(100 * SEC);
	struct policy_decision d;
	struct policy_state st;
	uint64_t asked_again = 0;

	(void)state;
	policy_init(&st);
	decide_at(&c, &st, &s, 100 * SEC);
	d = decide_at(&c, &st, &s, 101 * SEC);
	assert_true(d.step > 0);
	s.balloon.asked = d.step;
	s.balloon.moved = 512 * MIB;
	s.balloon.took_us = 100000;
	s.balloon.stop = UBALLOON_STOP_FLOOR;
	set_balloon(&s, 512 * MIB);
	d = decide_at(&c, &st, &s, 102 * SEC);
	assert_int_equal(d.reason, REASON_FLOOR);
	assert_int_equal(d.step, 0);
	s.balloon.asked = s.balloon.moved = 0;
	for (int i = 103; i < 200 && !asked_again; i++) {
		d = decide_at(&c, &st, &s, i * SEC);
		if (d.step)
			asked_again = i;
	}
	assert_in_range(asked_again, 162, 164);
}

/* What a program gives back when it ends is taken without waiting for that minute. */
static void test_module_floor_is_forgotten_when_there_is_more(void **state)
{
	struct policy_config c = config(MODE_AUTO);
	struct sample s = healthy(100 * SEC);
	struct policy_decision d;
	struct policy_state st;
	uint64_t asked_again = 0;

	(void)state;
	s.balloon.floor = s.mem[MEM_AVAILABLE] - 512 * MIB;
	policy_init(&st);
	decide_at(&c, &st, &s, 100 * SEC);
	d = decide_at(&c, &st, &s, 101 * SEC);
	s.balloon.asked = d.step;
	s.balloon.moved = 512 * MIB;
	s.balloon.took_us = 100000;
	s.balloon.stop = UBALLOON_STOP_FLOOR;
	set_balloon(&s, 512 * MIB);
	d = decide_at(&c, &st, &s, 102 * SEC);
	assert_int_equal(d.reason, REASON_FLOOR);
	s.balloon.asked = s.balloon.moved = 0;
	s.mem[MEM_FREE] += 512 * MIB;
	s.mem[MEM_AVAILABLE] += 512 * MIB;
	for (int i = 103; i < 200 && !asked_again; i++) {
		d = decide_at(&c, &st, &s, i * SEC);
		if (d.step)
			asked_again = i;
	}
	assert_in_range(asked_again, 103, 120);
}

/* What the module would refuse anyway is not asked for. */
static void test_module_floor_bounds_the_goal(void **state)
{
	struct policy_config c = config(MODE_AUTO);
	struct sample s = healthy(100 * SEC);
	struct policy_decision d;
	struct policy_state st;

	(void)state;
	policy_init(&st);
	s.balloon.floor = s.mem[MEM_AVAILABLE] - 256 * MIB;
	decide_at(&c, &st, &s, 100 * SEC);
	d = decide_at(&c, &st, &s, 101 * SEC);
	assert_true(d.step > 0);
	assert_true(d.target <= s.balloon.size + 256 * MIB);
	/* And it never asks for memory back. */
	s.balloon.floor = s.mem[MEM_AVAILABLE] + 256 * MIB;
	set_balloon(&s, 1 * GIB);
	policy_init(&st);
	decide_at(&c, &st, &s, 100 * SEC);
	d = decide_at(&c, &st, &s, 101 * SEC);
	assert_int_equal(d.step, 0);
	assert_int_equal(d.reason, REASON_FLOOR);
}

/* Nothing moves, so the answer to the same question stays the same. */
static void test_observe_is_steady(void **state)
{
	struct policy_config c = config(MODE_OBSERVE);
	struct policy_decision d;
	struct policy_state st;
	struct sample s;

	(void)state;
	for (int k = 0; k < 4; k++) {
		s = healthy(100 * SEC);
		if (k & 2)
			no_device(&s);
		if (k & 1)
			cache_everywhere(&s);
		policy_init(&st);
		decide_at(&c, &st, &s, 100 * SEC);
		for (int i = 1; i < 20; i++) {
			d = decide_at(&c, &st, &s, (100 + i) * SEC);
			assert_int_equal(d.reason, k & 1 ? REASON_CACHE : REASON_FREE);
			assert_int_equal(d.step, 0);
			assert_true(d.target > 0);
		}
	}
}

static void test_mode_change_drops_the_move(void **state)
{
	struct policy_config c = config(MODE_MANUAL);
	struct sample s = healthy(100 * SEC);
	struct policy_decision d;
	struct policy_state st;

	(void)state;
	policy_init(&st);
	full_balloon(&s);
	c.manual_target = 1 * GIB;
	decide_at(&c, &st, &s, 100 * SEC);
	d = decide_at(&c, &st, &s, 101 * SEC);
	assert_true(d.step < 0);
	c.mode = MODE_AUTO;
	d = decide_at(&c, &st, &s, 102 * SEC);
	assert_int_equal(d.reason, REASON_STEADY);
	assert_int_equal(d.step, 0);
}

/* The interval: 1 s without triggers, slower with them, 100 ms around a shortage. */
static void test_looks_again_when_it_matters(void **state)
{
	struct policy_config c = config(MODE_AUTO);
	struct sample s = healthy(100 * SEC);
	struct policy_decision d;
	struct policy_state st;

	(void)state;
	policy_init(&st);
	full_balloon(&s);
	d = decide_at(&c, &st, &s, 100 * SEC);
	assert_true(d.next_us == c.interval_us);
	d = decide_at(&c, &st, &s, 101 * SEC);
	assert_true(d.next_us == c.idle_interval_us);
	s.psi_armed = false;
	d = decide_at(&c, &st, &s, 102 * SEC);
	assert_true(d.next_us == c.interval_us);
	s.psi_armed = true;
	/* A burst: what is left may be gone within the next second. */
	s.mem[MEM_AVAILABLE] = 200 * MIB;
	d = decide_at(&c, &st, &s, 103 * SEC);
	assert_true(d.next_us == SEC / 10);
	d = decide_at(&c, &st, &s, 105 * SEC);
	assert_true(d.next_us == c.interval_us);
	s.trigger = TRIGGER_EARLY;
	s.mem[MEM_FREE] = 70 * MIB;
	d = decide_at(&c, &st, &s, 106 * SEC);
	assert_true(d.next_us == SEC / 10);
	s.trigger = TRIGGER_NONE;
	d = decide_at(&c, &st, &s, 108 * SEC);
	assert_true(d.next_us == SEC / 10);
	d = decide_at(&c, &st, &s, 110 * SEC);
	assert_true(d.next_us > SEC / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_floor_curve),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_numbers_explain_the_decision),
		cmocka_unit_test(test_lean_guest_is_known),
		cmocka_unit_test(test_ram_from_memtotal),
		cmocka_unit_test(test_rates_at_100_ms),
		cmocka_unit_test(test_counters_that_run_backwards_are_no_data),
		cmocka_unit_test(test_module_floor_is_accepted),
		cmocka_unit_test(test_module_floor_is_forgotten_when_there_is_more),
		cmocka_unit_test(test_module_floor_bounds_the_goal),
		cmocka_unit_test(test_observe_is_steady),
		cmocka_unit_test(test_mode_change_drops_the_move),
		cmocka_unit_test(test_looks_again_when_it_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
