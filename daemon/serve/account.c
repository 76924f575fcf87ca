// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * In which account the balloon is, in a word and in a sentence.
 *
 * The module decides it (kmod/accounts.c). Here is the answer to "why does free(1)
 * show what it shows?".
 */
#include "serve/account.h"

#include <stdio.h>
#include <string.h>

#include "basic/units.h"

#define AVAILABLE "programs see it as memory that they can have"
#define GONE "it is missing from MemTotal"

static const char *word(const struct sample_balloon *b)
{
	if (b->books_elsewhere)
		return "host";
	if (b->available && b->gone)
		return "mixed";
	if (b->available || b->gone)
		return b->gone ? "gone" : "available";
	/* Empty: what it would be. */
	if (b->account != SAMPLE_ACCOUNT_AUTO)
		return b->account == SAMPLE_ACCOUNT_GONE ? "gone" : "available";
	return b->host_target_valid && b->host_target && !b->may_undercut_host ? "gone" : "available";
}

static void forced(const struct sample_balloon *b, char *text, size_t n)
{
	char firm[UNITS_MAX];

	if (b->account == SAMPLE_ACCOUNT_GONE)
		snprintf(text, n, GONE ", because balloond.conf says account = \"gone\"");
	else if (b->firm)
		snprintf(text, n, AVAILABLE ", because balloond.conf says account = \"available\"; but "
			 "the host does not let go of %s",
			 units_format_size(firm, sizeof(firm), b->firm));
	else
		snprintf(text, n, AVAILABLE ", because balloond.conf says account = \"available\"");
}

void account_describe(const struct sample_balloon *b, struct status *ret)
{
	char gone[UNITS_MAX], *text = ret->account_text;
	size_t n = sizeof(ret->account_text);

	ret->account_available = b->available;
	ret->account_gone = b->gone;
	ret->account_host = b->elsewhere;
	ret->account[0] = text[0] = '\0';
	if (!b->valid)
		return;
	snprintf(ret->account, sizeof(ret->account), "%s", word(b));
	if (b->books_elsewhere)
		snprintf(text, n, "the kernel's own driver keeps the books: " GONE);
	else if (b->account != SAMPLE_ACCOUNT_AUTO)
		forced(b, text, n);
	else if (b->available && b->gone)
		snprintf(text, n, "the host does not let go of %s, which is missing from MemTotal; of the "
			 "rest, " AVAILABLE, units_format_size(gone, sizeof(gone), b->gone));
	else if (strcmp(ret->account, "gone") == 0)
		snprintf(text, n, "the host does not let go of what it asks for: " GONE);
	else
		snprintf(text, n, AVAILABLE ": MemTotal and MemAvailable do not change");
}
