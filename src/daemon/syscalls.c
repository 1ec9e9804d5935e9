/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The list, by purpose, and its translation by libseccomp. It is what strace shows of a daemon under
 * the end-to-end tests, and what libc does in its place on other architectures and releases.
 */
#include "sallyport/daemon/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#if defined(__has_feature)
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || HAS_FEATURE(address_sanitizer) ||       \
    HAS_FEATURE(thread_sanitizer)
enum { SANITIZED = true };
#else
enum { SANITIZED = false };
#endif

struct list {
	const int *calls;
	size_t count;
};

#define LIST(array)                                                                                          \
	{ array, sizeof(array) / sizeof((array)[0]) }

static const int memory[] = {
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
};

/* Workers and the copier are started, named and joined. */
static const int threads[] = {
    SCMP_SYS(futex),       SCMP_SYS(set_robust_list), SCMP_SYS(rseq),   SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield), SCMP_SYS(gettid),          SCMP_SYS(getpid), SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

static const int signals[] = {
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),  SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),  SCMP_SYS(restart_syscall),
};

static const int times[] = {
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),    SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(nanosleep),     SCMP_SYS(clock_nanosleep), SCMP_SYS(getrusage),
};

/* sd-event. */
static const int events[] = {
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),      SCMP_SYS(epoll_wait),      SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),  SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(signalfd4),
    SCMP_SYS(eventfd2),      SCMP_SYS(poll),           SCMP_SYS(ppoll),
};

/* Netlink; the control socket; journald, the service manager and the name service by AF_UNIX. */
static const int sockets[] = {
    SCMP_SYS(bind),       SCMP_SYS(connect),    SCMP_SYS(accept),   SCMP_SYS(accept4),  SCMP_SYS(getsockname),
    SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(sendto),   SCMP_SYS(sendmsg),  SCMP_SYS(sendmmsg),
    SCMP_SYS(recvfrom),   SCMP_SYS(recvmsg),    SCMP_SYS(recvmmsg), SCMP_SYS(shutdown),
};

/* Rules and what they include, /etc/services, /proc. */
static const int reading[] = {
    SCMP_SYS(open),    SCMP_SYS(openat),     SCMP_SYS(close),      SCMP_SYS(read),     SCMP_SYS(readv),
    SCMP_SYS(pread64), SCMP_SYS(lseek),      SCMP_SYS(getdents64), SCMP_SYS(stat),     SCMP_SYS(lstat),
    SCMP_SYS(fstat),   SCMP_SYS(newfstatat), SCMP_SYS(statx),      SCMP_SYS(fstatfs),  SCMP_SYS(statfs),
    SCMP_SYS(access),  SCMP_SYS(faccessat),  SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),  SCMP_SYS(fcntl),      SCMP_SYS(sysinfo),
};

/* The saved state, the log, the control socket's end. Where to: Landlock. */
static const int writing[] = {
    SCMP_SYS(write),    SCMP_SYS(writev),   SCMP_SYS(fsync),     SCMP_SYS(fchmod),       SCMP_SYS(unlink),
    SCMP_SYS(unlinkat), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(memfd_create), SCMP_SYS(ftruncate),
};

/* Who asks, who am I, and a secret. */
static const int identity[] = {
    SCMP_SYS(getuid),  SCMP_SYS(geteuid),   SCMP_SYS(getgid),
    SCMP_SYS(getegid), SCMP_SYS(getrandom), SCMP_SYS(uname),
};

static const struct list allowed[] = {
    LIST(memory),  LIST(threads), LIST(signals), LIST(times),    LIST(events),
    LIST(sockets), LIST(reading), LIST(writing), LIST(identity),
};

static const int hostile[] = {
    /* run or trace */
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    /* become somebody else */
    SCMP_SYS(setuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setreuid),
    SCMP_SYS(setregid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setresgid),
    SCMP_SYS(setfsuid),
    SCMP_SYS(setfsgid),
    SCMP_SYS(setgroups),
    SCMP_SYS(capset),
    /* another view of the system */
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsmount),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
    /* the kernel itself */
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(syslog),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
};

