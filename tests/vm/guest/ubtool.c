// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ubtool.c - the calls of /dev/uballoon from a shell script
 *
 *	ubtool [-d DEVICE] [COMMAND [ARGUMENT...]] [, COMMAND ...]
 *	ubtool [-d DEVICE] < SCRIPT		(a command a line)
 *
 * All commands of a run share one file, opened for writing by the first one
 * that needs it, so that a script can hold the device while things happen.
 * Each command prints one line, "COMMAND rc=ERRNO KEY=VALUE ...", at once (that
 * of poll comes with the next one); the exit status is 0 unless a command is
 * malformed for ubtool itself: what the module answers is for the script to judge.
 *
 * Amounts are 4 KiB pages, or bytes with a suffix K, M or G. Static, no
 * library but libc, nothing but the uapi header: it also shows how small a
 * user of the device can be.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "uballoon.h"

#define WORDS_MAX 8

static const char *device = "/dev/uballoon";
static int fd = -1;

static const char *errno_name(int r)
{
	return r >= 0 ? "OK" : strerrorname_np(errno);
}

static const char *stop_name(uint32_t stop)
{
	static const char *const names[] = {
		"NONE", "DONE", "TARGET", "NOMEM", "FLOOR", "REFUSED", "NOT_NEEDED", "RESET",
		"BUDGET", "INTERRUPTED",
	};

	return stop < sizeof(names) / sizeof(names[0]) ? names[stop] : "?";
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

static bool parse_number(const char *text, uint64_t *ret)
{
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 0);
	return !errno && !*end;
}

/* Pages, or bytes with a suffix. */
static bool parse_pages(const char *text, uint64_t *ret)
{
	uint64_t shift;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 0);
	if (errno)
		return false;
	switch (*end) {
	case '\0':
		return true;
	case 'K':
		shift = 10;
		break;
	case 'M':
		shift = 20;
		break;
	case 'G':
		shift = 30;
		break;
	default:
		return false;
	}
	*ret = *ret << shift >> UBALLOON_PAGE_SHIFT;
	return !end[1];
}

static bool parse_order(const char *text, uint32_t *ret)
{
	if (text && !strcmp(text, "4k"))
		*ret = UBALLOON_ORDER_4K;
	else if (text && !strcmp(text, "2m"))
		*ret = UBALLOON_ORDER_2M;
	else
		return false;
	return true;
}

static bool cmd_open(char **w)
{
	int flags = w[1] && !strcmp(w[1], "r") ? O_RDONLY : O_RDWR;

	if (fd >= 0)
		close(fd);
	fd = open(device, flags | O_CLOEXEC);
	printf("open rc=%s\n", errno_name(fd));
	return true;
}

/* Opens it once more, and closes that again. */
static bool cmd_second(char **w)
{
	int flags = w[1] && !strcmp(w[1], "r") ? O_RDONLY : O_RDWR;
	int r = open(device, flags | O_CLOEXEC);

	printf("second rc=%s\n", errno_name(r));
	if (r >= 0)
		close(r);
	return true;
}

static bool cmd_close(char **w)
{
	int r = close(fd);

	(void)w;
	fd = -1;
	printf("close rc=%s\n", errno_name(r));
	return true;
}

static bool cmd_info(char **w)
{
	struct uballoon_info in = { .size = sizeof(in) };
	int r = ioctl(fd, UBALLOON_IOC_GET_INFO, &in);

	(void)w;
	printf("info rc=%s abi=%u caps=0x%llx ram_pages=%llu floor_pages=%llu batch_4k=%u "
	       "batch_2m=%u host=%s\n", errno_name(r), in.abi_version,
	       (unsigned long long)in.capabilities, (unsigned long long)in.ram_pages,
	       (unsigned long long)in.floor_pages, in.batch_pages_4k, in.batch_pages_2m, in.host);
	return true;
}

#define FIELD(s, f) printf(" " #f "=%llu", (unsigned long long)(s).f)

