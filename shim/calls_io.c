/* SPDX-License-Identifier: MIT */
/* Calls that read and write. */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calls.h"
#include "engine.h"
#include "guard.h"
#include "real.h"
#include "trace.h"
#include "transfer.h"

#define PIECES_FEW 16u

/* ---- Whose it is ---- */

static int port_of_any(struct socket *socket, int fd)
{
	struct address any = {.length = 0};

	/* A port of the kernel's choice, so that both halves have the same. */
	any.length = socket->domain == AF_INET ? sizeof(struct sockaddr_in)
					       : sizeof(struct sockaddr_in6);
	memset(&any.storage, 0, sizeof(any.storage));
	any.storage.ss_family = (sa_family_t)socket->domain;
	if (real()->bind(fd, (struct sockaddr *)&any.storage, any.length) != 0)
		return -errno;
	socket->bound.length = sizeof(socket->bound.storage);
	return real()->getsockname(fd, (struct sockaddr *)&socket->bound.storage,
				   &socket->bound.length) == 0
		       ? 0
		       : -errno;
}

/* Datagrams that go to our side from a socket that is not bound to it alone. */
static int decide_datagram(struct socket *socket, int fd)
{
	int error = socket->bound.length ? 0 : port_of_any(socket, fd);

	if (!error)
		socket_decide(socket, fd, SIDE_BOTH, "it sends to a peer of the stack's");
	return error;
}

/* It may still send to one of ours, and is decided then. */
static void note_kernels(struct socket *socket, int fd)
{
	if (socket->sends_kernels || socket->side != SIDE_UNDECIDED)
		return;
	socket->sends_kernels = true;
	trace_count(COUNT_KERNELS);
	TRACE("udp descriptor %d is the kernel's so far: it sends to a peer that is not the "
	      "stack's",
	      fd);
}

/*
 * Whether this call is for our half. Return: 1 with the queue made; 0: the kernel's; -errno.
 * @to: where it sends to; NULL: it receives, or sends to its peer.
 */
static int is_for_us(struct socket *socket, int fd, const struct address *to)
{
	int error = 0;

	if (to && to->length && socket->type == SOCK_DGRAM && socket->side != SIDE_DEMI) {
		const struct sockaddr *name = (const struct sockaddr *)&to->storage;

		if (rules_connect(&engine.rules, SOCK_DGRAM, name) != SIDE_DEMI) {
			note_kernels(socket, fd);
			return 0;
		}
		if (socket->side == SIDE_UNDECIDED)
			error = decide_datagram(socket, fd);
	} else if (socket->side == SIDE_UNDECIDED && socket->type == SOCK_DGRAM && !to &&
		   socket->bound.length && !socket->peer.length) {
		/* Bound to every address, and it receives. */
		socket_decide(socket, fd, SIDE_BOTH, "it receives on every address");
	}
	if (socket->side == SIDE_UNDECIDED)
		return 0;
	if (socket->side == SIDE_BOTH && to && !to->length && !socket->peer.length)
		return 0;
	if (!error)
		error = socket_make(socket);
	return error ? error : 1;
}

/* ---- Sending and receiving ---- */

struct call {
	const struct iovec *pieces;
	size_t count;
	int flags;
	bool sends;
	bool is_plain; /* read, write: of no bytes a read returns at once; recv waits */
	void *memory;  /* to be freed, before the thread may end; or NULL */
	struct address *address;
	int flags_out;
};

/* Return: -ENOTSOCK stands for: the kernel's call is to be made. */
#define KERNELS (-ENOTSOCK)

static ssize_t call_ours(struct socket *socket, int fd, struct call *call)
{
	struct transfer transfer = {.flags = call->flags, .fd = fd, .address = call->address};
	static const struct address none;
	ssize_t outcome;
	int ours = is_for_us(socket, fd,
			     call->sends ? (call->address ? call->address : &none) : NULL);

	if (ours < 0)
		return ours;
	if (!ours)
		return KERNELS;
	if (!cursor_init(&transfer.cursor, call->pieces, call->count))
		return -EINVAL;
	if (call->is_plain && !call->sends && !transfer.cursor.left)
		return 0;
	outcome = call->sends ? transfer_send(socket, &transfer)
			      : transfer_receive(socket, &transfer);
	call->flags_out = transfer.flags_out;
	return outcome;
}

