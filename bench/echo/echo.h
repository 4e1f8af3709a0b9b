/* SPDX-License-Identifier: MIT */
/*
 * Echo: what all implementations share.
 *
 * A cell is one implementation, one message size and one number of connections. For each cell
 * echo/cell.c forks a server on CPU 0 and a client on CPU 1; both call the same implementation's
 * run(), which moves the bytes. Each implementation decides only how to learn that bytes have come
 * and how to receive and send; echo_start() and echo_rx() say what to send and keep the client's
 * clock, so that they cost every implementation the same.
 */
#ifndef BENCH_ECHO_ECHO_H
#define BENCH_ECHO_ECHO_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#define ECHO_CONNS_MAX 256
#define ECHO_MSG_MAX 65536          /* bytes */
#define ECHO_SAMPLES_MAX (1u << 20) /* round trips kept in a cell */
#define ECHO_WARMUP_NS 20000000ull  /* not measured, at the start of each cell */

enum echo_role {
	ECHO_SERVER,
	ECHO_CLIENT,
};

/* What the runner asks of both ends of a cell. */
struct echo_params {
	size_t msg_bytes;    /* 1..ECHO_MSG_MAX */
	unsigned int nconns; /* 1..ECHO_CONNS_MAX, each with one message in flight */
	uint64_t run_ns;     /* measured time, after the warm-up */
	uint16_t port;       /* TCP port on 127.0.0.1, host byte order */
};

/* Shared memory; written by the client, and nivcsw by both ends; read by the runner at the end. */
struct echo_result {
	uint64_t nmsgs;      /* complete round trips */
	uint64_t elapsed_ns; /* from the end of the warm-up to the last message */
	long nivcsw[2];      /* preemptions, by role */
	uint32_t nsamples;   /* valid entries of rtt_ns */
	uint32_t rtt_ns[ECHO_SAMPLES_MAX];
};

struct echo_conn {
	int fd;           /* non-blocking socket, or queue descriptor; -1: not open */
	size_t got_bytes; /* client: received of the message in flight */
	uint64_t sent_ns; /* client: when the message in flight was handed over */
};

/* One end of a cell. */
struct echo_end {
	enum echo_role role;
	const struct echo_params *params;
	struct echo_conn conns[ECHO_CONNS_MAX];
	unsigned int nopen; /* connections that still carry messages; run() ends at 0 */
	uint64_t warm_ns;   /* client: end of the warm-up; 0 once it is over */
	uint64_t begin_ns;  /* client: start of the measured time */
	struct echo_result *result;
	uint8_t tx[ECHO_MSG_MAX]; /* client: the message, the same every time */
};

/* Bytes to send now; bytes == 0 means nothing. */
struct echo_out {
	const void *data;
	size_t bytes;
};

/* An implementation by hand, over connections that are open already. */
struct echo_by_hand {
	/* Prepares the sockets and sends the client's first messages; 0 or -errno. */
	int (*attach)(struct echo_end *end, void **state_out);
	/* Looks for work once and does it; 0 or -errno. */
	int (*step)(void *state);
	void (*detach)(void *state);
};

struct echo_impl {
	const char *name;
	/* Runs one end in a pinned process of its own until end->nopen is 0; 0 or -errno. */
	int (*run)(struct echo_end *end);
};

extern const struct echo_by_hand echo_by_hand_epoll;
extern const struct echo_by_hand echo_by_hand_uring; /* only with BENCH_HAVE_URING */

extern const struct echo_impl echo_epoll;
extern const struct echo_impl echo_uring; /* only with BENCH_HAVE_URING */
extern const struct echo_impl echo_demi_epoll;
extern const struct echo_impl echo_demi_uring;

/** echo_run_by_hand - open the connections and step until all are closed; 0 or -errno */
int echo_run_by_hand(struct echo_end *end, const struct echo_by_hand *by_hand);

/** echo_set_up - fill in an end that is all zeroes; @result is used by the client only */
void echo_set_up(struct echo_end *end, enum echo_role role, const struct echo_params *params,
		 struct echo_result *result);

/**
 * echo_open - open all connections of an end with kernel sockets
 * @end: its params are set; conns[0..nconns).fd are filled in
 *
 * The server listens and accepts, the client connects and retries until the server listens.
 * Return: 0 or -errno
 */
int echo_open(struct echo_end *end);

/** echo_set_up_socket - no delays, no blocking; 0 or -errno */
int echo_set_up_socket(int fd);

/**
 * echo_send_all - send by direct system calls, spinning while the socket's buffer is full
 * @fd:  non-blocking socket
 * @out: what to send; bytes == 0 does nothing
 *
 * Return: 0 or -errno
 */
int echo_send_all(int fd, struct echo_out out);

/** echo_loopback - 127.0.0.1 with @port in host byte order */
static inline struct sockaddr_in echo_loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static inline uint64_t echo_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/**
 * echo_start - the first message of a connection
 * @end:  this end
 * @conn: index of the connection
 *
 * Return: the client's first message; nothing at the server
 */
static inline struct echo_out echo_start(struct echo_end *end, unsigned int conn)
{
	if (end->role == ECHO_SERVER)
		return (struct echo_out){0};
	end->conns[conn].sent_ns = echo_now_ns();
	return (struct echo_out){end->tx, end->params->msg_bytes};
}

/* The client's message is complete: note its time. Returns false when this was the last one. */
static inline bool echo_note(struct echo_end *end, struct echo_conn *conn, uint64_t now_ns)
{
	struct echo_result *result = end->result;

	if (end->warm_ns) {
		if (now_ns < end->warm_ns)
			return true;
		end->warm_ns = 0;
		end->begin_ns = now_ns;
		return true;
	}
	result->nmsgs++;
	result->elapsed_ns = now_ns - end->begin_ns;
	if (result->nsamples < ECHO_SAMPLES_MAX)
		result->rtt_ns[result->nsamples++] = (uint32_t)(now_ns - conn->sent_ns);
	return result->elapsed_ns < end->params->run_ns;
}

/**
 * echo_rx - account for received bytes
 * @end:  this end
 * @conn: index of the connection
 * @data: the bytes; the server's answer points to them
 * @n:    how many; <= 0 means that the connection has ended, and it is counted as closed
 *
 * Return: what to send now: the same bytes at the server, at the client the next message once the
 * one in flight is complete. At the end of the measured time the client's connections close one by
 * one, so that none is left with a message in flight.
 */
static inline struct echo_out echo_rx(struct echo_end *end, unsigned int conn, const void *data,
				      ptrdiff_t n)
{
	struct echo_conn *c = &end->conns[conn];
	uint64_t now_ns;

	if (n <= 0) {
		end->nopen--;
		return (struct echo_out){0};
	}
	if (end->role == ECHO_SERVER)
		return (struct echo_out){data, (size_t)n};
	c->got_bytes += (size_t)n;
	if (c->got_bytes < end->params->msg_bytes)
		return (struct echo_out){0};
	c->got_bytes = 0;
	now_ns = echo_now_ns();
	if (!echo_note(end, c, now_ns)) {
		end->nopen--;
		return (struct echo_out){0};
	}
	c->sent_ns = now_ns;
	return (struct echo_out){end->tx, end->params->msg_bytes};
}

#endif /* BENCH_ECHO_ECHO_H */
