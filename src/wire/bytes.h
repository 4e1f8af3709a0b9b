/* SPDX-License-Identifier: MIT */
/*
 * Integers of network byte order (RFC 791, appendix B) at addresses of any alignment. One memcpy
 * is one load: what a peer or a device may change behind our back is read once and then kept.
 */
#ifndef DEMI_WIRE_BYTES_H
#define DEMI_WIRE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t load_be16(const void *data)
{
	uint16_t word;

	memcpy(&word, data, sizeof(word));
	return be16toh(word);
}

static inline uint32_t load_be32(const void *data)
{
	uint32_t word;

	memcpy(&word, data, sizeof(word));
	return be32toh(word);
}

static inline uint64_t load_be64(const void *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return be64toh(word);
}

static inline void store_be16(void *data, uint16_t value)
{
	value = htobe16(value);
	memcpy(data, &value, sizeof(value));
}

static inline void store_be32(void *data, uint32_t value)
{
	value = htobe32(value);
	memcpy(data, &value, sizeof(value));
}

static inline void store_be64(void *data, uint64_t value)
{
	value = htobe64(value);
	memcpy(data, &value, sizeof(value));
}

#endif /* DEMI_WIRE_BYTES_H */
