/* SPDX-License-Identifier: MIT */
/*
 * What demi-txnstore calls of the library, on plain sockets of the kernel: the store that Demi is measured
 * beside. One epoll, sockets that do not block, no scheduler and no heap of its own; what is sent until
 * the next wait goes by one system call for each socket, and what has come is taken by one. With
 * TXNSTORE_SPIN=1 it polls and does not sleep.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <demi/demi.h>

#define FDS_MAX 8192
#define STREAM_BYTES (64u << 10)
#define DATAGRAM_BYTES (20u << 10)
#define EVENTS 64
#define POPS_MAX 64u
#define BATCH 64u
#define NS_PER_MS 1000000

enum kind { KIND_NONE, KIND_LISTENER, KIND_CONNECTING, KIND_STREAM, KIND_DATAGRAM };

/* Bytes that the socket has not taken yet; a datagram. */
struct rest {
	struct rest *next;
	struct sockaddr_storage to;
	socklen_t to_len; /* 0: of a stream */
	size_t len, sent;
	uint8_t bytes[];
};

struct socket {
	enum kind kind;
	bool wants_out;     /* as epoll knows it */
	demi_qtoken_t once; /* of the accept or the connect under way; 0: none */
	demi_qtoken_t pops[POPS_MAX];
	uint32_t first_pop, pop_count;
	struct rest *rests, **rests_end;
	bool is_dirty; /* and in the list of those that have something to send */
	int next_dirty;
};

/* What a pop gives out, before its bytes. */
struct received {
	struct sockaddr_storage from;
	uint8_t bytes[];
};

struct outcome {
	struct outcome *next;
	demi_qresult_t result;
};

static struct socket sockets[FDS_MAX];
static struct outcome *outcomes, **outcomes_end = &outcomes;
static int epoll_fd = -1, first_dirty = -1;
static struct received *spare[BATCH];
static demi_qtoken_t last_token;
static bool spins;

/* ---- Outcomes ---- */

static demi_qresult_t *complete(int fd, demi_qtoken_t token, demi_opcode_t opcode, int error)
{
	struct outcome *outcome = calloc(1, sizeof(*outcome));

	if (!outcome)
		abort();
	outcome->result = (demi_qresult_t){.qr_opcode = error ? DEMI_OPC_FAILED : opcode,
					   .qr_qd = fd,
					   .qr_qt = token,
					   .qr_ret = error};
	*outcomes_end = outcome;
	outcomes_end = &outcome->next;
	return &outcome->result;
}

static void watch(int fd, bool wants_out)
{
	struct epoll_event event = {.events = EPOLLIN | (wants_out ? EPOLLOUT : 0), .data.fd = fd};

	if (sockets[fd].wants_out == wants_out)
		return;
	sockets[fd].wants_out = wants_out;
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event);
}

static int adopt(int fd, enum kind kind)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (fd >= FDS_MAX || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
		close(fd);
		return EMFILE;
	}
	sockets[fd] = (struct socket){.kind = kind,
				      .rests_end = &sockets[fd].rests,
				      .is_dirty = sockets[fd].is_dirty,
				      .next_dirty = sockets[fd].next_dirty};
	return 0;
}

/* ---- Sockets ---- */

int demi_init(const struct demi_args *args)
{
	const char *spin = getenv("TXNSTORE_SPIN");

	(void)args;
	spins = spin && *spin == '1';
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_fd < 0 ? errno : 0;
}

void demi_fini(void)
{
	close(epoll_fd);
}

int demi_socket(int *sockqd_out, int domain, int type, int protocol)
{
	int fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return errno;
	*sockqd_out = fd;
	/* A stream is watched from when it listens or connects. */
	return type == SOCK_DGRAM ? adopt(fd, KIND_DATAGRAM) : 0;
}

int demi_bind(int sockqd, const struct sockaddr *addr, socklen_t size)
{
	return bind(sockqd, addr, size) == 0 ? 0 : errno;
}

int demi_listen(int sockqd, int backlog)
{
	return listen(sockqd, backlog) == 0 ? adopt(sockqd, KIND_LISTENER) : errno;
}

int demi_accept(demi_qtoken_t *qt_out, int sockqd)
{
	*qt_out = sockets[sockqd].once = ++last_token;
	return 0;
}

