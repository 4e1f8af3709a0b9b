/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log/crc32c.h"

#define BYTES_MAX 5000u

static void expect(uint32_t crc, const void *data, size_t bytes)
{
	assert_int_equal(crc32c(0, data, bytes), crc);
	assert_int_equal(crc32c_by_table(0, data, bytes), crc);
}

/* RFC 3720, appendix B.4. */
static void crc32c__is_that_of_the_rfc(void **state)
{
	static const uint8_t command[48] = {
		0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
		0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	};
	uint8_t bytes[32];

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	expect(0x8a9136aa, bytes, sizeof(bytes));
	memset(bytes, 0xff, sizeof(bytes));
	expect(0x62a8ab43, bytes, sizeof(bytes));
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = i;
	expect(0x46dd794e, bytes, sizeof(bytes));
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = 31 - i;
	expect(0x113fdb5c, bytes, sizeof(bytes));
	expect(0xd9963a56, command, sizeof(command));
	expect(0xe3069283, "123456789", 9);
	expect(0, bytes, 0);
}

static uint8_t *noise(void)
{
	uint8_t *data = malloc(BYTES_MAX + 16);
	uint64_t state = 1;

	assert_non_null(data);
	for (uint32_t i = 0; i < BYTES_MAX + 16; i++) {
		state = state * 6364136223846793005 + 1442695040888963407;
		data[i] = (uint8_t)(state >> 56);
	}
	return data;
}

static void crc32c__does_not_depend_on_how_it_is_done(void **state)
{
	uint8_t *data = noise();

	(void)state;
	for (uint32_t at = 0; at < 9; at++)
		for (uint32_t bytes = 0; bytes < BYTES_MAX; bytes += bytes < 1700 ? 1 : 61)
			assert_int_equal(crc32c(at, data + at, bytes),
					 crc32c_by_table(at, data + at, bytes));
	free(data);
}

static void crc32c__goes_on_where_it_was(void **state)
{
	uint8_t *data = noise();
	uint32_t whole = crc32c(7, data, BYTES_MAX);

	(void)state;
	for (uint32_t first = 0; first <= BYTES_MAX; first += 13)
		assert_int_equal(crc32c(crc32c(7, data, first), data + first, BYTES_MAX - first),
				 whole);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32c__is_that_of_the_rfc),
		cmocka_unit_test(crc32c__does_not_depend_on_how_it_is_done),
		cmocka_unit_test(crc32c__goes_on_where_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
