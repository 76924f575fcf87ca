// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * options.c - the options of the command line: those of a verb, and those that verbs share
 *
 * The same tables parse and print help. Options that several verbs share have
 * one row each, here, and may stand before or after the verb; a verb takes those
 * that mean something to it (enum ctl_trait), and others are refused, but for
 * those that do no harm, which scripts put before any verb.
 *
 * Leaves out words that are no options (balloonctl.c, the verbs).
 */
#include "ctl/options.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "basic/near.h"

static const struct shared {
	struct ctl_option option;
	char letter;		/* -h for --help; 0: none */
	unsigned int traits;	/* a verb with one of these takes it */
	bool harmless;		/* ... and every other one, to which it means nothing */
} shared[_SHARED_MAX] = {
	[SHARED_HELP] = {
		.option = { "help", NULL, "show this help, or the help of the verb" },
		.letter = 'h',
		.harmless = true,
	},
	[SHARED_VERSION] = {
		.option = { "version", NULL, "show the version" },
		.harmless = true,
	},
	[SHARED_HOST] = {
		.option = { "host", "HOST",
			    "the daemon of another host, by ssh ([USER@]HOST)" },
		.letter = 'H',
		.traits = CTL_AFAR,
	},
	[SHARED_MACHINE] = {
		.option = { "machine", "NAME", "the daemon in a container of this machine" },
		.letter = 'M',
		.traits = CTL_AFAR,
	},
	[SHARED_BUS_ADDRESS] = {
		.option = { "bus-address", "ADDR",
			    "use the bus at this D-Bus address, not the system bus" },
		.traits = CTL_ASKS,
		.harmless = true,
	},
	[SHARED_JSON] = {
		.option = { "json", "[FORM]",
			    "for programs: JSON, pretty (default), short or off" },
		.traits = CTL_SHOWS,
	},
	[SHARED_NO_PAGER] = {
		.option = { "no-pager", NULL, "no pager, also if it is long and for a terminal" },
		.traits = CTL_LONG,
		.harmless = true,
	},
	[SHARED_NO_LEGEND] = {
		.option = { "no-legend", NULL, "no titles above a table" },
		.traits = CTL_TITLES,
	},
};

static bool takes(const struct ctl_verb *verb, int i)
{
	return !verb || shared[i].harmless || (shared[i].traits & verb->traits);
}

/* --- help --- */

/* @short_name 0: it has none. */
static void print_option(const struct ctl_option *o, char short_name)
{
	bool optional = o->arg && o->arg[0] == '[';
	char left[64], letter[8] = "";

	if (short_name)
		snprintf(letter, sizeof(letter), "-%c, ", short_name);
	/* "[TIME]" is shown as --wait[=TIME]. */
	if (optional)
		snprintf(left, sizeof(left), "%s--%s[=%s", letter, o->name, o->arg + 1);
	else
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->arg ? " " : "",
			 o->arg ?: "");
	printf("  %-20s  %s\n", left, o->help);
}

void options_print(const struct ctl_verb *verb)
{
	for (const struct ctl_option *o = verb ? verb->options : NULL; o && o->name; o++)
		print_option(o, 0);
	for (int i = 0; i < _SHARED_MAX; i++)
		if (!verb || (shared[i].traits & verb->traits))
			print_option(&shared[i].option, shared[i].letter);
}

/* --- parsing --- */

/* What getopt_long() returns for a long option: its row and one of these. */
#define VERB_BASE   1000
#define SHARED_BASE 2000

struct grammar {
	struct option rows[CTL_OPTIONS_MAX + _SHARED_MAX + 1];
	size_t n;
	char letters[2 + 2 * _SHARED_MAX + 1];
};

static void add(struct grammar *g, const struct ctl_option *o, int value)
{
	bool optional = o->arg && o->arg[0] == '[';

	g->rows[g->n++] = (struct option){
		.name = o->name,
		.has_arg = !o->arg ? no_argument : optional ? optional_argument : required_argument,
		.val = value,
	};
}

static void grammar_init(struct grammar *g, const struct ctl_verb *verb)
{
	const struct ctl_option *own = verb ? verb->options : NULL;
	char *letter;

	*g = (struct grammar){ 0 };
	/* ":" tells an argument that is missing from an option; "+" ends at the verb. */
	letter = stpcpy(g->letters, verb ? ":" : "+:");
	for (int i = 0; own && own[i].name; i++)
		add(g, &own[i], VERB_BASE + i);
	for (int i = 0; i < _SHARED_MAX; i++) {
		add(g, &shared[i].option, SHARED_BASE + i);
		if (shared[i].letter)
			*letter++ = shared[i].letter;
		if (shared[i].letter && shared[i].option.arg)
			*letter++ = ':';
	}
}

static int shared_of(int c)
{
	int i = 0;

	if (c >= SHARED_BASE)
		return c - SHARED_BASE;
	while (shared[i].letter != c)
		i++;
	return i;
}

