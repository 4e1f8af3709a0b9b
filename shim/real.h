/* SPDX-License-Identifier: MIT */
/* The functions of libc that the shim stands in front of. */
#ifndef SHIM_REAL_H
#define SHIM_REAL_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* Those whose type <...> says; the variadic ones stand below. */
#define REAL_FUNCTIONS(X)  \
	X(socket)          \
	X(bind)            \
	X(listen)          \
	X(accept)          \
	X(accept4)         \
	X(connect)         \
	X(read)            \
	X(write)           \
	X(readv)           \
	X(writev)          \
	X(send)            \
	X(recv)            \
	X(sendto)          \
	X(recvfrom)        \
	X(sendmsg)         \
	X(recvmsg)         \
	X(sendmmsg)        \
	X(recvmmsg)        \
	X(splice)          \
	X(sendfile)        \
	X(close)           \
	X(close_range)     \
	X(closefrom)       \
	X(shutdown)        \
	X(dup)             \
	X(dup2)            \
	X(dup3)            \
	X(getsockopt)      \
	X(setsockopt)      \
	X(getsockname)     \
	X(getpeername)     \
	X(poll)            \
	X(ppoll)           \
	X(select)          \
	X(pselect)         \
	X(epoll_create)    \
	X(epoll_create1)   \
	X(epoll_ctl)       \
	X(epoll_wait)      \
	X(epoll_pwait)     \
	X(epoll_pwait2)    \
	X(pthread_create)  \
	X(pthread_cancel)  \
	X(sigaction)       \
	X(setuid)          \
	X(setreuid)        \
	X(setresuid)       \
	X(seteuid)         \
	X(pread)           \
	X(pwrite)          \
	X(preadv)          \
	X(pwritev)         \
	X(preadv2)         \
	X(pwritev2)        \
	X(lseek)           \
	X(fsync)           \
	X(fdatasync)       \
	X(sync_file_range) \
	X(copy_file_range) \
	X(ftruncate)       \
	X(truncate)        \
	X(fallocate)       \
	X(posix_fallocate) \
	X(flock)           \
	X(lockf)           \
	X(fstat)           \
	X(stat)            \
	X(lstat)           \
	X(fstatat)         \
	X(statx)           \
	X(access)          \
	X(faccessat)       \
	X(euidaccess)      \
	X(rename)          \
	X(renameat)        \
	X(renameat2)       \
	X(unlink)          \
	X(unlinkat)        \
	X(remove)          \
	X(link)            \
	X(linkat)          \
	X(fopen)           \
	X(freopen)         \
	X(fdopen)          \
	X(fileno)          \
	X(_exit)

struct real {
#define REAL_MEMBER(name) __typeof__(name) *name;
	REAL_FUNCTIONS(REAL_MEMBER)
#undef REAL_MEMBER
	int (*fcntl)(int fd, int command, ...);
	int (*open)(const char *path, int flags, ...);
	int (*openat)(int folder, const char *path, int flags, ...);
	int (*ioctl)(int fd, unsigned long request, ...);
};

extern struct real real_functions;
extern bool real_is_ready;

/** real_find - find all of them; aborts when libc lacks one */
void real_find(void);

/** real - libc's own functions, found at the first call: others' constructors run before ours */
static inline const struct real *real(void)
{
	if (__builtin_expect(!real_is_ready, false))
		real_find();
	return &real_functions;
}

/* A function of libc that programs see instead of libc's. */
#define EXPORT __attribute__((visibility("default")))

#endif /* SHIM_REAL_H */
