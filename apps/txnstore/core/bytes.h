/* SPDX-License-Identifier: MIT */
/*
 * Numbers and runs of bytes in messages and log records: little-endian, unaligned, never past the end.
 * A reader that would is `failed`, and reads zeros from then on, so that a parser asks once.
 */
#ifndef TXNSTORE_BYTES_H
#define TXNSTORE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct reader {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static inline struct reader reader_of(const void *bytes, size_t len)
{
	return (struct reader){.at = bytes, .left = len};
}

/** read_bytes - the next @len bytes, where they stand; NULL when there are not as many */
static inline const void *read_bytes(struct reader *reader, size_t len)
{
	const uint8_t *start = reader->at;

	if (reader->failed || reader->left < len) {
		reader->failed = true;
		return NULL;
	}
	reader->at += len;
	reader->left -= len;
	return start;
}

static inline uint64_t read_number(struct reader *reader, size_t len)
{
	const void *bytes = read_bytes(reader, len);
	uint64_t number = 0;

	if (bytes)
		memcpy(&number, bytes, len);
	return le64toh(number);
}

static inline uint8_t read_u8(struct reader *reader)
{
	return (uint8_t)read_number(reader, 1);
}

static inline uint16_t read_u16(struct reader *reader)
{
	return (uint16_t)read_number(reader, 2);
}

static inline uint32_t read_u32(struct reader *reader)
{
	return (uint32_t)read_number(reader, 4);
}

static inline uint64_t read_u64(struct reader *reader)
{
	return read_number(reader, 8);
}

/** reader_ended - whether all was read, and nothing past the end */
static inline bool reader_ended(const struct reader *reader)
{
	return !reader->failed && reader->left == 0;
}

/* Without room it only counts: `len` is what would have been needed. */
struct writer {
	uint8_t *bytes;
	size_t len, room;
};

static inline void write_bytes(struct writer *writer, const void *bytes, size_t len)
{
	if (len && writer->len + len <= writer->room)
		memcpy(writer->bytes + writer->len, bytes, len);
	writer->len += len;
}

static inline void write_number(struct writer *writer, uint64_t number, size_t len)
{
	number = htole64(number);
	write_bytes(writer, &number, len);
}

static inline void write_u8(struct writer *writer, uint8_t number)
{
	write_number(writer, number, 1);
}

static inline void write_u16(struct writer *writer, uint16_t number)
{
	write_number(writer, number, 2);
}

static inline void write_u32(struct writer *writer, uint32_t number)
{
	write_number(writer, number, 4);
}

static inline void write_u64(struct writer *writer, uint64_t number)
{
	write_number(writer, number, 8);
}

static inline bool writer_fits(const struct writer *writer)
{
	return writer->len <= writer->room;
}

#endif /* TXNSTORE_BYTES_H */