/* Of a log. */
static ssize_t call_log(struct log_file *file, struct call *call)
{
	struct cursor cursor;

	if (!cursor_init(&cursor, call->pieces, call->count))
		return -EINVAL;
	return call->sends ? log_file_write(file, &cursor, -1)
			   : log_file_read(file, call->pieces, call->count, -1);
}

/* As call_make. */
static bool call_try(int fd, struct call *call, ssize_t *outcome)
{
	struct file *file = file_enter(fd);
	struct socket *socket;
	bool is_stream;
	ssize_t got;

	if (!file)
		return false;
	if (file->kind != FILE_SOCKET) {
		bool is_log = file->kind == FILE_LOG && call->is_plain;

		got = is_log ? call_log(log_file_of(file), call) : 0;
		file_leave(file);
		*outcome = call_return(got);
		return is_log;
	}
	socket = socket_of(file);
	is_stream = socket->type == SOCK_STREAM;
	got = call_ours(socket, fd, call);
	file_leave(&socket->file);
	if (got == KERNELS)
		return false;
	if (got == -EPIPE && call->sends && is_stream && !(call->flags & MSG_NOSIGNAL))
		raise(SIGPIPE);
	*outcome = call_return(got);
	return true;
}

/*
 * A whole call. false: the kernel's is to be made instead; true: *@outcome is what it returns, errno
 * set.
 */
static bool call_make(int fd, struct call *call, ssize_t *outcome)
{
	bool is_ours;

	if (!call->memory)
		engine_cancellation_point();
	is_ours = call_try(fd, call, outcome);
	if (call->memory)
		free(call->memory);
	if (is_ours && *outcome < 0 && errno == EINTR)
		engine_cancellation_point();
	return is_ours;
}

/* ---- read, write, send, recv ---- */

EXPORT ssize_t read(int fd, void *to, size_t bytes)
{
	struct iovec piece = {.iov_base = to, .iov_len = bytes};
	struct call call = {.pieces = &piece, .count = 1, .is_plain = true};
	ssize_t outcome;

	return call_make(fd, &call, &outcome) ? outcome : real()->read(fd, to, bytes);
}

EXPORT ssize_t write(int fd, const void *from, size_t bytes)
{
	struct iovec piece = {.iov_base = (void *)from, .iov_len = bytes};
	struct call call = {.pieces = &piece, .count = 1, .sends = true, .is_plain = true};
	ssize_t outcome;

	return call_make(fd, &call, &outcome) ? outcome : real()->write(fd, from, bytes);
}

EXPORT ssize_t recv(int fd, void *to, size_t bytes, int flags)
{
	struct iovec piece = {.iov_base = to, .iov_len = bytes};
	struct call call = {.pieces = &piece, .count = 1, .flags = flags};
	ssize_t outcome;

	return call_make(fd, &call, &outcome) ? outcome : real()->recv(fd, to, bytes, flags);
}

EXPORT ssize_t send(int fd, const void *from, size_t bytes, int flags)
{
	struct iovec piece = {.iov_base = (void *)from, .iov_len = bytes};
	struct call call = {.pieces = &piece, .count = 1, .flags = flags, .sends = true};
	ssize_t outcome;

	return call_make(fd, &call, &outcome) ? outcome : real()->send(fd, from, bytes, flags);
}

/* ---- With addresses ---- */

/* None is as good as one. */
static int take_address(struct address *address, const void *from, socklen_t length)
{
	address->length = 0;
	return from && length ? address_take(address, from, length) : 0;
}

static int give_address(const struct address *address, void *to, socklen_t *length)
{
	return to ? address_give(address, to, length) : 0;
}

/*
 * MSG_FASTOPEN: the stack has none, so that the connection is made first, as Linux does without a
 * cookie. Return: whether it is the stack's, and there is a connection, or *@error.
 */
static bool connects_first(int fd, int flags, const struct address *to, int *error)
{
	const struct sockaddr *name = (const struct sockaddr *)&to->storage;
	struct socket *socket = flags & MSG_FASTOPEN && to->length ? call_enter(fd) : NULL;
	bool is_ours;

	if (!socket)
		return false;
	is_ours = socket->type == SOCK_STREAM &&
		  (socket->side == SIDE_DEMI ||
		   rules_connect(&engine.rules, SOCK_STREAM, name) == SIDE_DEMI);
	file_leave(&socket->file);
	if (!is_ours)
		return false;
	TRACE("tcp descriptor %d connects first: there is no fast open", fd);
	*error = connect(fd, name, to->length) == 0 ? 0 : -errno;
	return true;
}

