/* SPDX-License-Identifier: MIT */
/*
 * An echo server, over Demi or by hand, and its clients, plain sockets, in one thread: nobody
 * waits, so that the number of instructions for each message is always the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "echo/cell.h"
#include "echo/demi.h"
#include "micro.h"

#define MESSAGE_BYTES 64
#define CONNS 64

struct serving {
	struct echo_end end;
	struct echo_params params;
	int clients[ECHO_CONNS_MAX];
	const struct echo_by_hand *by_hand; /* NULL: it is Demi */
	void *by_hand_state;                /* NULL before it is attached */
	struct echo_demi demi;
};

static void must(bool condition)
{
	if (!condition)
		abort();
}

static int step(struct serving *serving)
{
	static const struct timespec at_once = {0, 0};

	if (serving->by_hand)
		return serving->by_hand->step(serving->by_hand_state);
	return echo_demi_step(&serving->demi, &at_once);
}

static void close_all(struct serving *serving)
{
	for (unsigned int i = 0; i < serving->params.nconns; i++) {
		if (serving->clients[i] >= 0)
			close(serving->clients[i]);
		if (serving->by_hand && serving->end.conns[i].fd >= 0)
			close(serving->end.conns[i].fd);
	}
}

static void tear_down(void *state)
{
	struct serving *serving = state;

	if (serving->by_hand && serving->by_hand_state)
		serving->by_hand->detach(serving->by_hand_state);
	close_all(serving);
	demi_fini();
	free(serving);
}

static int connect_clients(struct serving *serving)
{
	struct sockaddr_in address = echo_loopback(serving->params.port);

	for (unsigned int i = 0; i < serving->params.nconns; i++) {
		serving->clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (serving->clients[i] < 0 ||
		    connect(serving->clients[i], (struct sockaddr *)&address, sizeof(address)) < 0)
			return -errno;
	}
	return 0;
}

static int start_demi(struct serving *serving, const char *engine)
{
	int rc, qd;

	serving->demi.end = &serving->end;
	setenv("DEMI_CATNAP_ENGINE", engine, 1);
	rc = -demi_init(NULL);
	unsetenv("DEMI_CATNAP_ENGINE");
	if (!rc)
		rc = echo_demi_listen(&serving->demi, &qd);
	if (!rc)
		rc = connect_clients(serving);
	if (!rc)
		rc = echo_demi_accept(&serving->demi, qd);
	return rc ? rc : echo_demi_start(&serving->demi);
}

static int accept_by_hand(struct serving *serving, int fd)
{
	struct echo_end *end = &serving->end;
	int rc = connect_clients(serving);

	for (unsigned int i = 0; !rc && i < serving->params.nconns; i++) {
		end->conns[i].fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		rc = end->conns[i].fd < 0 ? -errno : echo_set_up_socket(end->conns[i].fd);
	}
	return rc;
}

static int start_by_hand(struct serving *serving)
{
	struct sockaddr_in address = echo_loopback(serving->params.port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, ECHO_CONNS_MAX) < 0)
		rc = -errno;
	else
		rc = accept_by_hand(serving, fd);
	close(fd);
	return rc ? rc : serving->by_hand->attach(&serving->end, &serving->by_hand_state);
}

static int set_up(void **state_out, uint64_t nconns, const char *engine,
		  const struct echo_by_hand *by_hand)
{
	struct serving *serving = calloc(1, sizeof(*serving));
	int rc;

	if (!serving)
		return -ENOMEM;
	for (unsigned int i = 0; i < ECHO_CONNS_MAX; i++)
		serving->clients[i] = -1;
	serving->by_hand = by_hand;
	serving->params.msg_bytes = MESSAGE_BYTES;
	serving->params.nconns = (unsigned int)nconns;
	serving->params.port = echo_pick_port();
	echo_set_up(&serving->end, ECHO_SERVER, &serving->params, NULL);
	rc = by_hand ? start_by_hand(serving) : start_demi(serving, engine);
	if (rc) {
		tear_down(serving);
		return rc;
	}
	*state_out = serving;
	return 0;
}

static int set_up_epoll(void **state_out, uint64_t nconns)
{
	return set_up(state_out, nconns, "", &echo_by_hand_epoll);
}

static int set_up_demi_epoll(void **state_out, uint64_t nconns)
{
	return set_up(state_out, nconns, "epoll", NULL);
}

#ifdef BENCH_HAVE_URING
static int set_up_uring(void **state_out, uint64_t nconns)
{
	return set_up(state_out, nconns, "", &echo_by_hand_uring);
}

static int set_up_demi_uring(void **state_out, uint64_t nconns)
{
	return set_up(state_out, nconns, "uring", NULL);
}
#endif

/* Read the answer of one client, letting the server work until it is there. */
static void get_answer(struct serving *serving, unsigned int client)
{
	char answer[MESSAGE_BYTES];

	while (recv(serving->clients[client], answer, sizeof(answer), MSG_DONTWAIT) < 0) {
		must(errno == EAGAIN);
		must(step(serving) == 0);
	}
}

static uint64_t run(void *state, uint64_t iterations)
{
	struct serving *serving = state;
	unsigned int nconns = serving->params.nconns;

	for (uint64_t done = 0; done < iterations; done += nconns) {
		for (unsigned int i = 0; i < nconns; i++)
			must(send(serving->clients[i], serving->end.tx, MESSAGE_BYTES, 0) ==
			     MESSAGE_BYTES);
		for (unsigned int i = 0; i < nconns; i++)
			get_answer(serving, i);
	}
	return 0;
}

#define SERVER(implementation, title, connections, text)                                  \
	.name = "server/" title "-" #connections, .label = title ", " text, .unit = "ns", \
	.argument = connections, .counted = 6400, .counter = "server: " title ", " text,  \
	.set_up = set_up_##implementation, .run = run, .tear_down = tear_down

const struct micro server_micros[] = {
	{SERVER(epoll, "epoll", 1, "1 connection")},
	{SERVER(demi_epoll, "demi-epoll", 1, "1 connection"), .against = "server/epoll-1"},
#ifdef BENCH_HAVE_URING
	{SERVER(uring, "uring", 1, "1 connection")},
	{SERVER(demi_uring, "demi-uring", 1, "1 connection"), .against = "server/uring-1"},
#endif
	{SERVER(epoll, "epoll", 64, "64 connections")},
	{SERVER(demi_epoll, "demi-epoll", 64, "64 connections"), .against = "server/epoll-64"},
#ifdef BENCH_HAVE_URING
	{SERVER(uring, "uring", 64, "64 connections")},
	{SERVER(demi_uring, "demi-uring", 64, "64 connections"), .against = "server/uring-64"},
#endif
	{.name = NULL},
};

static int run_group(const struct bench_options *options, struct report *report)
{
	return micro_run(server_micros, options, report);
}

static void list(void)
{
	micro_list(server_micros);
}

const struct bench_group server_group = {
	.name = "server",
	.title = "echo server and plain clients in one thread, for each message of 64 B",
	.help = "  All clients send, the server answers, all clients read, in one thread: the kernel's\n"
		"  work and the server's without a hand-over between CPUs, each engine beside the same\n"
		"  by hand. The instruction counts are those of user space: what Demi and the server's\n"
		"  own loop take for a message, and the client's send and recv calls (some 60).",
	.run = run_group,
	.list = list,
};
