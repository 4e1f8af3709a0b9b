/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include "bytes.h"
#include "key_hash.h"

/* The length stands there twice: one that is not what it was must not make the rest a part of it. */
#define LENGTH_CHECK 0x464c5844u

void frame_head(void *head, const void *record, uint32_t len)
{
	struct writer writer = {.bytes = head, .room = FRAME_HEAD};

	write_u32(&writer, len);
	write_u32(&writer, len ^ LENGTH_CHECK);
	write_u64(&writer, key_hash(record, len));
}

/* Return: its record's length, if that can be read; 0: it cannot. */
static uint32_t length_of(const uint8_t *bytes, size_t len)
{
	struct reader reader = reader_of(bytes, len);
	uint32_t length = read_u32(&reader), check = read_u32(&reader);

	return !reader.failed && (length ^ check) == LENGTH_CHECK && length <= FRAME_RECORD_MAX
		       ? length
		       : 0;
}

size_t frame_read(const uint8_t *bytes, size_t len, const void **record, uint32_t *record_len)
{
	uint32_t length = length_of(bytes, len);
	struct reader reader;

	if (!length || len < FRAME_HEAD + (size_t)length)
		return 0;
	reader = reader_of(bytes + 8, 8);
	if (read_u64(&reader) != key_hash(bytes + FRAME_HEAD, length))
		return 0;
	*record = bytes + FRAME_HEAD;
	*record_len = length;
	return FRAME_HEAD + (size_t)length;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	return len == 0 || (bytes[0] == 0 && !memcmp(bytes, bytes + 1, len - 1));
}

bool frame_is_torn(const uint8_t *bytes, size_t len)
{
	uint32_t length = length_of(bytes, len);

	if (length)
		return len <= FRAME_HEAD + (size_t)length;
	return len < FRAME_HEAD || is_zero(bytes, len);
}
