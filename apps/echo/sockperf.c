/* SPDX-License-Identifier: MIT */
#include "sockperf.h"

#define HEADER_BYTES 14
#define FLAGS_OFFSET 8
#define LENGTH_OFFSET 10
#define FROM_CLIENT 1
#define WANTS_REPLY 2

/* One byte of a header, which may come by itself; it is changed where it has the flag. */
static enum sockperf_verdict turn_header_byte(struct sockperf_stream *stream, uint8_t *byte)
{
	uint32_t offset = stream->offset++;

	if (offset == FLAGS_OFFSET) {
		stream->flags = (uint16_t)(*byte << 8);
	} else if (offset == FLAGS_OFFSET + 1) {
		stream->flags |= *byte;
		if (!(stream->flags & FROM_CLIENT))
			return SOCKPERF_BROKEN;
		if (!(stream->flags & WANTS_REPLY))
			return SOCKPERF_SILENT;
		*byte &= (uint8_t)~FROM_CLIENT;
	} else if (offset >= LENGTH_OFFSET) {
		stream->length = stream->length << 8 | *byte;
	}
	return stream->offset == HEADER_BYTES && stream->length < HEADER_BYTES ? SOCKPERF_BROKEN
									       : SOCKPERF_REPLY;
}

enum sockperf_verdict sockperf_turn(struct sockperf_stream *stream, uint8_t *bytes, size_t length)
{
	while (length > 0) {
		size_t part = 1;

		if (stream->offset < HEADER_BYTES) {
			enum sockperf_verdict verdict = turn_header_byte(stream, bytes);
			if (verdict != SOCKPERF_REPLY)
				return verdict;
		} else {
			part = stream->length - stream->offset;
			part = part < length ? part : length;
			stream->offset += (uint32_t)part;
		}
		bytes += part;
		length -= part;
		if (stream->offset >= HEADER_BYTES && stream->offset == stream->length)
			*stream = (struct sockperf_stream){0};
	}
	return SOCKPERF_REPLY;
}
