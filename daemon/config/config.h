/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config.h - balloond.conf and its drop-ins: one table of keys, one strict reader
 *
 * The table is what the manual, the default file and the reader agree on: a
 * key that is not in it does not exist. No output, no logging and no global
 * state, so that `balloonctl check-config` uses the very same code.
 *
 * Sizes may be percentages of RAM, which nobody knows while the file is read
 * (MemTotal shrinks as the balloon grows). struct config keeps them as shares;
 * config_resolve() makes plain bytes of them once RAM is known.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/policy.h"

/* Read if no other file is named. */
#define CONFIG_PATH SYSCONFDIR "/balloond.conf"

/* Where there is no device of ours. */
enum config_without_module {
	WITHOUT_MODULE_RECLAIM,	/* push cold cache out, if the kernel's driver reports free pages */
	WITHOUT_MODULE_WAIT,	/* only watch until it comes */
	_WITHOUT_MODULE_MAX,
};

enum config_on_stop {
	ON_STOP_RETURN,	/* give the memory back before exiting */
	ON_STOP_KEEP,	/* leave the balloon as it is, without a lease */
	_ON_STOP_MAX,
};

/* Where the balloon's pages stand in the kernel's books. */
enum config_account {
	ACCOUNT_AUTO,	/* by what is true */
	ACCOUNT_AVAILABLE, /* programs see them as memory they can have */
	ACCOUNT_GONE,	/* programs see a smaller machine */
	_ACCOUNT_MAX,
};

/* Keys that are sizes and may be given as a share of RAM. */
enum config_size_key {
	SIZE_LIMIT,
	SIZE_FLOOR,
	SIZE_RESERVE,
	SIZE_HEADROOM_MIN,
	SIZE_HEADROOM_MAX,
	SIZE_STALL_PRICE,
	SIZE_WORTHWHILE,
	SIZE_DEAD_BAND,
	_SIZE_KEY_MAX,
};

/* PSI trigger: `stall` within `window`; stall 0 = no trigger. */
struct config_trigger {
	uint64_t stall_us;
	uint64_t window_us;
};

/* Longest path in the file, with its NUL. */
#define CONFIG_PATH_MAX 256

struct config {
	struct policy_config policy;	/* in bytes, but for the keys that have a share below */
	/* Share of RAM in millionths; 0 = the size in `policy` is meant as it stands. */
	uint32_t ram_ppm[_SIZE_KEY_MAX];

	uint64_t lease_us;		/* 0 = off */
	enum config_on_stop on_stop;
	enum config_account account;
	struct config_trigger psi_early;
	struct config_trigger psi_emergency;
	int log_level;			/* LOG_ERR to LOG_DEBUG */
	char metrics_file[CONFIG_PATH_MAX]; /* "" = none */
	bool adopt;			/* at start, by balloonctl */
	enum config_without_module without_module;
};

enum config_type {
	CONFIG_ENUM,		/* a string, one of `words`; stored as int */
	CONFIG_SIZE,		/* uint64_t, bytes */
	CONFIG_RATE,		/* uint64_t, bytes a second */
	CONFIG_TIME,		/* uint64_t, microseconds */
	CONFIG_PERMILLE,	/* uint32_t */
	CONFIG_TRIGGER,		/* struct config_trigger */
	CONFIG_COUNT,		/* uint32_t, a plain number in the file */
	CONFIG_BOOL,		/* bool, true or false in the file */
	CONFIG_FILE,		/* char[CONFIG_PATH_MAX], an absolute path */
};

/* One key. Limits are inclusive and in the stored unit; for triggers they bound the window. */
struct config_key {
	const char *name;	/* full: "adaptive.headroom_min" */
	enum config_type type;
	size_t offset;		/* in struct config */
	uint64_t min;
	uint64_t max;
	int size_key;		/* enum config_size_key if percentages are allowed, else -1 */
	/* A word for a value outside of the range: "auto", "unlimited", "off"; NULL if none. */
	const char *word;
	uint64_t word_value;
	/* CONFIG_ENUM: the name of value i, NULL behind the last. */
	const char *(*enum_name)(int i);
	int enum_first;
	const char *unit;	/* what the manual says about the value: "size", "time", ... */
	const char *help;	/* one line */
};

/* All keys in the order of the manual. Never NULL. */
const struct config_key *config_keys(size_t *ret_n);

/*
 * The value of key in *c as the file would have it, without the quotes: 30s,
 * 10%, auto. Returns buf. All types but CONFIG_COUNT and CONFIG_BOOL are quoted there.
 */
const char *config_format(const struct config *c, const struct config_key *key, char *buf,
			  size_t n);

/*
 * What was wrong, one "FILE:LINE: KEY: reason" each: in the order of the files,
 * and then the keys that disagree with each other.
 */
struct config_errors {
	size_t n;
	char **lines;
	bool no_memory;		/* something could not be told */
};

void config_errors_done(struct config_errors *e);

/* More keys than the table will ever have. */
#define CONFIG_KEYS_MAX 64

/* Files by their paths, in the order in which they were read. */
struct config_files {
	size_t n;
	char **paths;
};

/* Where a value is from; line 0: from no file, it is the default. */
struct config_origin {
	size_t file;		/* in struct config_origins */
	unsigned line;
};

struct config_origins {
	struct config_files files;	/* the main file, if there is one, and its drop-ins */
	struct config_origin of[CONFIG_KEYS_MAX]; /* by the index of the key in config_keys() */
};

void config_origins_done(struct config_origins *o);

/* The defaults, those that balloond.conf shows. */
void config_default(struct config *ret);

/*
 * Read path over the defaults, and then its drop-ins, each over what was before
 * it. Keys that are in no file keep their default. The drop-ins are all *.conf in PATH.d,
 * and for CONFIG_PATH also those in /run and /usr/lib; see config-dropins.c.
 * @include is refused.
 *
 * Returns 1 if the file was read; 0 if there is none (*ret = the defaults, and
 * what the drop-ins say); -EINVAL if one of them is wrong in any way, -ENOMEM, or
 * what open() and read() say of the file. On error *ret is untouched and *errors
 * has at least one line; the caller calls config_errors_done() in any case.
 */
int config_load(const char *path, struct config *ret, struct config_errors *errors);

/*
 * The same, with where each value is from. dirs: directories of drop-ins, those
 * of the first win, NULL behind the last; dirs NULL: as config_load(). The caller
 * calls config_origins_done() in any case, too.
 */
int config_load_from(const char *path, const char *const dirs[], struct config *ret,
		     struct config_origins *origins, struct config_errors *errors);

/*
 * The same for the text that is read from @fd, whatever kind of file that is;
 * @name is what the errors call it. It has no drop-ins, and there always is one:
 * 1 or an error. The daemon reads files only, to which it can come back.
 */
int config_load_fd(int fd, const char *name, struct config *ret, struct config_origins *origins,
		   struct config_errors *errors);

/*
 * The policy's configuration on a machine with this much RAM: shares become
 * bytes. A minimum that turns out to be over its maximum raises the maximum.
 */
void config_resolve(const struct config *c, uint64_t ram, struct policy_config *ret);

/* "return", "keep"; NULL if out of range. */
const char *config_on_stop_name(int i);
const char *config_without_module_name(int i);
/* "auto", "available", "gone"; NULL if out of range. */
const char *config_account_name(int i);
