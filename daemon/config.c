// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * config.c - balloond.conf: reading, checking, and what a share of RAM is worth
 *
 * The only user of libconfig. libconfig parses; config-keys.c says what a key
 * may be, config-parse.c takes its value; this file walks the tree and collects
 * every error, so that a file with five mistakes takes one run to put right and
 * not five.
 *
 * What libconfig lets pass is refused before it sees the text: a comment that
 * is never closed (it would swallow the rest of the file without a word), NUL
 * bytes (its parser ends there), and @include (it would read relative to the
 * working directory of whoever asks, and give errors without the file's name).
 *
 * Leaves out: drop-in directories, environment variables, writing.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/cleanup.h"
#include "basic/units.h"
#include "config-value.h"

/* Ten times the commented default file; anything larger is some other file. */
#define FILE_BYTES_MAX (64 * 1024)
/* More keys than the table will ever have. */
#define KEYS_MAX 64

DEFINE_CLEANUP(config_t *, config_destroy)

struct reader {
	const char *path;
	struct config config;
	struct config_errors *errors;
	bool no_memory;
	/* Where key i of the table stood; 0 = not in the file. */
	unsigned line[KEYS_MAX];
};

/* line 0: the file as a whole. key may be NULL. */
__attribute__((format(printf, 4, 5)))
static void complain(struct reader *rd, unsigned line, const char *key, const char *format, ...)
{
	_cleanup_free_ char *reason = NULL, *text = NULL;
	char number[16] = "";
	char **lines;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&reason, format, ap);
	va_end(ap);
	if (n < 0) {
		reason = NULL;
		goto no_memory;
	}

	if (line > 0)
		snprintf(number, sizeof(number), ":%u", line);
	if (asprintf(&text, "%s%s: %s%s%s", rd->path, number, key ?: "", key ? ": " : "",
		     reason) < 0) {
		text = NULL;
		goto no_memory;
	}
	lines = reallocarray(rd->errors->lines, rd->errors->n + 1, sizeof(*lines));
	if (!lines)
		goto no_memory;
	rd->errors->lines = lines;
	lines[rd->errors->n++] = steal_pointer(text);
	return;

no_memory:
	rd->no_memory = true;
}

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
	size_t n_keys;
	const struct config_key *keys = config_keys(&n_keys);

	for (size_t i = 0; i < n_keys; i++) {
		const char *key_dot = strrchr(keys[i].name, '.');

		if (strcmp(last, key_dot ? key_dot + 1 : keys[i].name) != 0)
			continue;
		complain(rd, line, name, "unknown key; did you mean %s?", keys[i].name);
		return;
	}
	complain(rd, line, name, "unknown key");
}

/* A value as config-parse.c took it, or did not. */
static void judge(struct reader *rd, const struct config_key *key, unsigned line, int r,
		  const char *why)
{
	if (r == -EINVAL)
		complain(rd, line, key->name, "%s", why);
	else if (r < 0)
		rd->no_memory = true;
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
		rd->line[i] = line;
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

/* The line of the later one of two keys, since that is the one which made them disagree. */
static unsigned later_line(const struct reader *rd, size_t a, size_t b)
{
	return rd->line[a] > rd->line[b] ? rd->line[a] : rd->line[b];
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
		char low[UNITS_MAX], high[UNITS_MAX];

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
		complain(rd, later_line(rd, at[0], at[1]), keys[at[0]].name,
			 "is more than %s (%s > %s)", keys[at[1]].name,
			 config_format(&rd->config, &keys[at[0]], low, sizeof(low)),
			 config_format(&rd->config, &keys[at[1]], high, sizeof(high)));
	}
}