static bool cmd_state(char **w)
{
	struct uballoon_state st = { .size = sizeof(st) };
	int r = ioctl(fd, UBALLOON_IOC_GET_STATE, &st);
	const struct uballoon_counters *c = &st.counters;

	(void)w;
	printf("state rc=%s flags=0x%x size_pages=%llu", errno_name(r), st.flags,
	       (unsigned long long)(st.size_4k_pages + st.size_2m_pages));
	FIELD(st, size_4k_pages);
	FIELD(st, size_2m_pages);
	FIELD(st, ram_pages);
	FIELD(st, module_floor_pages);
	FIELD(st, mem_available_pages);
	FIELD(st, available_pages);
	FIELD(st, gone_pages);
	FIELD(st, host_pages);
	FIELD(st, firm_pages);
	FIELD(st, account);
	FIELD(st, relief_pages);
	FIELD(st, ceiling_pages);
	FIELD(st, floor_pages);
	FIELD(st, host_target_pages);
	FIELD(st, limit_pages);
	FIELD(st, generation);
	FIELD(st, lease_ms);
	FIELD(st, lease_left_ms);
	FIELD(st, holdoff_left_ms);
	printf(" last_stop=%s", stop_name(st.last_stop));
	FIELD(*c, lock_calls);
	FIELD(*c, unlock_calls);
	FIELD(*c, locked_4k_pages);
	FIELD(*c, locked_2m_pages);
	FIELD(*c, unlocked_4k_pages);
	FIELD(*c, unlocked_2m_pages);
	FIELD(*c, refused_pages);
	FIELD(*c, alloc_fail_4k_events);
	FIELD(*c, alloc_fail_2m_events);
	FIELD(*c, floor_events);
	FIELD(*c, oom_events);
	FIELD(*c, oom_pages);
	FIELD(*c, shrink_events);
	FIELD(*c, shrink_pages);
	FIELD(*c, lease_events);
	FIELD(*c, lease_pages);
	FIELD(*c, pop_events);
	FIELD(*c, pop_pages);
	FIELD(*c, migrated_pages);
	FIELD(*c, host_target_events);
	FIELD(*c, host_timeout_events);
	FIELD(*c, host_stats_events);
	FIELD(*c, reported_pages);
	FIELD(*c, direct_events);
	FIELD(*c, direct_pages);
	FIELD(*c, proofs_taken);
	FIELD(*c, proofs_kept);
	putchar('\n');
	return true;
}

static bool cmd_target(char **w)
{
	struct uballoon_target t = { .size = sizeof(t) };
	uint64_t ceiling, floor = 0, lease = 0, relief = 0, account = 0;
	int r;

	if (!parse_pages(w[1], &ceiling) || (w[2] && !parse_pages(w[2], &floor)) ||
	    (w[2] && w[3] && !parse_number(w[3], &lease)) ||
	    (w[2] && w[3] && w[4] && !parse_pages(w[4], &relief)) ||
	    (w[2] && w[3] && w[4] && w[5] && !parse_number(w[5], &account)))
		return false;
	t.ceiling_pages = ceiling;
	t.floor_pages = floor;
	t.lease_ms = lease;
	t.relief_pages = relief;
	t.account = account;
	r = ioctl(fd, UBALLOON_IOC_SET_TARGET, &t);
	printf("target rc=%s\n", errno_name(r));
	return true;
}

static bool run_move(const char *name, unsigned long nr, struct uballoon_move *mv)
{
	uint64_t start = now_us();
	int r = ioctl(fd, nr, mv);

	printf("%s rc=%s done_pages=%llu refused_pages=%llu stop=%s us=%llu\n", name, errno_name(r),
	       (unsigned long long)mv->done_pages, (unsigned long long)mv->refused_pages,
	       stop_name(mv->stop), (unsigned long long)(now_us() - start));
	return true;
}

static bool cmd_lock(char **w)
{
	struct uballoon_move mv = { .size = sizeof(mv), .flags = UBALLOON_MOVE_NOSLEEP };
	uint64_t pages, budget = UBALLOON_MAX_BUDGET_MS;

	if (!parse_order(w[1], &mv.page_order) || !parse_pages(w[2], &pages) ||
	    (w[3] && !parse_number(w[3], &budget)))
		return false;
	if (w[3] && w[4] && !strcmp(w[4], "cansleep"))
		mv.flags = UBALLOON_MOVE_CANSLEEP;
	mv.pages = pages;
	mv.budget_ms = budget;
	return run_move("lock", UBALLOON_IOC_LOCK, &mv);
}

static bool cmd_unlock(char **w)
{
	struct uballoon_move mv = { .size = sizeof(mv) };
	uint64_t pages, budget = UBALLOON_MAX_BUDGET_MS;

	if (!parse_order(w[1], &mv.page_order) || !parse_pages(w[2], &pages) ||
	    (w[3] && !parse_number(w[3], &budget)))
		return false;
	mv.pages = pages;
	mv.budget_ms = budget;
	return run_move("unlock", UBALLOON_IOC_UNLOCK, &mv);
}

