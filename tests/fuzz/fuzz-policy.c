// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policy on samples that no kernel would write.
 *
 * The input is a stream of bytes: the configuration's switches, then for each
 * decision a few fields that are changed, by number and value. Values are not
 * kept plausible.
 */
#include <string.h>

#include "decide/policy.h"
#include "fuzz.h"

struct input {
	const uint8_t *p;
	size_t left;
};

static uint64_t take(struct input *in, size_t n)
{
	uint64_t v = 0;

	for (; n && in->left; n--, in->left--)
		v = v << 8 | *in->p++;
	return v;
}

/* Small, page-sized and absurd numbers from few bytes. */
static uint64_t number(struct input *in)
{
	unsigned int shift = take(in, 1) & 63;

	return take(in, 2) << shift;
}

static void change(struct input *in, struct sample *s)
{
	uint64_t *const groups[] = {s->mem, s->vm, s->psi};
	static const uint8_t sizes[] = {_MEM_FIELD_MAX, _VM_FIELD_MAX, _PSI_FIELD_MAX};
	unsigned int what = take(in, 1), field = take(in, 1);

	switch (what % 16) {
	case 0 ... 5:
		groups[what % 3][field % sizes[what % 3]] = number(in);
		break;
	case 6:
		s->mem_have ^= 1U << field % _MEM_FIELD_MAX;
		break;
	case 7:
		s->vm_have ^= 1U << field % _VM_FIELD_MAX;
		break;
	case 8:
		s->psi_have ^= 1U << field % _PSI_FIELD_MAX;
		break;
	case 9:
		s->balloon.size = number(in);
		break;
	case 10:
		s->balloon.limit = number(in);
		break;
	case 11:
		s->balloon.host_target = number(in);
		s->balloon.host_target_valid = field & 1;
		s->balloon.may_exceed_host = field & 2;
		s->balloon.may_undercut_host = field & 4;
		break;
	case 12:
		s->balloon.asked = (int64_t)(number(in) >> 1) * (field & 1 ? -1 : 1);
		s->balloon.moved = (int64_t)(number(in) >> 1) * (field & 2 ? -1 : 1);
		s->balloon.took_us = number(in);
		break;
	case 13:
		s->ram = number(in);
		break;
	case 14:
		s->trigger = field % 3;
		s->start = (field >> 5) % 3;
		s->psi_armed = field & 4;
		s->balloon.valid = field & 8;
		s->balloon.draining = field & 16;
		break;
	case 15:
		s->balloon.relief_events = number(in);
		s->balloon.holdoff_us = field & 1;
		s->has_week = field & 2;
		s->week_s = field * 4096;
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct policy_config c;
	struct policy_state st;
	struct sample s = {.ram = 1ULL << 33, .balloon = {.valid = true}};

	policy_config_default(&c);
	policy_init(&st);
	c.mode = take(&in, 1) % _MODE_MAX;
	c.law = take(&in, 1) % _LAW_MAX;
	c.manual_target = number(&in);
	c.limit = number(&in);
	c.floor = number(&in);
	c.hold_off_us = number(&in);
	c.inflate_rate = number(&in);
	c.headroom_max = number(&in);
	while (in.left) {
		struct policy_decision d;
		uint64_t before = s.time_us;

		for (unsigned int n = take(&in, 1) % 8; n; n--)
			change(&in, &s);
		s.time_us += number(&in);
		if (s.time_us < before)
			return 0;
		policy_decide(&c, &st, &s, &d);
		PROMISE(policy_reason_name(d.reason));
		if (!sample_has_mem(&s, MEM_AVAILABLE) || !s.balloon.valid ||
		    c.mode == MODE_OBSERVE || s.time_us == before)
			PROMISE(d.step == 0);
		if (d.step > 0)
			PROMISE(s.balloon.size + d.step <= d.n.ram - d.n.floor &&
				s.balloon.size + d.step <= c.limit);
		if (d.step < 0)
			PROMISE(s.balloon.size + d.step <= s.balloon.size);
		PROMISE(d.next_us > 0);
	}
	return 0;
}
