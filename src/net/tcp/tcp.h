/* SPDX-License-Identifier: MIT */
/*
 * TCP (RFC 9293) as the libOS sees it: sockets, of which a struct tcp_conn is one, from its birth
 * (tcp_open) to the end of the connection, which may be long after tcp_close.
 *
 * Pushes keep the application's memory until the peer has acknowledged it, and are retransmitted from
 * there. What is received is handed on in the frames that it came in. Everything belongs to the
 * stack's thread. No function calls back into its caller's object but by struct tcp_events, and those
 * may call none of the functions here, except tcp_take and tcp_accept.
 */
#ifndef DEMI_NET_TCP_TCP_H
#define DEMI_NET_TCP_TCP_H

#include <demi/types.h>

#include "net/ip.h"
#include "wire/quoted.h"

struct tcp_conn;

#define TCP_RTO_INITIAL_MS 1000u /* RFC 6298, (2.1) */

/** RFC 9293, 3.3.2. */
enum tcp_state {
	TCP_STATE_CLOSED,
	TCP_STATE_LISTEN,
	TCP_STATE_SYN_SENT,
	TCP_STATE_SYN_RECEIVED,
	TCP_STATE_ESTABLISHED,
	TCP_STATE_FIN_WAIT_1,
	TCP_STATE_FIN_WAIT_2,
	TCP_STATE_CLOSE_WAIT,
	TCP_STATE_CLOSING,
	TCP_STATE_LAST_ACK,
	TCP_STATE_TIME_WAIT,
};

/** What a socket tells its owner. None may be NULL. @owner is that of tcp_open or tcp_accept. */
struct tcp_events {
	/* A listener has one connection more that tcp_accept would return. */
	void (*acceptable)(void *owner);

	/* tcp_connect has come to its end. @error: 0 or positive errno; then the socket is as before. */
	void (*connected)(void *owner, int error);

	/* The next bytes of the stream, the application's; length is not 0. Return: whether they were
	 * taken; otherwise they wait for tcp_take. Not called while others wait. */
	bool (*received)(void *owner, struct buf *buf);

	/* Nothing will come any more: @error 0 is the peer's FIN, or a positive errno with which the
	 * connection has ended; a listener hears it from tcp_fail. After what was received before.
	 * Told once. */
	void (*ended)(void *owner, int error);

	/* A push, named as tcp_push named it: the peer has it all, or a positive errno. */
	void (*pushed)(void *owner, void *push, int error);

	/* After tcp_close with @tell: the peer has acknowledged everything, our FIN too, or cannot
	 * (positive errno). The socket knows its owner no more. */
	void (*closed)(void *owner, int error);
};

/** tcp_defaults - what is not configured */
void tcp_defaults(struct net_tcp_options *options);

int tcp_create(struct net *net); /* sets net->tcp; 0 or -ENOMEM */

/** tcp_destroy - reset what is not closed; the owners have closed their sockets */
void tcp_destroy(struct net *net);

/** tcp_fail - the device is gone: end all connections, tell listeners; @error: positive errno */
void tcp_fail(struct net *net, int error);

/** tcp_rx - a segment; ownership of @buf passes */
void tcp_rx(struct net *net, const struct ip_packet *packet, struct buf *buf);

/**
 * tcp_error - an ICMP error about a segment of ours (RFC 5927: believed only for what is under way)
 * @error: positive errno; EMSGSIZE: the path's MTU has been lowered, as pmtu_find now says; 0: none
 *
 * Return: whether there is a connection that can have sent it.
 */
bool tcp_error(struct net *net, const struct quoted_packet *quoted, int error);

/** tcp_unreachable - the first hop of a segment of ours did not answer: a connect ends by that */
void tcp_unreachable(struct net *net, const struct quoted_packet *quoted);

/** tcp_is_ours - whether @quoted can be a segment of ours: before pmtu_lower believes it */
bool tcp_is_ours(struct net *net, const struct quoted_packet *quoted);

/* ---- Sockets ---- */

/**
 * tcp_open - a socket, not bound, not connected
 *
 * Return: 0; -ENOBUFS: there are net_options.tcp.connections_max already, -ENOMEM.
 */
int tcp_open(struct tcp_conn **conn_out, struct net *net, const struct tcp_events *events,
	     void *owner, bool is_v6);

/**
 * tcp_bind - @port 0: a free one, by RFC 6056
 * @address: of ours, unspecified, or loopback
 *
 * Return: 0; -EINVAL (bound already; an IPv4 address with v6_only), -EAFNOSUPPORT, -EADDRNOTAVAIL,
 * -EADDRINUSE.
 */
