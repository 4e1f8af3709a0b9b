/* SPDX-License-Identifier: MIT */
/*
 * A peer without a stack: it makes its segments by hand, right ones and wrong ones, over IPv4, and
 * remembers what it hears. As long as it is honest it acknowledges what comes in order, and
 * compares that with the pattern of struct stream. It answers for its address on the link.
 */
#ifndef DEMI_TESTS_SIM_FORGER_H
#define DEMI_TESTS_SIM_FORGER_H

#include "stream.h"
#include "wire/tcp.h"

#define FORGER_PAYLOAD_MAX 1460u

struct forger {
	struct station *station; /* without a stack */
	struct station *victim;
	struct ip_address own, peer, also; /* also: answered for on the link */
	uint16_t port, peer_port;
	uint32_t seq;    /* its next */
	uint32_t ack;    /* what it has heard in order ends there */
	uint16_t window; /* that it says */
	uint32_t seed;   /* of the pattern that it sends; its first byte is at irs + 1 */
	uint32_t peer_seed;
	uint32_t isn;
	bool is_honest;
	bool has_timestamps;
	uint32_t timestamp;

	/* Heard. */
	uint32_t irs; /* of the peer's SYN */
	uint64_t count, syns, resets, fins, data, pure_acks;
	uint64_t received; /* bytes in order, by a connection that was honest all the time */
	uint64_t wrong;
	struct tcp_header last;
	struct tcp_options options; /* of the last */
	uint32_t last_length;       /* of its payload */
	uint32_t length_max;
};

/** A segment by hand; options_bytes a multiple of 4. */
struct forged {
	struct ip_address source; /* unspecified: the forger's own */
	uint16_t source_port;     /* 0: likewise, as the next */
	uint16_t port;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	const void *options;
	uint32_t options_bytes;
	const void *payload;
	uint32_t length;
};

/** forger_begin - on @station, a mute one, with 10.0.0.@number, against @victim's 10.0.0.@victim_number */
void forger_begin(struct forger *forger, struct station *station, unsigned int number,
		  struct station *victim, unsigned int victim_number);

/** forger_throw - send it */
void forger_throw(struct forger *forger, const struct forged *forged);

/** forger_say - with the forger's numbers, its timestamp if it has any, and no payload */
void forger_say(struct forger *forger, uint8_t flags);

/** forger_tell - the next @length bytes of its pattern; @flags besides ACK */
void forger_tell(struct forger *forger, uint32_t length, uint8_t flags);

/** forger_tell_at - the bytes of its pattern at @place, its numbers stay as they are */
void forger_tell_at(struct forger *forger, uint64_t place, uint32_t length, uint8_t flags);

/** forger_connect - SYN with these options, and the end of the handshake; false: no SYN-ACK came */
bool forger_connect(struct forger *forger, uint16_t port, uint16_t peer_port, const void *options,
		    uint32_t options_bytes);

#endif /* DEMI_TESTS_SIM_FORGER_H */
