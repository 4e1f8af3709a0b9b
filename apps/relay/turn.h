/* SPDX-License-Identifier: MIT */
/*
 * The core of a TURN server (RFC 8656): what clients have, and what becomes of what arrives. It does no
 * I/O and reads no clock: packets and times are passed in, what is to be sent comes out, and relayed
 * ports are opened and closed by the caller's functions. A payload is never looked at or moved.
 */
#ifndef RELAY_TURN_H
#define RELAY_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bucket.h"
#include "counters.h"
#include "credentials.h"
#include "net_address.h"
#include "nonce.h"
#include "quota.h"
#include "stun_message.h"
#include "table.h"
#include "timers.h"
#include "turn_settings.h"

/* RFC 5766's range: RFC 8656 ends it at 0x4fff, but clients of before choose from all of it. */
#define TURN_CHANNEL_MIN 0x4000u
#define TURN_CHANNEL_MAX 0x7fffu
#define TURN_CHANNEL_HEADER_BYTES 4
#define TURN_ANSWER_BYTES_MAX 768 /* of any answer of ours */
#define TURN_TOKEN_BYTES 8
#define TURN_CHALLENGE_SLOTS 4096 /* of addresses whose answers are counted; a power of two */

/** turn_is_channel_data - whether a message that starts with this byte is ChannelData */
static inline bool turn_is_channel_data(uint8_t first)
{
	return first >> 6 == TURN_CHANNEL_MIN >> 14;
}

/** The 5-tuple, as far as it differs: our end and the protocol are in the endpoint. */
struct turn_client {
	struct net_address address;
	uint32_t endpoint; /* the caller's number for a listener, or for a connection */
	bool is_stream;    /* a connection: ChannelData is padded */
};

/** A relayed transport address, open: of an allocation, or reserved for one. */
struct turn_relay {
	struct timer timer;
	struct turn_allocation *allocation; /* NULL: reserved */
	union {                             /* the caller's, as is the next */
		uint64_t pop_token;
		void *pops;
	};
	int socket;
	uint16_t port;
	uint8_t family;     /* NET_V4, NET_V6 */
	bool dont_fragment; /* the caller's: how the socket is set now */
};

/** A relayed transport address that waits for who has its token. */
struct turn_reservation {
	struct turn_reservation *next;
	struct turn_relay *relay;
	uint8_t token[TURN_TOKEN_BYTES];
};

/** A peer's address that may send to an allocation, and be sent to. */
struct turn_permission {
	struct timer timer;
	struct table_node node; /* by allocation and address */
	struct turn_allocation *allocation;
	struct turn_permission *next;
	uint8_t ip[NET_IP_BYTES];
	uint8_t family;
};

struct turn_channel {
	struct timer timer;
	struct table_node by_number, by_peer; /* each with the allocation */
	struct turn_allocation *allocation;
	struct turn_channel *next;
	struct net_address peer;
	uint16_t number;
};

struct turn_traffic {
	uint64_t packets, bytes;
};

struct turn_allocation {
	struct table_node node; /* by client */
	struct turn_client client;
	uint8_t transaction[STUN_TRANSACTION_BYTES]; /* of the request that made it */
	struct turn_relay *relays[TURN_FAMILIES];    /* NULL: none of this family */
	struct turn_permission *permissions;
	struct turn_channel *channels;
	struct quota *quota;
	uint64_t made_ns;
	struct bucket to_peer_rate, to_client_rate;
	struct turn_traffic to_peer, to_client;
	uint32_t lifetime_s; /* that was granted last */
	uint16_t permission_count;
	uint16_t channel_count : 14, has_reserved : 1, has_address_error : 1;
	uint8_t reserved_token[TURN_TOKEN_BYTES]; /* that the answer told */
};

/*
 * Of these there are as many as clients, and each is a block of its own, with 8 bytes before it and its
 * length a multiple of 16: what exceeds these sizes by a byte costs 16 of every allocation.
 */
_Static_assert(sizeof(struct turn_allocation) <= 184, "fits a block of 192 bytes");
_Static_assert(sizeof(struct turn_relay) <= 40, "fits a block of 48 bytes");
_Static_assert(sizeof(struct turn_permission) <= 72, "fits a block of 80 bytes");
_Static_assert(sizeof(struct turn_channel) <= 88, "fits a block of 96 bytes");

/** Things of note, for the operator's log. */
enum turn_event { TURN_EVENT_MADE, TURN_EVENT_DELETED, TURN_EVENT_EXPIRED, TURN_EVENT_GONE };

