// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-change.c - balloonctl set-target, mode, policy, reload
 *
 * The verbs that change something. set-target speaks of one quantity in two
 * ways: without --memory a size means the balloon, with it what the guest
 * keeps (RAM minus balloon). Everything is turned into bytes of balloon before
 * it reaches the bus, and a refusal is turned back into the terms in which it
 * was asked, with the nearest size that would be taken, ready to be typed.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "basic/units.h"
#include "ctl/ctl-bus.h"
#include "ctl/ctl-wait.h"
#include "ctl/ctl.h"
#include "decide/policy.h"

#define MIB ((uint64_t)1 << 20)

enum {
	OPT_MEMORY,
	OPT_WAIT,
};

static const struct ctl_option set_target_options[] = {
	[OPT_MEMORY] = { "memory", NULL, "SIZE is what the guest keeps, not the balloon" },
	[OPT_WAIT] = { "wait", "[TIME]", "wait until it is reached, at most for TIME (30s, 5min)" },
	{ 0 },
};

/* Whole MiB with a unit, rounded towards what will be taken: it is meant to be typed. */
static void format_exact(char *buf, size_t n, uint64_t bytes, bool up)
{
	snprintf(buf, n, "%" PRIu64 "M", bytes / MIB + (up && bytes % MIB));
}

/* Why not, and what would be taken, in the terms of the question: the daemon has said no. */
static enum ctl_exit explain_refusal(struct ctl_bus *b, const struct ctl_props *p, bool memory,
				     uint64_t balloon)
{
	bool floor = b->refusal == CTL_REFUSAL_FLOOR;
	char asked[UNITS_MAX], bound[UNITS_MAX], exact[UNITS_MAX];
	uint64_t most;

	if (b->refusal == CTL_REFUSAL_HELD || p->ram == CTL_NONE || p->ram == 0 || (floor ? p->floor : p->limit) == CTL_NONE)
		return ctl_fail(CTL_REFUSED, "%s", ctl_bus_why(b));

	/* Both bounds hold: what is offered must not be refused for the other reason. */
	most = p->floor != CTL_NONE && p->floor < p->ram ? p->ram - p->floor : 0;
	if (p->limit < most)
		most = p->limit;
	units_format_size(bound, sizeof(bound), floor ? p->floor : p->limit);
	if (memory) {
		units_format_size(asked, sizeof(asked), p->ram - balloon);
		format_exact(exact, sizeof(exact), p->ram - most, true);
		return ctl_fail(CTL_REFUSED, "keeping only %s %s %s; the lowest possible is "
				"balloonctl set-target --memory %s", asked,
				floor ? "is below the guest's floor of" :
					"needs a balloon above the limit of", bound, exact);
	}
	units_format_size(asked, sizeof(asked), balloon);
	format_exact(exact, sizeof(exact), most, false);
	return ctl_fail(CTL_REFUSED, "a balloon of %s %s %s; the largest possible is "
			"balloonctl set-target %s", asked,
			floor ? "would leave the guest less than its floor of" :
				"is above the limit of", bound, exact);
}

/* The argument as bytes of balloon. */
static enum ctl_exit parse_balloon(const char *text, bool memory, const struct ctl_props *p,
				   uint64_t *ret)
{
	bool ram_known = p->ram != CTL_NONE && p->ram > 0;
	const char *reason;
	uint64_t size;

	if (!ram_known && (memory || strchr(text, '%')))
		return ctl_fail(CTL_FAILED, "balloond does not know yet how much RAM the guest has; "
				"give the size of the balloon, as 512M or 2GiB");
	if (units_parse_size(text, ram_known ? p->ram : 0, &size, &reason) < 0)
		return ctl_fail(CTL_USAGE, "'%s': %s", text, reason);
	if (memory) {
		char ram[UNITS_MAX];

		if (size > p->ram)
			return ctl_fail(CTL_REFUSED, "the guest has only %s of RAM, it cannot keep more; "
					"the highest possible is set-target --memory 100%%",
					units_format_size(ram, sizeof(ram), p->ram));
		size = p->ram - size;
	}
	*ret = size;
	return CTL_OK;
}

static enum ctl_exit give_up_target(struct ctl_bus *b)
{
	enum ctl_exit code = ctl_bus_set_mode(b, policy_mode_name(MODE_AUTO));

	if (code != CTL_OK)
		return ctl_fail(code, "%s", ctl_bus_why(b));
	printf("mode auto: the policy decides again\n");
	return CTL_OK;
}

