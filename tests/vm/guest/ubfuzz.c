// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ubfuzz.c - random calls of /dev/uballoon by several processes and threads
 *
 *	ubfuzz run SEED [PROCESSES [THREADS]]	until SIGTERM; then how calls ended, by kind
 *	ubfuzz list SEED THREAD COUNT		a thread's first steps; does none of them
 *
 * What a thread does at its step n follows from the seed, its number and n alone, whatever was
 * answered before; when it does it is the scheduler's matter. The threads of a process share the
 * file that is open for writing, and each has one for reading. Signals arrive all the time, a
 * step may fork a child that calls until it is killed, or close the file under the others.
 * SIGUSR1 makes all close their files and wait, or go on.
 *
 * An answer that the header rules out is a line "wrong: ...": success with a malformed argument
 * or on a file for reading, more done than asked for, bounds that cross.
 *
 * Left out: whatever happens beside (fuzz_lib.py), failing allocations (failnth.c), arguments on
 * pages that never come, and how long a call may take: the machine has a say in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz-steps.h"
#include "uballoon.h"

#define DEVICE		"/dev/uballoon"
#define PAGE		4096UL
#define THREADS_MAX	16
#define PROCESSES_MAX	8
#define ERRNO_MAX	134
#define WRONG_MAX	20

static struct shared {
	atomic_bool stop, away;
	atomic_uint wrong;
	atomic_ulong steps, moved_pages;
	atomic_ulong calls[KINDS], answers[KINDS][ERRNO_MAX];
} *shared;

static atomic_int writer = -1;

/* ---- doing it ---- */

struct thread {
	uint64_t seed;
	unsigned int number;
	int fd;			/* for reading */
	char *edge;		/* behind two pages to write to, before one that is not there */
	char *constant;		/* a page that can only be read */
};

static void wrong(const struct thread *th, uint64_t number, const char *format, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (shared->wrong++ < WRONG_MAX)
		printf("wrong: thread %u step %lu: %s\n", th->number, number, text);
}

static void *put(const struct thread *th, const struct step *s)
{
	char *base = th->edge - 2 * PAGE;

	switch (s->place) {
	case NOWHERE:
		return NULL;
	case KERNEL:
		return (void *)(-1UL << 47);
	case BEYOND:
		return (void *)((1UL << 47) - PAGE - s->choice % 64);
	case HALF:
		return th->edge - s->choice % (s->size ?: 1);
	case READ_ONLY:
		mprotect(th->constant, PAGE, PROT_READ | PROT_WRITE);
		memcpy(th->constant, s->arg.bytes, s->size);
		mprotect(th->constant, PAGE, PROT_READ);
		return th->constant;
	case ODD:
		base += 1 + s->choice % PAGE;
		break;
	case LAST:
		base = th->edge - s->size;
		break;
	default:
		break;
	}
	return memcpy(base, s->arg.bytes, s->size);
}

/* With errno as the call has left it. */
static void answered(enum kind kind, long r)
{
	shared->calls[kind]++;
	shared->answers[kind][r < 0 ? errno % ERRNO_MAX : 0]++;
}

static void check_answer(const struct thread *th, uint64_t number, const struct step *s,
			 const union argument *got)
{
	const struct uballoon_move *mv = &got->move;
	const struct uballoon_state *st = &got->state;
	uint64_t asked = s->arg.move.pages, done = mv->done_pages, most = 4 * RAM_PAGES;

	if (must_fail(s)) {
		wrong(th, number, "%s succeeded, and the header says it fails",
		      kinds[s->kind].name);
	} else if (s->kind == LOCK || s->kind == UNLOCK) {
		if (done > asked || done & ((1ULL << mv->page_order) - 1))
			wrong(th, number, "%lu pages done of %lu", done, asked);
		if (!mv->stop || mv->stop > UBALLOON_STOP_INTERRUPTED)
			wrong(th, number, "stop %u", mv->stop);
		shared->moved_pages += done;
	} else if (s->kind == STATE) {
		if (st->floor_pages > st->ceiling_pages)
			wrong(th, number, "floor %llu above the ceiling %llu",
			      st->floor_pages, st->ceiling_pages);
		if (st->size_4k_pages + st->size_2m_pages > most ||
		    st->available_pages + st->gone_pages > most)
			wrong(th, number, "%llu and %llu pages, %llu available, %llu gone",
			      st->size_4k_pages, st->size_2m_pages, st->available_pages,
			      st->gone_pages);
	} else if (s->kind == INFO && got->info.abi_version != UBALLOON_ABI_VERSION) {
		wrong(th, number, "abi_version %u", got->info.abi_version);
	}
}

