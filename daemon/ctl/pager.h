/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pager.h - long output on a terminal goes through a pager
 */
#pragma once

/*
 * From here on the output is what a person is to read at leisure; nothing if it goes to no
 * terminal, if pager_off() was called, or if there is no pager. May be called twice.
 */
void pager_open(void);
/* Wait until the reader has seen enough. That he left before the end is no error. */
void pager_close(void);
/* --no-pager */
void pager_off(void);
