/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * account.h - which account the balloon is in, and why, for people
 */
#pragma once

#include "sense/sample.h"
#include "serve/status.h"

/*
 * Fills the account's part of *ret. asked: the word in the configuration if the operator
 * forces one, NULL if what is true decides.
 */
void account_describe(const struct sample_balloon *b, const char *asked, struct status *ret);
