/* SPDX-License-Identifier: MIT */
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cork.h"
#include "engine.h"
#include "epoll.h"
#include "option.h"
#include "real.h"
#include "trace.h"
#include "transfer.h"

/* As Linux starts them: net.ipv4.tcp_rmem, and what tcp_wmem grows to. */
#define IN_ROOM_DEFAULT (256u << 10)
#define OUT_ROOM_DEFAULT (1u << 20)
/* Datagrams that are fetched ahead; the others wait in the stack, which bounds them. */
#define DATAGRAMS_AHEAD 8u
#define LISTEN_AHEAD 64u

static struct socket *all;    /* with side SIDE_DEMI or SIDE_BOTH */
static struct socket **by_qd; /* [by_qd_count] */
static uint32_t by_qd_count;
static demi_qtoken_t *closings; /* acloses under way: [closing], of [closings_max] */
static uint32_t closing, closings_max;
static struct chunk *free_chunks;

/* ---- Bookkeeping ---- */

static bool qd_set(int qd, struct socket *socket)
{
	uint32_t count = by_qd_count ? by_qd_count : 1024;
	struct socket **grown;

	while (count <= (uint32_t)qd)
		count *= 2;
	if (count > by_qd_count) {
		grown = realloc(by_qd, count * sizeof(*grown));
		if (!grown)
			return false;
		memset(grown + by_qd_count, 0, (count - by_qd_count) * sizeof(*grown));
		by_qd = grown;
		by_qd_count = count;
	}
	by_qd[qd] = socket;
	return true;
}

static void list_add(struct socket *socket)
{
	socket->next = all;
	socket->link = &all;
	if (all)
		all->link = &socket->next;
	all = socket;
}

static void list_remove(struct socket *socket)
{
	if (!socket->link)
		return;
	*socket->link = socket->next;
	if (socket->next)
		socket->next->link = socket->link;
	socket->link = NULL;
}

static struct chunk *chunk_new(void)
{
	struct chunk *chunk = free_chunks;

	if (chunk)
		free_chunks = chunk->next;
	else
		chunk = malloc(sizeof(*chunk));
	if (chunk) {
		chunk->next = NULL;
		chunk->segment = chunk->offset = 0;
		chunk->sga.sga_numsegs = 0;
		chunk->qd = -1;
	}
	return chunk;
}

static void inbox_add(struct inbox *inbox, struct chunk *chunk)
{
	*inbox->tail = chunk;
	inbox->tail = &chunk->next;
	inbox->count++;
}

void inbox_take(struct inbox *inbox)
{
	struct chunk *chunk = inbox->head;

	inbox->head = chunk->next;
	if (!inbox->head)
		inbox->tail = &inbox->head;
	inbox->count--;
	if (chunk->sga.sga_numsegs)
		demi_sgafree(&chunk->sga);
	chunk->next = free_chunks;
	free_chunks = chunk;
}

bool pushes_reserve(struct pushes *pushes)
{
	uint32_t capacity = pushes->capacity ? 2 * pushes->capacity : 8;
	struct push_record *ring;

	if (pushes->count < pushes->capacity)
		return true;
	ring = malloc(capacity * sizeof(*ring));
	if (!ring)
		return false;
	for (uint32_t i = 0; i < pushes->count; i++)
		ring[i] = pushes->ring[(pushes->head + i) & (pushes->capacity - 1)];
	free(pushes->ring);
	*pushes = (struct pushes){.ring = ring, .capacity = capacity, .count = pushes->count};
	return true;
}

void pushes_add(struct pushes *pushes, demi_qtoken_t qt, uint32_t bytes)
{
	uint32_t place = (pushes->head + pushes->count++) & (pushes->capacity - 1);

	pushes->ring[place] = (struct push_record){.qt = qt, .bytes = bytes};
}

/* The bytes of a push that completed; 0: it is not of this socket. */
static uint32_t pushes_take(struct pushes *pushes, demi_qtoken_t qt)
{
	uint32_t bytes = 0;

	/* They complete in order, but for those that fail together. */
	for (uint32_t i = 0; i < pushes->count; i++) {
		struct push_record *record =
			&pushes->ring[(pushes->head + i) & (pushes->capacity - 1)];

		if (record->qt != qt)
			continue;
		bytes = record->bytes;
		record->bytes = 0;
		record->qt = 0;
		break;
	}
	while (pushes->count && pushes->ring[pushes->head].qt == 0) {
		pushes->head = (pushes->head + 1) & (pushes->capacity - 1);
		pushes->count--;
	}
	return bytes;
}