/** What the core needs of its surroundings. */
struct turn_ops {
	/**
	 * Open relay->family and relay->port on settings->relay_ip. Return: 0, -EADDRINUSE: another port
	 * may be free; anything else: none is.
	 */
	int (*open)(void *context, struct turn_relay *relay);
	/** Close it; it is freed afterwards. */
	void (*close)(void *context, struct turn_relay *relay);
	/** Whether datagrams can be sent unfragmented from relayed addresses of this family. */
	bool (*can_dont_fragment)(void *context, uint8_t family);
	/** Told of; may be NULL. The allocation is whole still. */
	void (*event)(void *context, enum turn_event event,
		      const struct turn_allocation *allocation, uint64_t now_ns);
	/** A client was refused; may be NULL. @name may be empty. */
	void (*refused)(void *context, const struct turn_client *client, enum stun_method method,
			unsigned int code, struct stun_text name);
};

struct turn {
	const struct turn_settings *settings;
	const struct credentials *credentials;
	const struct turn_ops *ops;
	void *context;
	struct table allocations, permissions, channels_by_number, channels_by_peer, quotas;
	struct timers timers;
	struct turn_reservation *reserved;
	uint32_t reserved_count;
	uint32_t relay_count; /* open, reserved ones included */
	uint64_t used_ports[TURN_FAMILIES][65536 / 64];
	struct bucket *challenges; /* by hash of the address, TURN_CHALLENGE_SLOTS of them */
	struct nonce_key nonce_key;
	uint64_t seed;   /* of hashes */
	uint64_t random; /* state of the generator of ports, tokens and transactions */
	uint64_t unix_s; /* the time of day */
	struct counters counters;
};

/** What is to be done with what a client sent. */
enum turn_action { TURN_NOTHING, TURN_ANSWER, TURN_TO_PEER };

struct turn_output {
	enum turn_action action;
	size_t answer_bytes;      /* TURN_ANSWER: at the caller's buffer */
	struct turn_relay *relay; /* TURN_TO_PEER: from there ... */
	struct net_address peer;  /* ... to there ... */
	const uint8_t *payload;   /* ... this, which lies in what was received */
	size_t payload_bytes;
	bool dont_fragment;
};

/** What goes before and behind a payload that a peer sent. */
struct turn_envelope {
	const struct turn_client *client; /* to whom; valid until the allocation ends */
	uint8_t header[STUN_DATA_HEADER_BYTES_MAX];
	size_t header_bytes;
	size_t padding_bytes; /* zeros behind the payload, up to 3 */
};

/** turn_init - @random: 40 bytes that nobody can guess. Return: 0, -ENOMEM. */
int turn_init(struct turn *turn, const struct turn_settings *settings,
	      const struct credentials *credentials, const struct turn_ops *ops, void *context,
	      const uint8_t random[40]);

/** turn_fini - closes everything, without events */
void turn_fini(struct turn *turn);

/**
 * turn_client_input - one message of a client: a datagram, or what was cut out of a stream
 *
 * Of ChannelData only the first TURN_CHANNEL_HEADER_BYTES are read.
 * @answer: TURN_ANSWER_BYTES_MAX bytes, for an answer
 */
void turn_client_input(struct turn *turn, uint64_t now_ns, const struct turn_client *client,
		       const uint8_t *bytes, size_t length, uint8_t *answer,
		       struct turn_output *output);

/**
 * turn_peer_input - a datagram of a peer, @payload_bytes long
 *
 * Return: whether it goes on to a client, in an envelope.
 */
bool turn_peer_input(struct turn *turn, uint64_t now_ns, struct turn_relay *relay,
		     const struct net_address *peer, size_t payload_bytes,
		     struct turn_envelope *envelope);

/** What ICMP, or ICMPv6, says of a datagram to a peer. */
struct turn_icmp {
	uint8_t type, code;
	uint32_t mtu; /* of what is too big; else not looked at */
};

/** Of an indication about one, at most. */
#define TURN_ICMP_BYTES_MAX (STUN_HEADER_BYTES + 2 * STUN_ATTRIBUTE_BYTES + 20 + 8)

/**
 * turn_peer_error - a datagram from a relayed address to @peer has met an error (RFC 8656, 11.5)
 * @indication: TURN_ICMP_BYTES_MAX bytes, for what the client of the allocation is told
 *
 * Return: its length; 0: he is told nothing.
 */
size_t turn_peer_error(struct turn *turn, uint64_t now_ns, struct turn_relay *relay,
		       const struct net_address *peer, const struct turn_icmp *icmp,
		       uint8_t *indication);

/** turn_expire - end what is over. @unix_s: the time of day. Return: when to call it again. */
uint64_t turn_expire(struct turn *turn, uint64_t now_ns, uint64_t unix_s);

/** turn_has_allocation - whether a client has one */
bool turn_has_allocation(const struct turn *turn, const struct turn_client *client);

/** turn_client_gone - a connection has ended, and with it what it has */
void turn_client_gone(struct turn *turn, const struct turn_client *client, uint64_t now_ns);

#endif /* RELAY_TURN_H */
