/* SPDX-License-Identifier: MIT */
/*
 * What sockperf's client wants of a server (sockperf(1), version 3): each message begins with 14 bytes,
 * big-endian, a sequence number of 8, flags of 2 and the message's length of 4. A reply is the message
 * without the flag that says "from the client", and is sent where another flag asks for it.
 */
#ifndef ECHO_SOCKPERF_H
#define ECHO_SOCKPERF_H

#include <stddef.h>
#include <stdint.h>

/** How far a stream is in its current message; all zero between two. */
struct sockperf_stream {
	uint32_t offset; /* bytes of it that were seen */
	uint32_t length; /* of all of it, once the header was seen */
	uint16_t flags;
};

enum sockperf_verdict {
	SOCKPERF_REPLY,  /* all of it is to be sent back */
	SOCKPERF_SILENT, /* a message in it wants no reply */
	SOCKPERF_BROKEN, /* it is not of a client of sockperf's */
};

/**
 * sockperf_turn - make replies of the messages in @bytes, in place
 *
 * The bytes go on where the last ones of the stream ended; a datagram is a stream of its own, which must
 * end with it. What follows a message that is not to be answered is not looked at.
 */
enum sockperf_verdict sockperf_turn(struct sockperf_stream *stream, uint8_t *bytes, size_t length);

#endif /* ECHO_SOCKPERF_H */
