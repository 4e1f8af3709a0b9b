/* SPDX-License-Identifier: MIT */
/*
 * demi-bench-stream: one end of TCP connections over a stack: Demi, the kernel's sockets, or lwIP.
 * Two of them, pinned to two CPUs, make a measurement; nobody sleeps. The client keeps some requests
 * under way on each of some connections; the server answers each that is complete.
 *
 * A stack moves bytes and tells main.c what happened; main.c decides what is sent.
 */
#ifndef BENCH_STREAM_STACK_H
#define BENCH_STREAM_STACK_H

#include <stdbool.h>
#include <stdint.h>

#define STREAM_PORT 7777
/* Ports of the server: there are not 100,000 ports of a client for one of them. */
#define STREAM_PORTS 4u
#define STREAM_CONNECTIONS_MAX 131072u
#define STREAM_MESSAGE_MAX 65536u
/* Requests under way on a connection. */
#define STREAM_DEPTH_MAX 16u

struct stack_options {
	const char *device; /* of lwIP: EAL words; of the others: nothing */
	const char *local_ip;
	const char *peer_ip;
	uint32_t connections;
	bool is_server;
};

/** One stack. Connections have the numbers 0..connections-1. Each returns 0 or -errno. */
struct stack {
	const char *name;
	int (*start)(const struct stack_options *options);
	/* Accept connections from now on, on all ports of the server. */
	int (*listen)(void);
	/* Begin to connect; stream_opened or stream_closed follows. */
	int (*connect)(uint32_t connection);
	/* Send a message of up to STREAM_MESSAGE_MAX bytes, at once or as soon as there is room. */
	int (*send)(uint32_t connection, uint32_t bytes);
	/* Look once, and tell what has happened. */
	int (*poll)(void);
	int (*close)(uint32_t connection);
	/* Bytes that are allocated now, in its heaps; 0: not known. */
	uint64_t (*allocated)(void);
	void (*stop)(void);
};

extern const struct stack demi_stack;
extern const struct stack kernel_stack;
extern const struct stack lwip_stack;

/** stream_port - of the server, for a connection */
static inline uint16_t stream_port(uint32_t connection)
{
	return (uint16_t)(STREAM_PORT + connection % STREAM_PORTS);
}

/* ---- What stacks tell ---- */

/** stream_accepted - the number of a connection that has been accepted */
uint32_t stream_accepted(void);

/** stream_opened - a connect has succeeded */
void stream_opened(uint32_t connection);

/** stream_closed - the peer has closed, or a connect has failed, or the connection */
void stream_closed(uint32_t connection);

/**
 * stream_received - so many bytes more
 *
 * Return: how many messages of stream_message_bytes are to be sent on this connection now.
 */
uint32_t stream_received(uint32_t connection, uint32_t bytes);

/** stream_message_bytes - of a message of this end */
uint32_t stream_message_bytes(void);

uint64_t stream_now_ns(void);

#endif /* BENCH_STREAM_STACK_H */