/* Returns false if there is no device to call. */
static bool call(const struct thread *th, uint64_t number, const struct step *s, int fd)
{
	char *arg = s->kind == KEEPALIVE ? (char *)s->choice : put(th, s);
	union argument got;
	int r = ioctl(fd, s->nr, arg), error = errno;

	answered(s->kind, r);
	if (r >= 0) {
		if (s->size && s->place < NOWHERE)
			memcpy(&got, arg, s->size);
		check_answer(th, number, s, &got);
	}
	return r >= 0 || (error != ENODEV && error != EBADF);
}

static void show(const struct step *s)
{
	static const char *const files[] = {
		"/sys/kernel/debug/uballoon/state", "/proc/meminfo", "/proc/zoneinfo",
		"/sys/class/misc/uballoon/mem_available_pages",
		"/sys/class/misc/uballoon/available_pages",
	};
	int fd = open(files[s->choice % ARRAY_SIZE(files)], O_RDONLY | O_CLOEXEC);
	char buf[2048];

	if (fd < 0) {
		answered(SHOW, fd);
		return;
	}
	answered(SHOW, read(fd, buf, sizeof(buf)));
	close(fd);
}

static void parameter(const struct step *s)
{
	/* Never so low a floor that nothing is left to start a program with. */
	static const char *const lines[][2] = {
		{ "floor_mb", "-1" }, { "floor_mb", "16" }, { "floor_mb", "64" },
		{ "oom_holdoff_ms", "0" }, { "oom_holdoff_ms", "100" }, { "refuse_2m", "0" },
		{ "refuse_2m", "0" }, { "refuse_2m", "1" }, { "none_delay_ms", "0" },
		{ "none_delay_ms", "20" }, { "none_delay_ms", "junk" },
		{ "floor_mb", "99999999999" },
	};
	const char *const *line = lines[s->choice % ARRAY_SIZE(lines)];
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "/sys/module/uballoon/parameters/%s", line[0]);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		answered(PARAMETER, fd);
		return;
	}
	answered(PARAMETER, write(fd, line[1], strlen(line[1])));
	close(fd);
}

/* A child that moves memory until it is killed. */
static void child(const struct step *s, int fd)
{
	static const int signals[] = { SIGKILL, SIGKILL, SIGINT, SIGALRM };
	struct uballoon_move mv = {
		.size		= sizeof(mv),
		.page_order	= s->choice & 1 ? UBALLOON_ORDER_2M : UBALLOON_ORDER_4K,
		.budget_ms	= 3000,
		.pages		= UBALLOON_PAGES_PER_2M * (1 + s->choice % 100),
	};
	int status;
	pid_t pid = fork();

	answered(CHILD, pid);
	if (pid < 0)
		return;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			mv.flags = UBALLOON_MOVE_NOSLEEP;
			if (ioctl(fd, UBALLOON_IOC_LOCK, &mv) < 0)
				_exit(0);
			mv.flags = 0;
			ioctl(fd, UBALLOON_IOC_UNLOCK, &mv);
		}
	}
	usleep(s->choice >> 8 & 0xffff);
	kill(pid, signals[s->choice % ARRAY_SIZE(signals)]);
	usleep(1000);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
}

