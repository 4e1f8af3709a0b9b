/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <demi/heap.h>
#include <demi/sga.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "stun_message.h"
#include "turn.h"

#define LENGTH_KNOWN_BYTES 4 /* of a message, that its length stands in */

static void free_part(struct stream_part *part)
{
	demi_sgarray_t array = {.sga_buf = part->owner, .sga_numsegs = 1};

	if (!part->owner)
		return; /* it goes with the last of its array */
	if (part->is_gathered)
		demi_free(part->owner);
	else
		demi_sgafree(&array);
}

/* The first @length bytes, one after the other. */
static void copy_out(const struct stream *stream, uint8_t *to, uint32_t length)
{
	for (uint32_t i = 0; length > 0; i++) {
		const struct stream_part *part = &stream->parts[i];
		uint32_t bytes = part->length < length ? part->length : length;

		memcpy(to, part->bytes, bytes);
		to += bytes;
		length -= bytes;
	}
}

/* All parts become one. So a client that sends single bytes does not keep a buffer for each. */
static int gather(struct stream *stream)
{
	uint8_t *memory = demi_malloc(stream->length);

	if (!memory)
		return -ENOMEM;
	copy_out(stream, memory, stream->length);
	for (uint32_t i = 0; i < stream->count; i++)
		free_part(&stream->parts[i]);
	stream->parts[0] = (struct stream_part){
		.owner = memory, .bytes = memory, .length = stream->length, .is_gathered = true};
	stream->count = 1;
	return 0;
}

int stream_add(struct stream *stream, demi_sgarray_t *array)
{
	uint32_t last = array->sga_numsegs - 1;

	if (stream->count + array->sga_numsegs > STREAM_PARTS_MAX) {
		int error = gather(stream);

		if (error) {
			demi_sgafree(array);
			return error;
		}
	}
	for (uint32_t i = 0; i <= last; i++) {
		stream->parts[stream->count++] = (struct stream_part){
			.owner = i == last ? array->sga_buf : NULL,
			.bytes = array->sga_segs[i].sgaseg_buf,
			.length = array->sga_segs[i].sgaseg_len,
		};
		stream->length += array->sga_segs[i].sgaseg_len;
	}
	return 0;
}

/* From its first bytes: how long a message is, and with its padding; false: it is none. */
static bool message_lengths(const uint8_t start[LENGTH_KNOWN_BYTES], struct stream_message *message)
{
	uint32_t body = stun_get_16(start + 2);

	if (turn_is_channel_data(start[0])) {
		message->length = TURN_CHANNEL_HEADER_BYTES + body;
		message->taken = message->length + (uint32_t)stun_padding(body);
		return true;
	}
	message->length = message->taken = STUN_HEADER_BYTES + body;
	return (start[0] & 0xc0) == 0 && body % 4 == 0;
}

/* Where the message lies; false: in more pieces than go into an array. */
static bool find_pieces(const struct stream *stream, struct stream_message *message)
{
	uint32_t left = message->length;

	for (message->count = 0; left > 0; message->count++) {
		const struct stream_part *part = &stream->parts[message->count];
		uint32_t bytes = part->length < left ? part->length : left;

		if (message->count == STREAM_PIECES_MAX)
			return false;
		message->pieces[message->count] = (demi_sgaseg_t){(void *)(uintptr_t)part->bytes,
								  bytes};
		left -= bytes;
	}
	return true;
}

int stream_next(struct stream *stream, struct stream_message *message)
{
	uint8_t start[LENGTH_KNOWN_BYTES];

	if (stream->length < sizeof(start))
		return 0;
	copy_out(stream, start, sizeof(start));
	if (!message_lengths(start, message))
		return -EBADMSG;
	if (stream->length < message->taken)
		return 0;
	if (find_pieces(stream, message))
		return 1;
	int error = gather(stream);

	return error ? error : find_pieces(stream, message);
}

void stream_take(struct stream *stream, const struct stream_message *message)
{
	uint32_t left = message->taken, gone = 0;

	stream->length -= left;
	while (left > 0) {
		struct stream_part *part = &stream->parts[gone];

		if (part->length > left) {
			part->bytes += left;
			part->length -= left;
			break;
		}
		left -= part->length;
		free_part(part);
		gone++;
	}
	stream->count -= gone;
	memmove(stream->parts, stream->parts + gone, stream->count * sizeof(stream->parts[0]));
}

void stream_fini(struct stream *stream)
{
	for (uint32_t i = 0; i < stream->count; i++)
		free_part(&stream->parts[i]);
	*stream = (struct stream){0};
}