static bool cmd_keepalive(char **w)
{
	(void)w;
	printf("keepalive rc=%s\n", errno_name(ioctl(fd, UBALLOON_IOC_KEEPALIVE)));
	return true;
}

static bool cmd_pop(char **w)
{
	struct uballoon_pop p = { .size = sizeof(p) };
	uint64_t start = now_us();
	int r = ioctl(fd, UBALLOON_IOC_POP, &p);

	(void)w;
	printf("pop rc=%s done_pages=%llu us=%llu\n", errno_name(r),
	       (unsigned long long)p.done_pages, (unsigned long long)(now_us() - start));
	return true;
}

/* So many times: one line, of how the answers were spread, and of the last one. */
static bool cmd_prove(char **w)
{
	static const char *const flags[] = { "nosleep", "cansleep" };
	struct uballoon_prove p = {}, in = { .size = sizeof(in), .flags = UBALLOON_MOVE_NOSLEEP };
	uint64_t times = 1, hold = 0, budget = UBALLOON_MAX_BUDGET_MS, start = now_us(), i;
	uint64_t answers[3] = {}, pages = 0, gone = 0;
	int r = 0;

	if (!parse_order(w[1], &in.page_order) || (w[2] && !parse_number(w[2], &times)) ||
	    (w[2] && w[3] && !parse_number(w[3], &budget)) ||
	    (w[2] && w[3] && w[4] && !parse_number(w[4], &hold)))
		return false;
	if (w[2] && w[3] && w[4] && w[5] && !strcmp(w[5], flags[1]))
		in.flags = UBALLOON_MOVE_CANSLEEP;
	in.budget_ms = budget;
	in.hold_ms = hold;
	for (i = 0; i < times && r >= 0; i++) {
		p = in;
		r = ioctl(fd, UBALLOON_IOC_PROVE, &p);
		if (r < 0)
			break;
		answers[p.answer < 3 ? p.answer : 0]++;
		pages += p.pages;
		gone += p.gone_pages;
	}
	printf("prove rc=%s unknown=%llu taken=%llu kept=%llu pages=%llu gone_pages=%llu stop=%s us=%llu\n",
	       errno_name(r), (unsigned long long)answers[UBALLOON_PROOF_UNKNOWN],
	       (unsigned long long)answers[UBALLOON_PROOF_TAKEN],
	       (unsigned long long)answers[UBALLOON_PROOF_KEPT], (unsigned long long)pages,
	       (unsigned long long)gone, stop_name(p.stop), (unsigned long long)(now_us() - start));
	return true;
}

/* poll TIMEOUT_MS */
static bool cmd_poll(char **w)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLPRI };
	uint64_t timeout;
	int r;

	if (!parse_number(w[1], &timeout))
		return false;
	r = poll(&p, 1, timeout);
	printf("poll rc=%s events=%s%s%s%s\n", errno_name(r),
	       r <= 0 ? "none" : "", r > 0 && p.revents & POLLIN ? "IN" : "",
	       r > 0 && p.revents & POLLPRI ? "PRI" : "",
	       r > 0 && p.revents & (POLLERR | POLLHUP) ? "ERRHUP" : "");
	return true;
}

static bool cmd_sleep(char **w)
{
	uint64_t ms;

	if (!parse_number(w[1], &ms))
		return false;
	usleep(ms * 1000);
	printf("sleep rc=OK ms=%llu\n", (unsigned long long)ms);
	return true;
}

/*
 * Makes the next blocking call return early: alarm MS, and again after each MS more, for a slow guest may not
 * have come to the call the first time.
 */
static void on_alarm(int sig)
{
	(void)sig;
}

static bool cmd_alarm(char **w)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerspec it = {};
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	timer_t timer;
	uint64_t ms;
	int r;

	if (!parse_number(w[1], &ms))
		return false;
	sigaction(SIGALRM, &sa, NULL);
	it.it_value.tv_sec = ms / 1000;
	it.it_value.tv_nsec = ms % 1000 * 1000000;
	it.it_interval = it.it_value;
	r = timer_create(CLOCK_MONOTONIC, &ev, &timer);
	if (r >= 0)
		r = timer_settime(timer, 0, &it, NULL);
	printf("alarm rc=%s\n", errno_name(r));
	return true;
}

