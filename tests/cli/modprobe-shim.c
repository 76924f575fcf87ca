// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * modprobe-shim.c - a kernel that takes modules, or refuses them, for test-modprobe.py
 *
 * Preloaded into modprobe and into what it starts. A module's name is written to the
 * file SHIM_LOG, and the answer is 0, or EKEYREJECTED for those named in SHIM_REFUSE.
 * Nothing comes to the real kernel.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int finit_module(int fd, const char *params, int flags);
int init_module(void *image, unsigned long len, const char *params);
long syscall(long number, ...);

int finit_module(int fd, const char *params, int flags)
{
	const char *log = getenv("SHIM_LOG"), *refuse = getenv("SHIM_REFUSE"), *name;
	char link[64], path[PATH_MAX];
	FILE *f = log ? fopen(log, "ae") : NULL;
	ssize_t n;

	(void)params, (void)flags;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (!f || n < 0)
		abort();
	path[n] = '\0';
	name = strrchr(path, '/') + 1;
	errno = refuse && strcmp(refuse, name) == 0 ? EKEYREJECTED : 0;
	fprintf(f, "%s%s\n", name, errno ? " refused" : "");
	n = errno ? -1 : 0;
	fclose(f);
	errno = n < 0 ? EKEYREJECTED : 0;
	return (int)n;
}

/* What comes by this way has no name. */
int init_module(void *image, unsigned long len, const char *params)
{
	(void)image, (void)len, (void)params;
	abort();
}

long syscall(long number, ...)
{
	long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_finit_module)
		return finit_module((int)a[0], (const char *)a[1], (int)a[2]);
	if (number == SYS_init_module)
		abort();
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