static enum ctl_exit set_target(struct ctl_bus *b, struct ctl_props *p, const char *text,
				bool memory)
{
	char size[UNITS_MAX], keeps[UNITS_MAX];
	enum ctl_exit code;
	uint64_t balloon = 0;

	code = ctl_bus_read(b, p);
	if (code != CTL_OK)
		return ctl_fail(code, "%s", ctl_bus_why(b));
	code = parse_balloon(text, memory, p, &balloon);
	if (code != CTL_OK)
		return code;
	code = ctl_bus_set_target(b, balloon);
	if (code == CTL_REFUSED)
		return explain_refusal(b, p, memory, balloon);
	if (code != CTL_OK)
		return ctl_fail(code, "%s", ctl_bus_why(b));

	p->manual_target = balloon;
	printf("target: a balloon of %s", units_format_size(size, sizeof(size), balloon));
	if (p->ram != CTL_NONE && balloon <= p->ram)
		printf(", the guest keeps %s",
		       units_format_size(keeps, sizeof(keeps), p->ram - balloon));
	putchar('\n');
	fflush(stdout);
	return CTL_OK;
}

static enum ctl_exit run_set_target(const struct ctl_args *args)
{
	const char *text = args->argv[0], *reason, *wait = args->option[OPT_WAIT];
	bool automatic = strcmp(text, "auto") == 0;
	uint64_t ignored, timeout_us = 0;
	struct ctl_props props;
	struct ctl_bus bus;
	enum ctl_exit code;

	/* What can be said without a daemon is said without one; any RAM does for the syntax. */
	if (!automatic && units_parse_size(text, 1ULL << 40, &ignored, &reason) < 0)
		return ctl_fail(CTL_USAGE, "'%s': %s", text, reason);
	if (automatic && (wait || args->option[OPT_MEMORY]))
		return ctl_fail(CTL_USAGE, "auto leaves the size to the policy; "
				"--memory and --wait need a size");
	if (wait && *wait) {
		if (units_parse_time(wait, &timeout_us, &reason) < 0)
			return ctl_fail(CTL_USAGE, "--wait: '%s': %s", wait, reason);
		if (timeout_us == 0)
			return ctl_fail(CTL_USAGE, "--wait: no time to wait; leave --wait out, or "
					"write --wait alone to wait for as long as it takes");
	}

	ctl_props_init(&props);
	code = ctl_bus_open(&bus, &args->where);
	if (code != CTL_OK)
		ctl_fail(code, "%s", ctl_bus_why(&bus));
	else if (automatic)
		code = give_up_target(&bus);
	else
		code = set_target(&bus, &props, text, args->option[OPT_MEMORY]);
	if (code == CTL_OK && wait)
		code = ctl_wait_for_balloon(&bus, props.manual_target, timeout_us);
	ctl_props_done(&props);
	ctl_bus_done(&bus);
	return code;
}

/* @name may be NULL. */
static void print_name(const struct ctl_args *args, const char *key, const char *name)
{
	struct json j;

	if (!args->json) {
		printf("%s\n", name ?: "unknown");
		return;
	}
	json_init(&j, stdout, args->json);
	json_object_begin(&j, NULL);
	json_string(&j, key, name);
	json_object_end(&j);
}

static enum ctl_exit run_mode(const struct ctl_args *args)
{
	enum policy_mode mode = MODE_AUTO;
	struct ctl_props props;
	struct ctl_bus bus;
	enum ctl_exit code;

	if (args->argc > 0 && policy_mode_parse(args->argv[0], &mode) < 0)
		return ctl_fail(CTL_USAGE, "'%s' is not a mode; the modes are auto, host, manual "
				"and observe", args->argv[0]);

	ctl_props_init(&props);
	code = ctl_bus_open(&bus, &args->where);
	if (code == CTL_OK && args->argc > 0)
		code = ctl_bus_set_mode(&bus, policy_mode_name(mode));
	else if (code == CTL_OK)
		code = ctl_bus_read(&bus, &props);
	if (code != CTL_OK)
		ctl_fail(code, "%s", ctl_bus_why(&bus));
	else if (args->argc == 0)
		print_name(args, "mode", props.mode);
	ctl_props_done(&props);
	ctl_bus_done(&bus);
	return code;
}

/* The laws' names in a row, for messages. */
static const char *law_names(char *buf, size_t n)
{
	size_t used = 0;

	buf[0] = '\0';
	for (int i = 0; i < _LAW_MAX && used < n; i++)
		used += (size_t)snprintf(buf + used, n - used, "%s%s", i > 0 ? ", " : "",
					 policy_law_name((enum policy_law)i));
	return buf;
}

