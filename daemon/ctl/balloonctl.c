// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloonctl.c - the operator's hand: command line and dispatch
 *
 * Everything that is common to the verbs: finding the verb, parsing options by
 * its table, --help made from the same table, the exit status, and the check
 * that the output was really written. Options may stand before or after the
 * arguments; the common ones before or after the verb. Each has a row in one
 * table, and one that means nothing to a verb is refused there.
 *
 * Leaves out what the verbs do, one file a group (ctl-*.c).
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

enum common {
	COMMON_HELP,
	COMMON_VERSION,
	COMMON_BUS_ADDRESS,
	COMMON_JSON,
	_COMMON_MAX,
};

static const struct ctl_option common_options[_COMMON_MAX + 1] = {
	[COMMON_HELP]		= { "help", NULL, "show this help, or the help of the verb" },
	[COMMON_VERSION]	= { "version", NULL, "show the version" },
	[COMMON_BUS_ADDRESS]	= { "bus-address", "ADDR",
				    "talk to the bus at this D-Bus address, not to the system bus" },
	[COMMON_JSON]		= { "json", "[FORM]", "for programs: JSON, pretty (default), short or off" },
};

/* Who takes them; the others are for every verb. */
static const enum ctl_trait common_traits[_COMMON_MAX] = {
	[COMMON_JSON]		= CTL_SHOWS,
};

/* Longest sentence that is printed whole, and what is left of the two ends of another one. */
#define SENTENCE_MAX  1000
#define SENTENCE_HEAD 600
#define SENTENCE_TAIL 300

/* What somebody has typed may be anything; a sentence stays one, and the terminal as it is. */
static void make_plain(char *text)
{
	size_t length = strlen(text);

	(void)printable_line(text);
	if (length > SENTENCE_MAX) {
		memcpy(text + SENTENCE_HEAD, "...", 3);
		memmove(text + SENTENCE_HEAD + 3, text + length - SENTENCE_TAIL, SENTENCE_TAIL + 1);
	}
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

static void print_option(const struct ctl_option *o)
{
	bool optional = o->arg && o->arg[0] == '[';
	char left[64];

	/* "[TIME]" is shown as --wait[=TIME]. */
	if (optional)
		snprintf(left, sizeof(left), "--%s[=%s", o->name, o->arg + 1);
	else
		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->arg ? " " : "", o->arg ?: "");
	printf("  %-20s  %s\n", left, o->help);
}

static void print_help(void)
{
	printf("Usage: balloonctl [OPTION...] [VERB] [ARGUMENT...]\n\n"
	       "Look at and steer balloond, which gives memory that this guest does not need\n"
	       "back to its hypervisor. Without a verb: status.\n\n"
	       "Verbs:\n");
	for (size_t i = 0; i < N_VERBS; i++) {
		char left[64];

		snprintf(left, sizeof(left), "%s %s", verbs[i]->name, verbs[i]->args);
		printf("  %-32s  %s\n", left, verbs[i]->summary);
	}
	printf("  %-32s  %s\n\nOptions:\n", "help [VERB]", "show this help, or the help of a verb");
	for (int i = 0; i < _COMMON_MAX; i++)
		print_option(&common_options[i]);
	printf("\nballoonctl VERB --help tells more about a verb. Manual page: balloonctl(1).\n");
}

static void print_verb_help(const struct ctl_verb *verb)
{
	bool has_options = verb->options || verb->traits;

	printf("Usage: balloonctl %s%s%s%s\n\n%s%s", verb->name, has_options ? " [OPTION...]" : "",
	       *verb->args ? " " : "", verb->args, verb->help, has_options ? "\nOptions:\n" : "");
	for (const struct ctl_option *o = verb->options; o && o->name; o++)
		print_option(o);
	for (int i = 0; i < _COMMON_MAX; i++)
		if (common_traits[i] & verb->traits)
			print_option(&common_options[i]);
}