int demi_connect(demi_qtoken_t *qt_out, int sockqd, const struct sockaddr *addr, socklen_t size)
{
	int error = connect(sockqd, addr, size) == 0 || errno == EINPROGRESS ? 0 : errno;

	if (!error)
		error = adopt(sockqd, KIND_CONNECTING);
	if (error)
		return error;
	*qt_out = sockets[sockqd].once = ++last_token;
	watch(sockqd, true);
	return 0;
}

int demi_setsockopt(int qd, int level, int optname, const void *optval, socklen_t optlen)
{
	return setsockopt(qd, level, optname, optval, optlen) == 0 ? 0 : errno;
}

int demi_close(int qd)
{
	struct socket *sock = &sockets[qd];

	for (; sock->pop_count > 0; sock->pop_count--)
		complete(qd, sock->pops[sock->first_pop++ % POPS_MAX], DEMI_OPC_POP, ECANCELED);
	if (sock->once)
		complete(qd, sock->once, DEMI_OPC_CONNECT, ECANCELED);
	while (sock->rests) {
		struct rest *rest = sock->rests;

		sock->rests = rest->next;
		free(rest);
	}
	/* It may be in the list of those that have something to send. */
	*sock = (struct socket){.kind = KIND_NONE,
				.rests_end = &sock->rests,
				.is_dirty = sock->is_dirty,
				.next_dirty = sock->next_dirty};
	return close(qd) == 0 ? 0 : errno;
}

/* ---- Out ---- */

static struct rest *keep(int fd, const demi_sgarray_t *sga)
{
	struct socket *sock = &sockets[fd];
	size_t len = 0;
	struct rest *rest;

	for (uint32_t i = 0; i < sga->sga_numsegs; i++)
		len += sga->sga_segs[i].sgaseg_len;
	rest = malloc(sizeof(*rest) + len);
	if (!rest)
		abort();
	*rest = (struct rest){.to_len = 0};
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		memcpy(rest->bytes + rest->len, sga->sga_segs[i].sgaseg_buf,
		       sga->sga_segs[i].sgaseg_len);
		rest->len += sga->sga_segs[i].sgaseg_len;
	}
	*sock->rests_end = rest;
	sock->rests_end = &rest->next;
	if (!sock->is_dirty) {
		sock->is_dirty = true;
		sock->next_dirty = first_dirty;
		first_dirty = fd;
	}
	return rest;
}

int demi_push(demi_qtoken_t *qt_out, int qd, const demi_sgarray_t *sga)
{
	keep(qd, sga);
	*qt_out = ++last_token;
	complete(qd, *qt_out, DEMI_OPC_PUSH, 0);
	return 0;
}

int demi_pushto(demi_qtoken_t *qt_out, int sockqd, const demi_sgarray_t *sga,
		const struct sockaddr *dest_addr, socklen_t size)
{
	struct rest *rest = keep(sockqd, sga);

	memcpy(&rest->to, dest_addr, size);
	rest->to_len = size;
	*qt_out = ++last_token;
	complete(sockqd, *qt_out, DEMI_OPC_PUSH, 0);
	return 0;
}

static void drop_first(struct socket *sock)
{
	struct rest *rest = sock->rests;

	sock->rests = rest->next;
	if (!sock->rests)
		sock->rests_end = &sock->rests;
	free(rest);
}

static bool send_stream(int fd, struct socket *sock)
{
	struct iovec pieces[BATCH];
	int count = 0;
	ssize_t sent;

	for (struct rest *rest = sock->rests; rest && count < (int)BATCH; rest = rest->next)
		pieces[count++] = (struct iovec){rest->bytes + rest->sent, rest->len - rest->sent};
	sent = writev(fd, pieces, count);
	if (sent < 0)
		return false; /* full; or gone, as reading will tell */
	while (sock->rests && (size_t)sent >= sock->rests->len - sock->rests->sent) {
		sent -= (ssize_t)(sock->rests->len - sock->rests->sent);
		drop_first(sock);
	}
	if (sock->rests)
		sock->rests->sent += (size_t)sent;
	return true;
}

