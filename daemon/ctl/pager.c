// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pager.c - long output on a terminal goes through a pager
 *
 * As systemctl(1) does it: $SYSTEMD_PAGER, $PAGER, or the first of a few that
 * there is; empty or "cat" is none. Standard output and, if that is a terminal
 * as well, standard error become a pipe to it, until pager_close() waits for
 * its end. A reader who leaves early ends nothing: writes fail without a
 * signal, and the exit status is the one of the verb. Ctrl-C is the pager's.
 *
 * Pagers can start programs and write files. Where whoever sits at the terminal
 * may be another user than the one that this runs as (sudo, su, pkexec, a root
 * shell of unknown origin), the pager is told to do neither (LESSSECURE), and
 * only one that is known to listen is started: less, from where distributions
 * install it, never what the environment names or what its $PATH leads to.
 * $SYSTEMD_PAGERSECURE says otherwise, either way; what it says and nobody
 * understands is no permission.
 *
 * Leaves out quotes in the name of a pager (its words are split at blanks).
 */
#include "ctl/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "basic/cleanup.h"
#include "ctl/term.h"

/* Quit if it fits a screen, and at Ctrl-C; colours; long lines are cut; the text stays. */
#define LESS_OPTIONS "FRSXMK"
#define WORDS_MAX 16

static struct {
	bool off;
	pid_t pid;		/* 0 = none */
	int out, err;		/* what was standard output and error; -1 = it is that still */
} pager = { .out = -1, .err = -1 };

void pager_off(void)
{
	pager.off = true;
}

/* --- whom to trust --- */

/* The user who has logged in is the one that this runs as. */
static bool is_own_session(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/loginuid", "re");
	uint32_t login;

	/* Without a login it is the greatest number. */
	return f && fscanf(f, "%" SCNu32, &login) == 1 && login == geteuid();
}

/* 1 true, 0 false, -1 it is not there or neither. The words are systemd's. */
static int truth(const char *text)
{
	static const char *const words[] = {
		"0", "1", "no", "yes", "n", "y", "false", "true", "f", "t", "off", "on",
	};

	for (int i = 0; text && i < (int)(sizeof(words) / sizeof(words[0])); i++)
		if (strcasecmp(text, words[i]) == 0)
			return i % 2;
	return -1;
}

struct choice {
	const char *command;	/* NULL = one of those that are known */
	bool none;
	bool secure;
};

static void choose(struct choice *c)
{
	const char *text = secure_getenv("SYSTEMD_PAGERSECURE");
	int said = truth(text);
	const char *command = secure_getenv("SYSTEMD_PAGER") ?: secure_getenv("PAGER");

	*c = (struct choice){ .secure = said < 0 ? text || !is_own_session() : said };
	c->none = command && (!*command || strcmp(command, "cat") == 0);
	/* Somebody else's program, unless it was said that it may be. */
	if (said >= 0 || !c->secure)
		c->command = command;
}

/* --- the pager's side --- */

static void exec_words(char *command)
{
	char *words[WORDS_MAX + 1] = { NULL }, *rest;
	int n = 0;

	while (n <= WORDS_MAX && (words[n] = strtok_r(n ? NULL : command, " ", &rest)))
		n++;
	/* Half a command is another one. */
	if (n > 0 && n <= WORDS_MAX)
		execvp(words[0], words);
}

/* Where there is no pager at all. */
static void copy_all(void)
{
	char buf[4096];
	ssize_t n, w;

	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0)
		for (ssize_t done = 0; done < n; done += w) {
			w = write(STDOUT_FILENO, buf + done, (size_t)(n - done));
			if (w < 0)
				return;
		}
}

/* In the child; does not come back. */
static void become(const struct choice *c)
{
	static const char *const known[] = { "less", "pager", "more" };
	/* Only less is known to obey LESSSECURE, and only there it is the machine's own. */
	static const char *const trusted[] = { "/usr/bin/less", "/bin/less" };
	char *command = c->command ? strdup(c->command) : NULL;

	setenv("LESS", secure_getenv("SYSTEMD_LESS") ?: LESS_OPTIONS, 1);
	if (c->secure) {
		setenv("LESSSECURE", "1", 1);
		/* Its history is a file that it writes in spite of that. */
		setenv("LESSHISTFILE", "-", 1);
	} else {
		unsetenv("LESSSECURE");
	}
	if (command)
		exec_words(command);
	for (int i = 0; i < 2 && c->secure; i++)
		execl(trusted[i], "less", (char *)NULL);
	for (int i = 0; i < 3 && !c->secure; i++)
		execlp(known[i], known[i], (char *)NULL);
	copy_all();
	_exit(0);
}

/* --- our side --- */

/* Keep what @fd is, and make it @to. */
static int redirect(int fd, int to)
{
	int kept = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (kept >= 0)
		dup2(to, fd);
	return kept;
}

static void put_back(int *kept, int fd)
{
	if (*kept < 0)
		return;
	dup2(*kept, fd);
	close(*kept);
	*kept = -1;
}

/* If it was closed, @fd may be it already, and dup2() would leave it close-on-exec. */
static bool make_input(int fd)
{
	return (fd == STDIN_FILENO ? fcntl(fd, F_SETFD, 0) : dup2(fd, STDIN_FILENO)) >= 0;
}

static void start(const struct choice *c, const int fds[static 2])
{
	pid_t parent = getpid();

	pager.pid = fork();
	if (pager.pid == 0) {
		/* Without us it would share the terminal with the shell. */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent || !make_input(fds[0]))
			_exit(1);
		close(fds[1]);
		become(c);
	}
	if (pager.pid < 0) {
		pager.pid = 0;
		return;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	if (isatty(STDERR_FILENO))
		pager.err = redirect(STDERR_FILENO, fds[1]);
	pager.out = redirect(STDOUT_FILENO, fds[1]);
}

void pager_open(void)
{
	struct choice c;
	int fds[2];

	if (pager.off || pager.pid || !term_is_live())
		return;
	choose(&c);
	if (c.none)
		return;
	fflush(stdout);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	start(&c, fds);
	close(fds[0]);
	close(fds[1]);
}

void pager_close(void)
{
	if (!pager.pid)
		return;
	/* A pipe to one who reads no more is all that can go wrong with it. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		__fpurge(stdout);
		clearerr(stdout);
	}
	put_back(&pager.err, STDERR_FILENO);
	put_back(&pager.out, STDOUT_FILENO);
	while (waitpid(pager.pid, NULL, 0) < 0 && errno == EINTR)
		;
	pager.pid = 0;
}
