// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * run.c - time goes on, the guest lives, the law looks and moves
 *
 * One loop: let the guest live until the next thing happens (the law's next
 * look, the next point of the trace, the end of a move), at most a second;
 * shorter while something needs a closer look, down to 10 ms. A PSI trigger
 * wakes the law at once, as poll() would.
 *
 * Leaves out: the daemon's own delay (it is locked into memory and woken by
 * the kernel) and the lease (the simulated daemon does not die).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "basic/arith.h"
#include "sim/run.h"

#define SECOND_US 1000000ULL
#define MIB (1ULL << 20)

#define STEP_MAX_US SECOND_US
#define STEP_MIN_US 10000ULL
/* While something goes on that is not calm, steps grow up to here. */
#define STEP_BUSY_US 200000ULL

/* PSI triggers: window, and how often the kernel looks within it (kernel/sched/psi.c). */
#define TRIGGER_WINDOW_US SECOND_US
#define TRIGGER_LOOK_US (TRIGGER_WINDOW_US / 10)

/* The daemon looks when the module has given memory back, at most 20 times a second. */
#define RELIEF_LOOK_US 50000ULL

/* The balloon drivers that the rivals use try again this often. */
#define RETRY_US SECOND_US

/* A recorded balloon that moves by less moves at once, in whole pages. */
#define RECORDED_RATE_MIN (16 * MIB)
/* ... and a page is what each step may lose to rounding. */
#define RECORDED_ROUNDING (4096 * SECOND_US / STEP_MIN_US)

struct trigger {
	uint64_t threshold_us;
	uint64_t start_us, start_value, last_growth;
	uint64_t last_event_us;
	bool fired;		/* at least once */
	bool pending;		/* over the threshold, but one event a window is allowed */
};

struct run {
	const struct sim_setup *setup;
	struct guest g;
	struct trace_cursor cursor;
	struct policy_state policy;
	struct rival_state rival;
	struct trigger early, emergency;
	uint64_t triggers_looked_us;
	uint64_t relief_seen;
	uint64_t last_tick_us;
	uint64_t next_tick_us;
	uint64_t busy_step_us;
	enum policy_reason reason;
	struct score_run score;
};

uint64_t sim_ram_for(const struct trace *t)
{
	uint64_t step = 64 * MIB, ram = trace_peak(t) / 4 * 5;

	return max_u64((ram + step - 1) / step * step, step);
}

void sim_setup_default(struct sim_setup *s, const struct trace *t, uint64_t ram, uint64_t swap)
{
	*s = (struct sim_setup) {
		.trace = t,
		.floor = policy_floor_curve(ram),
		.early_us = 70000,
		.emergency_us = 100000,
	};
	guest_config_default(&s->guest, ram, swap);
	guest_config_speed(&s->guest, &t->speed);
	if (t->seen)
		s->guest.balloon = t->seen[0].balloon;
	/* uballoon.ko leaves as much available as the guest must keep (floor_mb, uballoon(4)). */
	s->guest.module_floor = s->floor;
	/* What balloond asks for before it has learned anything (decide/relief.c). */
	s->guest.relief_line = s->floor / 2;
	policy_config_default(&s->policy);
	/* A kernel cannot use its last pages: its reserve comes on top of what is needed. */
	s->static_size = min_u64(score_static_size(t, ram, s->floor) + guest_reserve(ram), ram);
}

/* Linux kernel/sched/psi.c update_triggers(): growth in the window, one event a window. */
static bool trigger_look(struct trigger *t, uint64_t now, uint64_t total)
{
	uint64_t elapsed = now - t->start_us, growth = total - t->start_value;

	if (!t->threshold_us)
		return false;
	if (elapsed > TRIGGER_WINDOW_US) {
		t->start_us = now;
		t->start_value = total;
		t->last_growth = growth;
	} else {
		growth += t->last_growth * (TRIGGER_WINDOW_US - elapsed) / TRIGGER_WINDOW_US;
	}
	if (growth >= t->threshold_us)
		t->pending = true;
	if (!t->pending || (t->fired && now < t->last_event_us + TRIGGER_WINDOW_US))
		return false;
	t->last_event_us = now;
	t->fired = true;
	t->pending = false;
	return true;
}

static enum sample_trigger look_at_triggers(struct run *r)
{
	const struct guest *g = &r->g;
	bool early, emergency;

	if (g->now_us < r->triggers_looked_us + TRIGGER_LOOK_US)
		return TRIGGER_NONE;
	r->triggers_looked_us = g->now_us;
	early = trigger_look(&r->early, g->now_us, g->psi_us[PSI_MEM_SOME_US]);
	emergency = trigger_look(&r->emergency, g->now_us, g->psi_us[PSI_MEM_FULL_US]);
	return emergency ? TRIGGER_EMERGENCY : early ? TRIGGER_EARLY : TRIGGER_NONE;
}

