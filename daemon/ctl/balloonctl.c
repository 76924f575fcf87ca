// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloonctl.c - the operator's hand: command line and dispatch
 *
 * Everything that is common to the verbs: finding the verb, --help made from
 * its table, the exit status, and the check that the output was really written.
 *
 * Leaves out options (options.c) and what the verbs do, one file a group
 * (ctl-*.c).
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/near.h"
#include "basic/printable.h"
#include "ctl/ctl.h"
#include "ctl/options.h"
#include "ctl/pager.h"

static const struct ctl_verb *const verbs[] = {
	&ctl_verb_status,
	&ctl_verb_watch,
	&ctl_verb_set_target,
	&ctl_verb_mode,
	&ctl_verb_policy,
	&ctl_verb_hold,
	&ctl_verb_release,
	&ctl_verb_explain,
	&ctl_verb_history,
	&ctl_verb_metrics,
	&ctl_verb_dump,
	&ctl_verb_reload,
	&ctl_verb_adopt,
	&ctl_verb_config,
	&ctl_verb_check_config,
	&ctl_verb_record,
	&ctl_verb_simulate,
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

/* Longest sentence that is printed whole, and what is left of the two ends of another one. */
#define SENTENCE_MAX  1000
#define SENTENCE_HEAD 600
#define SENTENCE_TAIL 300

/* A byte of a character that is not its first. */
static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* What somebody has typed may be anything; a sentence stays one, and the terminal as it is. */
static void make_plain(char *text)
{
	size_t length = strlen(text);
	char *head, *tail;

	(void)printable_line(text);
	if (length <= SENTENCE_MAX)
		return;
	head = text + SENTENCE_HEAD;
	tail = text + length - SENTENCE_TAIL;
	/* No part of a character is left at either cut. */
	while (is_continuation(*head))
		head--;
	while (is_continuation(*tail))
		tail++;
	memcpy(head, "...", 3);
	memmove(head + 3, tail, strlen(tail) + 1);
}

enum ctl_exit ctl_fail(enum ctl_exit code, const char *format, ...)
{
	char *text = NULL;
	va_list ap;

	fflush(stdout);
	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		make_plain(text);
	fprintf(stderr, "balloonctl: %s\n", text ?: "out of memory");
	free(text);
	return code;
}

/* Prints its own failure. */
static const struct ctl_verb *find_verb(const char *name)
{
	struct near n;

	near_init(&n, name, strlen(name));
	for (size_t i = 0; i < N_VERBS; i++) {
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
		near_try(&n, verbs[i]->name);
	}
	if (n.best)
		ctl_fail(CTL_USAGE, "'%s' is not a verb; did you mean %s?", name, n.best);
	else
		ctl_fail(CTL_USAGE, "'%s' is not a verb; balloonctl --help lists them", name);
	return NULL;
}

static void print_help(void)
{
	pager_open();
	printf("Usage: balloonctl [OPTION...] [VERB] [ARGUMENT...]\n\n"
	       "Look at and steer balloond, which gives memory that this guest does not need\n"
	       "back to its hypervisor. Without a verb: status.\n\n"
	       "Verbs:\n");
	for (size_t i = 0; i < N_VERBS; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s %s", verbs[i]->name, verbs[i]->args);
		printf("  %-28s  %s\n", left, verbs[i]->summary);
	}
	printf("  %-28s  %s\n\nOptions:\n", "help [VERB]", "show this help, or the help of a verb");
	options_print(NULL);
	printf("\nballoonctl VERB --help tells more about a verb. Manual page: balloonctl(1).\n");
}

static void print_verb_help(const struct ctl_verb *verb)
{
	bool has_options = verb->options || verb->traits;

	pager_open();
	printf("Usage: balloonctl %s%s%s%s\n\n%s%s", verb->name, has_options ? " [OPTION...]" : "",
	       *verb->args ? " " : "", verb->args, verb->help, has_options ? "\nOptions:\n" : "");
	options_print(verb);
}

/* What stands behind the word help, which is argv[0]: options, and the verb that is asked about. */
static enum ctl_exit parse_help(int argc, char **argv, struct options *o, const char **ret_verb)
{
	const char *verb = NULL;
	enum ctl_exit code;

	for (;;) {
		code = options_parse(argc, argv, NULL, o);
		if (code != CTL_OK)
			return code;
		argc -= optind;
		argv += optind;
		if (argc == 0)
			break;
		if (verb)
			return ctl_fail(CTL_USAGE, "'%s' is one argument too many; "
					"see balloonctl --help", argv[0]);
		verb = argv[0];
	}
	o->shared[SHARED_HELP] = "";
	/* About help itself there is no more to say than it says. */
	*ret_verb = verb && strcmp(verb, "help") == 0 ? NULL : verb;
	return CTL_OK;
}

static enum ctl_exit run(int argc, char **argv)
{
	const struct ctl_verb *verb = &ctl_verb_status;
	struct options o = { 0 };
	enum ctl_exit code;
	const char *name;

	code = options_parse(argc, argv, NULL, &o);
	if (code != CTL_OK)
		return code;
	argc -= optind;
	argv += optind;
	name = argc > 0 ? argv[0] : NULL;

	if (name && strcmp(name, "help") == 0) {
		code = parse_help(argc, argv, &o, &name);
		if (code != CTL_OK)
			return code;
		argc = 0;
	}
	if (name) {
		verb = find_verb(name);
		if (!verb)
			return CTL_USAGE;
	}
	if (o.shared[SHARED_VERSION]) {
		printf("balloonctl %s\n", VERSION);
		return CTL_OK;
	}
	if (o.shared[SHARED_NO_PAGER])
		pager_off();
	if (!name && o.shared[SHARED_HELP]) {
		print_help();
		return CTL_OK;
	}
	if (argc > 0) {
		code = options_parse(argc, argv, verb, &o);
		if (code != CTL_OK)
			return code;
		argc -= optind;
		argv += optind;
	}
	if (o.shared[SHARED_NO_PAGER])
		pager_off();
	if (o.shared[SHARED_VERSION]) {
		printf("balloonctl %s\n", VERSION);
		return CTL_OK;
	}
	if (o.shared[SHARED_HELP]) {
		print_verb_help(verb);
		return CTL_OK;
	}
	if (argc < verb->min_args)
		return ctl_fail(CTL_USAGE, "%s needs an argument: balloonctl %s %s", verb->name,
				verb->name, verb->args);
	if (argc > verb->max_args)
		return ctl_fail(CTL_USAGE, "'%s' is one argument too many; see balloonctl %s --help",
				argv[verb->max_args], verb->name);
	code = options_settle(&o, verb);
	if (code != CTL_OK)
		return code;
	o.args.argc = argc;
	o.args.argv = argv;
	return verb->run(&o.args);
}

int main(int argc, char **argv)
{
	enum ctl_exit code = run(argc, argv);

	pager_close();
	if (fflush(stdout) != 0 || ferror(stdout))
		return ctl_fail(code ?: CTL_FAILED, "cannot write the output: %s", strerror(errno));
	return code;
}