EXPORT ssize_t sendto(int fd, const void *from, size_t bytes, int flags,
		      const struct sockaddr *address, socklen_t length)
{
	struct iovec piece = {.iov_base = (void *)from, .iov_len = bytes};
	struct address to;
	struct call call = {
		.pieces = &piece, .count = 1, .flags = flags, .sends = true, .address = &to};
	ssize_t outcome;
	int error;

	if (!file_is_ours(fd))
		return real()->sendto(fd, from, bytes, flags, address, length);
	error = take_address(&to, address, length);
	if (!error && connects_first(fd, flags, &to, &error)) {
		call.flags &= ~MSG_FASTOPEN;
		to.length = 0;
	}
	if (error)
		return call_return(error);
	return call_make(fd, &call, &outcome)
		       ? outcome
		       : real()->sendto(fd, from, bytes, flags, address, length);
}

EXPORT ssize_t recvfrom(int fd, void *to, size_t bytes, int flags, struct sockaddr *address,
			socklen_t *length)
{
	struct iovec piece = {.iov_base = to, .iov_len = bytes};
	struct address from = {.length = 0};
	struct call call = {
		.pieces = &piece, .count = 1, .flags = flags, .address = address ? &from : NULL};
	ssize_t outcome;

	if (!call_make(fd, &call, &outcome))
		return real()->recvfrom(fd, to, bytes, flags, address, length);
	if (outcome >= 0 && address) {
		int error = give_address(&from, address, length);

		if (error)
			return call_return(error);
	}
	return outcome;
}

/* ---- With pieces ---- */

/* A copy of the program's list of pieces; *@pieces is @few, or to be freed. */
static int take_pieces(struct iovec **pieces, struct iovec few[PIECES_FEW],
		       const struct iovec *from, size_t count)
{
	*pieces = few;
	if (count > IOV_MAX)
		return -EINVAL;
	if (count > PIECES_FEW)
		*pieces = malloc(count * sizeof(**pieces));
	if (!*pieces)
		return -ENOMEM;
	if (guard_copy(*pieces, from, count * sizeof(**pieces)))
		return 0;
	if (*pieces != few)
		free(*pieces);
	*pieces = few;
	return -EFAULT;
}

bool vector_make(int fd, const struct iovec *from, int count, bool sends, int flags,
		 ssize_t *outcome)
{
	struct iovec few[PIECES_FEW], *pieces;
	struct call call = {.flags = flags, .sends = sends, .is_plain = true};
	int error;

	if (!file_is_ours(fd))
		return false;
	error = count < 0 ? -EINVAL : take_pieces(&pieces, few, from, (size_t)count);
	if (error) {
		*outcome = call_return(error);
		return true;
	}
	call.pieces = pieces;
	call.count = (size_t)count;
	call.memory = pieces == few ? NULL : pieces;
	return call_make(fd, &call, outcome);
}

EXPORT ssize_t readv(int fd, const struct iovec *pieces, int count)
{
	ssize_t outcome;

	return vector_make(fd, pieces, count, false, 0, &outcome)
		       ? outcome
		       : real()->readv(fd, pieces, count);
}

EXPORT ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	ssize_t outcome;

	return vector_make(fd, pieces, count, true, 0, &outcome)
		       ? outcome
		       : real()->writev(fd, pieces, count);
}

/* ---- With messages ---- */

static bool is_on_stack(int fd)
{
	struct socket *socket = call_enter(fd);
	bool is_so = socket && socket->side == SIDE_DEMI;

	if (socket)
		file_leave(&socket->file);
	return is_so;
}