static void tick_policy(struct run *r, struct sample *s)
{
	const struct sim_setup *setup = r->setup;
	struct policy_decision d;

	policy_decide(&setup->policy, &r->policy, s, &d);
	if (d.relief_line)
		r->g.relief_line = d.relief_line;
	guest_move(&r->g, setup->policy.mode == MODE_OBSERVE ? 0 : d.step, d.may_reclaim);
	r->next_tick_us = r->g.now_us + max_u64(d.next_us, STEP_MIN_US);
	if (d.reason == REASON_EMERGENCY && r->reason != REASON_EMERGENCY)
		r->score.s->emergencies++;
	r->reason = d.reason;
	if (setup->observer)
		setup->observer(setup->userdata, s, &d);
}

static void tick_rival(struct run *r, const struct sample *s)
{
	struct sample theirs = *s;
	uint64_t target;
	int64_t step;

	/* senpai watches a cgroup: the stalls of whoever squeezes it count elsewhere, and kswapd's do. */
	theirs.psi[PSI_MEM_SOME_US] -= r->g.balloon_some_us + r->g.kswapd_some_us;
	target = rival_decide(r->setup->rival, &r->rival, &theirs);
	step = (int64_t)target - (int64_t)r->g.balloon;

	if (step != r->g.asked - r->g.moved || !guest_moving(&r->g))
		guest_move(&r->g, step, true);
	r->next_tick_us = min_u64(r->rival.next_us, s->time_us + RETRY_US);
}

/*
 * The balloon as it was recorded, whatever the guest makes of it: at the next row it is what it was
 * there, and between two rows it changes as everything else of the trace does.
 */
static void tick_recorded(struct run *r)
{
	const struct trace *t = r->setup->trace;
	struct guest *g = &r->g;
	size_t i = r->cursor.i, next;
	uint64_t span, rate;
	int64_t step;

	while (i + 1 < t->n_points && t->points[i + 1].t_us <= g->now_us)
		i++;
	next = i + 1 < t->n_points ? i + 1 : i;
	r->next_tick_us = max_u64(t->points[next].t_us, g->now_us + STEP_MIN_US);
	if (!t->balloon_seen)
		return;
	span = r->next_tick_us - g->now_us;
	step = (int64_t)t->seen[t->between == TRACE_STEPS ? i : next].balloon - (int64_t)g->balloon;
	rate = (unsigned __int128)(step < 0 ? -step : step) * SECOND_US / span;
	if (t->between == TRACE_LINEAR)
		g->c.lock_rate = g->c.unlock_rate =
			max_u64(rate, RECORDED_RATE_MIN) + RECORDED_ROUNDING;
	guest_move(g, step, true);
}

static void tick(struct run *r, enum sample_trigger trigger)
{
	struct sample s;

	guest_sample(&r->g, &s);
	s.trigger = trigger;
	s.psi_armed = r->setup->early_us && r->setup->emergency_us;
	r->score.s->ticks++;
	r->last_tick_us = s.time_us;
	r->relief_seen = s.balloon.relief_events;
	if (r->setup->rival == &rival_recorded)
		tick_recorded(r);
	else if (r->setup->rival)
		tick_rival(r, &s);
	else
		tick_policy(r, &s);
	if (guest_moving(&r->g))
		r->busy_step_us = STEP_MIN_US;
}

static bool relieved(const struct run *r)
{
	return !r->setup->rival && r->g.rescues + r->g.shrinks != r->relief_seen &&
	       r->g.now_us >= r->last_tick_us + RELIEF_LOOK_US;
}

/* How long until a closer look is due, with nothing in between but what is linear. */
static uint64_t choose_step(struct run *r, uint64_t end_us)
{
	const struct guest *g = &r->g;
	uint64_t until = min_u64(min_u64(end_us, r->next_tick_us), trace_next(&r->cursor));
	uint64_t dt = min_u64(until - g->now_us, STEP_MAX_US);
	struct guest_demand then;
	uint64_t growth, have, allowed;

	if (!guest_calm(g)) {
		dt = min_u64(dt, r->busy_step_us);
		r->busy_step_us = min_u64(r->busy_step_us * 3 / 2, STEP_BUSY_US);
		dt = min_u64(dt, guest_move_time(g));
	} else {
		r->busy_step_us = STEP_MIN_US;
	}
	trace_before(&r->cursor, g->now_us + dt, &then);
	/* What the workload is about to take, be it that it wants more and more or all at once. */
	have = g->anon + g->idle + g->swapped_anon + g->swapped_idle;
	growth = then.need > have ? then.need - have : 0;
	allowed = guest_available(g) / 8 + 4 * MIB;
	if (growth > allowed)
		dt = max_u64(min_u64(dt, STEP_MIN_US), dt * allowed / growth);
	return dt;
}

