// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kexec.c - loads a kernel to go on with
 *
 *	kexec run KERNEL INITRD COMMAND-LINE	start it now, over this one
 *	kexec crash KERNEL INITRD COMMAND-LINE	keep it for when this one crashes
 *
 * The caller has unmounted or synced what matters. Left out: everything that kexec-tools does.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/reboot.h */
#define RESTART_BY_KEXEC 0x45584543

int main(int argc, char **argv)
{
	unsigned long flags;
	int kernel, initrd;

	if (argc != 5 || (strcmp(argv[1], "run") != 0 && strcmp(argv[1], "crash") != 0)) {
		fprintf(stderr, "usage: kexec run|crash KERNEL INITRD COMMAND-LINE\n");
		return 2;
	}
	flags = strcmp(argv[1], "crash") == 0 ? KEXEC_FILE_ON_CRASH : 0;
	kernel = open(argv[2], O_RDONLY | O_CLOEXEC);
	initrd = open(argv[3], O_RDONLY | O_CLOEXEC);
	if (kernel < 0 || initrd < 0) {
		fprintf(stderr, "kexec: %s\n", strerror(errno));
		return 1;
	}
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[4]) + 1, argv[4], flags) < 0) {
		fprintf(stderr, "kexec: the kernel does not take it: %s\n", strerror(errno));
		return 1;
	}
	if (flags & KEXEC_FILE_ON_CRASH)
		return 0;
	reboot(RESTART_BY_KEXEC);
	fprintf(stderr, "kexec: %s\n", strerror(errno));
	return 1;
}
