/* SPDX-License-Identifier: MIT */
/*
 * The TCP header (RFC 9293, sections 3.1 and 3.2) and its options: maximum segment size, window
 * scale and timestamps (RFC 7323), selective acknowledgments (RFC 2018). The checksum is a step of
 * its own, tcp_verify, which a device may have done for us. Which flags go together is not judged
 * here.
 */
#ifndef DEMI_WIRE_TCP_H
#define DEMI_WIRE_TCP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/error.h"

#define TCP_HEADER_BYTES 20
#define TCP_HEADER_BYTES_MAX 60
#define TCP_CHECKSUM_OFFSET 16
#define TCP_TIMESTAMP_BYTES 12  /* with the two NOPs that align it */
#define TCP_SACK_BLOCKS_MAX 4   /* 3 with timestamps */
#define TCP_WINDOW_SHIFT_MAX 14 /* RFC 7323, section 2.3 */

enum tcp_flag {
	TCP_FIN = 1 << 0,
	TCP_SYN = 1 << 1,
	TCP_RST = 1 << 2,
	TCP_PSH = 1 << 3,
	TCP_ACK = 1 << 4,
	TCP_URG = 1 << 5,
	TCP_ECE = 1 << 6, /* RFC 3168 */
	TCP_CWR = 1 << 7,
};

struct tcp_header {
	uint16_t source_port;
	uint16_t destination_port;
	uint32_t sequence;
	uint32_t acknowledgment;
	uint16_t window; /* not scaled */
	uint16_t checksum;
	uint16_t urgent;
	uint8_t flags;        /* enum tcp_flag */
	uint8_t header_bytes; /* 20 to 60, with options; emitting: not looked at */
};

/* The sequence numbers from left on, up to but without right. */
struct tcp_sack_block {
	uint32_t left;
	uint32_t right;
};

/* A value is set only if the field beside says that it is there. */
struct tcp_options {
	bool has_mss;
	bool has_window_shift;
	bool sack_permitted;
	bool has_timestamp;
	uint8_t window_shift; /* 0 to 14: more counts as 14 */
	uint8_t sack_count;
	uint16_t mss; /* bytes */
	uint32_t timestamp;
	uint32_t timestamp_echo;
	struct tcp_sack_block sack[TCP_SACK_BLOCKS_MAX]; /* sack_count of them are set */
};

/**
 * tcp_parse - the header of the segment at @data, @length bytes long
 *
 * Return: its length, 20 to 60, behind which the payload begins; -WIRE_TRUNCATED,
 * -WIRE_BAD_HEADER_LENGTH, -WIRE_BAD_PORT when either is 0.
 */
static inline int tcp_parse(struct tcp_header *header, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint64_t word;

	if (length < TCP_HEADER_BYTES)
		return -WIRE_TRUNCATED;
	word = load_be64(bytes);
	header->source_port = (uint16_t)(word >> 48);
	header->destination_port = (uint16_t)(word >> 32);
	header->sequence = (uint32_t)word;
	word = load_be64(bytes + 8);
	header->acknowledgment = (uint32_t)(word >> 32);
	header->header_bytes = (uint8_t)((word >> 28 & 0xf) * 4);
	header->flags = (uint8_t)(word >> 16);
	header->window = (uint16_t)word;
	header->checksum = load_be16(bytes + 16);
	header->urgent = load_be16(bytes + 18);
	if (header->header_bytes < TCP_HEADER_BYTES)
		return -WIRE_BAD_HEADER_LENGTH;
	if (header->header_bytes > length)
		return -WIRE_TRUNCATED;
	if (!header->source_port || !header->destination_port)
		return -WIRE_BAD_PORT;
	return header->header_bytes;
}

/** tcp_verify - the checksum of a whole segment; 0 or -WIRE_BAD_CHECKSUM */
static inline int tcp_verify(const struct ip_address *source, const struct ip_address *destination,
			     const void *data, size_t length)
{
	uint64_t sum = checksum_pseudo(source, destination, IPPROTO_TCP, (uint32_t)length);

	return checksum_is_valid(checksum_add(sum, data, length)) ? 0 : -WIRE_BAD_CHECKSUM;
}

/** tcp_options_parse_any - tcp_options_parse without its short cuts */
int tcp_options_parse_any(struct tcp_options *options, const uint8_t *data, size_t length,
			  uint8_t flags);

/**
 * tcp_options_parse - the options of a segment that tcp_parse has taken
 * @data: the segment
 *
 * Unknown ones are skipped; what belongs to a SYN only (size, scale, whether SACK is permitted) is
 * not taken from others. Of one that is there twice, the last counts. Return: 0;
 * -WIRE_BAD_OPTION for a length that is not that of the option or goes beyond the header.
 */
static inline int tcp_options_parse(struct tcp_options *options, const struct tcp_header *header,
				    const void *data)
{
	const uint8_t *bytes = (const uint8_t *)data + TCP_HEADER_BYTES;
	size_t length = header->header_bytes - TCP_HEADER_BYTES;

	/* Nothing; or what nearly all segments have: RFC 7323, appendix A. */
	if (!length || (length == TCP_TIMESTAMP_BYTES && load_be32(bytes) == 0x0101080a)) {
		options->has_mss = false;
		options->has_window_shift = false;
		options->sack_permitted = false;
		options->has_timestamp = length;
		options->sack_count = 0;
		if (length) {
			options->timestamp = load_be32(bytes + 4);
			options->timestamp_echo = load_be32(bytes + 8);
		}
		return 0;
	}
	return tcp_options_parse_any(options, bytes, length, header->flags);
}

/**
 * tcp_options_bytes - what tcp_emit makes of the options: 0 to 40
 *
 * As many blocks of SACK count as there is room for.
 */
size_t tcp_options_bytes(const struct tcp_options *options);

/**
 * tcp_emit - write a header with the checksum that it has
 * @options: NULL for none; of the blocks of SACK the first that fit
 *
 * Return: its length, 20 to 60, a multiple of 4; -WIRE_NO_ROOM.
 */
int tcp_emit(void *buffer, size_t room, const struct tcp_header *header,
	     const struct tcp_options *options);

/**
 * tcp_checksum - the field's value for a segment whose bytes lie together
 * @data: header, with a checksum of 0, and payload
 */
static inline uint16_t tcp_checksum(const struct ip_address *source,
				    const struct ip_address *destination, const void *data,
				    size_t length)
{
	uint64_t sum = checksum_pseudo(source, destination, IPPROTO_TCP, (uint32_t)length);

	return checksum_finish(checksum_add(sum, data, length));
}

#endif /* DEMI_WIRE_TCP_H */