static void other(const struct step *s, int fd)
{
	int copy = dup(fd);
	char c = 0;
	void *p;

	answered(OTHER, copy);
	if (copy < 0)
		return;
	switch (s->choice % 4) {
	case 0:
		read(copy, &c, 1);
		break;
	case 1:
		lseek(copy, s->choice, SEEK_SET);
		break;
	case 2:
		p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, copy, 0);
		if (p != MAP_FAILED)
			munmap(p, PAGE);
		break;
	case 3:
		fcntl(copy, F_SETFL, O_NONBLOCK | O_ASYNC);
		break;
	}
	close(copy);
}

static void wait_for_events(const struct step *s, const struct thread *th, int fd)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN | POLLPRI | POLLOUT },
			       { .fd = th->fd, .events = s->choice >> 8 } };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLPRI | (s->choice & 2 ? EPOLLET : 0) };
	int e, timeout = s->choice % 20;

	if (s->kind == POLL) {
		answered(POLL, poll(p, 2, timeout));
		return;
	}
	e = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev);
	epoll_ctl(e, EPOLL_CTL_ADD, th->fd, &ev);
	answered(EPOLL, epoll_wait(e, &ev, 1, timeout));
	close(e);
}

static void open_once_more(const struct step *s)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK };
	struct uballoon_state state = { .size = sizeof(state) };
	int fd = open(DEVICE, modes[s->choice % ARRAY_SIZE(modes)] | O_CLOEXEC);

	answered(OPEN, fd);
	if (fd < 0)
		return;
	ioctl(fd, UBALLOON_IOC_GET_STATE, &state);
	close(fd);
}

static void do_step(struct thread *th, uint64_t number)
{
	struct step s;
	int fd, tries;

	draw(th->seed, th->number, number, &s);
	/* While another process has it open for writing there is nothing to gain by hurry. */
	for (tries = 0; !s.reader && writer < 0 && !shared->away && tries < 20; tries++)
		usleep(1000);
	fd = s.reader ? th->fd : writer;
	switch (s.kind) {
	case POLL:
	case EPOLL:
		wait_for_events(&s, th, fd);
		return;
	case OPEN:
		open_once_more(&s);
		return;
	case OTHER:
		other(&s, fd);
		return;
	case SHOW:
		show(&s);
		return;
	case PARAMETER:
		parameter(&s);
		return;
	case CHILD:
		child(&s, fd);
		return;
	case CLOSE:
		if (s.choice % 4 == 0) {
			fd = atomic_exchange(&writer, -1);
			answered(CLOSE, close(fd));
		}
		return;
	default:
		break;
	}
	if (call(th, number, &s, fd))
		return;
	/* The device has gone, or there is nobody to write: main() opens it again. */
	if (s.reader) {
		close(th->fd);
		th->fd = -1;
	}
	usleep(1000);
}

/* ---- threads and processes ---- */

static void *work(void *arg)
{
	struct thread *th = arg;
	uint64_t number = 0;

	th->edge = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (th->edge == MAP_FAILED)
		return NULL;
	th->constant = th->edge + 3 * PAGE;
	th->edge += 2 * PAGE;
	mprotect(th->edge, PAGE, PROT_NONE);
	th->fd = -1;
	while (!shared->stop) {
		if (shared->away) {
			close(th->fd);
			th->fd = -1;
			usleep(10000);
			continue;
		}
		if (th->fd < 0)
			th->fd = open(DEVICE, O_RDONLY | O_CLOEXEC);
		do_step(th, number++);
		shared->steps++;
	}
	close(th->fd);
	return NULL;
}

static void nothing(int sig)
{
	(void)sig;
}

