/* SPDX-License-Identifier: MIT */
/* Messages cut out of a stream, which arrives in pieces of any size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <demi/demi.h>
#include <errno.h>
#include <string.h>

#include "stream.h"

static struct stream stream;

static int set_up(void **state)
{
	(void)state;
	setenv("LIBOS", "catnap", 1);
	return demi_init(NULL);
}

static int tear_down(void **state)
{
	(void)state;
	demi_fini();
	return 0;
}

static void add(const void *bytes, size_t length)
{
	demi_sgarray_t array = demi_sgaalloc(length);

	assert_int_equal(array.sga_numsegs, 1);
	memcpy(array.sga_segs[0].sgaseg_buf, bytes, length);
	assert_int_equal(stream_add(&stream, &array), 0);
}

static size_t gather(const struct stream_message *message, uint8_t *to)
{
	size_t length = 0;

	for (uint32_t i = 0; i < message->count; i++) {
		memcpy(to + length, message->pieces[i].sgaseg_buf, message->pieces[i].sgaseg_len);
		length += message->pieces[i].sgaseg_len;
	}
	return length;
}

/* A Binding request, ChannelData of 5 bytes with padding, and one of none. */
static const uint8_t three[] = {0,   1,   0,   0,   0x21, 0x12, 0xa4, 0x42, 1,    2, 3, 4,
				5,   6,   7,   8,   9,    10,   11,   12,   0x40, 1, 0, 5,
				'h', 'e', 'l', 'l', 'o',  0,    0,    0,    0x40, 2, 0, 0};
static const struct {
	uint32_t at, length, taken;
} lengths[] = {{0, 20, 20}, {20, 9, 12}, {32, 4, 4}};

static void check_next(size_t which)
{
	struct stream_message message;
	uint8_t bytes[64];

	assert_int_equal(stream_next(&stream, &message), 1);
	assert_int_equal(message.length, lengths[which].length);
	assert_int_equal(message.taken, lengths[which].taken);
	assert_int_equal(gather(&message, bytes), message.length);
	assert_memory_equal(bytes, three + lengths[which].at, message.length);
	stream_take(&stream, &message);
}

static void stream__gives_messages_that_came_together(void **state)
{
	(void)state;
	struct stream_message message;

	add(three, sizeof(three));
	for (size_t i = 0; i < 3; i++)
		check_next(i);
	assert_int_equal(stream_next(&stream, &message), 0);
	assert_int_equal(stream.count, 0);
}

static void stream__gives_messages_that_came_in_pieces_of_any_size(void **state)
{
	(void)state;
	for (size_t size = 1; size < sizeof(three); size++) {
		size_t given = 0, which = 0;
		struct stream_message message;

		while (given < sizeof(three)) {
			size_t bytes = sizeof(three) - given < size ? sizeof(three) - given : size;

			add(three + given, bytes);
			given += bytes;
			while (which < 3 && given >= lengths[which].at + lengths[which].taken)
				check_next(which++);
			assert_int_equal(stream_next(&stream, &message), 0);
		}
		assert_int_equal(which, 3);
		assert_int_equal(stream.count, 0);
		assert_int_equal(stream.length, 0);
	}
}

/* On some libOSes a pop gives several segments, whose memory is freed with the last. */
static void stream__takes_arrays_of_several_segments(void **state)
{
	(void)state;
	uint8_t many[4 + 4000] = {0x40, 1, 4000 >> 8, 4000 & 0xff};
	struct stream_message message;
	demi_heap_stats_t before, after;
	size_t given = 0;

	assert_int_equal(demi_heap_stats(&before), 0);
	while (given < sizeof(many)) {
		demi_sgarray_t array = demi_sgaalloc(500);
		uint8_t *bytes = array.sga_segs[0].sgaseg_buf;

		memset(bytes, 'x', 500);
		array.sga_numsegs = 5;
		for (uint32_t i = 0; i < 5; i++) {
			array.sga_segs[i] = (demi_sgaseg_t){bytes + 100 * i, 100};
			if (given < sizeof(many))
				memcpy(bytes + 100 * i, many + given,
				       sizeof(many) - given < 100 ? sizeof(many) - given : 100);
			given += 100;
		}
		assert_int_equal(stream_add(&stream, &array), 0);
	}
	assert_int_equal(stream_next(&stream, &message), 1);
	assert_int_equal(message.length, sizeof(many));
	assert_true(message.count <= STREAM_PIECES_MAX);
	stream_take(&stream, &message);
	stream_fini(&stream);
	assert_int_equal(demi_heap_stats(&after), 0);
	assert_int_equal(after.objects, before.objects);
}

static void stream__of_single_bytes_keeps_few_buffers(void **state)
{
	(void)state;
	static const uint8_t start[] = {0x40, 1, 0xff, 0xff};
	demi_heap_stats_t before, after;
	struct stream_message message;

	assert_int_equal(demi_heap_stats(&before), 0);
	add(start, sizeof(start));
	for (unsigned int i = 0; i < 60000; i++) {
		add("x", 1);
		assert_int_equal(stream_next(&stream, &message), 0);
	}
	assert_true(stream.count <= STREAM_PARTS_MAX);
	assert_int_equal(demi_heap_stats(&after), 0);
	assert_true(after.objects - before.objects <= 2 * STREAM_PARTS_MAX);
	stream_fini(&stream);
	assert_int_equal(demi_heap_stats(&after), 0);
	assert_int_equal(after.objects, before.objects);
}

static void stream__that_has_no_message_is_refused(void **state)
{
	(void)state;
	static const uint8_t wrong[][4] = {{0x80, 0, 0, 0}, {0xff, 0, 0, 0}, {0, 1, 0, 3}};
	struct stream_message message;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		add(wrong[i], sizeof(wrong[i]));
		assert_int_equal(stream_next(&stream, &message), -EBADMSG);
		stream_fini(&stream);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stream__gives_messages_that_came_together),
		cmocka_unit_test(stream__gives_messages_that_came_in_pieces_of_any_size),
		cmocka_unit_test(stream__takes_arrays_of_several_segments),
		cmocka_unit_test(stream__of_single_bytes_keeps_few_buffers),
		cmocka_unit_test(stream__that_has_no_message_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
