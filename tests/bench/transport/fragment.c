// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fragment.c - leaves a guest no free run of pages longer than EVERY - 1
 *
 *	fragment MIB EVERY...
 *
 * Touches so much memory in 4 KiB pages, gives all back but one page in EVERY,
 * says "ready EVERY", and keeps those. SIGUSR1 makes it go on to the next EVERY
 * (a multiple of the last). A process that gets pages one by one gets
 * neighbours, so what is free afterwards are runs of EVERY - 1. Memory that was
 * free beyond MIB stays as it is.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096UL

int main(int argc, char **argv)
{
	unsigned long pages = argc > 2 ? strtoul(argv[1], NULL, 10) << 20 >> 12 : 0, every, i;
	sigset_t usr1;
	char *p;

	if (!pages) {
		fprintf(stderr, "usage: fragment MIB EVERY...\n");
		return 2;
	}
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	p = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED || madvise(p, pages * PAGE_BYTES, MADV_NOHUGEPAGE) < 0 ||
	    madvise(p, pages * PAGE_BYTES, MADV_POPULATE_WRITE) < 0) {
		perror("fragment");
		return 1;
	}
	for (int a = 2; a < argc; a++) {
		every = strtoul(argv[a], NULL, 10);
		if (every < 2) {
			fprintf(stderr, "fragment: EVERY is at least 2\n");
			return 2;
		}
		for (i = 0; i + every <= pages; i += every) {
			if (madvise(p + (i + 1) * PAGE_BYTES, (every - 1) * PAGE_BYTES,
				    MADV_DONTNEED) < 0) {
				perror("fragment");
				return 1;
			}
		}
		printf("ready %lu\n", every);
		fflush(stdout);
		while (sigwaitinfo(&usr1, NULL) < 0 && errno == EINTR)
			;
	}
	return 0;
}
