// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * startup-probe.c - what serve/startup.c knows, as it changes
 *
 * usage: startup-probe ADDRESS UPTIME SPEED, ADDRESS "-": there is nobody to ask
 *
 * Looks fifty times a second, by a clock that begins at UPTIME seconds after the
 * boot and goes on by SPEED times 20 ms a look; 0: it stands, so that nothing
 * happens for the sake of time. Prints "boot", "services" or "none" when
 * that changes, and "began" when it is called because something has begun.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/startup.h"

#define LOOK_US 20000

struct probe {
	struct startup *startup;
	uint64_t now_us;
	unsigned speed;
	const char *said;
};

static void on_begin(void *ctx)
{
	(void)ctx;
	puts("began");
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	static const char *const names[] = {
		[SAMPLE_START_NONE] = "none",
		[SAMPLE_START_BOOT] = "boot",
		[SAMPLE_START_SERVICES] = "services",
	};
	struct probe *p = userdata;
	const char *name = names[startup_look(p->startup, p->now_us)];

	(void)usec;
	if (name != p->said)
		puts(name);
	p->said = name;
	p->now_us += (uint64_t)LOOK_US * p->speed;
	(void)sd_event_source_set_time_relative(source, LOOK_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int main(int argc, char **argv)
{
	struct probe p = {};
	sd_event *event;
	sigset_t set;
	int r;

	if (argc != 4)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	p.now_us = strtoull(argv[2], NULL, 10) * 1000000;
	p.speed = strtoul(argv[3], NULL, 10);
	/* Ended, not killed: who counts what has run is told at the end. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (sd_event_new(&event) < 0 || sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL) < 0 ||
	    sd_event_add_time(event, NULL, CLOCK_MONOTONIC, 0, 1000, on_time, &p) < 0)
		return 1;
	if (strcmp(argv[1], "-") != 0 &&
	    startup_new(event, argv[1], on_begin, NULL, &p.startup) < 0)
		return 1;
	r = sd_event_loop(event);
	startup_free(p.startup);
	sd_event_unref(event);
	return r < 0;
}