static bool send_datagrams(int fd, struct socket *sock)
{
	struct mmsghdr messages[BATCH];
	struct iovec pieces[BATCH];
	unsigned int count = 0;
	int sent;

	for (struct rest *rest = sock->rests; rest && count < BATCH; rest = rest->next, count++) {
		pieces[count] = (struct iovec){rest->bytes, rest->len};
		messages[count] = (struct mmsghdr){.msg_hdr = {.msg_name = &rest->to,
							       .msg_namelen = rest->to_len,
							       .msg_iov = &pieces[count],
							       .msg_iovlen = 1}};
	}
	sent = sendmmsg(fd, messages, count, 0);
	if (sent < 0 && errno == EAGAIN)
		return false;
	for (int i = 0; i < (sent > 0 ? sent : 1); i++)
		drop_first(sock);
	return true;
}

static void send_rests(int fd, struct socket *sock)
{
	bool goes_on = true;

	while (sock->rests && goes_on)
		goes_on = sock->kind == KIND_DATAGRAM ? send_datagrams(fd, sock)
						      : send_stream(fd, sock);
	if (sock->kind == KIND_STREAM || sock->kind == KIND_DATAGRAM)
		watch(fd, sock->rests != NULL);
}

static void send_all(void)
{
	while (first_dirty >= 0) {
		int fd = first_dirty;

		first_dirty = sockets[fd].next_dirty;
		sockets[fd].is_dirty = false;
		send_rests(fd, &sockets[fd]);
	}
}

/* ---- In ---- */

int demi_pop(demi_qtoken_t *qt_out, int qd)
{
	struct socket *sock = &sockets[qd];

	if (sock->pop_count == POPS_MAX)
		return EAGAIN;
	*qt_out = ++last_token;
	sock->pops[(sock->first_pop + sock->pop_count++) % POPS_MAX] = *qt_out;
	return 0;
}

static struct received *take_spare(uint32_t at, size_t room)
{
	struct received *received = spare[at];

	spare[at] = NULL;
	if (!received)
		received = malloc(sizeof(*received) + room);
	if (!received)
		abort();
	return received;
}

static void popped(int fd, struct socket *sock, struct received *received, size_t len)
{
	demi_qtoken_t token = sock->pops[sock->first_pop++ % POPS_MAX];

	sock->pop_count--;
	complete(fd, token, DEMI_OPC_POP, 0)->qr_value.sga = (demi_sgarray_t){
		.sga_buf = received,
		.sga_numsegs = 1,
		.sga_segs = {{received->bytes, (uint32_t)len}},
	};
}

static void receive_stream(int fd, struct socket *sock)
{
	struct received *received = malloc(sizeof(*received) + STREAM_BYTES);
	ssize_t len;

	if (!received)
		abort();
	len = read(fd, received->bytes, STREAM_BYTES);
	if (len >= 0) {
		popped(fd, sock, received, (size_t)len);
		return;
	}
	free(received);
	if (errno != EAGAIN) {
		sock->pop_count--;
		complete(fd, sock->pops[sock->first_pop++ % POPS_MAX], DEMI_OPC_POP, errno);
	}
}

static void receive_datagrams(int fd, struct socket *sock)
{
	struct received *buffers[BATCH];
	struct mmsghdr messages[BATCH];
	struct iovec pieces[BATCH];
	uint32_t count = sock->pop_count < BATCH ? sock->pop_count : BATCH;
	int got;

	for (uint32_t i = 0; i < count; i++) {
		buffers[i] = take_spare(i, DATAGRAM_BYTES);
		pieces[i] = (struct iovec){buffers[i]->bytes, DATAGRAM_BYTES};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &buffers[i]->from,
							   .msg_namelen = sizeof(buffers[i]->from),
							   .msg_iov = &pieces[i],
							   .msg_iovlen = 1}};
	}
	got = recvmmsg(fd, messages, count, MSG_DONTWAIT, NULL);
	for (uint32_t i = 0; i < count; i++) {
		if ((int)i < got)
			popped(fd, sock, buffers[i], messages[i].msg_len);
		else
			spare[i] = buffers[i];
	}
}

static void receive(int fd, struct socket *sock)
{
	if (sock->pop_count == 0)
		return;
	if (sock->kind == KIND_DATAGRAM)
		receive_datagrams(fd, sock);
	else
		receive_stream(fd, sock);
}