static enum ctl_exit run_policy(const struct ctl_args *args)
{
	enum policy_law law = LAW_ADAPTIVE;
	struct ctl_props props;
	struct ctl_bus bus;
	enum ctl_exit code;
	char names[64];

	if (args->argc > 0 && policy_law_parse(args->argv[0], &law) < 0)
		return ctl_fail(CTL_USAGE, "'%s' is not a law; the laws are %s. To follow the host or "
				"a size, use balloonctl mode or set-target", args->argv[0],
				law_names(names, sizeof(names)));

	ctl_props_init(&props);
	code = ctl_bus_open(&bus, &args->where);
	if (code == CTL_OK && args->argc > 0)
		code = ctl_bus_set_law(&bus, policy_law_name(law));
	if (code == CTL_OK)
		code = ctl_bus_read(&bus, &props);
	if (code != CTL_OK)
		ctl_fail(code, "%s", ctl_bus_why(&bus));
	else if (args->argc == 0)
		print_name(args, "law", props.law);
	else if (props.mode && strcmp(props.mode, "host") != 0 && strcmp(props.mode, "manual") != 0)
		printf("law %s\n", policy_law_name(law));
	else
		printf("law %s, which counts in mode auto; the mode is %s\n", policy_law_name(law),
		       props.mode ?: "unknown");
	ctl_props_done(&props);
	ctl_bus_done(&bus);
	return code;
}

static enum ctl_exit run_reload(const struct ctl_args *args)
{
	struct ctl_bus bus;
	enum ctl_exit code;

	code = ctl_bus_open(&bus, &args->where);
	if (code == CTL_OK)
		code = ctl_bus_reload(&bus);
	if (code == CTL_CONFIG)
		ctl_fail(code, "not reloaded, the old configuration stays in force: %s",
			 ctl_bus_why(&bus));
	else if (code != CTL_OK)
		ctl_fail(code, "%s", ctl_bus_why(&bus));
	ctl_bus_done(&bus);
	return code;
}

const struct ctl_verb ctl_verb_set_target = {
	.name = "set-target",
	.args = "SIZE|PERCENT|auto",
	.summary = "set the size of the balloon",
	.help = "Make the balloon SIZE (512M, 2GiB) or PERCENT of RAM (10%) large and keep it\n"
		"there (mode manual), or leave it to the policy again (auto). A size needs a\n"
		"unit. The guest's floor and the relief under pressure stay in force. Only\n"
		"root may do this.\n\n"
		"With --wait: show progress until the size is reached. Ctrl-C ends the waiting,\n"
		"not the target.\n",
	.min_args = 1,
	.max_args = 1,
	.traits = CTL_ASKS | CTL_AFAR,
	.options = set_target_options,
	.run = run_set_target,
};

const struct ctl_verb ctl_verb_mode = {
	.name = "mode",
	.args = "[NAME]",
	.summary = "show or set who decides",
	.help = "Without NAME: print the mode. With NAME: switch to it, until balloond is\n"
		"restarted or reads a file with another mode. Only root may switch. The modes:\n\n"
		"  auto     the configured law decides, and the host is obeyed\n"
		"  host     follow the host's target\n"
		"  manual   keep what set-target said\n"
		"  observe  decide and show, but move nothing\n",
	.max_args = 1,
	.traits = CTL_ASKS | CTL_AFAR | CTL_SHOWS,
	.run = run_mode,
};

const struct ctl_verb ctl_verb_policy = {
	.name = "policy",
	.args = "[NAME]",
	.summary = "show or set the law of mode auto",
	.help = "Without NAME: print the control law. With NAME: switch to it, until balloond is\n"
		"restarted or reads a file with another law. Only root may switch. The laws:\n\n"
		"  adaptive   free memory beyond a learned headroom, then cold cache\n"
		"  committed  follow Committed_AS, as Xen's selfballooning did\n",
	.max_args = 1,
	.traits = CTL_ASKS | CTL_AFAR | CTL_SHOWS,
	.run = run_policy,
};

const struct ctl_verb ctl_verb_reload = {
	.name = "reload",
	.args = "",
	.summary = "read the configuration file again",
	.help = "Make balloond read its configuration file again. If the file is not valid,\n"
		"the first error is printed and the old configuration stays in force;\n"
		"check-config prints all errors. Only root may do this.\n",
	.traits = CTL_ASKS | CTL_AFAR,
	.run = run_reload,
};
