// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * toucher.c - touches so much memory, page by page, and says how long each page took
 *
 *	toucher MIB [huge|small [hold]]
 *
 * One line: "toucher rc=OK pages=N us=T p50_ns=A p99_ns=B p9999_ns=C max_us=D pauses=E huge_kib=F".
 * The longest is exact, as is the sum; the others are the upper ends of buckets an eighth of an
 * octave wide, for a list of all would be memory itself. A pause is a touch of 10 ms or more.
 * huge_kib is what the kernel gave in huge pages, by /proc/self/smaps_rollup, with "huge"
 * (MADV_HUGEPAGE: may compact for it), "small" (MADV_NOHUGEPAGE) or as the guest is set. With
 * "hold" it keeps the memory until it is killed.
 *
 * Left out: what the memory is used for, and anything that the clock itself costs: a fraction of a
 * microsecond a page, the same in whatever is compared.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096UL
#define PAUSE_NS   10000000ULL
#define STEPS	   8

static uint64_t buckets[64 * STEPS];

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static unsigned int bucket(uint64_t ns)
{
	unsigned int octave;

	if (ns < STEPS)
		return ns;
	octave = 63 - __builtin_clzll(ns);
	return octave * STEPS + (ns >> (octave - 3)) % STEPS;
}

static uint64_t upper_end(unsigned int i)
{
	return i < STEPS ? i : (uint64_t)(STEPS + i % STEPS + 1) << (i / STEPS - 3);
}

/* Of the touches, so many of ten thousand took no longer. */
static uint64_t percentile(uint64_t touches, unsigned int share)
{
	uint64_t seen = 0;
	unsigned int i;

	for (i = 0; i < 64 * STEPS; i++) {
		seen += buckets[i];
		if (seen * 10000 >= touches * share)
			break;
	}
	return upper_end(i);
}

static long huge_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	long kib = -1;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "AnonHugePages: %ld kB", &kib) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kib;
}

int main(int argc, char **argv)
{
	unsigned long pages = argc > 1 ? strtoul(argv[1], NULL, 10) << 20 >> 12 : 0, i, pauses = 0;
	uint64_t start, before, after, longest = 0;
	int r = 0;
	char *p;

	if (!pages || (argc > 2 && strcmp(argv[2], "huge") && strcmp(argv[2], "small")) ||
	    (argc > 3 && strcmp(argv[3], "hold"))) {
		fprintf(stderr, "usage: toucher MIB [huge|small [hold]]\n");
		return 2;
	}
	p = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		printf("toucher rc=%s\n", strerrorname_np(errno));
		return 1;
	}
	if (argc > 2)
		r = madvise(p, pages * PAGE_BYTES,
			    argv[2][0] == 'h' ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (r < 0) {
		printf("toucher rc=%s\n", strerrorname_np(errno));
		return 1;
	}
	start = before = now_ns();
	for (i = 0; i < pages; i++) {
		memset(p + i * PAGE_BYTES, (int)(i % 255 + 1), 64);
		after = now_ns();
		buckets[bucket(after - before)]++;
		if (after - before > longest)
			longest = after - before;
		pauses += after - before >= PAUSE_NS;
		before = after;
	}
	printf("toucher rc=OK pages=%lu us=%llu p50_ns=%llu p99_ns=%llu p9999_ns=%llu max_us=%llu "
	       "pauses=%lu huge_kib=%ld\n",
	       pages, (unsigned long long)(before - start) / 1000,
	       (unsigned long long)percentile(pages, 5000),
	       (unsigned long long)percentile(pages, 9900),
	       (unsigned long long)percentile(pages, 9999), (unsigned long long)longest / 1000,
	       pauses, huge_kib());
	fflush(stdout);
	if (argc > 3)
		pause();
	return 0;
}
