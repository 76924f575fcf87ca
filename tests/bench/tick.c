// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one tick costs: reading all sources and deciding, on this machine.
 *
 * CPU time of the calling thread, user and system, median of rounds; no
 * pauses, so that caches are warmer than in a daemon that sleeps. Leaves out
 * what the loop adds (the device, timers, the bus).
 *
 *   tick [ROUNDS [CSV]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "decide/policy.h"
#include "sense/sense.h"

#define TICKS 200

static double cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 21;
	double *sense_us, *decide_us;
	struct policy_config c;
	struct policy_state st;
	struct policy_decision d = {0};
	struct sense *sense;
	struct sample s;

	if (rounds < 1 || rounds > 100000) {
		fprintf(stderr, "tick: ROUNDS is 1 to 100000\n");
		return 2;
	}
	sense_us = calloc(rounds, sizeof(*sense_us));
	decide_us = calloc(rounds, sizeof(*decide_us));
	if (!sense_us || !decide_us || sense_open(NULL, NULL, &sense) < 0) {
		fprintf(stderr, "tick: out of memory\n");
		return 1;
	}
	policy_config_default(&c);
	policy_init(&st);
	sense_read(sense, &s);
	s.balloon.valid = true;
	for (int r = 0; r < rounds; r++) {
		double t = cpu_us();

		for (int i = 0; i < TICKS; i++)
			sense_read(sense, &s);
		sense_us[r] = (cpu_us() - t) / TICKS;
		t = cpu_us();
		for (int i = 0; i < TICKS; i++) {
			s.balloon.valid = true;
			s.time_us += 1000000;
			policy_decide(&c, &st, &s, &d);
		}
		decide_us[r] = (cpu_us() - t) / TICKS;
	}
	qsort(sense_us, rounds, sizeof(*sense_us), compare);
	qsort(decide_us, rounds, sizeof(*decide_us), compare);
	if (argc > 2) {
		FILE *csv = fopen(argv[2], "w");

		if (!csv) {
			perror(argv[2]);
			return 1;
		}
		fprintf(csv, "what,rank,us\n");
		for (int r = 0; r < rounds; r++)
			fprintf(csv, "sense,%d,%.2f\ndecide,%d,%.3f\n", r + 1, sense_us[r], r + 1,
				decide_us[r]);
		if (fclose(csv) != 0) {
			perror(argv[2]);
			return 1;
		}
	}
	printf("sense %.1f us, decide %.2f us of CPU per tick (medians of %d rounds)\n",
	       sense_us[rounds / 2], decide_us[rounds / 2], rounds);
	sense_free(sense);
	free(sense_us);
	free(decide_us);
	return 0;
}
