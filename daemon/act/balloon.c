// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloon.c - the life of a transport: found, held by its lease, moved, lost, found again
 *
 * A device may vanish in every call. Any error of the transport ends with the
 * file closed; the balloon stays as it is meanwhile, with its lease running,
 * and a later tick opens it again. So there is one way to recover from
 * everything, the one that also serves a module loaded after the daemon.
 *
 * A balloon that is found on attaching (the daemon crashed, or was upgraded) is
 * taken over as it is: popping it would hand out and take back gigabytes for
 * nothing.
 *
 * The lease is renewed at a third of its length by the owner, hence only
 * while that is alive. A daemon that is switched to mode observe later keeps
 * the lease up, so that nothing moves.
 *
 * Invariants: without a transport nothing is waited for; one that was opened for reading is told
 * nothing, and so is moved nowhere.
 *
 * Leaves out: how a transport is got (opener.c), how a step is cut into moves (mover.c), and what
 * becomes of the balloon when the daemon ends (leave.c).
 */
#include "act/balloon.h"

#include <errno.h>
#include <stdlib.h>

#include "act/mover.h"
#include "basic/arith.h"
#include "basic/log.h"
#include "basic/units.h"

/* One slice of a step. The bus and signals wait at most this long, and one batch. */
#define SLICE_US (20 * 1000)
/* A page takes milliseconds. Who answers later than that has one more in the balloon instead. */
#define PROVE_BUDGET_US (100 * 1000)
/* A relief line that has moved by less than one part in this is left as it is. */
#define RELIEF_GRAIN 16

struct balloon {
	struct balloon_owner owner;
	struct opener opener;
	struct balloon_settings settings;

	struct opened opened;		/* .transport NULL = none at the moment */
	struct transport_info info;
	struct transport_target told;	/* what the module was told last */
	uint64_t renewed_us;		/* the lease */
	uint64_t relief_line;		/* to be told; 0 = as it was found */
	uint64_t size;			/* as sensed last; 0 = there was no transport */
	uint64_t ram;			/* the guest's, as sensed last; 0 = not known */
	struct mover mover;
	bool emptying;
	enum sample_proof proof;	/* for the next sample */

	uint64_t inflated;
	uint64_t deflated;
};

static uint64_t now_of(const struct balloon *b)
{
	return b->owner.now(b->owner.ctx);
}

static struct opener_want wanted(const struct balloon *b)
{
	return (struct opener_want){
		.read_only = b->settings.observe,
		.device_only = b->settings.device_only,
	};
}

void balloon_pause(struct balloon *b)
{
	b->owner.move(b->owner.ctx, false);
}

void balloon_detach(struct balloon *b)
{
	(void)b->owner.watch(b->owner.ctx, -1);
	b->owner.move(b->owner.ctx, false);
	b->owner.renew_in(b->owner.ctx, 0);
	b->mover = (struct mover){};
	b->proof = SAMPLE_PROOF_NONE;
	if (b->opened.transport)
		b->opened.transport->ops->free(b->opened.transport);
	b->opened = (struct opened){};
}

/* The transport answered with r < 0 to `what`. */
static void failed(struct balloon *b, const char *what, int r)
{
	opener_failed(&b->opener, &b->opened, what, r, now_of(b));
	balloon_detach(b);
	b->owner.lost(b->owner.ctx);
}

int balloon_state(struct balloon *b, struct sample_balloon *ret)
{
	return b->opened.transport->ops->state(b->opened.transport, ret);
}

int balloon_bounds(struct balloon *b, uint64_t ceiling, uint64_t floor, uint64_t lease_us)
{
	struct transport_target to = {
		.ceiling = ceiling,
		.floor = floor,
		.relief_line = b->relief_line ?: b->told.relief_line,
		.account = b->settings.account,
		.lease_us = b->opened.reporting ? 0 : lease_us,
	};
	int r;

	r = b->opened.transport->ops->set_target(b->opened.transport, &to);
	if (r < 0)
		return r;
	b->told = to;
	b->renewed_us = now_of(b);
	return 0;
}

int balloon_pop(struct balloon *b)
{
	return b->opened.transport->ops->pop(b->opened.transport);
}

void balloon_empty(struct balloon *b, uint64_t bytes)
{
	b->emptying = true;
	mover_start(&b->mover, -(int64_t)bytes, false);
	b->owner.move(b->owner.ctx, true);
}

/* Renew the lease in time from now on. */
static void keep(struct balloon *b)
{
	bool due = b->opened.transport && !b->opened.read_only && !b->opened.reporting;

	b->owner.renew_in(b->owner.ctx, due ? b->settings.lease_us / 3 : 0);
}

