/* SPDX-License-Identifier: MIT */
#include "log/crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* reflected */

/* The remainder of one byte, by eight steps of one bit; 0 and 1 of it by mask. */
static uint32_t step(uint32_t remainder)
{
	for (unsigned int bit = 0; bit < 8; bit++)
		remainder = remainder >> 1 ^ (POLYNOMIAL & -(remainder & 1));
	return remainder;
}

uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t bytes)
{
	const uint8_t *next = data;

	crc = ~crc;
	/* Sixteen entries of half a byte each would do; a processor without the instruction is rare. */
	for (; bytes > 0; bytes--)
		crc = crc >> 8 ^ step((crc ^ *next++) & 0xff);
	return ~crc;
}

#ifdef __x86_64__
#include <nmmintrin.h>

/*
 * The instruction has a latency of three cycles and may start in each: three runs of blocks side by
 * side keep it busy. What the first two left is moved over the bytes of those behind them by
 * multiplication, which the tables below do.
 */
#define LANE_BYTES 256u

/* As if so many bytes of 0 followed: linear, so four tables of a byte each do. */
static uint32_t shift(const uint32_t table[4][256], uint32_t crc)
{
	return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^
	       table[3][crc >> 24];
}

static uint32_t lane_table[4][256];

/* Before main, so that nobody has to ask whether it is done. */
__attribute__((constructor)) static void make_lane_table(void)
{
	uint32_t columns[32];

	for (unsigned int bit = 0; bit < 32; bit++) {
		uint32_t remainder = 1u << bit;

		for (unsigned int i = 0; i < LANE_BYTES; i++)
			remainder = remainder >> 8 ^ step(remainder & 0xff);
		columns[bit] = remainder;
	}
	for (unsigned int byte = 0; byte < 4; byte++)
		for (unsigned int value = 0; value < 256; value++)
			for (unsigned int bit = 0; bit < 8; bit++)
				if (value & 1u << bit)
					lane_table[byte][value] ^= columns[8 * byte + bit];
}

static uint64_t load_u64(const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *next,
								 size_t bytes)
{
	uint64_t first = ~crc;

	while (bytes >= (size_t)3 * LANE_BYTES) {
		uint64_t second = 0, third = 0;

		for (unsigned int i = 0; i < LANE_BYTES; i += 8) {
			first = _mm_crc32_u64(first, load_u64(next + i));
			second = _mm_crc32_u64(second, load_u64(next + LANE_BYTES + i));
			third = _mm_crc32_u64(third, load_u64(next + (size_t)2 * LANE_BYTES + i));
		}
		first = shift(lane_table, (uint32_t)first) ^ second;
		first = shift(lane_table, (uint32_t)first) ^ third;
		next += (size_t)3 * LANE_BYTES;
		bytes -= (size_t)3 * LANE_BYTES;
	}
	for (; bytes >= 8; next += 8, bytes -= 8)
		first = _mm_crc32_u64(first, load_u64(next));
	for (; bytes > 0; bytes--)
		first = _mm_crc32_u8((uint32_t)first, *next++);
	return ~(uint32_t)first;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
	if (__builtin_expect(__builtin_cpu_supports("sse4.2"), 1))
		return by_instruction(crc, data, bytes);
	return crc32c_by_table(crc, data, bytes);
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
	return crc32c_by_table(crc, data, bytes);
}

#endif