/* @message is a copy; what is returned in it is stored in it. */
static bool message_make(int fd, struct msghdr *message, int flags, bool sends, ssize_t *outcome)
{
	struct iovec few[PIECES_FEW], *pieces;
	struct address address = {.length = 0};
	struct call call = {.flags = flags, .sends = sends, .address = &address};
	bool is_ours;
	int error;

	/* What they ask for would not be done: where from, in how many datagrams, when. */
	if (sends && message->msg_controllen && is_on_stack(fd)) {
		trace_count(COUNT_NO_CALL);
		TRACE("sendmsg on descriptor %d is refused: its control messages are not carried",
		      fd);
		*outcome = call_return(-EOPNOTSUPP);
		return true;
	}
	error = message->msg_iovlen > IOV_MAX
			? -EMSGSIZE
			: take_pieces(&pieces, few, message->msg_iov, message->msg_iovlen);
	if (!error && sends) {
		error = take_address(&address, message->msg_name, message->msg_namelen);
		if (!error && connects_first(fd, flags, &address, &error)) {
			call.flags &= ~MSG_FASTOPEN;
			address.length = 0;
		}
		if (error && pieces != few)
			free(pieces);
	}
	if (error) {
		*outcome = call_return(error);
		return true;
	}
	call.pieces = pieces;
	call.count = message->msg_iovlen;
	call.memory = pieces == few ? NULL : pieces;
	is_ours = call_make(fd, &call, outcome);
	/* Of a socket of both sides: what it asks for is as a rule what is done anyhow. */
	if (is_ours && sends && message->msg_controllen && *outcome >= 0) {
		trace_count(COUNT_NO_CALL);
		TRACE("sendmsg on descriptor %d goes without its control messages", fd);
	}
	if (!is_ours || sends || *outcome < 0)
		return is_ours;
	error = message->msg_name ? give_address(&address, message->msg_name, &message->msg_namelen)
				  : 0;
	message->msg_controllen = 0;
	message->msg_flags = call.flags_out;
	if (error)
		*outcome = call_return(error);
	return true;
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct msghdr copy;
	ssize_t outcome;

	if (!file_is_ours(fd))
		return real()->sendmsg(fd, message, flags);
	if (!guard_copy(&copy, message, sizeof(copy)))
		return call_return(-EFAULT);
	return message_make(fd, &copy, flags, true, &outcome) ? outcome
							      : real()->sendmsg(fd, message, flags);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	struct msghdr copy;
	ssize_t outcome;

	if (!file_is_ours(fd))
		return real()->recvmsg(fd, message, flags);
	if (!guard_copy(&copy, message, sizeof(copy)))
		return call_return(-EFAULT);
	if (!message_make(fd, &copy, flags, false, &outcome))
		return real()->recvmsg(fd, message, flags);
	if (outcome >= 0 && !guard_copy(message, &copy, sizeof(copy)))
		return call_return(-EFAULT);
	return outcome;
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
	unsigned int sent = 0;

	if (!file_is_ours(fd))
		return real()->sendmmsg(fd, messages, count, flags);
	for (; sent < count && sent < IOV_MAX; sent++) {
		ssize_t outcome = sendmsg(fd, &messages[sent].msg_hdr, flags);
		unsigned int bytes = (unsigned int)outcome;

		if (outcome < 0)
			return sent ? (int)sent : -1;
		if (!guard_copy(&messages[sent].msg_len, &bytes, sizeof(bytes)))
			return (int)call_return(-EFAULT);
	}
	return (int)sent;
}

static int receive_several(int fd, struct mmsghdr *messages, unsigned int count, int flags,
			   uint64_t deadline_ns)
{
	unsigned int received = 0;

	for (; received < count && received < IOV_MAX; received++) {
		int wait = received && (flags & MSG_WAITFORONE) ? MSG_DONTWAIT : 0;
		ssize_t outcome = recvmsg(fd, &messages[received].msg_hdr,
					  (flags & ~MSG_WAITFORONE) | wait);
		unsigned int bytes = (unsigned int)outcome;

		if (outcome < 0)
			return received ? (int)received : -1;
		if (!guard_copy(&messages[received].msg_len, &bytes, sizeof(bytes)))
			return (int)call_return(-EFAULT);
		/* As the kernel: looked at after each. */
		if (deadline_ns != NEVER_NS && clock_ns() >= deadline_ns)
			return (int)received + 1;
	}
	return (int)received;
}

/* What is left of the time. */
static bool give_time_left(struct timespec *timeout, uint64_t deadline_ns)
{
	uint64_t now_ns = clock_ns();
	uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	struct timespec left = {.tv_sec = (time_t)(left_ns / NS_PER_S),
				.tv_nsec = (long)(left_ns % NS_PER_S)};

	return guard_copy(timeout, &left, sizeof(left));
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags,
		    struct timespec *timeout)
{
	uint64_t deadline_ns = NEVER_NS;
	struct timespec limit;
	int received;

