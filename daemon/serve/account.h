/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * account.h - which account the balloon is in, and why, for people
 */
#pragma once

#include "sense/sample.h"
#include "serve/status.h"

/* Fills the account's part of *ret. */
void account_describe(const struct sample_balloon *b, struct status *ret);
