/* SPDX-License-Identifier: MIT */
#include "libos/catnap/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "libos/catnap/socket.h"

/*
 * Up to this many sockets with a pop pending, recv is tried without asking first; measured with
 * 64 B messages, that wins up to 4 and loses to batches from 8 on.
 */
#define DIRECT_INPUTS_MAX 4u
#define DIRECT_WANTING_MAX 8u
/* While trying, ask poll(2) for the rest (listeners, connects, full sockets) so often. */
#define ASK_EVERY_ROUNDS 16u
#define ASK_EVERY_ROUNDS_OUTPUT 2u
/* poll(2) looks at each socket, epoll makes each sender tell: change over between these. */
#define EPOLL_FROM 128u
#define EPOLL_UNTIL 64u
#define EPOLL_EVENTS 256

int poller_init(struct poller *poller, uint32_t capacity)
{
	memset(poller, 0, sizeof(*poller));
	poller->epoll_fd = -1;
	poller->capacity = capacity;
	poller->wanting = calloc(capacity, sizeof(struct socket *));
	poller->changed = calloc(capacity, sizeof(struct socket *));
	poller->again = calloc(capacity, sizeof(struct socket *));
	poller->ready = calloc(capacity, sizeof(struct socket *));
	poller->fds = calloc((size_t)capacity + POLLER_FDS_FIXED, sizeof(*poller->fds));
	if (!poller->wanting || !poller->changed || !poller->again || !poller->ready ||
	    !poller->fds) {
		poller_fini(poller);
		return -ENOMEM;
	}
	poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (poller->epoll_fd < 0) {
		int error = -errno;

		poller_fini(poller);
		return error;
	}
	for (uint32_t i = 0; i < POLLER_FDS_FIXED; i++)
		poller->fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	return 0;
}

void poller_fini(struct poller *poller)
{
	if (poller->epoll_fd >= 0)
		close(poller->epoll_fd);
	free(poller->wanting);
	free(poller->changed);
	free(poller->again);
	free(poller->ready);
	free(poller->fds);
	memset(poller, 0, sizeof(*poller));
	poller->epoll_fd = -1;
}

static bool is_direct_input(const struct socket *socket)
{
	return (socket->poller.counted & POLLER_WANT_INPUT) && socket->state != SOCKET_LISTENING;
}

static void count_wants(struct poller *poller, const struct socket *socket, uint32_t step)
{
	poller->inputs += is_direct_input(socket) ? step : 0;
	poller->outputs += socket->poller.counted & POLLER_WANT_OUTPUT ? step : 0;
}

static void add_wanting(struct poller *poller, struct socket *socket)
{
	socket->poller.place = poller->count;
	poller->wanting[poller->count] = socket;
	poller->fds[POLLER_FDS_FIXED + poller->count].fd = socket->fd;
	poller->count++;
}

static void remove_wanting(struct poller *poller, struct socket *socket)
{
	uint32_t place = socket->poller.place;
	struct socket *last = poller->wanting[--poller->count];

	poller->wanting[place] = last;
	poller->fds[POLLER_FDS_FIXED + place] = poller->fds[POLLER_FDS_FIXED + poller->count];
	last->poller.place = place;
	socket->poller.place = UINT32_MAX;
}

static bool register_epoll(struct poller *poller, struct socket *socket)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET,
				    .data.ptr = socket};

	if (socket->poller.registered)
		return true;
	/* What is ready already makes an edge at once. */
	if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, socket->fd, &event) < 0) {
		log_warning("epoll takes no more sockets (%s), poll(2) does; raise "
			    "fs.epoll.max_user_watches",
			    strerror(errno));
		poller->epoll_refused = true;
		return false;
	}
	socket->poller.registered = true;
	return true;
}

static void queue_again(struct poller *poller, struct socket *socket)
{
	bool input = (socket->poller.want & POLLER_WANT_INPUT) && socket->poller.readable;
	bool output = (socket->poller.want & POLLER_WANT_OUTPUT) && socket->poller.writable;

	if (socket->poller.queued || (!input && !output))
		return;
	socket->poller.queued = true;
	poller->again[poller->again_count++] = socket;
}

static void switch_to_poll(struct poller *poller)
{
	poller->uses_epoll = false;
	poller->fds[1].fd = -1;
	while (poller->again_count)
		poller->again[--poller->again_count]->poller.queued = false;
}

static void switch_to_epoll(struct poller *poller)
{
	poller->uses_epoll = true;
	poller->fds[1].fd = poller->epoll_fd;
	for (uint32_t i = 0; i < poller->count; i++) {
		if (!register_epoll(poller, poller->wanting[i])) {
			switch_to_poll(poller);
			return;
		}
		queue_again(poller, poller->wanting[i]);
	}
}

/* Act on what a socket wants now. */
static void apply_change(struct poller *poller, struct socket *socket)
{
	struct poller_entry *entry = &socket->poller;
	uint8_t want = entry->want;

	entry->changed = false;
	if (want != entry->counted) {
		count_wants(poller, socket, UINT32_MAX); /* minus one */
		entry->counted = want;
		count_wants(poller, socket, 1);
		if (want && entry->place == UINT32_MAX)
			add_wanting(poller, socket);
		else if (!want)
			remove_wanting(poller, socket);
	}
	if (!want)
		return;
	poller->fds[POLLER_FDS_FIXED + entry->place].events =
		(short)((want & POLLER_WANT_INPUT ? POLLIN : 0) |
			(want & POLLER_WANT_OUTPUT ? POLLOUT : 0));
	if (!poller->uses_epoll)
		return;
	if (register_epoll(poller, socket))
		queue_again(poller, socket);
	else
		switch_to_poll(poller);
}

