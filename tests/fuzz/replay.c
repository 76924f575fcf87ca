// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Replays a corpus through a fuzz target, as an ordinary test.
 *
 * Each file is fed whole, cut at every length (a read may end anywhere), and
 * with each byte in turn replaced by a few that parsers trip over. Inputs are
 * copied to blocks of their exact size, so that a sanitizer sees the first byte
 * read too far. Long files are cut and spoilt at every so many bytes.
 *
 * For real fuzzing, leave this file out and link the target with libFuzzer:
 *   clang -g -fsanitize=fuzzer,address,undefined -Idaemon -D_GNU_SOURCE \
 *     tests/fuzz/fuzz-psi.c daemon/sense/psi.c daemon/sense/text.c
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define MAX_SIZE (64 * 1024)
/* Cuts and spoilt bytes per file, about. */
#define TRIES 2048

static void feed(const unsigned char *data, size_t len)
{
	unsigned char *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static int replay(const char *path)
{
	static const unsigned char bad[] = {0, '\n', ' ', '9', '-', 0xff};
	static unsigned char data[MAX_SIZE];
	FILE *f = fopen(path, "re");
	size_t len, stride;

	if (!f)
		return -1;
	len = fread(data, 1, sizeof(data), f);
	fclose(f);
	stride = len / TRIES + 1;
	for (size_t i = 0; i <= len; i += stride)
		feed(data, i);
	feed(data, len);
	for (size_t i = 0; i < len; i += stride) {
		unsigned char saved = data[i];

		data[i] = bad[i / stride % sizeof(bad)];
		feed(data, len);
		data[i] = saved;
	}
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		int r = replay(argv[i]);

		failed |= r;
		printf("%sok %d - %s\n", r ? "not " : "", i, strrchr(argv[i], '/') ?: argv[i]);
		fflush(stdout);
	}
	return failed ? 1 : 0;
}
