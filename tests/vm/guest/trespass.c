// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trespass.c - tries to do things to another process, and says what the kernel let it do
 *
 *	trespass victim			prints "PID ADDRESS" and sleeps: somebody to try it on
 *	trespass others PID ADDRESS	tries everything on that process
 *	trespass own			what it may do with itself, and with the kernel
 *
 * A line an attempt, "NAME RESULT": OK, or the name of the error. What is tried
 * on a process changes nothing that matters to it, but the limits and the word
 * in the memory of a victim, so that it can be tried on init.
 *
 * Static and not position-independent: the call by the 32-bit gate takes
 * addresses below 4 GiB.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_BEST_EFFORT_7 (2 << 13 | 7)

/* Of a victim. Its address is the same in each process of this program. */
static char word[16] = "untouched";

static void said(const char *name, long r)
{
	printf("%s %s\n", name, r >= 0 ? "OK" : strerrorname_np(errno));
	fflush(stdout);
}

/* What a call returns that may end the process that makes it. */
static long apart(long (*call)(pid_t), pid_t pid)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -1;
	if (child == 0) {
		errno = 0;
		_exit(call(pid) >= 0 ? 0 : errno);
	}
	waitpid(child, &status, 0);
	/* A call that the filter answers with a signal was refused, too. */
	errno = WIFSIGNALED(status) ? EPERM : WEXITSTATUS(status);
	return errno ? -1 : 0;
}

/* --- what is tried on others --- */

static long limit_set(pid_t pid)
{
	struct rlimit old, new;

	/* Where the old one may not be read: a number that no program misses. */
	new = (struct rlimit){64, 4096};
	if (pid != 1 || syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, NULL, &old) < 0)
		return syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, &new, NULL);
	return syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, &old, NULL);
}

static long limit_get(pid_t pid)
{
	struct rlimit old;

	return syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, NULL, &old);
}

/* prlimit64 of the 32-bit ABI, which a filter for the native one does not see. */
static long limit_get_32(pid_t pid)
{
	static unsigned long long old[2];
	long r;

	asm volatile("int $0x80" : "=a"(r)
		     : "a"(340), "b"((long)pid), "c"((long)RLIMIT_NOFILE), "d"(0L), "S"(old)
		     : "memory", "r8", "r9", "r10", "r11");
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

static long oom_adjust(pid_t pid)
{
	char path[64], text[16];
	int fd;
	long r;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	r = read(fd, text, sizeof(text));
	if (r > 0)
		r = pwrite(fd, text, r, 0);
	close(fd);
	return r;
}

static long signal_by_file(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -1 : syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0);
}

static long take_file(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -1 : syscall(SYS_pidfd_getfd, fd, 0, 0);
}

static long advise(pid_t pid)
{
	struct iovec there = {(void *)((unsigned long)word & ~4095UL), 4096};
	int fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -1 : syscall(SYS_process_madvise, fd, &there, 1, MADV_COLD, 0);
}

static long queue_signal(pid_t pid)
{
	siginfo_t info = {.si_code = SI_QUEUE};

	return syscall(SYS_rt_sigqueueinfo, pid, 0, &info);
}

static long trace(pid_t pid)
{
	return ptrace(PTRACE_SEIZE, pid, NULL, NULL);
}

static void others(pid_t pid, void *address)
{
	struct sched_param param = {0};
	cpu_set_t cpus;
	char here[sizeof(word)] = "read";
	struct iovec mine = {here, sizeof(here)}, its = {address, sizeof(here)};
	unsigned long nodes = 1;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	CPU_SET(1, &cpus);
	said("prlimit", limit_set(pid));
	said("prlimit-read", limit_get(pid));
	said("prlimit-32bit", apart(limit_get_32, pid));
	said("setpriority", setpriority(PRIO_PROCESS, pid, 0));
	said("ioprio_set", syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, IOPRIO_BEST_EFFORT_7));
	said("sched_setscheduler", syscall(SYS_sched_setscheduler, pid, SCHED_OTHER, &param));
	said("sched_setaffinity", syscall(SYS_sched_setaffinity, pid, sizeof(cpus), &cpus));
	said("migrate_pages", syscall(SYS_migrate_pages, pid, 8 * sizeof(nodes), &nodes, &nodes));
	said("move_pages", syscall(SYS_move_pages, pid, 0UL, NULL, NULL, NULL, 0));
	said("oom_score_adj", oom_adjust(pid));
	said("kill", kill(pid, 0));
	said("tgkill", syscall(SYS_tgkill, pid, pid, 0));
	said("rt_sigqueueinfo", queue_signal(pid));
	said("pidfd_send_signal", signal_by_file(pid));
	said("pidfd_getfd", take_file(pid));
	said("process_madvise", advise(pid));
	said("kcmp", syscall(SYS_kcmp, getpid(), pid, 0, 0, 0));
	said("process_vm_readv", process_vm_readv(pid, &mine, 1, &its, 1, 0));
	strcpy(here, "touched");
	said("process_vm_writev", process_vm_writev(pid, &mine, 1, &its, 1, 0));
	said("ptrace", apart(trace, pid));
}

