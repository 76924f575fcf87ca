/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * order.h - what others ask of the daemon, as a message, and its answer
 *
 * Plain data: who makes it (the bus, a signal) knows nothing of who takes it, and the other way
 * round.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum order_kind {
	ORDER_SET_TARGET,	/* amount: bytes of the balloon */
	ORDER_SET_MODE,		/* text: its name */
	ORDER_SET_LAW,		/* text: its name */
	ORDER_HOLD,		/* text: why; amount: microseconds, 0 = until released */
	ORDER_RELEASE,
	ORDER_RELOAD,
};

struct order {
	enum order_kind kind;
	const char *text;	/* of whoever gives the order, until it is answered */
	uint64_t amount;
};

/* Why an order was refused; on the bus, the error of the same meaning. */
enum order_refusal {
	REFUSED_NOT,		/* it is carried out */
	REFUSED_BELOW_FLOOR,
	REFUSED_OVER_LIMIT,
	REFUSED_INVALID,
	REFUSED_BAD_CONFIG,
	REFUSED_HELD,
};

struct order_answer {
	enum order_refusal refusal;
	char why[256];		/* one sentence for people, unused with REFUSED_NOT */
	bool kept;		/* ORDER_HOLD: it survives a restart */
	bool was_held;		/* ORDER_RELEASE */
};