	if (!file_is_ours(fd))
		return real()->recvmmsg(fd, messages, count, flags, timeout);
	if (timeout && !guard_copy(&limit, timeout, sizeof(limit)))
		return (int)call_return(-EFAULT);
	if (timeout && (limit.tv_sec < 0 || limit.tv_nsec < 0 || limit.tv_nsec >= (long)NS_PER_S))
		return (int)call_return(-EINVAL);
	if (timeout)
		deadline_ns = clock_ns() + (uint64_t)limit.tv_sec * NS_PER_S +
			      (uint64_t)limit.tv_nsec;
	received = receive_several(fd, messages, count, flags, deadline_ns);
	if (received > 0 && timeout && !give_time_left(timeout, deadline_ns))
		return (int)call_return(-EFAULT);
	return received;
}

/* ---- sendfile ---- */

/*
 * Of a pipe, which has no place to be read from, sendfile takes nothing; with a place of the
 * program's the read says so itself.
 */
static bool has_place(int fd)
{
	struct stat status;

	if (real()->fstat(fd, &status) != 0 || S_ISREG(status.st_mode) || S_ISBLK(status.st_mode))
		return true;
	return S_ISCHR(status.st_mode) && real()->lseek(fd, 0, SEEK_CUR) >= 0;
}

static ssize_t send_any(int out_fd, int in_fd, off_t *offset, size_t bytes)
{
	struct socket *socket;
	off_t position = 0;
	ssize_t outcome;
	int ours;

	if (!file_is_ours(out_fd) || !(socket = call_enter(out_fd)))
		return real()->sendfile(out_fd, in_fd, offset, bytes);
	ours = is_for_us(socket, out_fd, NULL);
	if (ours == 0) {
		file_leave(&socket->file);
		return real()->sendfile(out_fd, in_fd, offset, bytes);
	}
	if (ours < 0)
		return call_leave(socket, ours);
	if ((file_of(in_fd) && file_of(in_fd)->kind != FILE_LOG) || socket->type != SOCK_STREAM ||
	    bytes > SSIZE_MAX || (!offset && !has_place(in_fd)))
		return call_leave(socket, -EINVAL);
	if (offset && !guard_copy(&position, offset, sizeof(position)))
		return call_leave(socket, -EFAULT);
	outcome = stream_send_file(socket, in_fd, offset ? &position : NULL, bytes);
	if (outcome >= 0 && offset && !guard_copy(offset, &position, sizeof(position)))
		outcome = -EFAULT;
	file_leave(&socket->file);
	if (outcome == -EPIPE)
		raise(SIGPIPE);
	return call_return(outcome);
}

/* The kernel has the log's bytes under its number, but not its place. */
static ssize_t send_log(int out_fd, struct log_file *file, int in_fd, off_t *offset, size_t bytes)
{
	off_t place = 0;
	ssize_t outcome;
	int error = file->access == O_WRONLY ? -EBADF : log_file_fill(file);

	if (!error && !offset)
		place = log_file_seek(file, 0, SEEK_CUR);
	if (!error && offset && !guard_copy(&place, offset, sizeof(place)))
		error = -EFAULT;
	file_hold(&file->file);
	log_leave(file, 0);
	outcome = error ? call_return(error) : send_any(out_fd, in_fd, &place, bytes);
	engine_lock();
	if (outcome > 0 && !offset)
		log_file_seek(file, place, SEEK_SET);
	file_leave(&file->file);
	if (outcome > 0 && offset && !guard_copy(offset, &place, sizeof(place)))
		return call_return(-EFAULT);
	return outcome;
}

EXPORT ssize_t sendfile(int out_fd, int in_fd, off_t *offset, size_t bytes)
{
	struct log_file *file = log_enter(in_fd);

	return file ? send_log(out_fd, file, in_fd, offset, bytes)
		    : send_any(out_fd, in_fd, offset, bytes);
}

EXPORT ssize_t sendfile64(int out_fd, int in_fd, off64_t *offset, size_t bytes)
{
	return sendfile(out_fd, in_fd, offset, bytes);
}

_Static_assert(sizeof(off_t) == sizeof(off64_t), "one sendfile is both");

/* ---- splice ---- */

#define SPLICE_BYTES_MAX 65536u

/*
 * Into the pipe goes what it takes, and only that is taken from the socket: all in one go, under the
 * lock. Return: -EAGAIN: the socket has nothing, or the pipe takes nothing: *@is_full then.
 */
