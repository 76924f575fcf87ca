// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One look at the machine: the sources put together into a sample.
 *
 * Files are opened once. Watermarks change only with the amount of memory or
 * by the administrator's hand, and /proc/zoneinfo is long on large machines, so
 * it is read every minute; the last value counts in between.
 *
 * Leaves out: the balloon, the triggers' wake-ups, and any judgement.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sense/meminfo.h"
#include "sense/module.h"
#include "sense/procfile.h"
#include "sense/psi.h"
#include "sense/sense.h"
#include "sense/swaps.h"
#include "sense/vmstat.h"
#include "sense/week.h"
#include "sense/zoneinfo.h"

#define SEC		     1000000ULL
#define ZONEINFO_INTERVAL_US (60 * SEC)

enum file {
	FILE_VMSTAT,
	FILE_ZONEINFO,
	FILE_PSI_MEMORY,
	FILE_PSI_IO,
	_FILE_MAX,
};

static const char *const file_names[_FILE_MAX] = {
	[FILE_VMSTAT] = "vmstat",
	[FILE_ZONEINFO] = "zoneinfo",
	[FILE_PSI_MEMORY] = "pressure/memory",
	[FILE_PSI_IO] = "pressure/io",
};

enum news {
	NEWS_NO_AVAILABLE,
	NEWS_NO_FREE,
	NEWS_NO_VMSTAT,
	NEWS_NO_WORKINGSET,
	NEWS_NO_ZONEINFO,
	NEWS_NO_PSI,
	NEWS_PSI_OFF,
	NEWS_NO_PSI_IO,
	NEWS_NO_MODULE,
	NEWS_NO_SWAPS,
	_NEWS_MAX,
};

static const char *const news_texts[_NEWS_MAX] = {
	[NEWS_NO_AVAILABLE] =
		"MemAvailable cannot be read from /proc/meminfo: nothing will be moved.",
	[NEWS_NO_FREE] =
		"MemFree cannot be read from /proc/meminfo: free memory will not be taken.",
	[NEWS_NO_VMSTAT] = "/proc/vmstat cannot be read: page cache will not be taken.",
	[NEWS_NO_WORKINGSET] = "/proc/vmstat lacks fields of reclaim or the working set: page "
			       "cache will not be taken.",
	[NEWS_NO_ZONEINFO] =
		"/proc/zoneinfo cannot be read: watermarks are guessed from the size of memory.",
	[NEWS_NO_PSI] = "This kernel has no /proc/pressure: stalls cannot be seen, page cache will "
			"not be taken. Boot with psi=1 or use a kernel with CONFIG_PSI.",
	[NEWS_PSI_OFF] = "Pressure stall information is switched off: stalls cannot be seen, page "
			 "cache will not be taken. Boot with psi=1.",
	[NEWS_NO_PSI_IO] = "/proc/pressure/io cannot be read: page cache will not be taken.",
	[NEWS_NO_MODULE] = "uballoon's figures in " MODULE_ROOT " cannot be read: how much memory "
			   "is available without the balloon is not known. Check that /sys is mounted "
			   "and that module and daemon are of the same release.",
	[NEWS_NO_SWAPS] = "/proc/swaps cannot be read: if swap is compressed memory (zram), "
			  "more of it is taken for room than is.",
};

struct sense {
	struct meminfo meminfo;
	struct module module;
	struct swaps swaps;
	int fds[_FILE_MAX];
	struct procfile_buffer buffer;
	uint64_t page_bytes;
	bool has_watermark;
	uint64_t watermark;
	uint64_t watermark_us; /* when it was read */
	uint32_t news; /* to be told */
	uint32_t told;
};

