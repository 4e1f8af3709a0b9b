/* SPDX-License-Identifier: MIT */
#include "wire/checksum.h"

/* From here on the processor is asked for its wider registers. */
#define CHECKSUM_LONG_BYTES 128

typedef uint64_t lanes __attribute__((vector_size(32)));

/*
 * Sums of 32-bit halves in 64-bit lanes carry nothing for 2^31 blocks. The compiler makes of it
 * whatever the function that it is inlined into may use.
 */
static inline __attribute__((always_inline)) uint64_t sum_blocks(const uint8_t *data, size_t count)
{
	lanes low = {0}, high = {0}, words;

	for (size_t i = 0; i < count; i++) {
		memcpy(&words, data + i * sizeof(words), sizeof(words));
		low += words & UINT32_MAX;
		high += words >> 32;
	}
	low += high;
	return low[0] + low[1] + low[2] + low[3];
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint64_t sum_blocks_avx2(const uint8_t *data, size_t count)
{
	return sum_blocks(data, count);
}
#endif

static uint64_t sum_long(const uint8_t *data, size_t count)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		return sum_blocks_avx2(data, count);
#endif
	return sum_blocks(data, count);
}

/* Up to seven bytes, as the words that they are, followed by zeros. */
static uint64_t sum_tail(const uint8_t *data, size_t length)
{
	uint64_t sum = 0;
	uint32_t word;
	uint16_t half;

	if (length & 4) {
		memcpy(&word, data, sizeof(word));
		sum = word;
		data += sizeof(word);
	}
	if (length & 2) {
		memcpy(&half, data, sizeof(half));
		sum += half;
		data += sizeof(half);
	}
	if (length & 1) {
		half = 0;
		memcpy(&half, data, 1);
		sum += half;
	}
	return sum;
}

uint64_t checksum_add(uint64_t sum, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint64_t words;
	size_t count;

	if (length >= CHECKSUM_LONG_BYTES) {
		count = length / sizeof(lanes);
		sum = checksum_add_words(sum, sum_long(bytes, count));
		bytes += count * sizeof(lanes);
		length %= sizeof(lanes);
	}
	for (; length >= sizeof(words); length -= sizeof(words), bytes += sizeof(words)) {
		memcpy(&words, bytes, sizeof(words));
		sum = checksum_add_words(sum, words);
	}
	return length ? checksum_add_words(sum, sum_tail(bytes, length)) : sum;
}

void checksum_append(struct checksum *checksum, const void *data, size_t length)
{
	uint64_t sum = checksum_add(0, data, length);

	if (checksum->odd)
		sum = __builtin_bswap16(checksum_fold(sum));
	checksum->sum = checksum_add_words(checksum->sum, sum);
	checksum->odd ^= length & 1;
}
