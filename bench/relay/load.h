/* SPDX-License-Identifier: MIT */
/*
 * The load of the relay's benchmark: clients of TURN and the peer that they speak to, over plain kernel
 * sockets, in one thread that spins. Clients differ by their IP address and share a socket, so that
 * many of them are sent for, and received for, by one system call; the peer sends back what it gets.
 * For any server of TURN over UDP.
 */
#ifndef BENCH_RELAY_LOAD_H
#define BENCH_RELAY_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "net_address.h"

#define LOAD_SESSIONS_MAX 131072u
#define LOAD_BATCH 64u          /* datagrams by one system call, at most */
#define LOAD_BYTES_MIN 16u      /* of a payload: room for its stamp */
#define LOAD_BYTES_MAX 1400u    /* so that with its headers it is one frame */
#define LOAD_DATAGRAM_MAX 2048u /* of what is received */
#define LOAD_NONCE_MAX 128u
#define LOAD_CHANNEL 0x4000u /* of each client: it has one */
#define LOAD_FAMILIES 2u     /* of relayed addresses: IPv4, IPv6 */

/**
 * How data goes between a client and the relay. Direct: to the peer, past the server. Echo: to a server
 * that knows nothing of TURN and sends it back. None: sessions are made, and that is all.
 */
enum load_method { LOAD_CHANNELS, LOAD_INDICATIONS, LOAD_DIRECT, LOAD_ECHO, LOAD_NONE };

struct load_options {
	struct sockaddr_in server;
	struct net_address peers[LOAD_FAMILIES]; /* the first is where our peer listens */
	uint32_t client_net; /* the first client's address, of the host's order */
	uint16_t client_port;
	uint32_t sessions;
	bool both_families; /* every other relayed address is IPv6, and carries nothing */
	enum load_method method;
	uint32_t bytes;   /* of a payload */
	uint32_t window;  /* under way at once; 0: by rate */
	double rate;      /* sent a second */
	double warm_s;    /* before it is measured */
	double seconds;   /* measured */
	uint64_t packets; /* relayed, then it ends; 0: by time */
	int server_pid;   /* whose time on a processor is told; 0: nobody's */
	bool hold;        /* wait for standard input's next byte when the sessions are made */
};

struct session {
	struct net_address relayed;
	uint64_t asked_ns; /* when the request under way was sent */
	uint8_t step;      /* enum step of sessions.c */
	uint8_t nonce_bytes;
	char nonce[LOAD_NONCE_MAX];
};

struct load {
	struct load_options options;
	int clients, peer; /* sockets */
	struct session *sessions;
};

static inline uint64_t load_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/** load_client_ip - a session's address, of the network's order */
static inline uint32_t load_client_ip(const struct load *load, uint32_t session)
{
	return htonl(load->options.client_net + session);
}

/** IP_PKTINFO beside a datagram: which of our addresses it comes from. */
struct load_control {
	_Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static inline void load_set_source(struct load_control *control, uint32_t ip)
{
	const struct cmsghdr header = {.cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)),
				       .cmsg_level = IPPROTO_IP,
				       .cmsg_type = IP_PKTINFO};
	const struct in_pktinfo source = {.ipi_spec_dst.s_addr = ip};

	memcpy(control->bytes, &header, sizeof(header));
	memcpy(control->bytes + CMSG_LEN(0), &source, sizeof(source));
}

/** sessions_make - allocate, and let the peer in: all of them; ends the program if it cannot */
void sessions_make(struct load *load);

/** traffic_run - send, count, and print what there is to say as JSON */
void traffic_run(struct load *load);

#endif /* BENCH_RELAY_LOAD_H */