/* --- what it may do with itself, and with the kernel --- */

static long raise_limit(pid_t pid)
{
	struct rlimit new = {1 << 20, 1 << 20};

	(void)pid;
	return syscall(SYS_setrlimit, RLIMIT_NOFILE, &new);
}

static long raise_limit_64(pid_t pid)
{
	struct rlimit new = {1 << 20, 1 << 20};

	(void)pid;
	return syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &new, NULL);
}

static long real_time(pid_t pid)
{
	struct sched_param param = {.sched_priority = 1};

	(void)pid;
	return syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &param);
}

static long user_namespace(pid_t pid)
{
	(void)pid;
	return syscall(SYS_unshare, CLONE_NEWUSER);
}

static long ring(pid_t pid)
{
	struct io_uring_params params = {0};

	(void)pid;
	return syscall(SYS_io_uring_setup, 4, &params);
}

static long program(pid_t pid)
{
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

	(void)pid;
	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static long all_capabilities(pid_t pid)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	(void)pid;
	if (syscall(SYS_capget, &head, data) < 0)
		return -1;
	return syscall(SYS_capset, &head, data);
}

/* Past the limit that a user without the capability has. */
static long large_pipe(pid_t pid)
{
	int fds[2];

	(void)pid;
	return pipe(fds) < 0 ? -1 : fcntl(fds[0], F_SETPIPE_SZ, 4 << 20);
}

static long large_queue(pid_t pid)
{
	struct msqid_ds ds;
	int id = msgget(IPC_PRIVATE, 0600);
	long r;

	(void)pid;
	if (id < 0)
		return -1;
	r = msgctl(id, IPC_STAT, &ds);
	if (r == 0) {
		ds.msg_qbytes = 1 << 20;
		r = msgctl(id, IPC_SET, &ds);
	}
	msgctl(id, IPC_RMID, NULL);
	return r;
}

static long fault_handler(pid_t pid)
{
	(void)pid;
	return syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */);
}

static long key(pid_t pid)
{
	(void)pid;
	return syscall(SYS_add_key, "user", "trespass", "x", 1, -2 /* KEY_SPEC_PROCESS_KEYRING */);
}

static long device_node(pid_t pid)
{
	(void)pid;
	if (mknod("fifo", S_IFIFO | 0600, 0) < 0)
		return -1;
	return unlink("fifo");
}

static long resize(pid_t pid)
{
	unsigned long long blocks = 1;	/* fewer than it has: never done, only permitted or not */
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long r = ioctl(fd, _IOW('f', 16, unsigned long long), &blocks);

	(void)pid;
	return r < 0 && errno == EINVAL ? 0 : r;
}

/* More memory, locked, than the daemon can ever have a use for; with it the guest is as good as dead. */
static long much_memory(pid_t pid)
{
	size_t n = 256UL << 20;
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)pid;
	return p == MAP_FAILED ? -1 : mlock(p, n);
}

static long many_processes(pid_t pid)
{
	pid_t children[100];
	int n = 0, error = 0;

	(void)pid;
	for (; n < 100; n++) {
		children[n] = fork();
		if (children[n] == 0) {
			pause();
			_exit(0);
		}
		if (children[n] < 0) {
			error = errno;
			break;
		}
	}
	while (n > 0) {
		kill(children[--n], SIGKILL);
		waitpid(children[n], NULL, 0);
	}
	errno = error;
	return error ? -1 : 0;
}

static void own(void)
{
	/* Where a service may write. */
	const char *state = getenv("STATE_DIRECTORY");
	static const struct {
		const char *name;
		long (*call)(pid_t);
	} calls[] = {
		{"setrlimit", raise_limit}, {"prlimit", raise_limit_64}, {"real-time", real_time},
		{"user-namespace", user_namespace}, {"capset", all_capabilities}, {"bpf", program},
		{"io_uring", ring}, {"userfaultfd", fault_handler}, {"add_key", key}, {"mknod", device_node},
		{"large-pipe", large_pipe}, {"large-queue", large_queue}, {"resize-fs", resize},
		{"100-processes", many_processes}, {"256M-locked", much_memory},
	};

	if (state && chdir(state) < 0)
		said("state-directory", -1);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		said(calls[i].name, apart(calls[i].call, 0));
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "victim") == 0) {
		printf("%d %p\n", getpid(), (void *)word);
		fflush(stdout);
		for (;;)
			pause();
	}
	if (argc == 4 && strcmp(argv[1], "others") == 0) {
		/* "parent" is whoever started this. */
		others(strcmp(argv[2], "parent") == 0 ? getppid() : atoi(argv[2]), (void *)strtoul(argv[3], NULL, 0));
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "own") == 0) {
		own();
		return 0;
	}
	fprintf(stderr, "usage: trespass victim | others PID ADDRESS | own\n");
	return 2;
}