static void timeline_add(struct timeline *t, const struct guest *g, const struct score_stretch *st,
			 uint64_t some_us)
{
	size_t i = st->t_us / t->bucket_us;
	struct timeline_bucket *b = &t->buckets[i < t->n_buckets ? i : t->n_buckets - 1];

	b->us += st->dt_us;
	b->demand_sum += ((double)st->demand0 + st->demand1) / 2 * st->dt_us;
	b->usable_sum += (g->c.ram - ((double)st->balloon0 + st->balloon1) / 2) * st->dt_us;
	b->demand_max = max_u64(b->demand_max, max_u64(st->demand0, st->demand1));
	b->usable_max = max_u64(b->usable_max, g->c.ram - min_u64(st->balloon0, st->balloon1));
	b->mem_some_us += some_us;
	b->mem_full_us += st->full_us;
}

/* Demand without what the workload, which touches memory only so fast, has not asked for yet. */
static uint64_t wanted(const struct guest *g, uint64_t demand)
{
	uint64_t have = g->anon + g->idle + g->swapped_anon + g->swapped_idle;
	uint64_t missing = sub_sat(g->demand.need, have);

	return sub_sat(demand, sub_sat(missing, g->unmet));
}

static void live(struct run *r, uint64_t end_us)
{
	struct guest *g = &r->g;
	uint64_t some = g->psi_us[PSI_MEM_SOME_US], full = g->psi_us[PSI_MEM_FULL_US];
	uint64_t tasks_full = g->tasks_full_us;
	bool counts_free = r->setup->rival && r->setup->rival->counts_free;
	struct score_stretch st = {
		.t_us = g->now_us,
		.balloon0 = g->balloon,
		.gain0 = counts_free ? g->free : g->balloon,
	};
	struct guest_demand d;

	trace_at(&r->cursor, g->now_us, &d);
	st.demand0 = score_demand(&d, g->c.ram);
	st.wanted0 = wanted(g, min_u64(st.demand0, score_demand(&g->demand, g->c.ram)));
	st.dt_us = choose_step(r, end_us);
	trace_before(&r->cursor, g->now_us + st.dt_us, &d);
	st.demand1 = score_demand(&d, g->c.ram);
	guest_step(g, &d, st.dt_us);
	st.wanted1 = wanted(g, st.demand1);
	st.balloon1 = g->balloon;
	st.gain1 = counts_free ? g->free : g->balloon;
	st.full_us = g->psi_us[PSI_MEM_FULL_US] - full;
	st.tasks_full_us = g->tasks_full_us - tasks_full;
	score_add(&r->score, &st);
	if (r->setup->timeline)
		timeline_add(r->setup->timeline, g, &st, g->psi_us[PSI_MEM_SOME_US] - some);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static void check_row(struct sim_check *c, const struct sim_row *row)
{
	const struct trace_seen *seen = row->seen;
	uint64_t available = distance(row->available, seen->available);
	uint64_t balloon = distance(row->balloon, seen->balloon);

	c->rows++;
	c->available_error_sum += available;
	c->available_error_max = max_u64(c->available_error_max, available);
	c->balloon_error_sum += balloon;
	c->balloon_error_max = max_u64(c->balloon_error_max, balloon);
	memcpy(c->seen, seen->count, sizeof(c->seen));
	memcpy(c->model, row->count, sizeof(c->model));
}

static void count_row(const struct sample *s, uint64_t ret[_TRACE_COUNTER_MAX])
{
	ret[TRACE_MEM_SOME] = s->psi[PSI_MEM_SOME_US];
	ret[TRACE_MEM_FULL] = s->psi[PSI_MEM_FULL_US];
	ret[TRACE_IO_SOME] = s->psi[PSI_IO_SOME_US];
	ret[TRACE_IO_FULL] = s->psi[PSI_IO_FULL_US];
	ret[TRACE_REFAULT_FILE] = s->vm[VM_REFAULT_FILE];
	ret[TRACE_REFAULT_ANON] = s->vm[VM_REFAULT_ANON];
	ret[TRACE_ACTIVATE_FILE] = s->vm[VM_ACTIVATE_FILE];
	ret[TRACE_RESTORE_FILE] = s->vm[VM_RESTORE_FILE];
	ret[TRACE_RESTORE_ANON] = s->vm[VM_RESTORE_ANON];
	ret[TRACE_PSWPOUT] = s->vm[VM_PSWPOUT];
	ret[TRACE_PGSCAN_KSWAPD] = s->vm[VM_PGSCAN_KSWAPD];
	ret[TRACE_PGSCAN_DIRECT] = s->vm[VM_PGSCAN_DIRECT];
	ret[TRACE_PGSTEAL_KSWAPD] = s->vm[VM_PGSTEAL_KSWAPD];
	ret[TRACE_PGSTEAL_DIRECT] = s->vm[VM_PGSTEAL_DIRECT];
}

/* Steps end at the rows of the trace, so that there the model can be looked at. */
static void look_at_row(const struct run *r)
{
	const struct sim_setup *setup = r->setup;
	const struct trace *t = setup->trace;
	const struct guest *g = &r->g;
	size_t i = r->cursor.i + 1;
	struct sample s;
	struct sim_row row;

	if (i >= t->n_points || t->points[i].t_us != g->now_us)
		return;
	row = (struct sim_row){
		.t_us = g->now_us,
		.need = t->points[i].d.need,
		.available = guest_available(g),
		.balloon = g->balloon,
		.seen = t->seen ? &t->seen[i] : NULL,
	};
	guest_sample(g, &s);
	count_row(&s, row.count);
	if (setup->check && row.seen)
		check_row(setup->check, &row);
	if (setup->row_observer)
		setup->row_observer(setup->userdata, &row);
}

static void timeline_clear(struct timeline *t, uint64_t duration_us)
{
	t->bucket_us = max_u64((duration_us + t->n_buckets - 1) / t->n_buckets, 1);
	memset(t->buckets, 0, t->n_buckets * sizeof(*t->buckets));
}

static void take_counters(const struct guest *g, struct score *s)
{
	s->oom_kills = g->oom_kills;
	s->rescues = g->rescues;
	s->reliefs = g->shrinks;
	s->relieved = g->relieved_bytes;
	s->mem_some_us = g->psi_us[PSI_MEM_SOME_US];
	s->mem_full_us = g->psi_us[PSI_MEM_FULL_US];
	s->own_us = g->balloon_some_us;
	s->kswapd_us = g->kswapd_some_us;
	s->io_some_us = g->psi_us[PSI_IO_SOME_US];
	s->io_full_us = g->psi_us[PSI_IO_FULL_US];
	s->swapin = g->swapin_bytes;
	s->refault = g->refault_hot_bytes;
}

int sim_run(const struct sim_setup *setup, struct score *ret)
{
	const struct trace *t = setup->trace;
	uint64_t end_us = trace_duration(t);
	struct run r = {
		.setup = setup,
		.cursor = { .t = t },
		.early = { .threshold_us = setup->early_us },
		.emergency = { .threshold_us = setup->emergency_us },
		.busy_step_us = STEP_MIN_US,
		.reason = REASON_STARTING,
	};
	struct score s;
	int res;

	guest_init(&r.g, &setup->guest, &t->points[0].d);
	/* Floor and relief have had their say in what was recorded. */
	if (setup->rival == &rival_recorded)
		r.g.c.module_floor = r.g.relief_line = 0;
	policy_init(&r.policy);
	rival_init(&r.rival, setup->guest.ram, setup->floor, setup->static_size);
	score_init(&s, &r.score, setup->guest.ram, setup->floor);
	res = score_bound(t, &setup->guest, setup->floor, &s.bound_bs);
	if (res < 0)
		return res;
	if (setup->timeline)
		timeline_clear(setup->timeline, end_us);
	if (setup->check)
		*setup->check = (struct sim_check) { .have = t->counted };

	while (r.g.now_us < end_us) {
		enum sample_trigger trigger = look_at_triggers(&r);

		if (trigger != TRIGGER_NONE || r.g.now_us >= r.next_tick_us || relieved(&r))
			tick(&r, trigger);
		live(&r, end_us);
		look_at_row(&r);
	}
	score_finish(&r.score, score_demand(&r.g.demand, s.ram), r.g.balloon);
	take_counters(&r.g, &s);
	*ret = s;
	return 0;
}

int timeline_init(struct timeline *t, size_t n_buckets)
{
	struct timeline_bucket *b = calloc(n_buckets, sizeof(*b));

	if (!b)
		return -ENOMEM;
	*t = (struct timeline) { .buckets = b, .n_buckets = n_buckets, .bucket_us = 1 };
	return 0;
}

void timeline_done(struct timeline *t)
{
	free(t->buckets);
	t->buckets = NULL;
}