static void apply_changes(struct poller *poller)
{
	while (poller->changed_count)
		apply_change(poller, poller->changed[--poller->changed_count]);
}

void poller_forget(struct poller *poller, struct socket *socket)
{
	socket->poller.want = POLLER_WANT_NONE;
	apply_changes(poller);
	if (socket->poller.counted)
		apply_change(poller, socket);
	if (socket->poller.registered)
		epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, socket->fd, NULL);
	socket->poller.registered = false;
	if (!socket->poller.queued)
		return;
	for (uint32_t i = 0; i < poller->again_count; i++) {
		if (poller->again[i] == socket) {
			poller->again[i] = poller->again[--poller->again_count];
			break;
		}
	}
}

static void add_ready(struct poller *poller, struct socket *socket, short events)
{
	socket->ready_events = events;
	poller->ready[poller->ready_count++] = socket;
}

static void collect_direct(struct poller *poller)
{
	for (uint32_t i = 0; i < poller->count; i++) {
		if (is_direct_input(poller->wanting[i]))
			add_ready(poller, poller->wanting[i], POLLIN);
	}
}

static void collect_poll(struct poller *poller)
{
	poller->rounds = 0;
	if (poll(poller->fds + POLLER_FDS_FIXED, poller->count, 0) <= 0)
		return;
	for (uint32_t i = 0; i < poller->count; i++) {
		short events = poller->fds[POLLER_FDS_FIXED + i].revents;

		if (events)
			add_ready(poller, poller->wanting[i], events);
	}
}

static void note_edges(struct socket *socket, uint32_t events)
{
	if (events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		socket->poller.hung_up = true;
	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		socket->poller.readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		socket->poller.writable = true;
}

static void collect_epoll(struct poller *poller)
{
	struct epoll_event events[EPOLL_EVENTS];
	int count = epoll_wait(poller->epoll_fd, events, EPOLL_EVENTS, 0);

	for (int i = 0; i < count; i++) {
		struct socket *socket = events[i].data.ptr;

		note_edges(socket, events[i].events);
		queue_again(poller, socket);
	}
	/* In the order in which epoll told of them: that of what has arrived. */
	for (uint32_t i = 0; i < poller->again_count; i++) {
		struct socket *socket = poller->again[i];
		short ready = 0;

		socket->poller.queued = false;
		if (socket->poller.readable && (socket->poller.want & POLLER_WANT_INPUT))
			ready |= POLLIN;
		if (socket->poller.writable && (socket->poller.want & POLLER_WANT_OUTPUT))
			ready |= POLLOUT;
		if (ready)
			add_ready(poller, socket, ready);
	}
	poller->again_count = 0;
}

static void choose_mode(struct poller *poller)
{
	if (!poller->uses_epoll && poller->count >= EPOLL_FROM && !poller->epoll_refused)
		switch_to_epoll(poller);
	else if (poller->uses_epoll && poller->count < EPOLL_UNTIL && !poller->keeps_epoll)
		switch_to_poll(poller);
}

/* Whether to try recv on the few that wait for data, without asking. */
static bool collects_direct(struct poller *poller)
{
	bool others = poller->count > poller->inputs || poller->outputs > 0;
	uint32_t every = poller->outputs > 0 ? ASK_EVERY_ROUNDS_OUTPUT : ASK_EVERY_ROUNDS;

	if (poller->inputs == 0 || poller->inputs > DIRECT_INPUTS_MAX ||
	    poller->count > DIRECT_WANTING_MAX)
		return false;
	return !others || ++poller->rounds < every;
}

void poller_collect(struct poller *poller)
{
	poller->ready_count = 0;
	apply_changes(poller);
	choose_mode(poller);
	if (poller->count == 0)
		return;
	if (poller->uses_epoll)
		collect_epoll(poller);
	else if (collects_direct(poller))
		collect_direct(poller);
	else
		collect_poll(poller);
}

void poller_watch_event(struct poller *poller, int event_fd)
{
	poller->fds[0].fd = event_fd;
}

void poller_watch_others(struct poller *poller, const struct pollfd *others, int count)
{
	struct pollfd *fds = poller->fds + POLLER_FDS_FIXED - POLLER_OTHERS_MAX;

	for (int i = 0; i < POLLER_OTHERS_MAX; i++) {
		if (i < count)
			fds[i] = others[i];
		else
			fds[i].fd = -1;
	}
}

int poller_idle(struct poller *poller, struct pollfd *wake)
{
	apply_changes(poller);
	poller->keeps_epoll = true;
	if (!poller->uses_epoll && !poller->epoll_refused)
		switch_to_epoll(poller);
	if (!poller->uses_epoll)
		return 0;
	*wake = (struct pollfd){.fd = poller->epoll_fd, .events = POLLIN};
	/* A socket that epoll has just been told of makes an edge at once. */
	if (poller->again_count || poll(wake, 1, 0) > 0)
		return -EAGAIN;
	return 1;
}

int poller_sleep(struct poller *poller, uint64_t timeout_ns, const sigset_t *signals)
{
	struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / NS_PER_S),
				   .tv_nsec = (long)(timeout_ns % NS_PER_S)};
	uint64_t events;
	nfds_t count;

	apply_changes(poller);
	if (poller->again_count)
		return 0;
	/* With epoll only the fixed descriptors are waited for. */
	count = POLLER_FDS_FIXED + (poller->uses_epoll ? 0 : poller->count);
	if (ppoll(poller->fds, count, timeout_ns == UINT64_MAX ? NULL : &timeout, signals) < 0)
		return errno == EINTR ? -EINTR : 0;
	/* What it counts is looked for in the next poll round, whatever the count. */
	if (poller->fds[0].revents && read(poller->fds[0].fd, &events, sizeof(events)) < 0)
		return 0;
	return 0;
}
