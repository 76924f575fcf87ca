// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /proc/zoneinfo, high watermarks only.
 *
 * A zone's watermarks follow its line "pages free" as "min", "low" and "high";
 * the per-CPU lists below have a "high:", with a colon, which is another thing.
 * The temporary watermark boost is left out: it comes and goes with
 * fragmentation.
 */
#include "sense/text.h"
#include "sense/zoneinfo.h"

bool zoneinfo_parse(const char *text, size_t len, uint64_t *ret_high_pages)
{
	struct text t = {text, text + len}, line, word;
	uint64_t sum = 0, v;
	bool found = false;

	while (text_line(&t, &line)) {
		if (!text_word(&line, &word) || !text_equals(word, "high"))
			continue;
		if (!text_word(&line, &word) || !text_u64(word, &v) || v > UINT64_MAX - sum)
			return false;
		sum += v;
		found = true;
	}
	if (found)
		*ret_high_pages = sum;
	return found;
}