/* Keeps the file for writing open, and sends signals. */
static void process(uint64_t seed, unsigned int first, unsigned int threads)
{
	const struct itimerval often = { { 0, 37000 }, { 0, 37000 } }, never = {};
	struct sigaction sa = { .sa_handler = nothing };
	struct thread th[THREADS_MAX] = {};
	pthread_t ids[THREADS_MAX];
	unsigned int i, round = 0;

	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	for (i = 0; i < threads; i++) {
		th[i].seed = seed;
		th[i].number = first + i;
		if (pthread_create(&ids[i], NULL, work, &th[i]))
			_exit(1);
	}
	while (!shared->stop) {
		struct pollfd p = { .fd = writer };
		bool gone = poll(&p, 1, 0) > 0 && p.revents & (POLLERR | POLLNVAL);

		if (shared->away || gone)
			close(atomic_exchange(&writer, -1));
		else if (p.fd < 0)
			writer = open(DEVICE, O_RDWR | O_CLOEXEC);
		/* Half the time, so that some calls also come to their own end. */
		if (round++ % 80 == 0)
			setitimer(ITIMER_REAL, round / 80 % 2 ? &often : &never, NULL);
		usleep(5000);
	}
	for (i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	close(writer);
	fflush(stdout);
	_exit(0);
}

static void on_term(int sig)
{
	(void)sig;
	shared->stop = true;
}

static void on_usr1(int sig)
{
	(void)sig;
	shared->away = !shared->away;
}

static void report(void)
{
	unsigned int k, e;

	for (k = 0; k < KINDS; k++) {
		printf("%s calls=%lu", kinds[k].name, shared->calls[k]);
		for (e = 0; e < ERRNO_MAX; e++)
			if (shared->answers[k][e])
				printf(" %s=%lu", e ? strerrorname_np(e) : "OK",
				       shared->answers[k][e]);
		putchar('\n');
	}
	printf("all steps=%lu moved_pages=%lu wrong=%u\n", shared->steps, shared->moved_pages,
	       shared->wrong);
}

static int run(uint64_t seed, unsigned int processes, unsigned int threads)
{
	struct sigaction term = { .sa_handler = on_term }, usr1 = { .sa_handler = on_usr1 };
	unsigned int i;
	int status, bad = 0;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %lu, %u processes, %u threads each\n", seed, processes, threads);
	for (i = 0; i < processes; i++)
		if (!fork())
			process(seed, i * threads, threads);
	sigaction(SIGTERM, &term, NULL);
	sigaction(SIGUSR1, &usr1, NULL);
	while (wait(&status) > 0 || errno == EINTR)
		bad |= status;
	report();
	return bad || shared->wrong;
}

static int list(uint64_t seed, unsigned int thread, uint64_t count)
{
	struct step s;
	uint64_t i, sum;
	size_t w;

	for (i = 0; i < count; i++) {
		draw(seed, thread, i, &s);
		sum = s.choice;
		for (w = 0; w < ARRAY_SIZE(s.arg.words); w++)
			sum = sum * 31 + s.arg.words[w];
		printf("%lu %s%s nr=0x%lx%s argument=%s %016lx\n", i, kinds[s.kind].name,
		       s.reader ? " reader" : "", s.nr,
		       s.kind <= LAST_CALL && must_fail(&s) ? " must-fail" : "",
		       place_names[s.place], sum);
	}
	return 0;
}

static bool number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 0);
	return !errno && *text >= '0' && *text <= '9' && !*end && *ret <= max;
}

int main(int argc, char **argv)
{
	uint64_t seed, a = 2, b = 3;

	if (argc >= 3 && argc <= 5 && number(argv[2], UINT64_MAX, &seed)) {
		if (!strcmp(argv[1], "run") && (argc < 4 || number(argv[3], PROCESSES_MAX, &a)) &&
		    (argc < 5 || number(argv[4], THREADS_MAX, &b)))
			return run(seed, a, b);
		if (!strcmp(argv[1], "list") && argc == 5 && number(argv[3], UINT32_MAX, &a) &&
		    number(argv[4], UINT64_MAX, &b))
			return list(seed, a, b);
	}
	fprintf(stderr, "usage: ubfuzz run SEED [PROCESSES [THREADS]] | list SEED THREAD COUNT\n");
	return 2;
}
