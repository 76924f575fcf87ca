// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * config.c - balloond.conf: reading, checking, and what a share of RAM is worth
 *
 * The only user of libconfig. libconfig parses; config-dropins.c says which files
 * there are, config-text.c takes their text, config-keys.c says what a key may be,
 * config-parse.c takes its value; this file walks the trees, one file over the
 * other, and collects every error, so that a file with five mistakes takes one run
 * to put right and not five.
 *
 * Files are merged by key: what each says is set over what those before it said.
 * Keys that have to fit each other are compared at the end, when all have spoken.
 *
 * Leaves out: environment variables, writing.
 */
#include "config/config.h"

#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/cleanup.h"
#include "basic/near.h"
#include "basic/units.h"
#include "config/config-read.h"
#include "config/config-value.h"

DEFINE_CLEANUP(config_t *, config_destroy)

/* What libconfig says if a text does not follow its grammar. */
#define SYNTAX_ERROR "syntax error"

struct reader {
	const char *path;	/* the file that is being read */
	struct config config;	/* as far as it was read */
	struct config_origins *origins;
	struct config_errors *errors;
};

/* An error of the file that is being read. */
#define complain(rd, line, key, ...)                                                               \
	config_errors_add((rd)->errors, (rd)->path, line, key, __VA_ARGS__)

static const char *example(const struct config_key *key)
{
	switch (key->type) {
	case CONFIG_ENUM:
		return "\"NAME\"";
	case CONFIG_SIZE:
		return "\"512M\" or \"2GiB\"";
	case CONFIG_RATE:
		return "\"500MiB/s\"";
	case CONFIG_TIME:
		return "\"500ms\", \"30s\" or \"10min\"";
	case CONFIG_PERMILLE:
		return "\"1%\" or \"0.1%\"";
	case CONFIG_TRIGGER:
		return "\"70ms/1s\"";
	case CONFIG_COUNT:
		return "8";
	case CONFIG_BOOL:
		return "true";
	case CONFIG_FILE:
		return "\"/run/balloond/balloond.prom\"";
	}
	return "";
}

/* Is there a key "PREFIX.*"? */
static bool is_group(const char *prefix)
{
	size_t n_keys, len = strlen(prefix);
	const struct config_key *keys = config_keys(&n_keys);

	for (size_t i = 0; i < n_keys; i++)
		if (strncmp(keys[i].name, prefix, len) == 0 && keys[i].name[len] == '.')
			return true;
	return false;
}

/* Keys of earlier versions: read past, so that an upgrade does not end with a file that is refused. */
static bool is_former(const char *name)
{
	static const char *const former[] = {
		"tail.dwell",
		"tail.emergency_hold_off",
		"tail.emergency_hold_off_max",
	};

	for (size_t i = 0; i < sizeof(former) / sizeof(former[0]); i++)
		if (strcmp(former[i], name) == 0)
			return true;
	return false;
}

static void unknown_key(struct reader *rd, const char *name, unsigned line)
{
	const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
	struct near near;
	size_t n_keys;
	const struct config_key *keys = config_keys(&n_keys);

	for (size_t i = 0; i < n_keys; i++) {
		const char *key_dot = strrchr(keys[i].name, '.');

		if (strcmp(last, key_dot ? key_dot + 1 : keys[i].name) != 0)
			continue;
		complain(rd, line, name, "unknown key; did you mean %s?", keys[i].name);
		return;
	}
	near_init(&near, name, strlen(name));
	for (size_t i = 0; i < n_keys; i++)
		near_try(&near, keys[i].name);
	if (near.best)
		complain(rd, line, name, "unknown key; did you mean %s?", near.best);
	else
		complain(rd, line, name, "unknown key");
}

/* A value as config-parse.c took it, or did not. */
static void judge(struct reader *rd, const struct config_key *key, unsigned line, int r,
		  const char *why)
{
	if (r == -EINVAL)
		complain(rd, line, key->name, "%s", why);
	else if (r < 0)
		rd->errors->no_memory = true;
}

static void read_string(struct reader *rd, const struct config_key *key, unsigned line,
			const char *value)
{
	_cleanup_free_ char *why = NULL;
	int r;

	r = config_parse(&rd->config, key, value, &why);
	judge(rd, key, line, r, why);
}

/* The two types that libconfig knows as such. */
static void read_plain(struct reader *rd, const struct config_key *key, unsigned line,
		       const config_setting_t *setting)
{
	int r, type = config_setting_type(setting);
	_cleanup_free_ char *why = NULL;
	long long v;

	if (key->type == CONFIG_BOOL) {
		bool set = config_setting_get_bool(setting);

		if (type != CONFIG_TYPE_BOOL)
			complain(rd, line, key->name, "must be true or false, without quotes");
		else
			memcpy((char *)&rd->config + key->offset, &set, sizeof(set));
		return;
	}
	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
		complain(rd, line, key->name, "must be a number, without quotes, e.g. %s",
			 example(key));
		return;
	}
	v = config_setting_get_int64(setting);
	r = config_parse_number(&rd->config, key, v < 0 ? UINT64_MAX : (uint64_t)v, &why);
	judge(rd, key, line, r, why);
}