static ssize_t splice_once(struct socket *socket, struct transfer *transfer, struct iovec piece,
			   int pipe_fd, bool *is_full)
{
	ssize_t got;

	*is_full = false;
	cursor_init(&transfer->cursor, &piece, 1);
	got = transfer_receive(socket, transfer);
	if (got <= 0)
		return got;
	got = stream_write_pipe(pipe_fd, piece.iov_base, (size_t)got);
	*is_full = got == -EAGAIN;
	if (got > 0) {
		struct transfer taken = {.fd = transfer->fd, .flags = MSG_DONTWAIT | MSG_TRUNC};

		piece.iov_len = (size_t)got;
		cursor_init(&taken.cursor, &piece, 1);
		transfer_receive(socket, &taken);
	}
	return got;
}

static ssize_t splice_out(struct socket *socket, int fd, int pipe_fd, size_t bytes, int flags)
{
	bool waits = !(flags & SPLICE_F_NONBLOCK), is_full;
	struct iovec piece = {.iov_base = malloc(bytes), .iov_len = bytes};
	struct transfer transfer = {.fd = fd, .flags = MSG_PEEK | (waits ? 0 : MSG_DONTWAIT)};
	ssize_t got;

	if (!piece.iov_base)
		return -ENOMEM;
	for (;;) {
		got = splice_once(socket, &transfer, piece, pipe_fd, &is_full);
		if (!is_full || !waits)
			break;
		got = socket_wait_kernel(socket, pipe_fd, POLLOUT);
		if (got)
			break;
	}
	free(piece.iov_base);
	return got;
}

EXPORT ssize_t splice(int in_fd, off64_t *in_offset, int out_fd, off64_t *out_offset, size_t bytes,
		      unsigned int flags)
{
	bool sends = file_is_ours(out_fd);
	struct socket *socket;
	ssize_t outcome;
	int ours;

	if (sends || file_is_ours(in_fd))
		engine_cancellation_point();
	if ((!sends && !file_is_ours(in_fd)) || !(socket = call_enter(sends ? out_fd : in_fd)))
		return real()->splice(in_fd, in_offset, out_fd, out_offset, bytes, flags);
	ours = socket->type == SOCK_STREAM ? is_for_us(socket, sends ? out_fd : in_fd, NULL) : 0;
	if (ours == 0) {
		file_leave(&socket->file);
		return real()->splice(in_fd, in_offset, out_fd, out_offset, bytes, flags);
	}
	if (bytes > SPLICE_BYTES_MAX)
		bytes = SPLICE_BYTES_MAX;
	if (ours < 0)
		outcome = ours;
	else if (in_offset || out_offset)
		outcome = -ESPIPE;
	else if (sends && file_of(in_fd))
		outcome = -EINVAL;
	else if (bytes == 0)
		outcome = 0;
	else if (sends)
		outcome = stream_splice(socket, in_fd, bytes, !(flags & SPLICE_F_NONBLOCK));
	else
		outcome = splice_out(socket, in_fd, out_fd, bytes, (int)flags);
	file_leave(&socket->file);
	if (outcome == -EPIPE && sends)
		raise(SIGPIPE);
	if (outcome == -EINTR)
		engine_cancellation_point();
	return call_return(outcome);
}

/* ---- What fortified programs call ---- */

void __chk_fail(void) __attribute__((noreturn));
EXPORT ssize_t __read_chk(int fd, void *to, size_t bytes, size_t room);
EXPORT ssize_t __recv_chk(int fd, void *to, size_t bytes, size_t room, int flags);
EXPORT ssize_t __recvfrom_chk(int fd, void *to, size_t bytes, size_t room, int flags,
			      struct sockaddr *address, socklen_t *length);

ssize_t __read_chk(int fd, void *to, size_t bytes, size_t room)
{
	if (bytes > room)
		__chk_fail();
	return read(fd, to, bytes);
}

ssize_t __recv_chk(int fd, void *to, size_t bytes, size_t room, int flags)
{
	if (bytes > room)
		__chk_fail();
	return recv(fd, to, bytes, flags);
}

ssize_t __recvfrom_chk(int fd, void *to, size_t bytes, size_t room, int flags,
		       struct sockaddr *address, socklen_t *length)
{
	if (bytes > room)
		__chk_fail();
	return recvfrom(fd, to, bytes, flags, address, length);
}
