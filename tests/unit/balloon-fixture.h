/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * balloon-fixture.h - a balloon without a loop: its devices, its store and its clock are the test's
 *
 * What the balloon waits for is written down; a case calls what has come. Time stands still unless
 * a case lets it pass.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "act/balloon.h"
#include "basic/log.h"
#include "fake-transport.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define SEC 1000000ULL

struct balloon_fixture {
	struct fake_device device;
	struct fake_device reporting; /* serves without it; not present unless a case says so */
	struct balloon_settings settings;
	struct problems problems;
	struct balloon *balloon;
	uint64_t now_us;
	int adopt_error;
	int stored; /* what the daemon before left; -1 = nothing */
	int watch_error;

	/* What has happened, and what is waited for. */
	unsigned opens_tried, adopts_tried;
	int kept; /* in the store; -1 = nothing */
	unsigned forgets;
	int watched; /* -1 = nothing */
	uint64_t renew_us; /* from when it was said; 0 = never */
	bool moving;
	unsigned looks, losses, attachments;
	uint64_t found; /* the balloon, when it was attached last */
};

static int fixture_open(void *ctx, bool read_only, struct transport **ret)
{
	struct balloon_fixture *f = ctx;

	f->opens_tried++;
	return fake_open(&f->device, read_only, ret);
}

static int fixture_open_reporting(void *ctx, bool read_only, struct transport **ret)
{
	struct balloon_fixture *f = ctx;

	return fake_open(&f->reporting, read_only, ret);
}

static int fixture_adopt(void *ctx, int fd, struct transport **ret)
{
	struct balloon_fixture *f = ctx;

	f->adopts_tried++;
	close(fd);
	return f->adopt_error < 0 ? f->adopt_error : fake_open(&f->device, false, ret);
}

static const char *fixture_why_none(void *ctx)
{
	(void)ctx;
	return "modprobe uballoon";
}

static int fixture_take(void *ctx)
{
	struct balloon_fixture *f = ctx;
	int fd = f->stored;

	f->stored = -1;
	return fd;
}

static void fixture_keep(void *ctx, int fd)
{
	struct balloon_fixture *f = ctx;

	f->kept = fd;
}

static void fixture_forget(void *ctx)
{
	struct balloon_fixture *f = ctx;

	f->kept = -1;
	f->forgets++;
}

static uint64_t fixture_now(void *ctx)
{
	struct balloon_fixture *f = ctx;

	return f->now_us;
}

static int fixture_watch(void *ctx, int fd)
{
	struct balloon_fixture *f = ctx;

	if (fd >= 0 && f->watch_error < 0)
		return f->watch_error;
	f->watched = fd;
	return 0;
}

static void fixture_renew_in(void *ctx, uint64_t after_us)
{
	struct balloon_fixture *f = ctx;

	f->renew_us = after_us;
}

static void fixture_move(void *ctx, bool on)
{
	struct balloon_fixture *f = ctx;

	f->moving = on;
}

static void fixture_look(void *ctx)
{
	struct balloon_fixture *f = ctx;

	f->looks++;
}

static void fixture_attached(void *ctx, const struct sample_balloon *b)
{
	struct balloon_fixture *f = ctx;

	f->attachments++;
	f->found = b->size;
}

static void fixture_lost(void *ctx)
{
	struct balloon_fixture *f = ctx;

	f->losses++;
}

/* For cmocka. A device of 8 GiB that works, an hour after boot; nothing is opened yet. */
static int balloon_setup(void **state)
{
	static struct balloon_fixture f;
	const struct opener_world world = {&f, fixture_open, fixture_open_reporting, fixture_adopt,
					   fixture_why_none};
	const struct opener_store store = {&f, fixture_take, fixture_keep, fixture_forget};
	const struct balloon_owner owner = {&f, fixture_now, fixture_watch, fixture_renew_in,
					    fixture_move, fixture_look, fixture_attached,
					    fixture_lost};

	f = (struct balloon_fixture){
		.now_us = 3600 * SEC,
		.stored = -1,
		.kept = -1,
		.watched = -1,
		.settings.lease_us = 30 * SEC,
	};
	f.device = (struct fake_device){
		.present = true,
		.ram = 8 * GIB,
		.slice = 256 * MIB,
		.slice_took_us = 1000,
		.poll_fd = 77,
	};
	f.reporting = f.device;
	f.reporting.present = false;
	log_set_level(getenv("V") ? LOG_DEBUG : LOG_EMERG);
	assert_int_equal(balloon_new(&owner, &world, &store, &f.problems, &f.balloon), 0);
	balloon_configure(f.balloon, &f.settings);
	*state = &f;
	return 0;
}

/* Nothing is left open, whatever happened. */
static int balloon_teardown(void **state)
{
	struct balloon_fixture *f = *state;

	balloon_free(f->balloon);
	assert_int_equal(f->device.opens, f->device.frees);
	assert_int_equal(f->reporting.opens, f->reporting.frees);
	return 0;
}

static struct balloon_view look(const struct balloon_fixture *f)
{
	struct balloon_view v;

	balloon_view(f->balloon, &v);
	return v;
}

static inline const char *problem(const struct balloon_fixture *f)
{
	return f->problems.text[PROBLEM_DEVICE];
}

/* What a tick does before it decides. */
static struct sample_balloon maintain(struct balloon_fixture *f)
{
	struct sample s = {};

	balloon_maintain(f->balloon);
	balloon_sense(f->balloon, &s);
	return s.balloon;
}

/* Whether nothing is open and nothing is waited for. */
static void assert_detached(const struct balloon_fixture *f)
{
	assert_false(look(f).attached);
	assert_int_equal(f->device.opens, f->device.frees);
	assert_int_equal(f->watched, -1);
	assert_int_equal(f->renew_us, 0);
	assert_false(f->moving);
}