/* One long option a table row; val is the row's index, + 1000 for the verb's own. */
#define VERB_BASE 1000

static void fill(struct option *o, const struct ctl_option *table, int base)
{
	for (int i = 0; table && table[i].name; i++) {
		const char *arg = table[i].arg;

		*o++ = (struct option){
			.name = table[i].name,
			.has_arg = !arg ? no_argument :
				   arg[0] == '[' ? optional_argument : required_argument,
			.val = base + i,
		};
	}
	*o = (struct option){ 0 };
}

static bool takes(const struct ctl_verb *verb, int common)
{
	return !verb || !common_traits[common] || (common_traits[common] & verb->traits);
}

/* The long option that @word ("--NAME[=ARG]") is nearest to. */
static const char *nearest_option(const struct ctl_verb *verb, const char *word)
{
	struct near n;

	near_init(&n, word + 2, strcspn(word + 2, "="));
	for (const struct ctl_option *o = verb ? verb->options : NULL; o && o->name; o++)
		near_try(&n, o->name);
	for (int i = 0; i < _COMMON_MAX; i++)
		if (takes(verb, i))
			near_try(&n, common_options[i].name);
	return n.best;
}

/* How many of them begin as the name in @word does; 1 if one has that very name. */
static int count_begun(const struct option *options, const char *word)
{
	size_t n = strcspn(word + 2, "=");
	int count = 0;

	for (; options->name && n > 0; options++) {
		if (strncmp(options->name, word + 2, n) != 0)
			continue;
		if (!options->name[n])
			return 1;
		count++;
	}
	return count;
}

/* The word that getopt_long() has just rejected. */
static enum ctl_exit bad_option(const struct ctl_verb *verb, const struct option *options,
				int result, const char *word)
{
	const char *space = verb ? " " : "", *name = verb ? verb->name : "", *near = NULL;
	int begun = strncmp(word, "--", 2) == 0 ? count_begun(options, word) : 0;

	if (result == ':')
		return ctl_fail(CTL_USAGE, "%s needs an argument; see balloonctl%s%s --help",
				word, space, name);
	if (word[0] == '-' && ((word[1] >= '0' && word[1] <= '9') || word[1] == '.'))
		return ctl_fail(CTL_USAGE, "'%s' is negative; sizes are written as 512M, 2GiB or 10%%",
				word);
	if (begun == 1)
		return ctl_fail(CTL_USAGE, "'%s': it takes no argument; see balloonctl%s%s --help",
				word, space, name);
	if (begun > 1)
		return ctl_fail(CTL_USAGE, "'%s' may be several options; see balloonctl%s%s --help",
				word, space, name);
	if (strncmp(word, "--", 2) == 0)
		near = nearest_option(verb, word);
	if (near)
		return ctl_fail(CTL_USAGE, "'%s' is not an option here; did you mean --%s?", word, near);
	return ctl_fail(CTL_USAGE, "'%s' is not an option here; see balloonctl%s%s --help", word,
			space, name);
}

struct parsed {
	struct ctl_args args;
	const char *common[_COMMON_MAX];	/* as struct ctl_args has the verb's own */
};

/* Parses up to the first word that is no option (verb NULL), or all of argv. */
static enum ctl_exit parse(int argc, char **argv, const struct ctl_verb *verb, struct parsed *p)
{
	struct option options[_COMMON_MAX + CTL_OPTIONS_MAX + 1];
	int c;

	fill(options, common_options, 0);
	fill(options + _COMMON_MAX, verb ? verb->options : NULL, VERB_BASE);

