// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /proc/vmstat, our own parser.
 *
 * libproc2 does not know the workingset_* fields as they are since Linux 5.9
 * and reads no more than a page of the file. Models the fields in the table and
 * ignores all others; allocstall is the sum over its zones, which differ
 * between machines. Values are pages or events, as the kernel has them until they
 * are converted: a sample's pages are of 4 KiB whatever the kernel's are.
 */
#include "sense/text.h"
#include "sense/vmstat.h"

static const char *const names[_VM_FIELD_MAX] = {
	[VM_PSWPIN] = "pswpin",
	[VM_PSWPOUT] = "pswpout",
	[VM_REFAULT_ANON] = "workingset_refault_anon",
	[VM_REFAULT_FILE] = "workingset_refault_file",
	[VM_ACTIVATE_ANON] = "workingset_activate_anon",
	[VM_ACTIVATE_FILE] = "workingset_activate_file",
	[VM_RESTORE_ANON] = "workingset_restore_anon",
	[VM_RESTORE_FILE] = "workingset_restore_file",
	[VM_ALLOCSTALL] = NULL,
	[VM_PGSCAN_DIRECT] = "pgscan_direct",
	[VM_PGSCAN_KSWAPD] = "pgscan_kswapd",
	[VM_PGSTEAL_DIRECT] = "pgsteal_direct",
	[VM_PGSTEAL_KSWAPD] = "pgsteal_kswapd",
	[VM_OOM_KILL] = "oom_kill",
	[VM_ZSWPIN] = "zswpin",
	[VM_ZSWPOUT] = "zswpout",
};

static int find(struct text name)
{
	if (text_skip(&(struct text){name.p, name.end}, "allocstall_"))
		return VM_ALLOCSTALL;
	for (int i = 0; i < _VM_FIELD_MAX; i++)
		if (names[i] && text_equals(name, names[i]))
			return i;
	return -1;
}

void vmstat_parse(const char *text, size_t len, struct sample *ret)
{
	struct text t = {text, text + len}, line, name, number, rest;
	uint64_t v, vm[_VM_FIELD_MAX] = {0};
	uint32_t have = 0, bad = 0;
	int f;

	while (text_line(&t, &line)) {
		if (!text_word(&line, &name))
			continue;
		f = find(name);
		if (f < 0)
			continue;
		if (!text_word(&line, &number) || text_word(&line, &rest) ||
		    !text_u64(number, &v) || (f == VM_ALLOCSTALL && v > UINT64_MAX - vm[f])) {
			bad |= 1U << f;
			continue;
		}
		vm[f] = f == VM_ALLOCSTALL ? vm[f] + v : v;
		have |= 1U << f;
	}
	have &= ~bad;
	for (f = 0; f < _VM_FIELD_MAX; f++)
		ret->vm[f] = have & (1U << f) ? vm[f] : 0;
	ret->vm_have = have;
}

void vmstat_convert(struct sample *s, uint64_t page_bytes)
{
	const uint32_t events = 1U << VM_ALLOCSTALL | 1U << VM_OOM_KILL;
	uint64_t units = page_bytes / SAMPLE_PAGE_BYTES;

	for (int f = 0; f < _VM_FIELD_MAX; f++) {
		if (events & (1U << f))
			continue;
		/* Not a count that a machine can have reached. */
		if (s->vm[f] > UINT64_MAX / units) {
			s->vm[f] = 0;
			s->vm_have &= ~(1U << f);
		}
		s->vm[f] *= units;
	}
}