/* ---- Life ---- */

struct socket *socket_new(int domain, int type, int protocol)
{
	struct socket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return NULL;
	socket->file.kind = FILE_SOCKET;
	socket->domain = domain;
	socket->type = type;
	socket->protocol = protocol;
	socket->qd = -1;
	socket->inbox.tail = &socket->inbox.head;
	socket->out_room = OUT_ROOM_DEFAULT;
	socket->in_room = IN_ROOM_DEFAULT;
	socket->low_water = 1;
	return socket;
}

static bool closings_reserve(void)
{
	uint32_t grown_max = closings_max ? 2 * closings_max : 64;
	demi_qtoken_t *grown;

	if (closing < closings_max)
		return true;
	grown = realloc(closings, grown_max * sizeof(*grown));
	if (!grown)
		return false;
	closings = grown;
	closings_max = grown_max;
	return true;
}

/* Whether @qt is that of an aclose; most often the oldest is the next to complete. */
static bool closings_take(demi_qtoken_t qt)
{
	for (uint32_t i = 0; i < closing; i++) {
		if (closings[i] != qt)
			continue;
		closings[i] = closings[--closing];
		return true;
	}
	return false;
}

static void close_queue(int qd, bool resets)
{
	const struct linger at_once = {.l_onoff = 1};
	demi_qtoken_t qt;

	if ((uint32_t)qd < by_qd_count)
		by_qd[qd] = NULL;
	/* As Linux: a peer whose data nobody read is told so. */
	if (resets)
		demi_setsockopt(qd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	else if (closings_reserve() && demi_aclose(&qt, qd) == 0) {
		closings[closing++] = qt;
		return;
	}
	demi_close(qd);
}

static void inbox_drop(struct inbox *inbox)
{
	while (inbox->head) {
		if (inbox->head->qd >= 0)
			close_queue(inbox->head->qd, true);
		inbox_take(inbox);
	}
	inbox->bytes = 0;
}

void socket_reset(struct socket *socket)
{
	bool resets = socket->type == SOCK_STREAM && (socket->inbox.bytes > 0 || socket->resets);

	cork_drop(socket);
	stream_push_held(socket);
	/* What cannot be sent any more must not look like an end of it. */
	resets |= socket->held.sga_numsegs != 0;
	if (socket->held.sga_numsegs)
		demi_sgafree(&socket->held);
	socket->held.sga_numsegs = 0;
	inbox_drop(&socket->inbox);
	if (socket->qd >= 0)
		close_queue(socket->qd, resets);
	socket->qd = -1;
	socket->is_bound = false;
	socket->pops = socket->accepts = socket->connects = false;
	socket->pushes.count = 0;
	socket->out_bytes = 0;
}

void socket_end(struct socket *socket)
{
	struct option_record *option;

	cork_flush(socket);
	socket_reset(socket);
	list_remove(socket);
	while ((option = socket->options)) {
		socket->options = option->next;
		free(option);
	}
	free(socket->pushes.ring);
	free(socket);
}

/* Its descriptors are the kernel's alone from now on; sets have it there already. */
static struct file *leaving;

static void leave(int fd, struct file *file)
{
	if (file == leaving)
		file_remove(fd);
}

static void become_kernels(struct socket *socket, int fd)
{
	bool is_last = socket->file.descriptors == 1;

	while (socket->file.watches && socket->file.watches->item)
		epoll_forget(socket->file.watches->item);
	leaving = &socket->file;
	if (is_last)
		file_remove(fd);
	else
		file_for_each(leave);
}

/* What the kernel's half of a call answers must not block: ours may be ready first. */
static void set_kernel_nonblocking(int fd)
{
	int flags = real()->fcntl(fd, F_GETFL);

	if (flags >= 0)
		real()->fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void socket_decide(struct socket *socket, int fd, enum side side, const char *why)
{
	static const char *const names[] = {
		[SIDE_KERNEL] = "the kernel's", [SIDE_DEMI] = "ours", [SIDE_BOTH] = "both's"};

	TRACE("%s descriptor %d is %s: %s", socket->type == SOCK_STREAM ? "tcp" : "udp", fd,
	      names[side], why);
	trace_count(side == SIDE_KERNEL ? COUNT_KERNELS
		    : side == SIDE_BOTH ? COUNT_BOTH
					: COUNT_OURS);
	if (side == SIDE_KERNEL) {
		become_kernels(socket, fd);
		return;
	}
	if (side == SIDE_DEMI) {
		/* The kernel's half would say that it is not connected. */
		epoll_leave_kernel(&socket->file);
	} else {
		set_kernel_nonblocking(fd);
		epoll_be_both(&socket->file);
	}
	socket->side = side;
	if (!socket->link)
		list_add(socket);
}

/* ---- The queue ---- */

/* A push is a message to the library; to these programs a write is not, by default (RFC 1122). */
static void delay_small(int qd)
{
	const int off = 0;

	demi_setsockopt(qd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof(off));
}

static void apply_options(struct socket *socket)
{
	if (socket->type == SOCK_STREAM)
		delay_small(socket->qd);
	for (struct option_record *option = socket->options; option; option = option->next) {
		int error = option_tell(socket->qd, option->level, option->name, option->value,
					option->length);

		if (error)
			option_is_lost(option->level, option->name, error);
	}
}

static int make_bound(struct socket *socket)
{
	int error;

	if (!socket->bound.length || socket->is_bound)
		return 0;
	error = demi_bind(socket->qd, (struct sockaddr *)&socket->bound.storage,
			  socket->bound.length);
	socket->is_bound = !error;
	return -error;
}

static int make_listening(struct socket *socket)
{
	int error;

	if (socket->state != SOCKET_LISTENING)
		return 0;
	error = demi_listen(socket->qd, socket->backlog);
	if (!error)
		socket_receive_more(socket);
	return -error;
}

int socket_make(struct socket *socket)
{
	int error = engine_start();

	if (error)
		return error;
	if (socket->qd >= 0)
		return 0;
	error = -demi_socket(&socket->qd, socket->domain, socket->type, socket->protocol);
	if (error) {
		socket->qd = -1;
		return error;
	}
	if (!qd_set(socket->qd, socket)) {
		socket_reset(socket);
		return -ENOMEM;
	}
	apply_options(socket);
	error = make_bound(socket);
	if (!error)
		error = make_listening(socket);
	if (error) {
		TRACE("the stack has no place for the socket: %s", strerror(-error));
		socket_reset(socket);
		return error;
	}
	if (socket->type == SOCK_DGRAM && socket->is_bound)
		socket_receive_more(socket);
	return 0;
}

int socket_adopt(struct socket *socket, struct socket *listener)
{
	struct chunk *chunk = listener->inbox.head;

	if (!qd_set(chunk->qd, socket))
		return -ENOMEM;
	socket->side = SIDE_DEMI;
	socket->state = SOCKET_CONNECTED;
	socket->is_bound = true;
	socket->out_room = listener->out_room;
	socket->in_room = listener->in_room;
	socket->low_water = listener->low_water;
	socket->receive_ns = listener->receive_ns;
	socket->send_ns = listener->send_ns;
	socket->resets = listener->resets;
	socket->linger_ns = listener->linger_ns;
	socket->qd = chunk->qd;
	chunk->qd = -1;
	inbox_take(&listener->inbox);
	list_add(socket);
	socket_receive_more(listener);
	socket_receive_more(socket);
	return 0;
}

static bool same_address(const struct address *a, const struct address *b)
{
	return a->length == b->length && memcmp(&a->storage, &b->storage, a->length) == 0;
}

bool socket_conflicts(const struct socket *socket)
{
	if (address_port((const struct sockaddr *)&socket->bound.storage) == 0)
		return false;
	for (const struct socket *other = all; other; other = other->next)
		if (other != socket && other->type == socket->type &&
		    same_address(&other->bound, &socket->bound))
			return true;
	return false;
}

void sockets_start(void)
{
	for (struct socket *socket = all; socket; socket = socket->next) {
		int error = socket->qd < 0 && socket->bound.length ? socket_make(socket) : 0;

		if (error)
			socket->error = -error;
	}
}

static bool has_place(const struct socket *socket)
{
	if (socket->state == SOCKET_LISTENING)
		return socket->inbox.count < LISTEN_AHEAD;
	if (socket->type == SOCK_DGRAM)
		return socket->inbox.count < DATAGRAMS_AHEAD;
	return socket->state == SOCKET_CONNECTED && !socket->has_end &&
	       socket->inbox.bytes < socket->in_room;
}

void socket_receive_more(struct socket *socket)
{
	if (socket->qd < 0 || !has_place(socket))
		return;
	if (socket->state == SOCKET_LISTENING) {
		if (!socket->accepts)
			socket->accepts = demi_accept(&socket->accept_qt, socket->qd) == 0;
	} else if (!socket->pops) {
		socket->pops = demi_pop(&socket->pop_qt, socket->qd) == 0;
	}
}

/* ---- Completions ---- */

static void fail(struct socket *socket, int error)
{
	if (socket->state == SOCKET_FAILED)
		return;
	/* As Linux: who writes to a peer that has ended before is told of a broken pipe. */
	socket->error = error == ECONNRESET && socket->has_end ? EPIPE : error;
	socket->state = SOCKET_FAILED;
	socket->has_end = true;
	socket->write_is_shut = true;
	file_notify(&socket->file, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
}

static void received_stream(struct socket *socket, demi_qresult_t *result)
{
	struct chunk *chunk;
	size_t bytes = 0;

	if (result->qr_opcode == DEMI_OPC_FAILED) {
		fail(socket, (int)result->qr_ret);
		return;
	}
	for (uint32_t i = 0; i < result->qr_value.sga.sga_numsegs; i++)
		bytes += result->qr_value.sga.sga_segs[i].sgaseg_len;
	if (bytes == 0) {
		demi_sgafree(&result->qr_value.sga);
		socket->has_end = true;
		file_notify(&socket->file, POLLIN | POLLRDHUP);
		return;
	}
	chunk = chunk_new();
	if (!chunk) {
		demi_sgafree(&result->qr_value.sga);
		fail(socket, ENOMEM);
		return;
	}
	chunk->sga = result->qr_value.sga;
	inbox_add(&socket->inbox, chunk);
	socket->inbox.bytes += bytes;
	socket_receive_more(socket);
	file_notify(&socket->file, POLLIN);
}

static void received_datagram(struct socket *socket, demi_qresult_t *result)
{
	struct chunk *chunk;

	if (result->qr_opcode == DEMI_OPC_FAILED) {
		socket->error = (int)result->qr_ret;
		if (socket->error != ENETDOWN)
			socket_receive_more(socket);
		file_notify(&socket->file, POLLERR);
		return;
	}
	chunk = chunk_new();
	if (!chunk) {
		demi_sgafree(&result->qr_value.sga);
		return;
	}
	chunk->sga = result->qr_value.sga;
	for (uint32_t i = 0; i < chunk->sga.sga_numsegs; i++)
		socket->inbox.bytes += chunk->sga.sga_segs[i].sgaseg_len;
	inbox_add(&socket->inbox, chunk);
	socket_receive_more(socket);
	file_notify(&socket->file, POLLIN);
}

static void accepted(struct socket *socket, demi_qresult_t *result)
{
	struct chunk *chunk;

	if (result->qr_opcode == DEMI_OPC_FAILED) {
		if (result->qr_ret == ENETDOWN)
			fail(socket, ENETDOWN);
		else
			socket_receive_more(socket);
		return;
	}
	chunk = chunk_new();
	if (!chunk) {
		close_queue(result->qr_value.ares.qd, true);
		return;
	}
	chunk->qd = result->qr_value.ares.qd;
	inbox_add(&socket->inbox, chunk);
	socket_receive_more(socket);
	file_notify(&socket->file, POLLIN);
}

static void connected(struct socket *socket, demi_qresult_t *result)
{
	socket->connects = false;
	if (result->qr_opcode == DEMI_OPC_FAILED && socket->type == SOCK_DGRAM)
		socket->error = (int)result->qr_ret;
	else if (result->qr_opcode == DEMI_OPC_FAILED)
		fail(socket, (int)result->qr_ret);
	if (result->qr_opcode == DEMI_OPC_FAILED)
		return;
	if (socket->type == SOCK_STREAM)
		socket->state = SOCKET_CONNECTED;
	socket_receive_more(socket);
	file_notify(&socket->file, POLLOUT);
}

static bool pushed(struct socket *socket, demi_qresult_t *result)
{
	uint32_t bytes = pushes_take(&socket->pushes, result->qr_qt);

	if (!bytes)
		return false;
	socket->out_bytes -= bytes;
	if (socket->held.sga_numsegs)
		stream_push_held(socket);
	else
		socket->is_full = false;
	if (result->qr_opcode == DEMI_OPC_FAILED) {
		/* A stream's pop, which fails too, tells; a datagram's error is the next call's. */
		if (socket->type == SOCK_DGRAM && result->qr_ret != ECANCELED)
			socket->error = (int)result->qr_ret;
		else if (socket->type == SOCK_STREAM && socket->state == SOCKET_CONNECTED &&
			 !socket->pops)
			fail(socket, (int)result->qr_ret);
		return true;
	}
	if (socket->wants_empty && !socket->out_bytes)
		file_notify(&socket->file, POLLWRBAND);
	if (socket->wants_room && socket_has_room(socket)) {
		socket->wants_room = false;
		file_notify(&socket->file, POLLOUT);
	}
	return true;
}

/* Of a queue that has been closed. */
static void drop(demi_qresult_t *result)
{
	if (result->qr_opcode == DEMI_OPC_POP)
		demi_sgafree(&result->qr_value.sga);
	else if (result->qr_opcode == DEMI_OPC_ACCEPT)
		close_queue(result->qr_value.ares.qd, true);
}

void sockets_complete(demi_qresult_t *result)
{
	uint32_t qd = (uint32_t)result->qr_qd;
	struct socket *socket = qd < by_qd_count ? by_qd[qd] : NULL;

	if (!socket) {
		if (!closings_take(result->qr_qt))
			drop(result);
	} else if (socket->pops && result->qr_qt == socket->pop_qt) {
		socket->pops = false;
		if (socket->type == SOCK_STREAM)
			received_stream(socket, result);
		else
			received_datagram(socket, result);
	} else if (socket->accepts && result->qr_qt == socket->accept_qt) {
		socket->accepts = false;
		accepted(socket, result);
	} else if (socket->connects && result->qr_qt == socket->connect_qt) {
		connected(socket, result);
	} else if (!closings_take(result->qr_qt) && !pushed(socket, result)) {
		/* Of another that had the number before. */
		drop(result);
	}
}

/* ---- What can be done ---- */

bool socket_has_room(const struct socket *socket)
{
	return !socket->is_full && 3 * socket->out_bytes <= 2 * socket->out_room;
}

static uint32_t stream_events(struct socket *socket)
{
	uint32_t events = 0;

	switch (socket->state) {
	case SOCKET_OPEN:
		return POLLOUT | POLLHUP;
	case SOCKET_LISTENING:
		return socket->inbox.head ? POLLIN : 0;
	case SOCKET_CONNECTING:
		return 0;
	case SOCKET_FAILED:
		return POLLIN | POLLOUT | POLLHUP | POLLRDHUP | (socket->error ? POLLERR : 0);
	case SOCKET_CONNECTED:
		break;
	}
	if (socket->inbox.bytes >= socket_low_water(socket) || socket->has_end ||
	    socket->read_is_shut)
		events |= POLLIN;
	if (socket->has_end || socket->read_is_shut)
		events |= POLLRDHUP;
	if ((socket->has_end || socket->read_is_shut) && socket->write_is_shut)
		events |= POLLHUP;
	if (socket->write_is_shut || socket_has_room(socket))
		events |= POLLOUT;
	else
		socket->wants_room = true;
	if (socket->wants_empty && !socket->out_bytes)
		events |= POLLWRBAND;
	return events;
}

uint32_t socket_events(struct socket *socket)
{
	uint32_t events = socket->error ? POLLERR : 0;

	if (socket->side == SIDE_UNDECIDED)
		return 0; /* the kernel says it */
	if (socket->type == SOCK_STREAM) {
		events |= stream_events(socket);
	} else {
		if (socket->inbox.head || socket->read_is_shut)
			events |= POLLIN;

		if (socket_has_room(socket))
			events |= POLLOUT;
		else
			socket->wants_room = true;
	}
	if (events & POLLIN)
		events |= POLLRDNORM;
	if (events & POLLOUT)
		events |= POLLWRNORM;
	return events;
}

int socket_take_error(struct socket *socket)
{
	int error = socket->error;

	socket->error = 0;
	return error;
}

/* ---- Waiting ---- */

struct socket_need {
	struct socket *socket;
	uint32_t events;
};

static bool is_so(void *context)
{
	const struct socket_need *need = context;

	/* Whoever reads counts by itself whether it is enough. */
	if ((need->events & POLLIN) && need->socket->inbox.head)
		return true;
	return (socket_events(need->socket) & (need->events | POLLERR | POLLHUP)) != 0;
}

uint64_t socket_deadline(const struct socket *socket, int flags, uint64_t limit_ns)
{
	if (socket->file.is_nonblocking || (flags & MSG_DONTWAIT))
		return 0;
	return limit_ns ? clock_ns() + limit_ns : NEVER_NS;
}

int socket_wait(struct socket *socket, uint32_t events, uint64_t deadline_ns, int fd)
{
	struct socket_need need = {.socket = socket, .events = events};
	struct pollfd kernel[1 + WAIT_EXTRA] = {{.fd = fd, .events = (short)events}};
	struct waiter *self = waiter_begin(1);
	struct wait wait = {.is_ready = is_so,
			    .context = &need,
			    .deadline_ns = deadline_ns,
			    .kernel = kernel,
			    .kernel_count = socket->side == SIDE_BOTH};
	int outcome;

	if (!self)
		return -ENOMEM;
	waiter_watch(self, &socket->file);
	do
		outcome = engine_wait(self, &wait);
	while (outcome == -EINTR && deadline_ns == NEVER_NS && wait.restarts);
	waiter_end(self);
	return outcome == -ETIMEDOUT ? -EAGAIN : outcome;
}

static bool is_never_so(void *context)
{
	(void)context;
	return false;
}

int socket_wait_kernel(struct socket *socket, int fd, short events)
{
	struct pollfd kernel[1 + WAIT_EXTRA] = {{.fd = fd, .events = events}};
	struct waiter *self = waiter_begin(1);
	struct wait wait = {.is_ready = is_never_so,
			    .deadline_ns = NEVER_NS,
			    .kernel = kernel,
			    .kernel_count = 1};
	int outcome;

	if (!self)
		return -ENOMEM;
	waiter_watch(self, &socket->file);
	do
		outcome = engine_wait(self, &wait);
	while (outcome == -EINTR && wait.restarts);
	waiter_end(self);
	return outcome;
}

/* ---- Forks and exits ---- */

/* What the child may still make again is what only listens, or is only bound. */
static bool can_be_made_again(const struct socket *socket)
{
	return socket->state == SOCKET_LISTENING ||
	       (socket->state == SOCKET_OPEN && !socket->peer.length);
}

static void forget_fd(int fd, struct file *file)
{
	struct socket *socket = socket_of(file);

	if (file->kind != FILE_SOCKET || socket->side == SIDE_UNDECIDED ||
	    can_be_made_again(socket))
		return;
	trace_count(COUNT_FORKED);
	file_remove(fd);
}

void sockets_forget(void)
{
	/* The parent's memory, which is not given back, and whose operations are not ours. */
	free_chunks = NULL;
	closing = 0;
	corks_forget();
	for (struct socket *socket = all; socket; socket = socket->next) {
		if (socket->qd >= 0 && (uint32_t)socket->qd < by_qd_count)
			by_qd[socket->qd] = NULL;
		socket->qd = -1;
		socket->is_bound = false;
		socket->pops = socket->accepts = socket->connects = false;
		socket->inbox = (struct inbox){.head = NULL};
		socket->inbox.tail = &socket->inbox.head;
		socket->pushes.count = 0;
		socket->out_bytes = 0;
		socket->cork = NULL;
		socket->held.sga_numsegs = 0;
	}
	file_for_each(forget_fd);
}

void sockets_shut_all(void)
{
	for (struct socket *socket = all; socket; socket = socket->next) {
		cork_flush(socket);
		if (socket->type == SOCK_STREAM && socket->state == SOCKET_CONNECTED &&
		    !socket->write_is_shut && !socket->inbox.bytes && !socket->resets)
			demi_shutdown(socket->qd, SHUT_WR);
	}
}

uint64_t sockets_unsent(void)
{
	uint64_t bytes = closing;

	for (struct socket *socket = all; socket; socket = socket->next)
		if (socket->type == SOCK_STREAM && !socket->inbox.bytes && !socket->resets)
			bytes += socket->out_bytes;
	return bytes;
}

void sockets_close_all(void)
{
	for (struct socket *socket = all; socket; socket = socket->next)
		socket_reset(socket);
}

uint64_t sockets_closing(void)
{
	return closing;
}
