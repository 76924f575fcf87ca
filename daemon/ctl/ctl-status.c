// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-status.c - balloonctl status
 *
 * For people: what is wrong first, then what the guest has, what the balloon
 * holds, where it is going and why; a line only where there is something to
 * say. For programs: every property as the daemon sent it, in bytes,
 * microseconds and permille, null where there is no value.
 *
 * Where the daemon has no device, or one that lacks something, it says what to change
 * on the host, in the words of the hosts that most people have; if it is one of this
 * machine, at which it looks for that.
 *
 * Reads, never changes; exits 0 also when the daemon reports a problem, since
 * the question was answered (scripts read "problem" in the JSON).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "basic/machine.h"
#include "basic/units.h"
#include "ctl/ctl-bus.h"
#include "ctl/ctl.h"
#include "ctl/props-json.h"
#include "ctl/term.h"

static bool some(const char *text)
{
	return text && *text;
}

static bool known(uint64_t value)
{
	return value != CTL_NONE;
}

/* "unknown" where the daemon sent nothing; the buffer lives in the caller's full expression. */
#define SIZE(v) (known(v) ? units_format_size((char[UNITS_MAX]){ 0 }, UNITS_MAX, (v)) : "unknown")
#define TIME(v) units_format_time((char[UNITS_MAX]){ 0 }, UNITS_MAX, (v))

#define LABEL_WIDTH 10

static void label(const char *name)
{
	printf("%s%*s%s  ", term_style(TERM_FAINT), LABEL_WIDTH, name, term_style(TERM_PLAIN));
}

static void print_percent(uint64_t part, uint64_t whole)
{
	if (known(part) && known(whole) && whole > 0)
		printf(" (%" PRIu64 "%% of RAM)", (part * 100 + whole / 2) / whole);
}

static void print_head(const struct ctl_props *p)
{
	printf("%sballoond %s%s", term_style(TERM_BOLD), p->version ?: "(version unknown)",
	       term_style(TERM_PLAIN));
	printf(", mode %s%s%s", term_style(TERM_BOLD), p->mode ?: "unknown", term_style(TERM_PLAIN));
	if (some(p->law))
		printf(", law %s", p->law);
	putchar('\n');
	if (some(p->problem))
		printf("%s%*s  %s%s\n", term_style(TERM_BAD), LABEL_WIDTH, "Problem", p->problem,
		       term_style(TERM_PLAIN));
	if (some(p->held)) {
		printf("%s%*s  %s%s", term_style(TERM_BOLD), LABEL_WIDTH, "Held", p->held,
		       term_style(TERM_PLAIN));
		if (known(p->held_left))
			printf(" (another %s)", TIME(p->held_left));
		printf("; balloonctl release ends it\n");
	}
	if (some(p->config_error))
		printf("%s%*s  %s%s\n", term_style(TERM_BAD), LABEL_WIDTH, "Config",
		       "the last reload failed, the configuration before it is in force:",
		       term_style(TERM_PLAIN));
	/* One line an error; keep them under the label. */
	for (const char *line = p->config_error; some(line);) {
		size_t n = strcspn(line, "\n");

		printf("%*s  %.*s\n", LABEL_WIDTH, "", (int)n, line);
		line += n + (line[n] == '\n');
	}
}

static void print_memory(const struct ctl_props *p)
{
	bool moving = known(p->size) && known(p->target) && p->size != p->target;

	if (!known(p->ram) || p->ram == 0)
		return;
	label("Balloon");
	printf("%s", SIZE(p->size));
	print_percent(p->size, p->ram);
	if (moving)
		printf(", %s to %s%s%s", ctl_props_move(p),
		       term_style(TERM_BOLD), SIZE(p->target), term_style(TERM_PLAIN));
	putchar('\n');

	if (some(p->account)) {
		label("Account");
		printf("%s%s%s: %s\n", term_style(TERM_BOLD), p->account, term_style(TERM_PLAIN),
		       p->account_text ?: "");
	}

	label("Guest");
	if (known(p->size) && p->size <= p->ram)
		printf("keeps %s of %s", SIZE(p->ram - p->size), SIZE(p->ram));
	else
		printf("%s of RAM", SIZE(p->ram));
	if (known(p->available))
		printf(", %s available", SIZE(p->available));
	putchar('\n');
}