static void read_setting(struct reader *rd, const config_setting_t *setting, const char *name)
{
	unsigned line = config_setting_source_line(setting);
	size_t n_keys;
	const struct config_key *keys = config_keys(&n_keys);

	if (is_group(name)) {
		complain(rd, line, name, "is a group; write %s: { ... }", name);
		return;
	}
	for (size_t i = 0; i < n_keys; i++) {
		if (strcmp(keys[i].name, name) != 0)
			continue;
		rd->origins->of[i] = (struct config_origin){rd->origins->files.n - 1, line};
		if (keys[i].type == CONFIG_COUNT || keys[i].type == CONFIG_BOOL)
			read_plain(rd, &keys[i], line, setting);
		else if (config_setting_type(setting) != CONFIG_TYPE_STRING)
			complain(rd, line, name, "must be a string%s, e.g. %s",
				 config_setting_is_number(setting) ? " with a unit" : "",
				 example(&keys[i]));
		else
			read_string(rd, &keys[i], line, config_setting_get_string(setting));
		return;
	}
	if (!is_former(name))
		unknown_key(rd, name, line);
}

static void read_group(struct reader *rd, const config_setting_t *group, const char *prefix)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		char name[128];

		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "",
			 config_setting_name(s));
		if (config_setting_is_group(s) && *prefix == '\0' && is_group(name))
			read_group(rd, s, name);
		else
			read_setting(rd, s, name);
	}
}

/* Does a stand behind b? What is in no file stands before everything. */
static bool is_later(const struct config_origin *a, const struct config_origin *b)
{
	return a->file != b->file ? a->file > b->file : a->line > b->line;
}

/* Of two keys the later one is blamed, since that is the one which made them disagree. */
static void disagree(struct reader *rd, const size_t at[static 2])
{
	const struct config_origin *one = &rd->origins->of[at[0]], *other = &rd->origins->of[at[1]];
	const struct config_origin *later = is_later(one, other) ? one : other;
	const struct config_origin *earlier = later == one ? other : one;
	size_t n_keys;
	const struct config_key *keys = config_keys(&n_keys);
	char low[UNITS_MAX], high[UNITS_MAX];
	_cleanup_free_ char *elsewhere = NULL;

	if (earlier->line > 0 && earlier->file != later->file &&
	    asprintf(&elsewhere, "; the other one is in %s:%u",
		     rd->origins->files.paths[earlier->file], earlier->line) < 0)
		elsewhere = NULL;
	rd->path = rd->origins->files.paths[later->file];
	complain(rd, later->line, keys[at[0]].name, "is more than %s (%s > %s)%s", keys[at[1]].name,
		 config_format(&rd->config, &keys[at[0]], low, sizeof(low)),
		 config_format(&rd->config, &keys[at[1]], high, sizeof(high)), elsewhere ?: "");
}

/* Pairs of which the first must not be over the second, as far as that is known without RAM. */
static void check_pairs(struct reader *rd)
{
	static const char *const pairs[][2] = {
		{"interval", "idle_interval"},
		{"adaptive.headroom_min", "adaptive.headroom_max"},
		{"adaptive.probe_pressure", "adaptive.pressure"},
	};
	size_t n_keys;
	const struct config_key *keys = config_keys(&n_keys);

	for (size_t p = 0; p < sizeof(pairs) / sizeof(pairs[0]); p++) {
		size_t at[2] = {0, 0};
		uint64_t v[2];
		uint32_t ppm[2] = {0, 0};

		for (unsigned side = 0; side < 2; side++) {
			while (strcmp(keys[at[side]].name, pairs[p][side]) != 0)
				at[side]++;
			const struct config_key *key = &keys[at[side]];

			v[side] = key->type == CONFIG_PERMILLE ? config_get_u32(&rd->config, key)
							       : config_get_u64(&rd->config, key);
			if (key->size_key >= 0)
				ppm[side] = rd->config.ram_ppm[key->size_key];
		}

		/* A share and a size, or a size and "auto", meet only in config_resolve(). */
		if ((ppm[0] > 0) != (ppm[1] > 0))
			continue;
		if (ppm[0] > 0 ? ppm[0] <= ppm[1] : v[0] <= v[1])
			continue;
		if (ppm[0] == 0 && keys[at[1]].word && v[1] == keys[at[1]].word_value)
			continue;
		disagree(rd, at);
	}
}

