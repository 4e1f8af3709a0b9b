/* SPDX-License-Identifier: MIT */
/*
 * Streams of stdio(3) over logs and sockets. Those that libc makes read and write within libc, past us;
 * so these are streams whose functions are ours (fopencookie(3)), and fileno(3) knows their descriptors.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calls.h"
#include "engine.h"
#include "real.h"
#include "trace.h"

struct our_stream {
	struct our_stream *next;
	FILE *stream;
	int fd;
};

/* A lock of its own: a stream's functions take the engine's. */
static pthread_mutex_t streams_lock = PTHREAD_MUTEX_INITIALIZER;
static struct our_stream *streams;

/* ---- The table ---- */

static void add(struct our_stream *stream)
{
	pthread_mutex_lock(&streams_lock);
	stream->next = streams;
	__atomic_store_n(&streams, stream, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&streams_lock);
}

static void take_out(const struct our_stream *stream)
{
	struct our_stream **link = &streams;

	pthread_mutex_lock(&streams_lock);
	while (*link && *link != stream)
		link = &(*link)->next;
	if (*link)
		__atomic_store_n(link, stream->next, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&streams_lock);
}

/* Return: its descriptor; -1: it is libc's. */
static int find(FILE *file)
{
	int fd = -1;

	if (!__atomic_load_n(&streams, __ATOMIC_ACQUIRE))
		return -1;
	pthread_mutex_lock(&streams_lock);
	for (struct our_stream *stream = streams; stream && fd < 0; stream = stream->next)
		if (stream->stream == file)
			fd = stream->fd;
	pthread_mutex_unlock(&streams_lock);
	return fd;
}

/* Nobody is in the middle of the table at a fork. */
static void lock_table(void)
{
	pthread_mutex_lock(&streams_lock);
}

static void unlock_table(void)
{
	pthread_mutex_unlock(&streams_lock);
}

static void watch_forks(void)
{
	pthread_atfork(lock_table, unlock_table, unlock_table);
}

void streams_flush(void)
{
	/* No lock: writing takes others, and the program is at its end. */
	for (struct our_stream *stream = __atomic_load_n(&streams, __ATOMIC_ACQUIRE); stream;
	     stream = stream->next)
		fflush(stream->stream);
}

/* ---- What a stream does ---- */

static ssize_t stream_read(void *cookie, char *to, size_t bytes)
{
	return read(((struct our_stream *)cookie)->fd, to, bytes);
}

static ssize_t stream_write(void *cookie, const char *from, size_t bytes)
{
	const struct our_stream *stream = cookie;
	size_t done = 0;

	while (done < bytes) {
		ssize_t written = write(stream->fd, from + done, bytes - done);

		if (written <= 0)
			break;
		done += (size_t)written;
	}
	return (ssize_t)done;
}

static int stream_seek(void *cookie, off64_t *offset, int whence)
{
	off64_t place = lseek64(((struct our_stream *)cookie)->fd, *offset, whence);

	if (place < 0)
		return -1;
	*offset = place;
	return 0;
}

static int stream_close(void *cookie)
{
	struct our_stream *stream = cookie;
	int fd = stream->fd;

	take_out(stream);
	free(stream);
	return close(fd);
}

/* ---- Making one ---- */

/* open(2)'s flags of a mode, or -EINVAL. */
static int flags_of(const char *mode)
{
	int flags;

	switch (mode[0]) {
	case 'r':
		flags = O_RDONLY;
		break;
	case 'w':
		flags = O_WRONLY | O_CREAT | O_TRUNC;
		break;
	case 'a':
		flags = O_WRONLY | O_CREAT | O_APPEND;
		break;
	default:
		return -EINVAL;
	}
	for (mode++; *mode && *mode != ','; mode++) {
		if (*mode == '+')
			flags = (flags & ~O_ACCMODE) | O_RDWR;
		else if (*mode == 'x')
			flags |= O_EXCL;
		else if (*mode == 'e')
			flags |= O_CLOEXEC;
	}
	return flags;
}

/* What fopencookie understands of it. */
static void plain_mode(char out[3], const char *mode)
{
	size_t length = strcspn(mode, ",");

	out[0] = mode[0];
	out[1] = memchr(mode, '+', length) ? '+' : '\0';
	out[2] = '\0';
}

/* NULL with errno; the descriptor is not closed. */
static FILE *make(int fd, const char *mode)
{
	const cookie_io_functions_t functions = {
		.read = stream_read,
		.write = stream_write,
		.seek = stream_seek,
		.close = stream_close,
	};
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct our_stream *stream = malloc(sizeof(*stream));
	char plain[3];

	pthread_once(&once, watch_forks);
	if (!stream)
		return NULL;
	plain_mode(plain, mode);
	stream->fd = fd;
	stream->stream = fopencookie(stream, plain, functions);
	if (!stream->stream) {
		free(stream);
		return NULL;
	}
	add(stream);
	return stream->stream;
}

static FILE *open_log(const char *name, const char *mode)
{
	int flags = flags_of(mode);
	int fd = flags < 0 ? (int)call_return(flags) : open(name, flags, 0666);
	FILE *stream;

	if (fd < 0)
		return NULL;
	stream = make(fd, mode);
	if (!stream)
		close(fd);
	return stream;
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
	char name[PATH_MAX];

	return name_is_log(name, AT_FDCWD, path) ? open_log(name, mode) : real()->fopen(path, mode);
}

EXPORT FILE *fopen64(const char *path, const char *mode)
{
	return fopen(path, mode);
}

static bool access_fits(int flags, const char *mode)
{
	int wanted = flags_of(mode), access = flags & O_ACCMODE;

	return wanted >= 0 && (access == O_RDWR || access == (wanted & O_ACCMODE));
}

/* Of either side, or undecided: its reads and writes are sent the right way when they are made. */
static bool is_socket(int fd)
{
	struct socket *socket = call_enter(fd);

	if (socket)
		file_leave(&socket->file);
	return socket != NULL;
}

EXPORT FILE *fdopen(int fd, const char *mode)
{
	struct log_file *file = log_enter(fd);
	int flags;

	if (!file)
		return flags_of(mode) >= 0 && is_socket(fd) ? make(fd, mode)
							    : real()->fdopen(fd, mode);
	flags = log_file_flags(file);
	if (access_fits(flags, mode) && mode[0] == 'a')
		log_file_set_flags(file, flags | O_APPEND);
	log_leave(file, 0);
	if (access_fits(flags, mode))
		return make(fd, mode);
	errno = EINVAL;
	return NULL;
}

EXPORT FILE *freopen(const char *path, const char *mode, FILE *stream)
{
	char name[PATH_MAX];

	if (find(stream) < 0 && !name_is_log(name, AT_FDCWD, path))
		return real()->freopen(path, mode, stream);
	/* As when it fails in libc: the stream is closed in any case. */
	fprintf(stderr, "demi: freopen(3) of, or to, a log is not carried; open it by fopen(3)\n");
	trace_count(COUNT_NO_CALL);
	fclose(stream);
	errno = EOPNOTSUPP;
	return NULL;
}

EXPORT FILE *freopen64(const char *path, const char *mode, FILE *stream)
{
	return freopen(path, mode, stream);
}

EXPORT int fileno(FILE *stream)
{
	int fd = find(stream);

	return fd < 0 ? real()->fileno(stream) : fd;
}

EXPORT int fileno_unlocked(FILE *stream)
{
	return fileno(stream);
}
