// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json-echo.c - put strings through the JSON writer, for test-json.py
 *
 * Reads standard input, split at NUL bytes, and writes each string three
 * times: as a key, as a member and in an array; with a number, a null, and an
 * empty object and array in between; on one line if its argument is "short".
 * Numbers go through as the text says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/json.h"

int main(int argc, char **argv)
{
	static char text[1 << 20];
	size_t n = fread(text, 1, sizeof(text) - 1, stdin);
	struct json j;

	json_init(&j, stdout, argc > 1 && strcmp(argv[1], "short") == 0 ? JSON_SHORT : JSON_PRETTY);
	json_object_begin(&j, NULL);
	json_object_begin(&j, "empty_object");
	json_object_end(&j);
	json_array_begin(&j, "empty_array");
	json_array_end(&j);
	json_uint(&j, "max", UINT64_MAX);
	json_string(&j, "none", NULL);
	json_bool(&j, "yes", true);
	json_bool(&j, "no", false);
	json_array_begin(&j, "strings");
	for (size_t i = 0; i < n; i += strlen(text + i) + 1)
		json_string(&j, NULL, text + i);
	json_array_end(&j);
	json_array_begin(&j, "objects");
	for (size_t i = 0; i < n; i += strlen(text + i) + 1) {
		json_object_begin(&j, NULL);
		json_string(&j, text + i, text + i);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	return ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