/* What libconfig would let pass; see the head of this file. Returns false after a complaint. */
static bool check_text(struct reader *rd, const char *text, size_t n)
{
	enum { CODE, STRING, LINE_COMMENT, COMMENT } state = CODE;
	unsigned line = 1, opened = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i], next = i + 1 < n ? text[i + 1] : '\0';

		if (c == '\0') {
			complain(rd, line, NULL, "NUL byte; this is not a text file");
			return false;
		}
		if (c == '\n')
			line++;

		switch (state) {
		case CODE:
			if (c == '"') {
				state = STRING;
				opened = line;
			} else if (c == '#' || (c == '/' && next == '/')) {
				state = LINE_COMMENT;
			} else if (c == '/' && next == '*') {
				state = COMMENT;
				opened = line;
				i++;
			} else if (c == '@') {
				complain(rd, line, NULL, "@include is not supported; write all keys "
							 "into one file");
				return false;
			}
			break;
		case STRING:
			if (c == '\\' && next != '\0' && next != '\n')
				i++;
			else if (c == '"')
				state = CODE;
			break;
		case LINE_COMMENT:
			if (c == '\n')
				state = CODE;
			break;
		case COMMENT:
			if (c == '*' && next == '/') {
				state = CODE;
				i++;
			}
			break;
		}
	}

	if (state == STRING || state == COMMENT) {
		complain(rd, opened, NULL, "%s that starts here is never closed",
			 state == STRING ? "the string" : "the comment");
		return false;
	}
	return true;
}

/* Returns 1 and the NUL-terminated text, 0 if there is no such file, or an error. */
static int read_file(struct reader *rd, char **ret_text, size_t *ret_n)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t n = 0;

	/* Not blocking: a FIFO without a writer would stop the daemon before it starts. */
	fd = open(rd->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		int r = -errno;

		if (r == -ENOENT)
			return 0;
		complain(rd, 0, NULL, "cannot be opened: %s", strerror(-r));
		return r;
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) {
		complain(rd, 0, NULL, "is %s, not a file",
			 S_ISDIR(st.st_mode) ? "a directory" : "a device, pipe or socket");
		return -EINVAL;
	}

	text = malloc(FILE_BYTES_MAX + 1);
	if (!text)
		return -ENOMEM;
	while (n <= FILE_BYTES_MAX) {
		ssize_t got = read(fd, text + n, FILE_BYTES_MAX + 1 - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int r = -errno;

			complain(rd, 0, NULL, "cannot be read: %s", strerror(-r));
			return r;
		}
		if (got == 0)
			break;
		n += (size_t)got;
	}
	if (n > FILE_BYTES_MAX) {
		complain(rd, 0, NULL, "is larger than 64 KiB; this is not a balloond.conf");
		return -EINVAL;
	}
	text[n] = '\0';
	*ret_text = steal_pointer(text);
	*ret_n = n;
	return 1;
}

int config_load(const char *path, struct config *ret, struct config_errors *errors)
{
	_cleanup_(config_destroyp) config_t *tree = NULL;
	struct reader rd = {.path = path, .errors = errors};
	_cleanup_free_ char *text = NULL;
	config_t storage;
	size_t n = 0;
	int r;

	*errors = (struct config_errors){};
	config_default(&rd.config);

	r = read_file(&rd, &text, &n);
	if (r < 0)
		goto finish;
	if (r == 0) {
		*ret = rd.config;
		return 0;
	}

	if (check_text(&rd, text, n)) {
		config_init(&storage);
		tree = &storage;
		if (!config_read_string(tree, text)) {
			const char *why = config_error_text(tree);

			complain(&rd, (unsigned)config_error_line(tree), NULL,
				 "%s; a key is written as NAME = \"VALUE\";", why ?: "syntax error");
		} else {
			read_group(&rd, config_root_setting(tree), "");
			check_pairs(&rd);
		}
	}
	r = errors->n > 0 ? -EINVAL : 1;

finish:
	if (rd.no_memory)
		r = -ENOMEM;
	if (r < 0 && errors->n == 0)
		complain(&rd, 0, NULL, "%s", strerror(-r));
	if (r < 0)
		return r;
	*ret = rd.config;
	return 1;
}

void config_errors_done(struct config_errors *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->lines[i]);
	free(e->lines);
	*e = (struct config_errors){};
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
