/* SPDX-License-Identifier: MIT */
#include "wire/pcapng.h"

#include <stdbool.h>
#include <string.h>

#include "wire/error.h"

#define CAPTURED_BYTES_MAX (1ul << 30)
#define BLOCK_END_BYTES 4 /* the length again */

enum block {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 6,
};

enum option {
	OPTION_END = 0,
	OPTION_COMMENT = 1,
	OPTION_INTERFACE_NAME = 2,
	OPTION_INTERFACE_RESOLUTION = 9,
	OPTION_PACKET_FLAGS = 2,
};

#define LINK_TYPE_ETHERNET 1
#define RESOLUTION_NS 9 /* 10^-9 */

/* Writes without knowing how much will fit; what does not only counts. */
struct writer {
	uint8_t *buffer;
	size_t room;
	size_t at;
};

static void put(struct writer *writer, const void *data, size_t length)
{
	if (length && writer->at <= writer->room && length <= writer->room - writer->at)
		memcpy(writer->buffer + writer->at, data, length);
	writer->at += length;
}

static void put_u16(struct writer *writer, uint16_t value)
{
	put(writer, &value, sizeof(value));
}

static void put_u32(struct writer *writer, uint32_t value)
{
	put(writer, &value, sizeof(value));
}

/* Data, and zeros up to a multiple of four bytes. */
static void put_padded(struct writer *writer, const void *data, size_t length)
{
	put(writer, data, length);
	put(writer, "\0\0\0", -length % 4);
}

static void put_option(struct writer *writer, enum option option, const void *data, size_t length)
{
	put_u16(writer, (uint16_t)option);
	put_u16(writer, (uint16_t)length);
	put_padded(writer, data, length);
}

static void put_text(struct writer *writer, enum option option, const char *text)
{
	size_t length = strlen(text);

	put_option(writer, option, text,
		   length < PCAPNG_TEXT_BYTES_MAX ? length : PCAPNG_TEXT_BYTES_MAX);
}

static struct writer block_begin(void *buffer, size_t room, enum block type)
{
	struct writer writer = {.buffer = buffer, .room = room};

	put_u32(&writer, type);
	put_u32(&writer, 0);
	return writer;
}

/* Both lengths; a block that did not fit is none. */
static int block_end(struct writer *writer)
{
	uint32_t bytes = (uint32_t)(writer->at + BLOCK_END_BYTES);

	put_u32(writer, bytes);
	if (writer->at > writer->room)
		return -WIRE_NO_ROOM;
	memcpy(writer->buffer + 4, &bytes, sizeof(bytes));
	return (int)bytes;
}

int pcapng_section(void *buffer, size_t room)
{
	struct writer writer = block_begin(buffer, room, BLOCK_SECTION);

	put_u32(&writer, 0x1a2b3c4d); /* from which the reader learns the byte order */
	put_u16(&writer, 1);
	put_u16(&writer, 0);
	put_u32(&writer, UINT32_MAX); /* 64 bits of -1: as long as it is */
	put_u32(&writer, UINT32_MAX);
	return block_end(&writer);
}

int pcapng_interface(void *buffer, size_t room, const char *name, uint32_t snap_bytes)
{
	struct writer writer = block_begin(buffer, room, BLOCK_INTERFACE);
	const uint8_t resolution = RESOLUTION_NS;

	put_u16(&writer, LINK_TYPE_ETHERNET);
	put_u16(&writer, 0);
	put_u32(&writer, snap_bytes);
	put_text(&writer, OPTION_INTERFACE_NAME, name);
	put_option(&writer, OPTION_INTERFACE_RESOLUTION, &resolution, sizeof(resolution));
	put_option(&writer, OPTION_END, NULL, 0);
	return block_end(&writer);
}

int pcapng_packet(void *buffer, size_t room, const struct pcapng_packet *packet)
{
	struct writer writer = block_begin(buffer, room, BLOCK_PACKET);
	uint32_t flags = (uint32_t)packet->direction;

	if (packet->captured_bytes >= CAPTURED_BYTES_MAX)
		return -WIRE_NO_ROOM;
	put_u32(&writer, packet->interface);
	put_u32(&writer, (uint32_t)(packet->time_ns >> 32));
	put_u32(&writer, (uint32_t)packet->time_ns);
	put_u32(&writer, (uint32_t)packet->captured_bytes);
	put_u32(&writer, packet->wire_bytes);
	put_padded(&writer, packet->data, packet->captured_bytes);
	put_option(&writer, OPTION_PACKET_FLAGS, &flags, sizeof(flags));
	if (packet->comment && packet->comment[0])
		put_text(&writer, OPTION_COMMENT, packet->comment);
	put_option(&writer, OPTION_END, NULL, 0);
	return block_end(&writer);
}
