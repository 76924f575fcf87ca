// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fake-world.c - a world for the loop of the daemon to run in, made by a test
 *
 * The loop is the daemon's own, with real timers and signals. What it gets from
 * the machine is made up: samples of a guest that is a few numbers, and a device
 * in memory (fake-transport.c). The script of the test runs where the loop reads
 * the world, once a tick, so that no threads are needed.
 *
 * A trigger is a socket with urgent data: the other kind of file that polls
 * EPOLLPRI.
 *
 * Leaves out: /proc, PSI and udev themselves, which only a real kernel has;
 * D-Bus, and a state directory.
 */
#include "fake-world.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/log.h"

/* A test that takes longer has hung. */
#define TEST_TIMEOUT_S 30
/* Ticks after which a script that has not ended is a failure. */
#define TICKS_MAX 120

static int world_read(void *ctx, struct sample *ret)
{
	struct fake_world *w = ctx;
	uint64_t left;

	w->tick++;
	if (w->tick > TICKS_MAX)
		fail_msg("the script did not come to its end, but to step %u", w->step);
	/* One event a pull. */
	for (int i = 0; w->armed && i < 2; i++) {
		char c;

		(void)recv(w->end[i], &c, 1, MSG_OOB | MSG_DONTWAIT);
	}
	w->script(w);

	w->ahead_us += w->hurry_us;
	*ret = healthy(clock_boot_us() + w->ahead_us);
	ret->has_week = w->has_week;
	ret->week_s = w->week_s;
	ret->balloon = (struct sample_balloon){};
	set_balloon(ret, w->device.size);
	ret->balloon = (struct sample_balloon){};
	left = 8 * GIB - w->device.size;
	ret->mem[MEM_AVAILABLE] = left > w->used ? left - w->used : 0;
	ret->mem[MEM_FREE] = ret->mem[MEM_AVAILABLE];
	ret->mem[MEM_SWAP_FREE] -= w->swapped;
	w->stalled += w->stalls;
	ret->psi[PSI_MEM_SOME_US] += w->stalled * 50000;
	ret->psi[PSI_MEM_FULL_US] += w->stalled * 50000;
	ret->vm[VM_ALLOCSTALL] += w->stalled * 1000;
	if (w->pressed)
		ret->mem[MEM_AVAILABLE] = ret->mem[MEM_FREE] = 20 * MIB;
	if (w->unreadable) {
		memset(ret, 0, sizeof(*ret));
		return -ENODATA;
	}
	return 0;
}

static const char *world_news(void *ctx)
{
	(void)ctx;
	return NULL;
}

static int world_open(void *ctx, bool read_only, struct transport **ret)
{
	struct fake_world *w = ctx;

	w->opens_tried++;
	return fake_open(&w->device, read_only, ret);
}

static int world_open_reporting(void *ctx, bool read_only, struct transport **ret)
{
	struct fake_world *w = ctx;

	return fake_open(&w->reporting, read_only, ret);
}

static int world_adopt(void *ctx, int fd, struct transport **ret)
{
	struct fake_world *w = ctx;

	w->adopts_tried++;
	close(fd);
	return w->adopt_error < 0 ? w->adopt_error : fake_open(&w->device, false, ret);
}

static const char *world_why_none(void *ctx)
{
	(void)ctx;
	return "modprobe uballoon";
}

/* Two ends of a connection. */
static void connection(int ret[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listening, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&a, &n), 0);
	ret[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ret[0], (struct sockaddr *)&a, n), 0);
	ret[1] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	assert_true(ret[1] >= 0);
	close(listening);
}

static int world_arm(void *ctx, enum sample_trigger which, const struct config_trigger *t)
{
	struct fake_world *w = ctx;
	int ends[2];

	(void)t;
	if (!w->armed)
		return w->arm_error ?: -ENOENT;
	connection(ends);
	w->pull[which == TRIGGER_EMERGENCY] = ends[0];
	w->end[which == TRIGGER_EMERGENCY] = ends[1];
	return ends[1];
}

static int world_announce_fd(void *ctx)
{
	struct fake_world *w = ctx;

	return w->announce_fd ?: -1;
}

/* A byte for each announcement: 1 is for our device. */
static int world_announce_dispatch(void *ctx)
{
	struct fake_world *w = ctx;
	char c = 0;

	return read(w->announce_fd, &c, 1) == 1 && c == 1;
}

int fake_world_begin(void **state)
{
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* TAP goes to standard output; what the loop says would only be in the way. */
	log_set_level(getenv("V") ? LOG_DEBUG : LOG_EMERG);
	return 0;
}

int fake_world_setup(void **state)
{
	static struct fake_world w;

	w = (struct fake_world){.used = 1 * GIB};
	w.device = (struct fake_device){
		.present = true,
		.ram = 8 * GIB,
		.slice = 256 * MIB,
		.slice_took_us = 1000,
	};
	w.reporting = w.device;
	w.reporting.present = false;
	w.reporting.claims = true;
	config_default(&w.config);
	w.config.policy.interval_us = 100000;
	w.config.policy.idle_interval_us = 100000;
	w.config.policy.settle_us = 0;
	/* However long the machine of the test has been up. */
	w.config.policy.start_wait_us = 0;
	w.options = (struct loop_options){
		.config_path = "/nonexistent",
		.mode = -1,
		.log_level = getenv("V") ? LOG_DEBUG : LOG_EMERG,
		.no_bus = true,
	};
	*state = &w;
	alarm(TEST_TIMEOUT_S);
	return 0;
}

int fake_world_teardown(void **state)
{
	(void)state;
	alarm(0);
	return 0;
}

void fake_world_run(struct fake_world *w, void (*script)(struct fake_world *w))
{
	struct loop_world world = {
		.ctx = w,
		.proc = w->proc,
		.read = world_read,
		.news = world_news,
		.transports = {
			.ctx = w,
			.open = world_open,
			.open_reporting = world_open_reporting,
			.adopt = world_adopt,
			.why_none = world_why_none,
		},
		.arm = world_arm,
		.announce_fd = world_announce_fd,
		.announce_dispatch = world_announce_dispatch,
	};

	w->script = script;
	assert_int_equal(loop_new(&w->options, &world, &w->config, &w->loop), 0);
	assert_int_equal(loop_run(w->loop), 0);
	loop_free(w->loop);
	w->loop = NULL;
	/* The loop has closed its ends of the triggers. */
	for (int i = 0; w->armed && i < 2; i++)
		close(w->pull[i]);
	/* Nothing is left open, whatever happened. */
	assert_int_equal(w->device.opens, w->device.frees);
	assert_int_equal(w->reporting.opens, w->reporting.frees);
}

void fake_world_pull(struct fake_world *w, enum sample_trigger which)
{
	assert_int_equal(send(w->pull[which == TRIGGER_EMERGENCY], "!", 1, MSG_OOB), 1);
	w->pulled_us = clock_boot_us();
}

struct order_answer fake_world_order(const struct fake_world *w, enum order_kind kind,
				     const char *text, uint64_t amount)
{
	const struct order order = {.kind = kind, .text = text, .amount = amount};
	struct order_answer answer;

	loop_order(w->loop, &order, &answer);
	return answer;
}

const struct tick *fake_world_look(const struct fake_world *w)
{
	return loop_look(w->loop);
}

const struct status *fake_world_status(const struct fake_world *w)
{
	static struct status status;

	status_fill(fake_world_look(w), loop_problems(w->loop), &status);
	return &status;
}

const char *fake_world_problem(const struct fake_world *w, enum problem which)
{
	return loop_problems(w->loop)->text[which];
}
