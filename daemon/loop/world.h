/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * world.h - where samples and transports come from
 *
 * The daemon has one of these, over /proc and /dev (balloond.c); tests bring their own.
 */
#pragma once

#include "act/opener.h"
#include "config/config.h"
#include "sense/sample.h"

struct loop_world {
	void *ctx;
	/* Where other processes are looked at; NULL = "/proc". */
	const char *proc;
	struct opener_world transports;

	/* As sense_read(). */
	int (*read)(void *ctx, struct sample *ret);
	/* As sense_news(). */
	const char *(*news)(void *ctx);
	/* fd that polls EPOLLPRI when the trigger fires; negative errno as psi_trigger_open(). */
	int (*arm)(void *ctx, enum sample_trigger which, const struct config_trigger *t);
	/* Readable when devices come and go; -1 if nobody says. */
	int (*announce_fd)(void *ctx);
	/* As discover_dispatch(). */
	int (*announce_dispatch)(void *ctx);
};