int demi_sgafree(demi_sgarray_t *sga)
{
	free(sga->sga_buf);
	*sga = (demi_sgarray_t){.sga_numsegs = 0};
	return 0;
}

int demi_sgaaddr(const demi_sgarray_t *sga, struct sockaddr *addr, socklen_t *addrlen)
{
	const struct received *received = sga->sga_buf;
	socklen_t len = received->from.ss_family == AF_INET ? sizeof(struct sockaddr_in)
							    : sizeof(struct sockaddr_in6);

	memcpy(addr, &received->from, *addrlen < len ? *addrlen : len);
	*addrlen = len;
	return 0;
}

static void accept_one(int fd, struct socket *sock)
{
	int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	demi_qtoken_t token = sock->once;

	if (accepted < 0 || adopt(accepted, KIND_STREAM) != 0)
		return;
	sock->once = 0;
	complete(fd, token, DEMI_OPC_ACCEPT, 0)->qr_value.ares.qd = accepted;
}

static void connected(int fd, struct socket *sock)
{
	socklen_t len = sizeof(int);
	demi_qtoken_t token = sock->once;
	int error = 0;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	sock->kind = KIND_STREAM;
	sock->once = 0;
	watch(fd, false);
	complete(fd, token, DEMI_OPC_CONNECT, error);
}

static void happened(int fd, uint32_t events)
{
	struct socket *sock = &sockets[fd];

	switch (sock->kind) {
	case KIND_NONE:
		break;
	case KIND_LISTENER:
		if (sock->once)
			accept_one(fd, sock);
		break;
	case KIND_CONNECTING:
		connected(fd, sock);
		break;
	case KIND_STREAM:
	case KIND_DATAGRAM:
		if (events & EPOLLOUT)
			send_rests(fd, sock);
		if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			receive(fd, sock);
		break;
	}
}

/* ---- Waits ---- */

static int take_outcomes(demi_qresult_t *results, int max)
{
	int count = 0;

	for (; count < max && outcomes; count++) {
		struct outcome *outcome = outcomes;

		results[count] = outcome->result;
		outcomes = outcome->next;
		free(outcome);
	}
	if (!outcomes)
		outcomes_end = &outcomes;
	return count;
}

static int milliseconds(const struct timespec *timeout)
{
	if (outcomes || spins)
		return 0;
	return timeout ? (int)(timeout->tv_sec * 1000 +
			       (timeout->tv_nsec + NS_PER_MS - 1) / NS_PER_MS)
		       : -1;
}

int demi_wait_next_n(demi_qresult_t *qr_out, int num_qrs, int *num_qrs_out,
		     const struct timespec *timeout)
{
	struct epoll_event events[EVENTS];
	int count;

	send_all();
	count = epoll_wait(epoll_fd, events, EVENTS, milliseconds(timeout));

	if (count < 0)
		return errno;
	for (int i = 0; i < count; i++)
		happened(events[i].data.fd, events[i].events);
	*num_qrs_out = take_outcomes(qr_out, num_qrs);
	return *num_qrs_out > 0 ? 0 : ETIMEDOUT;
}

/* ---- Memory, and what there is none of: logs ---- */

void *demi_malloc(size_t size)
{
	return malloc(size);
}

void demi_free(void *ptr)
{
	free(ptr);
}

int demi_wait(demi_qresult_t *qr_out, demi_qtoken_t qt, const struct timespec *timeout)
{
	(void)qr_out;
	(void)qt;
	(void)timeout;
	return ENOTSUP;
}

int demi_open(int *qd_out, const char *path, int flags, mode_t mode)
{
	(void)qd_out;
	(void)path;
	(void)flags;
	(void)mode;
	return ENOTSUP;
}

int demi_rename(const char *path, const char *new_path)
{
	(void)path;
	(void)new_path;
	return ENOTSUP;
}

int demi_heap_stats(demi_heap_stats_t *stats)
{
	(void)stats;
	return ENOTSUP;
}

int demi_log_each(demi_log_fn_t visit, void *context)
{
	(void)visit;
	(void)context;
	return ENOTSUP;
}

int demi_truncate(int qd, int64_t offset)
{
	(void)qd;
	(void)offset;
	return ENOTSUP;
}

int demi_unlink(const char *path)
{
	(void)path;
	return ENOTSUP;
}
