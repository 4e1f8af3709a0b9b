/* SPDX-License-Identifier: MIT */
/*
 * The I/O of the relay: queues of Demi, what is popped from them, and where it is pushed. One thread,
 * one runtime. A pop is always outstanding on a socket; what a push needs is held by the library until
 * it completes, so that buffers are freed as soon as they are pushed.
 */
#ifndef RELAY_SERVER_H
#define RELAY_SERVER_H

#include <demi/demi.h>
#include <stdbool.h>
#include <stdint.h>

#include "options.h"
#include "stream.h"
#include "turn.h"

#define SERVER_LISTENER_POPS 32u /* outstanding on a socket that many clients send to */
#define SERVER_PUSHES_MAX 1024u  /* that wait on one connection; a power of two */
#define SERVER_ENDPOINT_CONNECTIONS \
	OPTIONS_LISTENERS_MAX /* numbers from there on are connections */

enum socket_kind {
	SOCKET_NONE,
	SOCKET_LISTENER,   /* datagrams of clients */
	SOCKET_ACCEPTOR,   /* their connections */
	SOCKET_CONNECTION, /* one of them */
	SOCKET_RELAY,      /* a relayed address */
	SOCKET_FRONT,      /* --forward: where clients come */
	SOCKET_BACK,       /* and where answers do */
};

/** What is known of a descriptor; its place in the table is its number. */
struct server_socket {
	void *owner;      /* struct listener, connection, turn_relay, forward, forward_client */
	uint32_t pending; /* operations that have not come back */
	uint32_t stale;   /* the same, of closed ones that had this number before */
	uint8_t kind;     /* enum socket_kind */
	bool wants_pop;   /* one could not be started */
	/* Of a relayed port, for port_pops.c. */
	bool has_many_pops;
	uint8_t round; /* of the loop, when something was received last; its lowest bits */
	uint8_t streak; /* such rounds, one soon after the other; of a busy port, those that it has left */
	uint8_t rest; /* rounds until it may be busy again */
};

struct listener {
	int qd;
	uint32_t index;
	uint32_t place; /* in tokens, where the one that is looked for next stands, nearly always */
	demi_qtoken_t tokens[SERVER_LISTENER_POPS];
};

/** A client's connection. */
struct connection {
	struct turn_client client;
	int qd;
	demi_qtoken_t pop_token;
	struct stream stream;
	uint64_t used_ns;       /* when it last sent something */
	uint32_t waiting_bytes; /* pushed and not gone */
	uint32_t first, last;   /* of sizes, which pushes complete in the order of */
	uint16_t sizes[SERVER_PUSHES_MAX];
};

struct server {
	const struct options *options;
	struct turn turn;
	struct credentials credentials;
	struct server_socket *sockets;
	uint32_t socket_room;
	struct listener listeners[OPTIONS_LISTENERS_MAX], acceptors[OPTIONS_LISTENERS_MAX];
	struct connection **connections; /* by number; NULL: free */
	uint32_t connection_count;
	uint32_t next_connection; /* where a free number is looked for first */
	struct forwarding *forwarding;
	uint8_t *answer; /* TURN_ANSWER_BYTES_MAX, of the library's heap, nobody else's yet */
	uint64_t now_ns;
	uint64_t stalled; /* sockets that want a pop */
	uint32_t round;   /* of the loop */
	uint32_t busy_ports;
	bool has_dont_fragment[TURN_FAMILIES];
	uint64_t complained_ns, swallowed;
};

/* --- server.c --- */

/** server_run - until a signal. Return: the status to exit with. */
int server_run(struct server *server, const struct options *options);

/** server_know - a descriptor is of this kind now. Return: 0, -ENOMEM. */
int server_know(struct server *server, int qd, enum socket_kind kind, void *owner);

/** server_close - close a descriptor; what is pending on it is nobody's */
void server_close(struct server *server, int qd);

/** server_pop - start a pop, or have it started later */
void server_pop(struct server *server, int qd, demi_qtoken_t *token);

/**
 * server_push - send an array, of which nothing is kept; @to: NULL on a stream
 *
 * Return: 0; a positive errno, counted.
 */
