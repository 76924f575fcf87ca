/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.h - one line to the journal, or to stderr where there is none
 *
 * Only code that can act on a problem logs it; libraries return errors. A
 * problem that lasts is said once when it appears and once when it goes away,
 * which is the caller's job.
 */
#pragma once

#include <syslog.h>

/*
 * Choose the output: the journal if stderr is connected to it (JOURNAL_STREAM);
 * else stderr, with a "<N>" priority prefix below a service manager that reads
 * those, and with "balloond: " everywhere else. Before the call: stderr.
 */
void log_open(void);

/* The journal, whose socket has this path, whatever stderr is. Nobody ever waits for it. */
void log_open_journal(const char *path);

/* Lines less important than this are dropped. LOG_ERR to LOG_DEBUG; default LOG_INFO. */
void log_set_level(int priority);
int log_get_level(void);
/* "err", "warning", "notice", "info", "debug"; -EINVAL if there is no such level. */
int log_level_parse(const char *name, int *ret_priority);
/* NULL if out of range. */
const char *log_level_name(int priority);

/*
 * fields: journal fields "NAME=value", NULL-terminated, or NULL. They are
 * dropped where the output is not the journal.
 */
void log_write(int priority, const char *const *fields, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...)	 log_write(LOG_ERR, NULL, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, NULL, __VA_ARGS__)
#define log_notice(...)	 log_write(LOG_NOTICE, NULL, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(...)	 log_write(LOG_DEBUG, NULL, __VA_ARGS__)