void sense_free(struct sense *s)
{
	if (!s)
		return;
	for (int i = 0; i < _FILE_MAX; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	meminfo_done(&s->meminfo);
	module_done(&s->module);
	swaps_done(&s->swaps);
	free(s->buffer.data);
	free(s);
}

int sense_open(const char *root, const char *module_root, struct sense **ret)
{
	struct sense *s = calloc(1, sizeof(*s));
	int fd;
	long n = -1;

	if (!s)
		return -ENOMEM;
	swaps_init(&s->swaps, root ? root : "/proc", root);
	if (!root)
		root = "/proc";
	s->page_bytes = sysconf(_SC_PAGESIZE);
	module_init(&s->module, module_root);
	/* Now, rather than when there is no memory for it. */
	tzset();
	for (int i = 0; i < _FILE_MAX; i++)
		s->fds[i] = procfile_open(root, file_names[i]);

	fd = procfile_open(root, "meminfo");
	if (fd >= 0) {
		n = procfile_read(fd, &s->buffer);
		close(fd);
	}
	if (meminfo_init(&s->meminfo, s->buffer.data, n > 0 ? n : 0) == -ENOMEM || n == -ENOMEM) {
		sense_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

static long read_file(struct sense *s, enum file f)
{
	return s->fds[f] < 0 ? s->fds[f] : procfile_read(s->fds[f], &s->buffer);
}

static void news(struct sense *s, enum news n, bool is)
{
	if (is && !(s->told & (1U << n)))
		s->news |= 1U << n;
}

static void read_vmstat(struct sense *s, struct sample *ret)
{
	const uint32_t wanted = 1U << VM_ALLOCSTALL | 1U << VM_PGSCAN_DIRECT | 1U << VM_PSWPIN |
				1U << VM_PSWPOUT | 1U << VM_ACTIVATE_FILE | 1U << VM_RESTORE_FILE;
	long n = read_file(s, FILE_VMSTAT);

	news(s, NEWS_NO_VMSTAT, n < 0);
	if (n < 0)
		return;
	vmstat_parse(s->buffer.data, n, ret);
	vmstat_convert(ret, s->page_bytes);
	news(s, NEWS_NO_WORKINGSET, (ret->vm_have & wanted) != wanted);
}

static void read_zoneinfo(struct sense *s, struct sample *ret)
{
	if (!s->watermark_us || ret->time_us - s->watermark_us >= ZONEINFO_INTERVAL_US) {
		long n = read_file(s, FILE_ZONEINFO);
		uint64_t pages;

		s->has_watermark = n > 0 && zoneinfo_parse(s->buffer.data, n, &pages) &&
				   pages <= UINT64_MAX / s->page_bytes;
		if (s->has_watermark)
			s->watermark = pages * s->page_bytes;
		s->watermark_us = ret->time_us;
	}
	news(s, NEWS_NO_ZONEINFO, !s->has_watermark);
	if (!s->has_watermark)
		return;
	ret->mem[MEM_WATERMARK_HIGH] = s->watermark;
	ret->mem_have |= 1U << MEM_WATERMARK_HIGH;
}

static long read_psi(struct sense *s, enum file f, enum sample_psi_field some,
		     enum sample_psi_field full, struct sample *ret)
{
	long n = read_file(s, f);
	struct psi_totals t;

	if (n < 0)
		return n;
	psi_parse(s->buffer.data, n, &t);
	if (t.has_some) {
		ret->psi[some] = t.some_us;
		ret->psi_have |= 1U << some;
	}
	if (t.has_full) {
		ret->psi[full] = t.full_us;
		ret->psi_have |= 1U << full;
	}
	return t.has_some ? 0 : -ENODATA;
}

int sense_read(struct sense *s, struct sample *ret)
{
	struct timespec ts;
	long r;

	memset(ret, 0, sizeof(*ret));
	clock_gettime(CLOCK_BOOTTIME, &ts);
	ret->time_us = (uint64_t)ts.tv_sec * SEC + ts.tv_nsec / 1000;
	ret->has_week = week_second(time(NULL), &ret->week_s);

	meminfo_read(&s->meminfo, ret);
	news(s, NEWS_NO_MODULE, module_leave_out(&s->module, ret) < 0);
	news(s, NEWS_NO_AVAILABLE, !sample_has_mem(ret, MEM_AVAILABLE));
	news(s, NEWS_NO_FREE, !sample_has_mem(ret, MEM_FREE));
	read_vmstat(s, ret);
	read_zoneinfo(s, ret);
	news(s, NEWS_NO_SWAPS, swaps_read(&s->swaps, &s->buffer, ret) < 0);
	r = read_psi(s, FILE_PSI_MEMORY, PSI_MEM_SOME_US, PSI_MEM_FULL_US, ret);
	/* Which of the two depends on the kernel's age: no files, or files that refuse to be read.
	 */
	news(s, NEWS_PSI_OFF, r == -EOPNOTSUPP);
	news(s, NEWS_NO_PSI, r < 0 && r != -EOPNOTSUPP);
	if (r >= 0) {
		r = read_psi(s, FILE_PSI_IO, PSI_IO_SOME_US, PSI_IO_FULL_US, ret);
		news(s, NEWS_NO_PSI_IO, r < 0);
	}
	return sample_has_mem(ret, MEM_AVAILABLE) ? 0 : -ENODATA;
}

const char *sense_news(struct sense *s)
{
	for (int i = 0; i < _NEWS_MAX; i++)
		if (s->news & (1U << i)) {
			s->news &= ~(1U << i);
			s->told |= 1U << i;
			return news_texts[i];
		}
	return NULL;
}
