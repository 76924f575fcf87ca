// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * withhold.c - a caller whose memory does not come when the kernel touches it
 *
 *	withhold in		GET_STATE, whose argument cannot be read for now
 *	withhold out		the same, but it can only be read
 *	withhold FILE		the file is read to where nothing can be written for now
 *
 * Says "withheld" as soon as the kernel waits for the page. Supplies it when there is a line
 * on standard input, and says what became of the call.
 *
 * Left out: what happens to the device meanwhile; that is the script's matter.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uballoon.h"

#define PAGE 4096

static struct uballoon_state *argument;
static bool is_file;
static int fd;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void *call(void *unused)
{
	long r = is_file ? read(fd, argument, PAGE) : ioctl(fd, UBALLOON_IOC_GET_STATE, argument);

	(void)unused;
	return (void *)(r < 0 ? strerrorname_np(errno) : "OK");
}

/* The page is there when the kernel reads from it, and cannot be written. */
static void protect(int uffd, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { (unsigned long)argument, PAGE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	if (ioctl(uffd, UFFDIO_WRITEPROTECT, &wp))
		die("write protection");
}

static void supply(int uffd)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	struct uffdio_copy copy = {
		.dst = (unsigned long)argument, .src = (unsigned long)page, .len = PAGE,
	};

	((struct uballoon_state *)page)->size = sizeof(struct uballoon_state);
	if (ioctl(uffd, UFFDIO_COPY, &copy))
		die("copy");
}

int main(int argc, char **argv)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_register reg = {};
	struct uffd_msg msg;
	pthread_t thread;
	void *result;
	bool out;
	int uffd;

	if (argc != 2)
		return 2;
	out = !strcmp(argv[1], "out");
	is_file = !out && strcmp(argv[1], "in");
	fd = open(is_file ? argv[1] : "/dev/uballoon", O_RDONLY);
	if (fd < 0)
		die("open");
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		die("userfaultfd");
	argument = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (argument == MAP_FAILED)
		die("mmap");
	if (out)
		argument->size = sizeof(*argument);
	reg.range.start = (unsigned long)argument;
	reg.range.len = PAGE;
	reg.mode = out ? UFFDIO_REGISTER_MODE_WP : UFFDIO_REGISTER_MODE_MISSING;
	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		die("registration");
	if (out)
		protect(uffd, true);

	if (pthread_create(&thread, NULL, call, NULL))
		return 2;
	if (read(uffd, &msg, sizeof(msg)) != sizeof(msg) || msg.event != UFFD_EVENT_PAGEFAULT)
		die("fault");
	puts("withheld");
	fflush(stdout);
	getchar();
	if (out)
		protect(uffd, false);
	else
		supply(uffd);
	pthread_join(thread, &result);
	puts(result);
	return 0;
}
