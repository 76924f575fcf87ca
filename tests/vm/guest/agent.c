// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * agent.c - runs commands in a test guest for the harness outside
 *
 * Speaks over one virtio-serial port. Each message is a header of four
 * little-endian 32-bit words {type, id, arg, length} and that many bytes:
 *
 *   to the guest    RUN   arg = timeout in ms, bytes = a command for /bin/sh -c
 *                   KILL  kills what RUN started under that id
 *                   PUT   arg = mode, bytes = a path: creates or empties the file
 *                   DATA  bytes are appended to the file of the last PUT
 *   to the host     OUT   bytes of the command's stdout and stderr
 *                   END   arg = exit status, 128 + signal, 124 after a timeout;
 *                         for PUT and DATA an errno value. Exactly one a request
 *
 * Invariants: allocates nothing after start, is locked in memory and exempt
 * from the OOM killer (its children are not), so that it still answers in a
 * guest that has no memory left. Static, so that it runs in any guest.
 *
 * Left out: standard input for commands, authentication (the port is the
 * harness's own), byte orders other than little-endian.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MSG_RUN = 1, MSG_KILL, MSG_PUT, MSG_DATA, MSG_OUT, MSG_END };

#define MAX_JOBS	16
#define MAX_PAYLOAD	65536u
#define STATUS_TIMEOUT	124

struct header {
	uint32_t type, id;
	int32_t arg;
	uint32_t length;
};

struct job {
	bool used, timed_out;
	uint32_t id;
	pid_t pid;
	int fd;			/* -1 once all output is in */
	int64_t deadline_ms;
};

static struct job jobs[MAX_JOBS];
static char payload[MAX_PAYLOAD + 1];
static char output[16384];
static int port_fd, put_fd = -1;

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void die(const char *what)
{
	fprintf(stderr, "agent: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void read_all(void *buf, size_t n)
{
	for (char *p = buf; n;) {
		ssize_t got = read(port_fd, p, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			die("read");
		if (got == 0) {
			/* Nobody has the port open outside; that may change. */
			usleep(20000);
			continue;
		}
		p += got;
		n -= (size_t)got;
	}
}

static void write_all(const void *buf, size_t n)
{
	for (const char *p = buf; n;) {
		ssize_t put = write(port_fd, p, n);

		if (put < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (put < 0)
			die("write");
		p += put;
		n -= (size_t)put;
	}
}

static void send_msg(uint32_t type, uint32_t id, int32_t arg, const void *data, uint32_t length)
{
	struct header h = { type, id, arg, length };

	write_all(&h, sizeof(h));
	write_all(data, length);
}

static void child(const char *command, int out_fd)
{
	sigset_t none;
	int fd;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	fd = open("/dev/null", O_RDONLY);
	dup2(fd, STDIN_FILENO);
	dup2(out_fd, STDOUT_FILENO);
	dup2(out_fd, STDERR_FILENO);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "0", 1) != 1)
		_exit(126);
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

static void run(const struct header *h)
{
	struct job *job = NULL;
	int fds[2];

	for (int i = 0; i < MAX_JOBS && !job; i++)
		if (!jobs[i].used)
			job = &jobs[i];
	if (!job || pipe2(fds, O_CLOEXEC) < 0) {
		send_msg(MSG_END, h->id, 125, NULL, 0);
		return;
	}

	pid_t pid = fork();

	if (pid == 0)
		child(payload, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		send_msg(MSG_END, h->id, 125, NULL, 0);
		return;
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*job = (struct job) {
		.used = true, .id = h->id, .pid = pid, .fd = fds[0],
		.deadline_ms = now_ms() + h->arg,
	};
}

/* Forwards what can be read without waiting. */
static void forward(struct job *job)
{
	while (job->fd >= 0) {
		ssize_t n = read(job->fd, output, sizeof(output));

		if (n > 0) {
			send_msg(MSG_OUT, job->id, 0, output, (uint32_t)n);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		close(job->fd);
		job->fd = -1;
	}
}

static void reap(void)
{
	for (int i = 0; i < MAX_JOBS; i++) {
		struct job *job = &jobs[i];
		int status;

		if (!job->used || waitpid(job->pid, &status, WNOHANG) != job->pid)
			continue;
		/* Something left in the background may hold the pipe: take what is there now. */
		forward(job);
		if (job->fd >= 0)
			close(job->fd);
		job->used = false;
		send_msg(MSG_END, job->id,
			 job->timed_out ? STATUS_TIMEOUT :
			 WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), NULL, 0);
	}
}

static int put(const struct header *h)
{
	if (put_fd >= 0)
		close(put_fd);
	unlink(payload);
	put_fd = open(payload, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)h->arg);
	if (put_fd < 0)
		return errno;
	return fchmod(put_fd, (mode_t)h->arg) < 0 ? errno : 0;
}

static int append(const struct header *h)
{
	for (uint32_t done = 0; done < h->length;) {
		ssize_t n = write(put_fd, payload + done, h->length - done);

		if (n < 0)
			return errno;
		done += (uint32_t)n;
	}
	return 0;
}

/*
 * After a resume poll() says for a moment that a port can be read which is but not connected yet.
 * Who waits for a message then hears of nothing else until the next one.
 */
static ssize_t read_what_is_there(void *buf, size_t n)
{
	ssize_t got;

	if (fcntl(port_fd, F_SETFL, O_NONBLOCK) < 0)
		die("fcntl");
	got = read(port_fd, buf, n);
	if (got < 0 && errno != EAGAIN && errno != EINTR)
		die("read");
	if (fcntl(port_fd, F_SETFL, 0) < 0)
		die("fcntl");
	return got;
}

static void handle(void)
{
	struct header h;
	ssize_t got = read_what_is_there(&h, sizeof(h));

	if (got <= 0) {
		usleep(20000);
		return;
	}
	read_all((char *)&h + got, sizeof(h) - (size_t)got);
	if (h.length > MAX_PAYLOAD) {
		errno = EMSGSIZE;
		die("message");
	}
	read_all(payload, h.length);
	payload[h.length] = '\0';

	switch (h.type) {
	case MSG_RUN:
		run(&h);
		break;
	case MSG_KILL:
		for (int i = 0; i < MAX_JOBS; i++)
			if (jobs[i].used && jobs[i].id == h.id)
				kill(-jobs[i].pid, SIGKILL);
		break;
	case MSG_PUT:
		send_msg(MSG_END, h.id, put(&h), NULL, 0);
		break;
	case MSG_DATA:
		send_msg(MSG_END, h.id, append(&h), NULL, 0);
		break;
	default:
		errno = EPROTO;
		die("message");
	}
}

int main(int argc, char *argv[])
{
	struct pollfd fds[MAX_JOBS + 2];
	struct job *owner[MAX_JOBS + 2];
	sigset_t set;
	int fd, signal_fd;

	if (argc != 2) {
		fprintf(stderr, "usage: %s PORT\n", argv[0]);
		return EXIT_FAILURE;
	}
	port_fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (port_fd < 0)
		die(argv[1]);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		die("signalfd");
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "-1000", 5) != 5)
		die("oom_score_adj");
	close(fd);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		die("mlockall");
	/* Tells the harness that the guest is up. */
	send_msg(MSG_END, 0, 0, NULL, 0);

	for (;;) {
		struct signalfd_siginfo si;
		int n = 2, timeout = -1;
		int64_t now = now_ms();

		fds[0] = (struct pollfd) { .fd = port_fd, .events = POLLIN };
		fds[1] = (struct pollfd) { .fd = signal_fd, .events = POLLIN };
		for (int i = 0; i < MAX_JOBS; i++) {
			if (!jobs[i].used)
				continue;
			if (now >= jobs[i].deadline_ms && !jobs[i].timed_out) {
				jobs[i].timed_out = true;
				kill(-jobs[i].pid, SIGKILL);
			}
			if (!jobs[i].timed_out) {
				int64_t left = jobs[i].deadline_ms - now;

				if (timeout < 0 || left < timeout)
					timeout = (int)left;
			}
			if (jobs[i].fd >= 0) {
				owner[n] = &jobs[i];
				fds[n++] = (struct pollfd) { .fd = jobs[i].fd, .events = POLLIN };
			}
		}
		if (poll(fds, (nfds_t)n, timeout) < 0) {
			if (errno == EINTR)
				continue;
			die("poll");
		}
		for (int i = 2; i < n; i++)
			if (fds[i].revents)
				forward(owner[i]);
		if (fds[1].revents) {
			while (read(signal_fd, &si, sizeof(si)) == sizeof(si))
				;
			reap();
		}
		if (fds[0].revents & POLLIN)
			handle();
		else if (fds[0].revents)
			usleep(20000);	/* the harness is not connected */
	}
}
