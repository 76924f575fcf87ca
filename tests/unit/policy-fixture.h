/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy-fixture.h - a policy, a guest that is spoilt by hand, and the time between
 *
 * Leaves out: guests that live by themselves (toy-guest.h).
 */
#pragma once

#include <string.h>

#include "sample-maker.h"

struct fixture {
	struct policy_config c;
	struct policy_state st;
	struct sample s;
	struct policy_decision d;
	uint64_t now_us;
};

static inline void init(struct fixture *f, uint64_t balloon)
{
	policy_config_default(&f->c);
	policy_init(&f->st);
	f->now_us = 1000 * SEC;
	f->s = healthy(f->now_us);
	set_balloon(&f->s, balloon);
	f->d = decide_at(&f->c, &f->st, &f->s, f->now_us);
}

static inline void tick(struct fixture *f, uint64_t dt_us)
{
	f->now_us += dt_us;
	f->d = decide_at(&f->c, &f->st, &f->s, f->now_us);
}

/* Carry the last step out, as a perfect transport would. */
static inline void obey(struct fixture *f)
{
	set_balloon(&f->s, f->s.balloon.size + f->d.step);
	f->s.balloon.asked = f->s.balloon.moved = f->d.step;
	f->s.balloon.took_us = 1000;
}

static inline void calm(struct fixture *f)
{
	uint64_t size = f->s.balloon.size;
	uint64_t psi[_PSI_FIELD_MAX], vm[_VM_FIELD_MAX];

	memcpy(psi, f->s.psi, sizeof(psi));
	memcpy(vm, f->s.vm, sizeof(vm));
	f->s = healthy(f->now_us);
	memcpy(f->s.psi, psi, sizeof(psi));
	memcpy(f->s.vm, vm, sizeof(vm));
	set_balloon(&f->s, size);
}