/* Why the balloon is where it is, and what bounds it. */
static void print_policy(const struct ctl_props *p)
{
	if (some(p->reason_text) || some(p->reason)) {
		label("Reason");
		printf("%s", some(p->reason_text) ? p->reason_text : p->reason);
		if (some(p->reason_text) && some(p->reason))
			printf(" %s(%s)%s", term_style(TERM_FAINT), p->reason,
			       term_style(TERM_PLAIN));
		putchar('\n');
	}
	if (known(p->goal) && known(p->target) && p->goal != p->target) {
		label("Goal");
		printf("a balloon of %s, if nothing held it back\n", SIZE(p->goal));
	}
	if (known(p->manual_target) && p->mode && strcmp(p->mode, "manual") == 0) {
		label("Manual");
		printf("a balloon of %s\n", SIZE(p->manual_target));
	}
	if (known(p->floor)) {
		label("Bounds");
		printf("the guest keeps at least %s", SIZE(p->floor));
		if (known(p->limit))
			printf(", the balloon is at most %s", SIZE(p->limit));
		putchar('\n');
	}
	if (known(p->headroom) && p->headroom > 0) {
		label("Headroom");
		printf("%s to stay available\n", SIZE(p->headroom));
	}
	if (known(p->relief_line) && p->relief_line > 0) {
		label("Relief");
		printf("below %s available, programs get memory from the balloon at once",
		       SIZE(p->relief_line));
		if (known(p->relieved) && p->relieved > 0)
			printf("; %s so far", SIZE(p->relieved));
		putchar('\n');
	}
	if (known(p->hold_off_left) && p->hold_off_left > 0) {
		label("Hold-off");
		printf("no inflation for another %s\n", TIME(p->hold_off_left));
	}
	if (known(p->pressure_some_permille) && known(p->pressure_full_permille)) {
		label("Pressure");
		printf("some %" PRIu64 ".%" PRIu64 "%%, full %" PRIu64 ".%" PRIu64 "%%\n",
		       p->pressure_some_permille / 10, p->pressure_some_permille % 10,
		       p->pressure_full_permille / 10, p->pressure_full_permille % 10);
	}
}

static bool offers(const struct ctl_props *p, const char *capability)
{
	for (char **s = p->capabilities; s && *s; s++)
		if (strcmp(*s, capability) == 0)
			return true;
	return false;
}

/* Indented under the labels. */
static void under(const char *text)
{
	printf("%*s  %s\n", LABEL_WIDTH, "", text);
}

/* What to set on the host, for a device that has all that uballoon makes use of. */
static void print_host_options(void)
{
	under("  QEMU     -device virtio-balloon-pci,deflate-on-oom=on,free-page-reporting=on");
	under("  libvirt  <memballoon model='virtio' autodeflate='on' freePageReporting='on'/>");
	under("  Proxmox  qm set VMID --delete balloon --args '-global virtio-balloon-pci.deflate-on-oom=on"
	      " -global virtio-balloon-pci.free-page-reporting=on'");
	under("then power the machine off and on again; a reboot is not enough.");
}

static void print_no_device(const struct ctl_props *p)
{
	char why[MACHINE_WHY_MAX];
	struct machine m;

	/* The daemon said it all; this is what the machine itself looks like. */
	machine_look("", &m);
	machine_why(&m, why, sizeof(why));
	if (m.host == MACHINE_VIRTIO && m.driver[0])
		printf("none: the balloon device %s is held by %s\n", m.device, m.driver);
	else if (m.host == MACHINE_VIRTIO)
		printf("none: the balloon device %s has no driver\n", m.device);
	else
		printf("none: no balloon device\n");
	if (m.ready)
		under(p->mode && strcmp(p->mode, "observe") == 0
			      ? "uballoon has one, but balloond may not open it"
			      : "uballoon has one, but balloond has not opened it; see journalctl -u "
				"balloond");
	else if (m.host != MACHINE_NO_DEVICE)
		under(why);
	if (m.host == MACHINE_NO_DEVICE && !m.ready) {
		if (machine_module_why(&m, why, sizeof(why))[0])
			under(why);
		under("The hypervisor offers none. On the host, give this machine one:");
		print_host_options();
	}
}