int tcp_bind(struct tcp_conn *conn, const struct ip_address *address, uint16_t port);

/**
 * tcp_listen - accept connections
 * @backlog: complete ones that wait for tcp_accept, at most; less than 1 counts as 1
 *
 * Return: 0; -EDESTADDRREQ (not bound), -EADDRINUSE (listens already, or another does), -EINVAL
 * (connected or connecting), -ENOMEM.
 */
int tcp_listen(struct tcp_conn *conn, int backlog);

/**
 * tcp_accept - the connection that was established first
 * @owner: its owner, told by the listener's events
 *
 * What was received meanwhile waits for tcp_take; a connection that has already failed is returned
 * too, and tcp_ended says so. Return: NULL: there is none.
 */
struct tcp_conn *tcp_accept(struct tcp_conn *listener, void *owner);

/** tcp_acceptable - how many tcp_accept would return */
uint32_t tcp_acceptable(const struct tcp_conn *listener);

/**
 * tcp_connect - begin; connected is told, later
 *
 * An unspecified peer is ourselves. Return: 0; -EINVAL (port 0), -EAFNOSUPPORT, -EOPNOTSUPP (listens),
 * -EINPROGRESS, -EISCONN, -ENETUNREACH (also: a group or broadcast, another version than the bound
 * address), -EADDRNOTAVAIL (no port is free), -EADDRINUSE (this very connection is there), -ENOBUFS.
 */
int tcp_connect(struct tcp_conn *conn, const struct ip_address *peer, uint16_t port);

/** tcp_cancel_connect - give it up; connected is not told, the socket is as before */
void tcp_cancel_connect(struct tcp_conn *conn);

/**
 * tcp_push - send the bytes of @sga
 * @sga: checked (sga_check); held until it is acknowledged, copied where it is not the heap's
 * @push: what pushed is told with, not NULL
 *
 * The segments that fit the windows are made at once and go with the next net_flush. pushed is
 * told later, never within the call. Return: 0; -ENOTCONN, -EPIPE (after tcp_shutdown, or the
 * connection has ended), what tcp_ended says for a connection that has failed and was not told yet,
 * -ENOMEM, -ENOBUFS (too much waits: net_options.tcp.send_pieces_max, or 2 GiB).
 */
int tcp_push(struct tcp_conn *conn, const demi_sgarray_t *sga, void *push);

/** tcp_cancel_push - take back one of which nothing was sent; 0 (pushed is not told) or -EBUSY */
int tcp_cancel_push(struct tcp_conn *conn, void *push);

/**
 * tcp_take - what was received and not taken yet: a chain of up to DEMI_SGARRAY_MAXSIZE bufs, the
 * application's; NULL: none. The window opens by that.
 */
struct buf *tcp_take(struct tcp_conn *conn);

/**
 * tcp_ended - whether nothing will come any more once tcp_take has returned NULL
 * @error_out: 0: the peer has closed, or tcp_shutdown for reading; positive errno
 */
bool tcp_ended(const struct tcp_conn *conn, int *error_out);

/** tcp_take_error - SO_ERROR: the positive errno that the connection ended with; told once, 0: none */
int tcp_take_error(struct tcp_conn *conn);

/** tcp_shutdown - @how: SHUT_RD, SHUT_WR, SHUT_RDWR; 0, -ENOTCONN, -EINVAL */
int tcp_shutdown(struct tcp_conn *conn, int how);

/**
 * tcp_close - the owner goes; the rest is sent, and the connection ends by itself
 * @tell: closed is told, once; it may be told within the call
 *
 * Received bytes that nobody has taken, or a linger time of 0, reset the connection (RFC 9293,
 * 3.10.4; RFC 2525, 2.17); so do bytes that come later, and without @tell more than
 * net_options.tcp.max_buffer of pushed bytes that were not sent. A listener resets what waits to be
 * accepted.
 * With @tell pushes are told as ever; without it they are not, and the socket is gone for the caller
 * at the return.
 */
void tcp_close(struct tcp_conn *conn, bool tell);

/** tcp_forget_close - closed, of an earlier tcp_close, is not to be told any more */
void tcp_forget_close(struct tcp_conn *conn);

enum tcp_state tcp_state_of(const struct tcp_conn *conn);
const char *tcp_state_name(enum tcp_state state); /* "ESTABLISHED" */

/** tcp_local, tcp_peer - the addresses; false: it has none (not bound, not connected) */
bool tcp_local(const struct tcp_conn *conn, struct ip_address *ip_out, uint16_t *port_out);
bool tcp_peer(const struct tcp_conn *conn, struct ip_address *ip_out, uint16_t *port_out);