/* ---- translation ---- */

static int add_all(scmp_filter_ctx filter, uint32_t action, const struct list *list) {
	int code = 0;

	for (size_t i = 0; i < list->count && code == 0; i++)
		code = seccomp_rule_add(filter, action, list->calls[i], 0);
	return code;
}

static int add_if(scmp_filter_ctx filter, uint32_t action, int call, struct scmp_arg_cmp condition) {
	return seccomp_rule_add_array(filter, action, call, 1, &condition);
}

/* A thread, never a process. glibc tries clone3 first, whose flags cannot be seen here, and takes
 * clone where there is none. */
static int add_clone(scmp_filter_ctx filter) {
	int code = add_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone),
			  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

	if (code == 0)
		code = add_if(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone),
			      SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	return code;
}

/* Never writable and executable, nor made executable later. A library of the name service may
 * still be loaded. */
static int add_mapping(scmp_filter_ctx filter) {
	int code = add_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	if (code == 0)
		code = add_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap),
			      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_EXEC));
	if (code == 0)
		code = add_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect),
			      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return code;
}

static uint32_t action_for(unsigned family) {
	return family == AF_UNIX || family == AF_NETLINK ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EAFNOSUPPORT);
}

/* Other families do not exist: libraries ask for them, and can do without. */
static int add_socket(scmp_filter_ctx filter) {
	int code = add_if(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket),
			  SCMP_A0(SCMP_CMP_GT, AF_NETLINK, 0));

	for (unsigned family = 0; family <= AF_NETLINK && code == 0; family++)
		code = add_if(filter, action_for(family), SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, family, 0));
	return code;
}

/* An interface's name, and stdio's question whether it writes to a terminal. */
static int add_ioctl(scmp_filter_ctx filter) {
	static const unsigned long requests[] = {SIOCGIFNAME, SIOCGIFINDEX, TCGETS};
	int code = 0;

	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests) && code == 0; i++)
		code = add_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, requests[i], 0));
	return code;
}

/* A thread's name and timers; abort() of this very process. */
static int add_own(scmp_filter_ctx filter) {
	static const int options[] = {PR_SET_NAME, PR_SET_TIMERSLACK};
	int code = 0;

	for (size_t i = 0; i < sizeof(options) / sizeof(*options) && code == 0; i++)
		code = add_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl),
			      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)options[i], 0));
	if (code == 0)
		code = add_if(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
			      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	return code;
}

static int fill(scmp_filter_ctx filter) {
	static const struct list killing = LIST(hostile);
	int code = 0;

	for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed) && code == 0; i++)
		code = add_all(filter, SCMP_ACT_ALLOW, &allowed[i]);
	code = code ? code : add_clone(filter);
	code = code ? code : add_mapping(filter);
	code = code ? code : add_socket(filter);
	code = code ? code : add_ioctl(filter);
	code = code ? code : add_own(filter);
	return code ? code : add_all(filter, SCMP_ACT_KILL_PROCESS, &killing);
}

/* By binary search, since what has conditions is looked up at every call. */
static int adjust(scmp_filter_ctx filter) {
	int code = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

	code = code ? code : seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	return code ? code : seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
}

static bool has_seccomp(void) {
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

bool syscalls_restrict(bool *filtered, struct error *err) {
	scmp_filter_ctx filter;
	int code;

	*filtered = false;
	if (SANITIZED || !has_seccomp())
		return true;
	filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (!filter)
		return error_set(err, "out of memory for the list of system calls");
	code = adjust(filter);
	code = code ? code : fill(filter);
	code = code ? code : seccomp_load(filter);
	seccomp_release(filter);
	*filtered = code == 0;
	return code == 0 || error_set(err, "cannot restrict system calls: %s", strerror(-code));
}