	optind = 0;	/* glibc: start afresh */
	opterr = 0;
	for (;;) {
		const char *word = argv[optind ? optind : 1];

		c = getopt_long(argc, argv, verb ? ":h" : "+:h", options, NULL);
		if (c < 0)
			break;
		if (c == '?' || c == ':') {
			/*
			 * The word rejected: a cluster of short options has not
			 * moved optind yet; everything else has.
			 */
			if (argv[optind - 1] && argv[optind - 1][0] == '-')
				word = argv[optind - 1];
			return bad_option(verb, options, c, word);
		}
		if (c >= VERB_BASE)
			p->args.option[c - VERB_BASE] = optarg ?: "";
		else
			p->common[c == 'h' ? COMMON_HELP : c] = optarg ?: "";
	}
	return CTL_OK;
}

static enum ctl_exit parse_json(const char *text, enum json_form *ret)
{
	static const char *const names[] = {
		[JSON_OFF] = "off", [JSON_SHORT] = "short", [JSON_PRETTY] = "pretty",
	};

	*ret = !text ? JSON_OFF : JSON_PRETTY;
	if (!text || !*text)
		return CTL_OK;
	for (int i = JSON_OFF; i <= JSON_PRETTY; i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		*ret = (enum json_form)i;
		return CTL_OK;
	}
	return ctl_fail(CTL_USAGE, "--json: '%s' is neither pretty, short nor off", text);
}

/* What the common options mean to @verb. */
static enum ctl_exit settle(struct parsed *p, const struct ctl_verb *verb)
{
	for (int i = 0; i < _COMMON_MAX; i++)
		if (p->common[i] && !takes(verb, i))
			return ctl_fail(CTL_USAGE, "--%s means nothing to %s; see balloonctl %s --help",
					common_options[i].name, verb->name, verb->name);
	p->args.bus_address = p->common[COMMON_BUS_ADDRESS];
	return parse_json(p->common[COMMON_JSON], &p->args.json);
}

static enum ctl_exit run(int argc, char **argv)
{
	const struct ctl_verb *verb = &ctl_verb_status;
	struct parsed p = { 0 };
	enum ctl_exit code;
	const char *name;

	code = parse(argc, argv, NULL, &p);
	if (code != CTL_OK)
		return code;
	argc -= optind;
	argv += optind;
	name = argc > 0 ? argv[0] : NULL;

	if (name && strcmp(name, "help") == 0) {
		if (argc > 2)
			return ctl_fail(CTL_USAGE, "'%s' is one argument too many; see balloonctl --help",
					argv[2]);
		p.common[COMMON_HELP] = "";
		name = argc > 1 ? argv[1] : NULL;
		argc = 0;
	}
	if (name) {
		verb = find_verb(name);
		if (!verb)
			return CTL_USAGE;
	}
	if (p.common[COMMON_VERSION]) {
		printf("balloonctl %s\n", VERSION);
		return CTL_OK;
	}
	if (!name && p.common[COMMON_HELP]) {
		print_help();
		return CTL_OK;
	}
	if (argc > 0) {
		code = parse(argc, argv, verb, &p);
		if (code != CTL_OK)
			return code;
		argc -= optind;
		argv += optind;
	}
	if (p.common[COMMON_VERSION]) {
		printf("balloonctl %s\n", VERSION);
		return CTL_OK;
	}
	if (p.common[COMMON_HELP]) {
		print_verb_help(verb);
		return CTL_OK;
	}
	if (argc < verb->min_args)
		return ctl_fail(CTL_USAGE, "%s needs an argument: balloonctl %s %s", verb->name,
				verb->name, verb->args);
	if (argc > verb->max_args)
		return ctl_fail(CTL_USAGE, "'%s' is one argument too many; see balloonctl %s --help",
				argv[verb->max_args], verb->name);
	code = settle(&p, verb);
	if (code != CTL_OK)
		return code;
	p.args.argc = argc;
	p.args.argv = argv;
	return verb->run(&p.args);
}

int main(int argc, char **argv)
{
	enum ctl_exit code = run(argc, argv);

	if (fflush(stdout) != 0 || ferror(stdout))
		return ctl_fail(code ?: CTL_FAILED, "cannot write the output: %s", strerror(errno));
	return code;
}
