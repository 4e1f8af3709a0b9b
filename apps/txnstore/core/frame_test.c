/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include <string.h>

#include "testing.h"

static const char first[] = "the first record", second[] = "another one";
static uint8_t file[2 * FRAME_HEAD + sizeof(first) + sizeof(second)];

static int setup(void **state)
{
	uint8_t *next = file + FRAME_HEAD + sizeof(first);
	(void)state;

	frame_head(file, first, sizeof(first));
	memcpy(file + FRAME_HEAD, first, sizeof(first));
	frame_head(next, second, sizeof(second));
	memcpy(next + FRAME_HEAD, second, sizeof(second));
	return 0;
}

/* Return: bytes of whole frames that a file begins with. */
static size_t read_whole(const uint8_t *bytes, size_t len, unsigned *count)
{
	const void *record;
	size_t at = 0, size;
	uint32_t record_len;

	for (*count = 0; (size = frame_read(bytes + at, len - at, &record, &record_len)); ++*count)
		at += size;
	return at;
}

static void frame__is_read_as_it_was_written(void **state)
{
	const void *record;
	uint32_t len;
	(void)state;

	assert_int_equal(frame_read(file, sizeof(file), &record, &len), FRAME_HEAD + sizeof(first));
	assert_int_equal(len, sizeof(first));
	assert_memory_equal(record, first, sizeof(first));
}

static void frame__file_may_end_anywhere(void **state)
{
	unsigned count;
	(void)state;

	for (size_t len = 0; len <= sizeof(file); len++) {
		size_t at = read_whole(file, len, &count);

		assert_int_equal(count,
				 (len >= FRAME_HEAD + sizeof(first)) + (len == sizeof(file)));
		assert_true(frame_is_torn(file + at, len - at));
	}
}

static void frame__room_that_was_not_written_is_torn(void **state)
{
	uint8_t longer[sizeof(file) + 100] = {0};
	unsigned count;
	size_t at;
	(void)state;

	memcpy(longer, file, sizeof(file));
	at = read_whole(longer, sizeof(longer), &count);
	assert_int_equal(count, 2);
	assert_true(frame_is_torn(longer + at, sizeof(longer) - at));
	/* And a last frame of which a part is missing. */
	longer[sizeof(file) - 3] = 0;
	at = read_whole(longer, sizeof(file), &count);
	assert_int_equal(count, 1);
	assert_true(frame_is_torn(longer + at, sizeof(file) - at));
}

static void frame__what_others_follow_is_damaged(void **state)
{
	unsigned count;
	(void)state;

	for (size_t i = 0; i < FRAME_HEAD + sizeof(first); i++) {
		setup(NULL);
		file[i] ^= 4;
		assert_int_equal(read_whole(file, sizeof(file), &count), 0);
		assert_false(frame_is_torn(file, sizeof(file)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(frame__is_read_as_it_was_written, setup),
		cmocka_unit_test_setup(frame__file_may_end_anywhere, setup),
		cmocka_unit_test_setup(frame__room_that_was_not_written_is_torn, setup),
		cmocka_unit_test_setup(frame__what_others_follow_is_damaged, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