static void say_attached(const struct balloon *b, uint64_t size)
{
	char ram[UNITS_MAX], held[UNITS_MAX];

	if (b->opened.reporting)
		return;
	log_info("balloon device, host \"%s\", %s of RAM%s", b->info.host,
		 units_format_size(ram, sizeof(ram), b->info.ram),
		 b->opened.read_only ? ", for reading only" : "");
	if (size > 0 && !b->opened.read_only)
		log_notice("taking over a balloon of %s%s",
			   units_format_size(held, sizeof(held), size), b->opened.handed_over
			   ? ", its device handed over by the service manager" : "");
}

/* First words with a transport. Its error, before anything is known of the balloon. */
static int greet(struct balloon *b, struct sample_balloon *ret)
{
	int r;

	r = b->opened.transport->ops->info(b->opened.transport, &b->info);
	if (r >= 0)
		r = balloon_state(b, ret);
	b->told = (struct transport_target){.relief_line = ret->relief_line};
	if (r < 0)
		return r;
	/* One that a daemon left on stopping was to run out. */
	if (ret->lease_expired && ret->lease_us != BALLOON_STOP_LEASE_US && !b->opened.read_only)
		log_warning("no daemon came within the lease: the module has given back what it "
			    "could");
	return b->opened.read_only ? 0
				   : balloon_bounds(b, ret->size, ret->size, b->settings.lease_us);
}

static void attach(struct balloon *b)
{
	const struct opener_want want = wanted(b);
	struct sample_balloon state = {};
	int r, fd;

	if (opener_open(&b->opener, &want, now_of(b), &b->opened) < 0)
		return;
	r = greet(b, &state);
	if (r < 0) {
		failed(b, "tell its state", r);
		return;
	}
	fd = b->opened.transport->ops->fd(b->opened.transport);
	if (fd >= 0) {
		r = b->owner.watch(b->owner.ctx, fd);
		if (r < 0) {
			failed(b, "be polled", r);
			return;
		}
	}
	if (!b->opened.read_only && !b->opened.handed_over && fd >= 0)
		b->opener.store.keep(b->opener.store.ctx, fd);
	opener_worked(&b->opener, &b->opened, now_of(b));
	say_attached(b, state.size);
	b->owner.attached(b->owner.ctx, &state);
	keep(b);
}

void balloon_maintain(struct balloon *b)
{
	const struct opener_want want = wanted(b);

	if (b->opened.reporting && opener_superseded(&b->opener, &b->opened, &want, now_of(b))) {
		balloon_detach(b);
		opener_hurry(&b->opener);
	}
	/* Opened only to look, and now it is to be moved. */
	if (b->opened.transport && b->opened.read_only && !want.read_only)
		balloon_detach(b);
	if (!b->opened.transport && opener_due(&b->opener, now_of(b)))
		attach(b);
}

static void sense(struct balloon *b, struct sample_balloon *ret)
{
	int r;

	b->size = 0;
	if (!b->opened.transport)
		return;
	r = balloon_state(b, ret);
	if (r < 0) {
		failed(b, "tell its state", r);
		*ret = (struct sample_balloon){};
		return;
	}
	b->size = ret->size;
	mover_report(&b->mover, ret);
	ret->proof = b->proof;
	b->proof = SAMPLE_PROOF_NONE;
}

/*
 * A claim on free memory is still counted; what a module holds, sense/ has left out. Nor is that
 * unused which no claim can have.
 */
static void leave_out_claim(struct sample *s)
{
	static const enum sample_mem_field fields[] = {MEM_TOTAL, MEM_FREE, MEM_AVAILABLE};

	for (size_t i = 0; s->balloon.claim && i < sizeof(fields) / sizeof(fields[0]); i++)
		s->mem[fields[i]] = sub_sat(s->mem[fields[i]], s->balloon.size);
	if (s->balloon.claim)
		s->mem[MEM_FREE] = sub_sat(s->mem[MEM_FREE], s->balloon.kept);
}

void balloon_sense(struct balloon *b, struct sample *s)
{
	sense(b, &s->balloon);
	leave_out_claim(s);
	/* MemTotal is RAM only as long as there is no balloon in it. */
	if (s->balloon.valid)
		b->ram = s->balloon.ram;
	else if (!b->opened.transport)
		b->ram = sample_has_mem(s, MEM_TOTAL) ? s->mem[MEM_TOTAL] : 0;
	s->ram = b->ram;
}