/* The long option that @word ("--NAME[=ARG]") is nearest to. */
static const char *nearest_option(const struct ctl_verb *verb, const char *word)
{
	struct near n;

	near_init(&n, word + 2, strcspn(word + 2, "="));
	for (const struct ctl_option *o = verb ? verb->options : NULL; o && o->name; o++)
		near_try(&n, o->name);
	for (int i = 0; i < _SHARED_MAX; i++)
		if (takes(verb, i))
			near_try(&n, shared[i].option.name);
	return n.best;
}

/* How many of them begin as the name in @word does; 1 if one has that very name. */
static int count_begun(const struct option *rows, const char *word)
{
	size_t n = strcspn(word + 2, "=");
	int count = 0;

	for (; rows->name && n > 0; rows++) {
		if (strncmp(rows->name, word + 2, n) != 0)
			continue;
		if (!rows->name[n])
			return 1;
		count++;
	}
	return count;
}

/* As a word of its own, where a number with a sign is meant for one. */
static bool takes_sizes(const struct ctl_verb *verb)
{
	return verb && strstr(verb->args, "SIZE");
}

/* The word that getopt_long() has just rejected. */
static enum ctl_exit bad_option(const struct ctl_verb *verb, const struct option *rows,
				int result, const char *word)
{
	const char *space = verb ? " " : "", *name = verb ? verb->name : "", *near = NULL;
	int begun = strncmp(word, "--", 2) == 0 ? count_begun(rows, word) : 0;

	if (result == ':')
		return ctl_fail(CTL_USAGE, "%s needs an argument; see balloonctl%s%s --help",
				word, space, name);
	if (takes_sizes(verb) && ((word[1] >= '0' && word[1] <= '9') || word[1] == '.'))
		return ctl_fail(CTL_USAGE, "'%s' is negative; "
				"sizes are written as 512M, 2GiB or 10%%", word);
	if (begun == 1)
		return ctl_fail(CTL_USAGE, "'%s': it takes no argument; see balloonctl%s%s --help",
				word, space, name);
	if (begun > 1)
		return ctl_fail(CTL_USAGE, "'%s' may be several options; see balloonctl%s%s --help",
				word, space, name);
	if (strncmp(word, "--", 2) == 0)
		near = nearest_option(verb, word);
	if (near)
		return ctl_fail(CTL_USAGE, "'%s' is not an option here; did you mean --%s?", word,
				near);
	return ctl_fail(CTL_USAGE, "'%s' is not an option here; see balloonctl%s%s --help", word,
			space, name);
}

/* Whether @word is letters, with something behind @letter. */
static bool is_cluster(const char *word, int letter)
{
	const char *found = word[0] == '-' && word[1] != '-' ? strchr(word + 1, letter) : NULL;

	return found && found[1];
}

enum ctl_exit options_parse(int argc, char **argv, const struct ctl_verb *verb, struct options *o)
{
	struct grammar g;
	int c;

	grammar_init(&g, verb);
	optind = 0;	/* glibc: start afresh */
	opterr = 0;
	for (;;) {
		c = getopt_long(argc, argv, g.letters, g.rows, NULL);
		if (c < 0)
			break;
		if (c == '?' || c == ':') {
			char letter[] = { '-', (char)optopt, '\0' };
			bool is_letter = optopt > 0 && optopt < VERB_BASE;
			/* A cluster of letters moves optind with its last one; everything else has. */
			bool amid = is_letter && argv[optind] && is_cluster(argv[optind], optopt);
			const char *word = argv[amid ? optind : optind - 1];

			if (is_letter && !(takes_sizes(verb) && word[1] == optopt))
				word = letter;
			return bad_option(verb, g.rows, c, word);
		}
		if (c >= VERB_BASE && c < SHARED_BASE)
			o->args.option[c - VERB_BASE] = optarg ?: "";
		else
			o->shared[shared_of(c)] = optarg ?: "";
	}
	return CTL_OK;
}

/* --- what they mean --- */

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

enum ctl_exit options_settle(struct options *o, const struct ctl_verb *verb)
{
	for (int i = 0; i < _SHARED_MAX; i++)
		if (o->shared[i] && !takes(verb, i))
			return ctl_fail(CTL_USAGE, "--%s means nothing to %s; "
					"see balloonctl %s --help", shared[i].option.name,
					verb->name, verb->name);
	o->args.where = (struct ctl_where){
		.address = o->shared[SHARED_BUS_ADDRESS],
		.host = o->shared[SHARED_HOST],
		.machine = o->shared[SHARED_MACHINE],
	};
	if (!!o->args.where.address + !!o->args.where.host + !!o->args.where.machine > 1)
		return ctl_fail(CTL_USAGE,
				"--host, --machine and --bus-address exclude each other");
	o->args.no_legend = o->shared[SHARED_NO_LEGEND];
	return parse_json(o->shared[SHARED_JSON], &o->args.json);
}