/* What a virtio host leaves out that matters. */
static void print_missing(const struct ctl_props *p)
{
	bool reporting = offers(p, "reporting"), deflate = offers(p, "deflate-on-oom");

	if (!p->host || strcmp(p->host, "virtio") != 0 || (reporting && deflate))
		return;
	if (!reporting) {
		under("The host takes no free page reports: 2 MiB pages do not reach it, and");
		under(offers(p, "guest-driven")
			      ? "nothing of this guest's free memory does beside the balloon."
			      : "the balloon is never larger than the host asks for.");
	}
	if (!deflate)
		under("The host does not let the guest take back on its own what it asked for, "
		      "not even before an out-of-memory kill.");
	under("On the host, set:");
	print_host_options();
}

static void print_reporting(void)
{
	char why[MACHINE_WHY_MAX];
	struct machine m;

	machine_look("", &m);
	under("Cold page cache is pushed out, and the kernel's driver reports what is free.");
	under("Nothing is held: programs have the memory when they want it, targets bind");
	under("only balloond, and the host's is followed by that driver.");
	if (machine_why(&m, why, sizeof(why))[0])
		under(why);
}

static void print_proof(const struct ctl_props *p)
{
	const char *takes = p->host_takes ?: "";

	/* Where it cannot be proven there is nothing to say. */
	if (!offers(p, "proof"))
		return;
	label("Proof");
	if (strcmp(takes, "yes") == 0)
		printf("the host takes what it is given (%" PRIu64 " pages proven)\n", p->proofs_taken);
	else if (strcmp(takes, "no") == 0)
		printf("%sthe host takes nothing%s of what it is given\n", term_style(TERM_BAD),
		       term_style(TERM_PLAIN));
	else if (strcmp(takes, "in-doubt") == 0)
		printf("the host did not take the last page; it is asked again\n");
	else
		printf("the host has not been asked yet whether it takes what it is given\n");
}

static void print_host(const struct ctl_props *p, bool afar)
{
	label("Host");
	if (!some(p->host)) {
		if (afar)
			printf("none\n");
		else
			print_no_device(p);
		return;
	}
	printf("%s", p->host);
	if (known(p->host_target))
		printf(", asks for a balloon of %s", SIZE(p->host_target));
	for (char **s = p->capabilities; s && *s; s++)
		printf("%s%s%s", s == p->capabilities ? " [" : " ", *s, s[1] ? "" : "]");
	putchar('\n');
	if (strcmp(p->host, "reporting") != 0)
		print_missing(p);
	else if (!afar)
		print_reporting();
	print_proof(p);
	if (known(p->lease_left) && p->lease_left > 0) {
		label("Lease");
		printf("%s, then the module gives everything back by itself\n", TIME(p->lease_left));
	}
}

static void print_totals(const struct ctl_props *p)
{
	if (known(p->inflated_total) && known(p->deflated_total)) {
		label("Moved");
		printf("%s inflated, %s deflated", SIZE(p->inflated_total), SIZE(p->deflated_total));
		if (known(p->emergencies) && p->emergencies > 0)
			printf(", %" PRIu64 " emergenc%s", p->emergencies,
			       p->emergencies == 1 ? "y" : "ies");
		if (known(p->rescue_events) && p->rescue_events > 0) {
			printf(", %" PRIu64 " rescue%s by the module", p->rescue_events,
			       p->rescue_events == 1 ? "" : "s");
			if (known(p->rescued))
				printf(", %s given", p->rescued ? SIZE(p->rescued) : "nothing");
		}
		putchar('\n');
	}
	if (some(p->config_file)) {
		label("Config");
		printf("%s\n", p->config_file);
	}
}

static enum ctl_exit run(const struct ctl_args *args)
{
	struct ctl_props props;
	struct ctl_bus bus;
	enum ctl_exit code;

	code = ctl_bus_ask(&bus, &args->where, &props);
	if (code == CTL_OK && args->json) {
		struct json j;

		json_init(&j, stdout, args->json);
		props_json(&j, NULL, &props);
	} else if (code == CTL_OK) {
		print_head(&props);
		print_memory(&props);
		print_policy(&props);
		print_host(&props, ctl_is_afar(&args->where));
		print_totals(&props);
	}
	ctl_props_done(&props);
	ctl_bus_done(&bus);
	return code;
}

const struct ctl_verb ctl_verb_status = {
	.name = "status",
	.args = "",
	.summary = "show the balloon, the guest's memory, and why",
	.help = "Show what the guest has, what the balloon holds, where it is going and why.\n"
		"Everyone may ask. With --json: bytes, microseconds and permille; null where\n"
		"there is no value.\n",
	.traits = CTL_ASKS | CTL_AFAR | CTL_SHOWS,
	.run = run,
};
