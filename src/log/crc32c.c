/* SPDX-License-Identifier: MIT */
#include "log/crc32c.h"

#include <stdbool.h>
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
#include <immintrin.h>

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

static void make_lane_table(void)
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

/*
 * Long runs are folded: what stands FOLD_BYTES in front of sixteen bytes is multiplied by the power of
 * x that moves it there, both halves of it by one of their own, and added. The last FOLD_BYTES, which
 * have the same remainder as everything, are left for the instruction. Source: Gopal et al., "Fast CRC
 * Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel, 2009.
 */
#define FOLD_BYTES 256u
#define FOLD_BYTES_MIN 1024u

static uint64_t fold_powers[2]; /* for the half that comes first, and the other */

/* x to this power, as it stands in a reflected product, which is one bit short. */
static uint64_t power_of_x(uint32_t power)
{
	uint32_t remainder = 1u << 31;

	for (; power > 0; power--)
		remainder = remainder >> 1 ^ (POLYNOMIAL & -(remainder & 1));
	return (uint64_t)remainder << 1;
}

/* Before main, so that nobody has to ask whether it is done. */
__attribute__((constructor)) static void make_tables(void)
{
	make_lane_table();
	fold_powers[0] = power_of_x(8 * FOLD_BYTES + 32);
	fold_powers[1] = power_of_x(8 * FOLD_BYTES - 32);
}

#define FOLDS __attribute__((target("avx512f,vpclmulqdq,sse4.2")))

FOLDS static inline __m512i fold(__m512i so_far, __m512i powers, const uint8_t *next)
{
	__m512i first = _mm512_clmulepi64_epi128(so_far, powers, 0x00);
	__m512i other = _mm512_clmulepi64_epi128(so_far, powers, 0x11);

	/* All three of them: 0x96 is exclusive or. */
	return _mm512_ternarylogic_epi64(first, other, _mm512_loadu_si512(next), 0x96);
}

/* Whole FOLD_BYTES, two or more, of @bytes at *@next, which is moved on; inverted before and after. */
FOLDS static uint64_t by_folding(uint32_t crc, const uint8_t **next, size_t bytes)
{
	const uint8_t *from = *next, *end = from + bytes / FOLD_BYTES * FOLD_BYTES;
	__m512i powers = _mm512_broadcast_i32x4(
		_mm_set_epi64x((long long)fold_powers[1], (long long)fold_powers[0]));
	__m512i sums[4];
	uint64_t rest[FOLD_BYTES / 8], remainder = 0;

	for (unsigned int i = 0; i < 4; i++)
		sums[i] = _mm512_loadu_si512(from + (size_t)64 * i);
	sums[0] = _mm512_xor_si512(sums[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)crc)));
	for (from += FOLD_BYTES; from < end; from += FOLD_BYTES)
#pragma GCC unroll 4
		for (unsigned int i = 0; i < 4; i++)
			sums[i] = fold(sums[i], powers, from + (size_t)64 * i);
	memcpy(rest, sums, sizeof(rest));
	for (unsigned int i = 0; i < FOLD_BYTES / 8; i++)
		remainder = _mm_crc32_u64(remainder, rest[i]);
	*next = end;
	return remainder;
}

static bool can_fold(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *next,
								 size_t bytes)
{
	uint64_t first = ~crc;

	if (bytes >= FOLD_BYTES_MIN && can_fold()) {
		first = by_folding(~crc, &next, bytes);
		bytes %= FOLD_BYTES;
	}
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
