/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peaks-file.h - when memory was needed, over restarts and upgrades
 */
#pragma once

#include <stdint.h>

#include "decide/policy.h"
#include "serve/writer.h"

/*
 * Hand *m over to be kept in the state directory, in place of what is there. -ENAMETOOLONG; how
 * the writing went, w knows. now_us: of the wall clock.
 */
int peaks_file_save(struct writer *w, const char *dir, uint64_t now_us,
		    const struct peaks_memory *m);

/*
 * 1: *ret; 0: there is none; else why it cannot be used, and *ret_why says so as a sentence
 * fragment, valid until errors are next put into words. The file is left as it is.
 */
int peaks_file_load(const char *dir, uint64_t now_us, struct peaks_memory *ret,
		    const char **ret_why);
