/* SPDX-License-Identifier: MIT */
#include "wire/tcp.h"

#define OPTIONS_BYTES_MAX (TCP_HEADER_BYTES_MAX - TCP_HEADER_BYTES)
#define SACK_BLOCK_BYTES 8

enum option {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2,
	OPTION_WINDOW_SHIFT = 3,
	OPTION_SACK_PERMITTED = 4,
	OPTION_SACK = 5,
	OPTION_TIMESTAMP = 8,
};

static int sack_parse(struct tcp_options *options, const uint8_t *data, size_t bytes)
{
	size_t count = (bytes - 2) / SACK_BLOCK_BYTES;

	if (!count || bytes != 2 + count * SACK_BLOCK_BYTES || count > TCP_SACK_BLOCKS_MAX)
		return -WIRE_BAD_OPTION;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *block = data + 2 + i * SACK_BLOCK_BYTES;

		options->sack[i] = (struct tcp_sack_block){load_be32(block), load_be32(block + 4)};
	}
	options->sack_count = (uint8_t)count;
	return 0;
}

/* What only a SYN may carry; it is checked in others as well. */
static int syn_option_parse(struct tcp_options *options, uint8_t type, const uint8_t *data,
			    size_t bytes)
{
	if (type == OPTION_MSS) {
		if (bytes != 4)
			return -WIRE_BAD_OPTION;
		options->has_mss = true;
		options->mss = load_be16(data + 2);
	} else if (type == OPTION_WINDOW_SHIFT) {
		uint8_t shift;

		if (bytes != 3)
			return -WIRE_BAD_OPTION;
		shift = data[2];
		options->has_window_shift = true;
		options->window_shift = shift < TCP_WINDOW_SHIFT_MAX ? shift : TCP_WINDOW_SHIFT_MAX;
	} else {
		if (bytes != 2)
			return -WIRE_BAD_OPTION;
		options->sack_permitted = true;
	}
	return 0;
}

/* One option of @bytes, which lie within the header. */
static int option_parse(struct tcp_options *options, uint8_t type, const uint8_t *data,
			size_t bytes)
{
	switch (type) {
	case OPTION_MSS:
	case OPTION_WINDOW_SHIFT:
	case OPTION_SACK_PERMITTED:
		return syn_option_parse(options, type, data, bytes);
	case OPTION_SACK:
		return sack_parse(options, data, bytes);
	case OPTION_TIMESTAMP:
		if (bytes != 10)
			return -WIRE_BAD_OPTION;
		options->has_timestamp = true;
		options->timestamp = load_be32(data + 2);
		options->timestamp_echo = load_be32(data + 6);
		return 0;
	default:
		return 0;
	}
}

int tcp_options_parse_any(struct tcp_options *options, const uint8_t *data, size_t length,
			  uint8_t flags)
{
	size_t at = 0;
	int error;

	memset(options, 0, sizeof(*options));
	while (at < length) {
		uint8_t type = data[at];
		size_t bytes;

		if (type == OPTION_END)
			break;
		if (type == OPTION_NOP) {
			at++;
			continue;
		}
		if (length - at < 2)
			return -WIRE_BAD_OPTION;
		bytes = data[at + 1];
		if (bytes < 2 || bytes > length - at)
			return -WIRE_BAD_OPTION;
		error = option_parse(options, type, data + at, bytes);
		if (error)
			return error;
		at += bytes;
	}
	if (!(flags & TCP_SYN)) {
		options->has_mss = false;
		options->has_window_shift = false;
		options->sack_permitted = false;
	}
	return 0;
}

/* How many blocks of SACK fit behind @bytes of other options; two NOPs align them. */
static size_t sack_fitting(const struct tcp_options *options, size_t bytes)
{
	size_t count = options->sack_count;

	while (count && bytes + 4 + count * SACK_BLOCK_BYTES > OPTIONS_BYTES_MAX)
		count--;
	return count;
}

/* All options but SACK; each a multiple of four bytes. */
static size_t fixed_bytes(const struct tcp_options *options)
{
	return (options->has_mss ? 4u : 0) + (options->has_window_shift ? 4u : 0) +
	       (options->sack_permitted && !options->has_timestamp ? 4u : 0) +
	       (options->has_timestamp ? (size_t)TCP_TIMESTAMP_BYTES : 0);
}

size_t tcp_options_bytes(const struct tcp_options *options)
{
	size_t bytes = fixed_bytes(options), count = sack_fitting(options, bytes);

	return count ? bytes + 4 + count * SACK_BLOCK_BYTES : bytes;
}

/* "SACK permitted" takes the place of the NOPs in front of the timestamps. */
static void options_emit(uint8_t *bytes, const struct tcp_options *options)
{
	size_t count = sack_fitting(options, fixed_bytes(options));

	if (options->has_mss) {
		store_be32(bytes, 0x02040000u | options->mss);
		bytes += 4;
	}
	if (options->has_timestamp) {
		store_be32(bytes, options->sack_permitted ? 0x0402080a : 0x0101080a);
		store_be32(bytes + 4, options->timestamp);
		store_be32(bytes + 8, options->timestamp_echo);
		bytes += TCP_TIMESTAMP_BYTES;
	} else if (options->sack_permitted) {
		store_be32(bytes, 0x01010402);
		bytes += 4;
	}
	if (options->has_window_shift) {
		store_be32(bytes, 0x01030300u | options->window_shift);
		bytes += 4;
	}
	if (count) {
		store_be32(bytes, 0x01010500u | (uint32_t)(2 + count * SACK_BLOCK_BYTES));
		bytes += 4;
	}
	for (size_t i = 0; i < count; i++, bytes += SACK_BLOCK_BYTES) {
		store_be32(bytes, options->sack[i].left);
		store_be32(bytes + 4, options->sack[i].right);
	}
}

int tcp_emit(void *buffer, size_t room, const struct tcp_header *header,
	     const struct tcp_options *options)
{
	size_t header_bytes = TCP_HEADER_BYTES + (options ? tcp_options_bytes(options) : 0);
	uint8_t *bytes = buffer;

	if (room < header_bytes)
		return -WIRE_NO_ROOM;
	store_be64(bytes, (uint64_t)header->source_port << 48 |
				  (uint64_t)header->destination_port << 32 | header->sequence);
	store_be64(bytes + 8, (uint64_t)header->acknowledgment << 32 |
				      (uint64_t)(header_bytes / 4) << 28 |
				      (uint64_t)header->flags << 16 | header->window);
	store_be16(bytes + 16, header->checksum);
	store_be16(bytes + 18, header->urgent);
	if (options)
		options_emit(bytes + TCP_HEADER_BYTES, options);
	return (int)header_bytes;
}
