// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * In which account the balloon is, in a word and in a sentence.
 *
 * The module decides it (kmod/accounts.c). Here is the answer to "why does free(1)
 * show what it shows?".
 */
#include "serve/account.h"

#include <stdio.h>

#include "basic/units.h"

#define AVAILABLE "programs see it as memory that they can have"
#define GONE "it is missing from MemTotal"

/* The host holds on to so much of the balloon, now or when it is that large. */
static uint64_t insisted(const struct sample_balloon *b)
{
	return b->host_target_valid && !b->may_undercut_host ? b->host_target : 0;
}

static const char *word(const struct sample_balloon *b)
{
	if (b->books_elsewhere)
		return "host";
	if (b->available && b->gone)
		return "mixed";
	if (b->available || b->gone)
		return b->gone ? "gone" : "available";
	return insisted(b) ? "gone" : "available";
}

void account_describe(const struct sample_balloon *b, const char *asked, struct status *ret)
{
	char gone[UNITS_MAX], host[UNITS_MAX], *text = ret->account_text;
	size_t n = sizeof(ret->account_text);

	ret->account_available = b->available;
	ret->account_gone = b->gone;
	ret->account_host = b->elsewhere;
	ret->account[0] = text[0] = '\0';
	if (!b->valid)
		return;
	snprintf(ret->account, sizeof(ret->account), "%s", word(b));
	units_format_size(gone, sizeof(gone), b->gone);
	units_format_size(host, sizeof(host), insisted(b));
	if (b->books_elsewhere)
		snprintf(text, n, "the kernel's own driver keeps the books: " GONE);
	else if (asked && b->gone)
		snprintf(text, n, GONE ", because balloond.conf says account = \"%s\"", asked);
	else if (asked && insisted(b))
		snprintf(text, n, AVAILABLE ", because balloond.conf says account = \"%s\"; but the "
			 "host does not let go of %s", asked, host);
	else if (asked)
		snprintf(text, n, "as balloond.conf says: account = \"%s\"", asked);
	else if (b->available && b->gone)
		snprintf(text, n, "the host does not let go of %s, which is missing from MemTotal; of the "
			 "rest, " AVAILABLE, gone);
	else if (b->gone || insisted(b))
		snprintf(text, n, "the host does not let go of what it asks for: " GONE);
	else
		snprintf(text, n, AVAILABLE ": MemTotal and MemAvailable do not change");
}
