// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * config-dropins.c - which drop-ins balloond.conf has
 *
 * As systemd has them (systemd.conf(5), "Configuration directories and
 * precedence"): all *.conf of all directories, ordered by their names alone and
 * bytewise, so that no locale changes the order. Of one name in two directories
 * only the one in the first is read, whatever it is: that is how the
 * administrator masks a file of a package.
 *
 * A directory that is not there is no error. One that cannot be listed is: what
 * it has would be missing without a word.
 *
 * Leaves out: what is in the files, and whether they are any (config-text.c).
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basic/cleanup.h"
#include "config/config-read.h"

#define SUFFIX ".conf"

/* Of CONFIG_PATH, the first wins; of another file only the one beside it. */
static const char *const standard_dirs[] = {
	CONFIG_PATH ".d",
	"/run/balloond.conf.d",
	"/usr/lib/balloond.conf.d",
	NULL,
};

struct entry {
	char *path;
	const char *name;	/* in path */
	size_t dir;
};

struct entries {
	size_t n;
	struct entry *all;
};

static void entries_done(struct entries *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->all[i].path);
	free(e->all);
}

struct names {
	int n;
	struct dirent **all;
};

static void names_done(struct names *names)
{
	for (int i = 0; i < names->n; i++)
		free(names->all[i]);
	free(names->all);
}

/* Neither hidden nor what editors and packages leave beside a file (x.conf~, x.conf.dpkg-old). */
static int is_dropin(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > strlen(SUFFIX) &&
	       strcmp(d->d_name + n - strlen(SUFFIX), SUFFIX) == 0;
}

static int add(struct entries *e, const char *dir, size_t number, const char *name)
{
	struct entry *all = reallocarray(e->all, e->n + 1, sizeof(*all));
	char *path;

	if (!all)
		return -ENOMEM;
	e->all = all;
	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	all[e->n++] = (struct entry){path, path + strlen(dir) + 1, number};
	return 0;
}

static int list(const char *dir, size_t number, struct entries *e, struct config_errors *errors)
{
	_cleanup_(names_done) struct names names = {};
	int r;

	names.n = scandir(dir, &names.all, is_dropin, NULL);
	if (names.n < 0) {
		r = -errno;
		if (r == -ENOENT && !config_is_dangling(dir))
			return 0;
		config_errors_add(errors, dir, 0, NULL, "cannot be listed: %s", r == -ENOENT ?
				  "it is a link to a directory that is not there" : strerror(-r));
		return r;
	}
	for (int i = 0; i < names.n; i++) {
		r = add(e, dir, number, names.all[i]->d_name);
		if (r < 0) {
			errors->no_memory = true;
			return r;
		}
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	return order ?: (left->dir > right->dir) - (left->dir < right->dir);
}

int config_dropins_find(const char *path, const char *const dirs[], struct config_files *ret,
			struct config_errors *errors)
{
	_cleanup_(entries_done) struct entries e = {};
	_cleanup_free_ char *beside_path = NULL;
	int r = 0;

	if (asprintf(&beside_path, "%s.d", path) < 0) {
		beside_path = NULL;
		errors->no_memory = true;
		return -ENOMEM;
	}
	const char *const beside[] = {beside_path, NULL};

	if (!dirs)
		dirs = strcmp(path, CONFIG_PATH) == 0 ? standard_dirs : beside;
	for (size_t i = 0; dirs[i]; i++)
		r = list(dirs[i], i, &e, errors) ?: r;
	if (e.n > 0)
		qsort(e.all, e.n, sizeof(*e.all), by_name);
	/* Neighbours of the same name: the first is the one that counts. */
	for (size_t i = 0; i < e.n; i++) {
		if (i > 0 && strcmp(e.all[i].name, e.all[i - 1].name) == 0)
			continue;
		if (config_files_add(ret, steal_pointer(e.all[i].path)) < 0) {
			errors->no_memory = true;
			return -ENOMEM;
		}
	}
	return r;
}

int config_files_add(struct config_files *f, char *path)
{
	char **paths = path ? reallocarray(f->paths, f->n + 1, sizeof(*paths)) : NULL;

	if (!paths) {
		free(path);
		return -ENOMEM;
	}
	f->paths = paths;
	paths[f->n++] = path;
	return 0;
}

void config_files_done(struct config_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->paths[i]);
	free(f->paths);
	*f = (struct config_files){};
}