static int parse_text(struct reader *rd, const char *text)
{
	_cleanup_(config_destroyp) config_t *tree = NULL;
	config_t storage;

	config_init(&storage);
	tree = &storage;
	if (!config_read_string(tree, text)) {
		const char *why = config_error_text(tree) ?: SYNTAX_ERROR;
		bool syntax = strcmp(why, SYNTAX_ERROR) == 0;

		/* Of a name that stands there twice, say, the spelling is right. */
		complain(rd, (unsigned)config_error_line(tree), NULL, "%s%s", why,
			 syntax ? "; a key is written as NAME = \"VALUE\";" : "");
		return -EINVAL;
	}
	read_group(rd, config_root_setting(tree), "");
	return 1;
}

/* Returns 1 if it was taken, wrong keys and all, or an error. */
static int take_text(struct reader *rd, const char *path, const char *text)
{
	int r;

	r = config_files_add(&rd->origins->files, strdup(path));
	if (r < 0) {
		rd->errors->no_memory = true;
		return r;
	}
	rd->path = path;
	return parse_text(rd, text);
}

/* Returns 1 if it was read, 0 if there is none, or an error. */
static int read_file(struct reader *rd, const char *path, bool dropin)
{
	_cleanup_free_ char *text = NULL;
	int r;

	r = config_text_read(path, dropin, &text, rd->errors);
	return r <= 0 ? r : take_text(rd, path, text);
}

/* Returns what read_file() said of the main file. */
static int read_files(struct reader *rd, const char *path, const char *const dirs[])
{
	_cleanup_(config_files_done) struct config_files dropins = {};
	int main_file, r = 0;

	main_file = read_file(rd, path, false);
	/* Of a file that is wrong, and not out of reach, the drop-ins are checked as well. */
	if (main_file < 0 && main_file != -EINVAL)
		return main_file;
	if (config_dropins_find(path, dirs, &dropins, rd->errors) < 0)
		r = -EINVAL;
	for (size_t i = 0; i < dropins.n; i++)
		if (read_file(rd, dropins.paths[i], true) < 0)
			r = -EINVAL;
	if (main_file >= 0 && r == 0)
		check_pairs(rd);
	return main_file;
}

static void reader_init(struct reader *rd, struct config_origins *origins,
			struct config_errors *errors)
{
	*rd = (struct reader){.origins = origins, .errors = errors};
	*origins = (struct config_origins){};
	*errors = (struct config_errors){};
	config_default(&rd->config);
}

/* r: what reading said. Returns what the caller is told of it, with a line if that is an error. */
static int reader_end(struct reader *rd, const char *path, int r, struct config *ret)
{
	if (rd->errors->no_memory)
		r = -ENOMEM;
	else if (r >= 0 && rd->errors->n > 0)
		r = -EINVAL;
	rd->path = path;
	if (r < 0 && rd->errors->n == 0)
		complain(rd, 0, NULL, "%s", strerror(-r));
	if (r >= 0)
		*ret = rd->config;
	return r;
}

int config_load_from(const char *path, const char *const dirs[], struct config *ret,
		     struct config_origins *origins, struct config_errors *errors)
{
	struct reader rd;

	reader_init(&rd, origins, errors);
	return reader_end(&rd, path, read_files(&rd, path, dirs), ret);
}

int config_load_fd(int fd, const char *name, struct config *ret, struct config_origins *origins,
		   struct config_errors *errors)
{
	_cleanup_free_ char *text = NULL;
	struct reader rd;
	int r;

	reader_init(&rd, origins, errors);
	r = config_text_read_fd(fd, name, false, &text, errors);
	if (r >= 0)
		r = take_text(&rd, name, text);
	if (r >= 0)
		check_pairs(&rd);
	return reader_end(&rd, name, r, ret);
}

int config_load(const char *path, struct config *ret, struct config_errors *errors)
{
	_cleanup_(config_origins_done) struct config_origins origins;

	return config_load_from(path, NULL, ret, &origins, errors);
}

void config_origins_done(struct config_origins *o)
{
	config_files_done(&o->files);
}

void config_resolve(const struct config *c, uint64_t ram, struct policy_config *ret)
{
	struct policy_config p = c->policy;
	size_t n_keys;
	const struct config_key *keys = config_keys(&n_keys);

	for (size_t i = 0; i < n_keys; i++) {
		uint32_t ppm = keys[i].size_key >= 0 ? c->ram_ppm[keys[i].size_key] : 0;
		uint64_t v;

		if (ppm == 0)
			continue;
		/* 4 KiB at least: 0 means something else in most of these fields. */
		v = (uint64_t)((unsigned __int128)ram * ppm / 1000000) & ~4095ULL;
		if (v == 0)
			v = 4096;
		/* All size keys live in the policy's part, which is the first member. */
		memcpy((char *)&p + keys[i].offset, &v, sizeof(v));
	}
	if (p.headroom_min > 0 && p.headroom_max > 0 && p.headroom_max < p.headroom_min)
		p.headroom_max = p.headroom_min;
	*ret = p;
}

_Static_assert(offsetof(struct config, policy) == 0, "config_resolve() relies on it");
