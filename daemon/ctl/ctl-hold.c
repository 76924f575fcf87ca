// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-hold.c - balloonctl hold, release
 *
 * The words of the reason may be given with or without quotes: they are joined
 * by blanks. What of it cannot be sent, since the bus takes only UTF-8, is refused
 * here in the daemon's words. What the daemon cannot promise (that the hold survives a restart)
 * is said on standard error, since the hold itself is in force.
 */
#include <stdio.h>
#include <string.h>

#include "basic/printable.h"
#include "basic/units.h"
#include "ctl/ctl-bus.h"
#include "ctl/ctl.h"

/* Longer than what the daemon takes, so that it is the daemon that says so. */
#define REASON_MAX 1024

enum {
	OPT_FOR,
};

static const struct ctl_option hold_options[] = {
	[OPT_FOR] = { "for", "TIME", "release by itself after TIME (30min, 8h)" },
	{ 0 },
};

static enum ctl_exit join(const struct ctl_args *args, char *buf, size_t n)
{
	size_t used = 0;

	buf[0] = '\0';
	for (int i = 0; i < args->argc; i++) {
		int len = snprintf(buf + used, n - used, "%s%s", i > 0 ? " " : "", args->argv[i]);

		if (len < 0 || (size_t)len >= n - used)
			return ctl_fail(CTL_USAGE, "the reason is too long; 120 bytes are kept");
		used += (size_t)len;
	}
	if (!buf[strspn(buf, " ")])
		return ctl_fail(CTL_USAGE, "hold needs a reason, for those who come after");
	for (const unsigned char *s = (const unsigned char *)buf; *s; s += utf8_sequence(s))
		if (utf8_sequence(s) == 0 || !printable_is(s))
			return ctl_fail(CTL_USAGE, "the reason must be one line of plain text");
	return CTL_OK;
}

static enum ctl_exit run_hold(const struct ctl_args *args)
{
	const char *time = args->option[OPT_FOR], *why;
	char reason[REASON_MAX], text[UNITS_MAX];
	uint64_t for_us = 0;
	bool kept = false;
	enum ctl_exit code;
	struct ctl_bus bus;

	if (time && units_parse_time(time, &for_us, &why) < 0)
		return ctl_fail(CTL_USAGE, "--for: '%s': %s", time, why);
	if (time && for_us == 0)
		return ctl_fail(CTL_USAGE, "--for: no time to hold; leave --for out to hold until "
				"balloonctl release");
	if (join(args, reason, sizeof(reason)) != CTL_OK)
		return CTL_USAGE;
	code = ctl_bus_open(&bus, &args->where);
	if (code == CTL_OK)
		code = ctl_bus_hold(&bus, reason, for_us, &kept);
	if (code != CTL_OK) {
		ctl_fail(code, "%s", ctl_bus_why(&bus));
	} else {
		if (time)
			printf("held for %s: only a shortage of memory moves the balloon\n",
			       units_format_time(text, sizeof(text), for_us));
		else
			printf("held until balloonctl release: only a shortage of memory moves the "
			       "balloon\n");
		fflush(stdout);
		if (!kept)
			fprintf(stderr, "balloonctl: the hold ends with the daemon, which has no state "
				"directory to keep it in; see journalctl -u balloond\n");
	}
	ctl_bus_done(&bus);
	return code;
}

static enum ctl_exit run_release(const struct ctl_args *args)
{
	enum ctl_exit code;
	struct ctl_bus bus;
	bool was = false;

	code = ctl_bus_open(&bus, &args->where);
	if (code == CTL_OK)
		code = ctl_bus_release(&bus, &was);
	if (code != CTL_OK)
		ctl_fail(code, "%s", ctl_bus_why(&bus));
	else
		printf("%s\n", was ? "released" : "the balloon was not held");
	ctl_bus_done(&bus);
	return code;
}

const struct ctl_verb ctl_verb_hold = {
	.name = "hold",
	.args = "REASON...",
	.summary = "stop moving the balloon until it is released",
	.help = "Keep the balloon as it is, whatever the law, the host or set-target want. The\n"
		"reason is shown to everyone who asks for the status. Relief under pressure, the\n"
		"floor, the limits and the module's lease stay in force: memory is given back to\n"
		"the guest when it needs it, and is not taken again. The hold survives a restart\n"
		"of the daemon and of the machine. A second hold replaces the first. Only root\n"
		"may do this.\n",
	.min_args = 1,
	.max_args = 64,
	.traits = CTL_ASKS | CTL_AFAR,
	.options = hold_options,
	.run = run_hold,
};

const struct ctl_verb ctl_verb_release = {
	.name = "release",
	.args = "",
	.summary = "end a hold",
	.help = "Let the balloon move again. Only root may do this.\n",
	.traits = CTL_ASKS | CTL_AFAR,
	.run = run_release,
};