/* Whether the module is to be told more than where the balloon may go. */
static bool has_news(const struct balloon *b, uint64_t line)
{
	uint64_t old = b->told.relief_line;

	return b->told.account != b->settings.account ||
	       (line && max_u64(old, line) - min_u64(old, line) > old / RELIEF_GRAIN);
}

void balloon_act(struct balloon *b, const struct balloon_step *step)
{
	uint64_t down = step->step < 0 ? 0 - (uint64_t)step->step : 0;
	uint64_t up = step->step > 0 ? (uint64_t)step->step : 0;
	bool mute = !b->opened.transport || b->opened.read_only;
	int r;

	b->relief_line = step->relief_line;
	if (mute || b->settings.observe || step->step == 0) {
		up = down = 0;
		mover_start(&b->mover, 0, false);
		b->owner.move(b->owner.ctx, false);
		if (mute || !has_news(b, step->relief_line))
			return;
	}
	r = balloon_bounds(b, b->size + up, sub_sat(b->size, down), b->settings.lease_us);
	if (r < 0) {
		failed(b, "take a target", r);
		return;
	}
	if (up == 0 && down == 0)
		return;
	mover_start(&b->mover, step->step, step->may_reclaim);
	b->owner.move(b->owner.ctx, true);
}

void balloon_prove(struct balloon *b, uint64_t hold_us)
{
	struct transport *t = b->opened.transport;
	enum sample_proof proof;
	int r;

	if (!t || b->opened.read_only || !t->ops->prove)
		return;
	r = t->ops->prove(t, PROVE_BUDGET_US, hold_us, &proof);
	/* A host, or a module of before, of which nothing can be proven. */
	if (r == -EOPNOTSUPP || r == -ENOTTY)
		return;
	if (r < 0)
		failed(b, "prove that the host takes memory", r);
	else
		b->proof = proof;
}

void balloon_announced(struct balloon *b)
{
	opener_hurry(&b->opener);
}

void balloon_lease_changed(struct balloon *b)
{
	int r;

	if (!b->opened.transport || b->opened.read_only)
		return;
	r = balloon_bounds(b, b->size, b->size, b->settings.lease_us);
	if (r < 0)
		failed(b, "take a lease", r);
	else
		keep(b);
}

void balloon_event(struct balloon *b, bool hung_up)
{
	if (hung_up)
		failed(b, "be polled", -ENODEV);
	else
		b->owner.look(b->owner.ctx);
}

void balloon_renew(struct balloon *b)
{
	struct transport *t = b->opened.transport;
	struct sample_balloon state = {};
	int r;

	if (!t)
		return;
	r = t->ops->keepalive(t);
	if (r == -ETIME) {
		/* Said with the tick that follows, by what the module has counted. */
		r = balloon_state(b, &state);
		if (r >= 0)
			r = balloon_bounds(b, state.size, b->emptying ? 0 : state.size,
					   b->settings.lease_us);
		b->owner.look(b->owner.ctx);
	}
	if (r < 0) {
		failed(b, "renew the lease", r);
		return;
	}
	b->renewed_us = now_of(b);
	keep(b);
}

int balloon_slice(struct balloon *b, struct transport_result *ret)
{
	struct transport_result result = {};
	int r;

	r = mover_run(&b->mover, b->opened.transport, SLICE_US, &result);
	if (result.moved > 0)
		b->inflated += (uint64_t)result.moved;
	else
		b->deflated += 0 - (uint64_t)result.moved;
	*ret = result;
	if (b->emptying)
		return r;
	if (r < 0)
		failed(b, "move memory", r);
	else if (r == 0)
		b->owner.move(b->owner.ctx, false);
	return r;
}

void balloon_configure(struct balloon *b, const struct balloon_settings *settings)
{
	b->settings = *settings;
}

void balloon_view(const struct balloon *b, struct balloon_view *ret)
{
	uint64_t age;

	*ret = (struct balloon_view){
		.attached = b->opened.transport,
		.read_only = b->opened.read_only,
		.reporting = b->opened.reporting,
		.info = b->info,
		.inflated = b->inflated,
		.deflated = b->deflated,
	};
	if (!ret->attached || ret->read_only)
		return;
	age = now_of(b) - b->renewed_us;
	ret->lease_left_us = sub_sat(b->told.lease_us, age);
}

int balloon_new(const struct balloon_owner *owner, const struct opener_world *world,
		const struct opener_store *store, struct problems *problems, struct balloon **ret)
{
	struct balloon *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->owner = *owner;
	opener_init(&b->opener, world, store, problems);
	*ret = b;
	return 0;
}

void balloon_free(struct balloon *b)
{
	if (!b)
		return;
	if (b->opened.transport)
		balloon_detach(b);
	free(b);
}
