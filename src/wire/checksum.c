/* SPDX-License-Identifier: MIT */
#include "wire/checksum.h"

/* From here on the processor is asked for its wider registers. */
#define CHECKSUM_LONG_BYTES 128

typedef uint64_t lanes __attribute__((vector_size(32)));

/*
 * What is asked for are the sums of the low and of the high 32 bits of all words, which carry nothing for
 * 2^31 blocks. The sum of whole words, which may overflow, less that of the high halves in their place is
 * that of the low ones: one operation fewer than masking them. The compiler makes of it whatever the
 * function that it is inlined into may use.
 */
static inline __attribute__((always_inline)) void add_lanes(const uint8_t *data, lanes *whole,
							    lanes *high)
{
	lanes words;

	memcpy(&words, data, sizeof(words));
	*whole += words;
	*high += words >> 32;
}

static inline __attribute__((always_inline)) uint64_t sum_blocks(const uint8_t *data, size_t count)
{
	lanes whole = {0}, high = {0};

	/* Four in a row, so that the loop costs little beside what it does. */
	for (; count >= 4; count -= 4, data += 4 * sizeof(lanes)) {
		add_lanes(data, &whole, &high);
		add_lanes(data + sizeof(lanes), &whole, &high);
		add_lanes(data + 2 * sizeof(lanes), &whole, &high);
		add_lanes(data + 3 * sizeof(lanes), &whole, &high);
	}
	for (; count; count--, data += sizeof(lanes))
		add_lanes(data, &whole, &high);
	whole -= high << 32;
	whole += high;
	return whole[0] + whole[1] + whole[2] + whole[3];
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

/* 32 bytes: four additions with the carry of one into the next, which C has no word for. */
static inline uint64_t add_block(uint64_t sum, const uint8_t *data)
{
#ifdef __x86_64__
	__asm__("addq 0(%1), %0\n\t"
		"adcq 8(%1), %0\n\t"
		"adcq 16(%1), %0\n\t"
		"adcq 24(%1), %0\n\t"
		"adcq $0, %0"
		: "+r"(sum)
		: "r"(data), "m"(*(const uint8_t(*)[32])data)
		: "cc");
#else
	uint64_t words[4];

	memcpy(words, data, sizeof(words));
	for (int i = 0; i < 4; i++)
		sum = checksum_add_words(sum, words[i]);
#endif
	return sum;
}

static inline uint64_t add_short(uint64_t sum, const uint8_t *bytes, size_t length)
{
	uint64_t words;

	for (; length >= 32; length -= 32, bytes += 32)
		sum = add_block(sum, bytes);
	for (; length >= sizeof(words); length -= sizeof(words), bytes += sizeof(words)) {
		memcpy(&words, bytes, sizeof(words));
		sum = checksum_add_words(sum, words);
	}
	return length ? checksum_add_words(sum, sum_tail(bytes, length)) : sum;
}

/* By itself, so that what is short need not save registers for its calls. */
static __attribute__((noinline)) uint64_t add_long(uint64_t sum, const uint8_t *bytes,
						   size_t length)
{
	size_t count = length / sizeof(lanes);

	sum = checksum_add_words(sum, sum_long(bytes, count));
	return add_short(sum, bytes + count * sizeof(lanes), length % sizeof(lanes));
}

uint64_t checksum_add(uint64_t sum, const void *data, size_t length)
{
	return length >= CHECKSUM_LONG_BYTES ? add_long(sum, data, length)
					     : add_short(sum, data, length);
}

void checksum_append(struct checksum *checksum, const void *data, size_t length)
{
	uint64_t sum = checksum_add(0, data, length);

	if (checksum->odd)
		sum = __builtin_bswap16(checksum_fold(sum));
	checksum->sum = checksum_add_words(checksum->sum, sum);
	checksum->odd ^= length & 1;
}