/* ---- Options ---- */

/** What a socket was told by setsockopt; a connection inherits its listener's. */
struct tcp_settings {
	bool is_v6; /* of the socket's domain, not of the peer */
	bool v6_only;
	bool reuse_address;       /* SO_REUSEADDR */
	bool reuse_port;          /* SO_REUSEPORT */
	bool no_delay;            /* TCP_NODELAY: on at first; off is Nagle's algorithm */
	bool keep_alive;          /* SO_KEEPALIVE */
	bool lingers;             /* SO_LINGER; only a time of 0 means anything here */
	bool ecn;                 /* ask for it; always granted to who asks */
	uint8_t keep_probes;      /* TCP_KEEPCNT: 9 */
	uint8_t hop_limit;        /* 0: the stack's */
	uint8_t traffic_class;    /* without the two bits of ECN */
	uint8_t syn_retries;      /* TCP_SYNCNT; 0: until connect_timeout */
	uint16_t mss_max;         /* TCP_MAXSEG; 0: what the path carries */
	uint32_t keep_idle_s;     /* TCP_KEEPIDLE: 7200 */
	uint32_t keep_interval_s; /* TCP_KEEPINTVL: 75 */
	uint32_t user_timeout_ms; /* TCP_USER_TIMEOUT, RFC 5482; 0: until retries_timeout */
	uint32_t receive_bytes;   /* SO_RCVBUF: a fixed receive window; 0: grows up to max_buffer */
	uint32_t linger_s;
};

/** tcp_settings - to be read, and written one field at a time; then tcp_settings_changed */
struct tcp_settings *tcp_settings(struct tcp_conn *conn);

/** tcp_settings_changed - let a connection follow what was written; MSS and timers */
void tcp_settings_changed(struct tcp_conn *conn);

/** tcp_set_congestion - by name; 0 or -ENOENT; tcp_congestion_of: its name */
int tcp_set_congestion(struct tcp_conn *conn, const char *name, size_t length);
const char *tcp_congestion_of(const struct tcp_conn *conn);

/** What TCP_INFO tells, in the units of here. */
struct tcp_stats {
	enum tcp_state state;
	bool timestamps, sack, window_scaling, ecn;
	uint8_t send_shift, receive_shift; /* of the windows */
	uint8_t backoff;                   /* doublings of the retransmission timeout */
	uint32_t mss_send, mss_receive;
	uint64_t srtt_ns, rttvar_ns, rto_ns, rtt_min_ns;
	uint32_t cwnd, ssthresh;              /* bytes */
	uint32_t send_window, receive_window; /* bytes, as last advertised */
	uint32_t unacked_segments, sacked_segments, lost_segments, retransmitted_segments; /* now */
	uint32_t path_mtu;
	uint32_t reordering; /* segments */
	uint64_t segments_in, segments_out, data_segments_in, data_segments_out;
	uint64_t bytes_acked, bytes_received; /* of payload, in all */
	uint64_t bytes_sent, bytes_retransmitted;
	uint64_t retransmissions; /* segments, in all */
	uint64_t timeouts;        /* of the retransmission timer */
	uint64_t spurious;        /* reductions that were undone */
	uint64_t dsacks_in;
	uint64_t marks;                          /* acknowledgments with ECE */
	uint32_t not_sent;                       /* bytes that wait for a window */
	uint32_t queued;                         /* bytes received and not taken */
	uint64_t last_sent_ns, last_received_ns; /* ago, data */
};

void tcp_get_stats(const struct tcp_conn *conn, struct tcp_stats *stats);

/** tcp_each - every connection that is not closed, listeners too; for reports, in no order */
void tcp_each(struct net *net, void (*visit)(void *context, const struct tcp_conn *conn),
	      void *context);

/** tcp_counts - sockets and connections that there are, closed and orphaned ones included */
struct tcp_counts {
	uint32_t sockets;     /* with an owner */
	uint32_t connections; /* in any state but CLOSED and LISTEN, TIME_WAIT included */
	uint32_t half_open;   /* SYN_RECEIVED */
	uint32_t time_waits;
	uint64_t cookies_sent, cookies_taken;
	uint64_t pieces;         /* of pushes, in use */
	uint64_t segments;       /* records of what is under way, in use */
	uint64_t queued_bytes;   /* received, not taken; out of order too */
	uint64_t referred_bytes; /* payload sent from where it lay, without a copy */
};

void tcp_get_counts(const struct net *net, struct tcp_counts *counts);

#endif /* DEMI_NET_TCP_TCP_H */