int server_push(struct server *server, int qd, const demi_sgarray_t *array,
		const struct net_address *to);

/** server_complain - say that something failed and that service goes on; one line a second */
void server_complain(struct server *server, const char *what, int error);

/* --- relaying.c --- */

/** relaying_listen - open all that --listen says. Return: 0; a positive errno, which was said. */
int relaying_listen(struct server *server);

/** relaying_client_popped - datagrams of clients */
void relaying_client_popped(struct server *server, struct listener *listener,
			    const demi_qresult_t *result);

/** relaying_peer_popped - a datagram of a peer */
void relaying_peer_popped(struct server *server, struct turn_relay *relay,
			  const demi_qresult_t *result);

/** relaying_to_client - an array to a client, wherever he is. Return: as server_push. */
int relaying_to_client(struct server *server, const struct turn_client *client,
		       const demi_sgarray_t *array);

/** relaying_to_peer - what the core said is to go to a peer, of these pieces */
void relaying_to_peer(struct server *server, const struct turn_output *output,
		      demi_sgarray_t *array);

/** relaying_answer - what the core wrote to server->answer */
void relaying_answer(struct server *server, const struct turn_client *client, size_t bytes);

/** relaying_ops - what the core needs of us */
extern const struct turn_ops relaying_ops;

/** relaying_probe - whether datagrams can be kept whole here */
void relaying_probe(struct server *server);

/* --- port_pops.c --- */

/** pops_find - the place of one of @count; *@place: where to look first, and next time */
demi_qtoken_t *pops_find(demi_qtoken_t *tokens, uint32_t count, uint32_t *place,
			 demi_qtoken_t token);

/** port_token - where the token of an outstanding pop of a relayed port is kept, or NULL */
demi_qtoken_t *port_token(const struct server_socket *socket, demi_qtoken_t token);

/** port_pop_again - the pop at @token is over: start another one, or several, or none */
void port_pop_again(struct server *server, int qd, demi_qtoken_t *token);

/** port_pops_end - before a relayed port is closed */
void port_pops_end(struct server *server, int qd);

/* --- connection.c --- */

/** connection_start - listen. Return: 0; a positive errno. */
int connection_listen(struct server *server, uint32_t index);
void connection_accepted(struct server *server, struct listener *acceptor,
			 const demi_qresult_t *result);
void connection_popped(struct server *server, struct connection *connection,
		       const demi_qresult_t *result);
void connection_pushed(struct server *server, struct connection *connection,
		       const demi_qresult_t *result);
int connection_push(struct server *server, struct connection *connection,
		    const demi_sgarray_t *array);
void connection_close(struct server *server, struct connection *connection);

/** connection_look - close those that have been idle for too long; once a second */
void connection_look(struct server *server);

/* --- forward.c --- */

/** forward_start - open all that --forward says. Return: 0; a positive errno, which was said. */
int forward_start(struct server *server);
void forward_front_popped(struct server *server, struct listener *front,
			  const demi_qresult_t *result);
void forward_back_popped(struct server *server, void *owner, const demi_qresult_t *result);
demi_qtoken_t *forward_back_token(void *client);
void forward_expire(struct server *server);
uint64_t forward_next_ns(const struct server *server);
void forward_stop(struct server *server);

/* --- report.c --- */

/** report_event, report_refused - lines for the operator: see turn_ops */
void report_event(void *context, enum turn_event event, const struct turn_allocation *allocation,
		  uint64_t now_ns);
void report_refused(void *context, const struct turn_client *client, enum stun_method method,
		    unsigned int code, struct stun_text name);

/** report_statistics - a line of what has been counted so far, on standard error and as JSON */
void report_statistics(struct server *server);

/** report_json_place_ok - whether --json can be written; says why not */
bool report_json_place_ok(const struct options *options);

/** report_figures - what the library has counted */
void report_figures(void);

/* --- process.c --- */

void process_prepare(void);
bool process_stop_requested(void);
bool process_report_requested(void);
uint64_t process_now_ns(void);
uint64_t process_unix_s(void);

#endif /* RELAY_SERVER_H */