/* Touches so much memory: hog SIZE [HOLD_MS] */
static bool cmd_hog(char **w)
{
	uint64_t pages, i, hold = 0, start = now_us();
	char *p;

	if (!parse_pages(w[1], &pages) || (w[2] && !parse_number(w[2], &hold)))
		return false;
	p = mmap(NULL, pages << UBALLOON_PAGE_SHIFT, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		printf("hog rc=%s\n", strerrorname_np(errno));
		return true;
	}
	for (i = 0; i < pages; i++)
		memset(p + (i << UBALLOON_PAGE_SHIFT), (int)(i % 255 + 1), 64);
	printf("hog rc=OK pages=%llu us=%llu\n", (unsigned long long)pages,
	       (unsigned long long)(now_us() - start));
	/* Others may wait for it. */
	fflush(stdout);
	usleep(hold * 1000);
	munmap(p, pages << UBALLOON_PAGE_SHIFT);
	return true;
}

/* From now on memory comes from that NUMA node only: node N */
static bool cmd_node(char **w)
{
	unsigned long mask;
	uint64_t node;

	if (!parse_number(w[1], &node) || node > 63)
		return false;
	mask = 1UL << node;
	printf("node rc=%s\n", errno_name(syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 64)));
	return true;
}

#include "ubtool-malformed.h"

static const struct {
	const char *name;
	const char *usage;
	bool needs_file;
	bool (*run)(char **words);
} commands[] = {
	{ "open", "open [r|w]", false, cmd_open },
	{ "close", "close", true, cmd_close },
	{ "second", "second [r|w]", false, cmd_second },
	{ "info", "info", true, cmd_info },
	{ "state", "state", true, cmd_state },
	{ "target", "target CEILING [FLOOR [LEASE_MS [RELIEF [ACCOUNT]]]]", true, cmd_target },
	{ "lock", "lock 4k|2m PAGES [BUDGET_MS [nosleep|cansleep]]", true, cmd_lock },
	{ "unlock", "unlock 4k|2m PAGES [BUDGET_MS]", true, cmd_unlock },
	{ "keepalive", "keepalive", true, cmd_keepalive },
	{ "pop", "pop", true, cmd_pop },
	{ "prove", "prove 4k|2m [TIMES [BUDGET_MS [HOLD_MS [nosleep|cansleep]]]]", true, cmd_prove },
	{ "poll", "poll TIMEOUT_MS", true, cmd_poll },
	{ "sleep", "sleep MS", false, cmd_sleep },
	{ "alarm", "alarm MS", false, cmd_alarm },
	{ "hog", "hog SIZE [HOLD_MS]", false, cmd_hog },
	{ "node", "node NUMBER", false, cmd_node },
	{ "malformed", "malformed", true, cmd_malformed },
};

static int run(char **words)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(words[0], commands[i].name))
			continue;
		if (commands[i].needs_file && fd < 0) {
			fd = open(device, O_RDWR | O_CLOEXEC);
			if (fd < 0) {
				printf("%s rc=%s\n", words[0], strerrorname_np(errno));
				fflush(stdout);
				return 0;
			}
		}
		if (!commands[i].run(words)) {
			fprintf(stderr, "usage: %s\n", commands[i].usage);
			return 2;
		}
		/* Printing wakes others up, and what follows a poll() is in a hurry. */
		if (strcmp(words[0], "poll"))
			fflush(stdout);
		return 0;
	}
	fprintf(stderr, "ubtool: unknown command \"%s\"; commands:\n", words[0]);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, "  %s\n", commands[i].usage);
	return 2;
}

static int run_lines(void)
{
	char line[256], *words[WORDS_MAX + 1], *save;
	int n, r;

	while (fgets(line, sizeof(line), stdin)) {
		n = 0;
		for (char *w = strtok_r(line, " \t\n", &save); w && n < WORDS_MAX;
		     w = strtok_r(NULL, " \t\n", &save))
			words[n++] = w;
		words[n] = NULL;
		if (!n || words[0][0] == '#')
			continue;
		r = run(words);
		if (r)
			return r;
	}
	return 0;
}

int main(int argc, char **argv)
{
	char *words[WORDS_MAX + 1];
	int i = 1, n = 0, r;

	if (argc > 2 && !strcmp(argv[1], "-d")) {
		device = argv[2];
		i = 3;
	}
	if (i == argc)
		return run_lines();
	for (; i <= argc; i++) {
		if (i < argc && strcmp(argv[i], ",")) {
			if (n == WORDS_MAX) {
				fprintf(stderr, "ubtool: too many words\n");
				return 2;
			}
			words[n++] = argv[i];
			continue;
		}
		words[n] = NULL;
		if (n) {
			r = run(words);
			if (r)
				return r;
		}
		n = 0;
	}
	return 0;
}
