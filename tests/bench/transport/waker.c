// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * waker.c - how long it takes to wake a program that sleeps in poll()
 *
 *	waker TIMES
 *
 * One process sleeps in poll() on an eventfd until another writes to it, 50 ms later, when the
 * guest has come to rest. A line for each, "woken us=N": from the write to the return of poll().
 * What is measured is the guest's idle CPU, its scheduler and its way back to user space: what
 * anybody needs who is to decide in a program.
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REST_US 50000

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

static void sleeper(int fd, unsigned long times, const volatile uint64_t *written)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t ignored, woken;

	for (unsigned long i = 0; i < times; i++) {
		if (poll(&p, 1, -1) != 1)
			_exit(1);
		woken = now_us();
		if (read(fd, &ignored, sizeof(ignored)) != sizeof(ignored))
			_exit(1);
		dprintf(STDOUT_FILENO, "woken us=%llu\n", (unsigned long long)(woken - *written));
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	unsigned long times = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	uint64_t one = 1, *written;
	int fd, status;

	if (!times) {
		fprintf(stderr, "usage: waker TIMES\n");
		return 2;
	}
	written = mmap(NULL, sizeof(*written), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	fd = eventfd(0, EFD_CLOEXEC);
	if (written == MAP_FAILED || fd < 0) {
		perror("waker");
		return 1;
	}
	if (!fork())
		sleeper(fd, times, written);
	for (unsigned long i = 0; i < times; i++) {
		usleep(REST_US);
		*(volatile uint64_t *)written = now_us();
		if (write(fd, &one, sizeof(one)) != sizeof(one))
			return 1;
	}
	wait(&status);
	return status ? 1 : 0;
}
