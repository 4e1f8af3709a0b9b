/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <errno.h>
#include <string.h>

#include "testing.h"

static const struct message example = {
	.type = MESSAGE_PREPARE,
	.result = RESULT_YES,
	.shard = 3,
	.from = 2,
	.configuration = 4,
	.view = 5,
	.op = 6,
	.commit = 7,
	.client = 8,
	.number = 9,
	.snapshot = 10,
	.nonce = 11,
	.incarnation = 12,
	.body_len = 5,
};

static size_t write_example(uint8_t *bytes)
{
	message_header(&example, bytes);
	memcpy(bytes + MESSAGE_HEADER_LEN, "hello", 5);
	return MESSAGE_HEADER_LEN + 5;
}

static void message__is_read_as_it_was_written(void **state)
{
	uint8_t bytes[200];
	size_t len = write_example(bytes);
	struct message message;
	(void)state;

	assert_int_equal(message_parse(&message, bytes, len), 0);
	assert_ptr_equal(message.body, bytes + MESSAGE_HEADER_LEN);
	message.body = NULL;
	assert_int_equal(message.type, example.type);
	assert_int_equal(message.result, example.result);
	assert_int_equal(message.shard, example.shard);
	assert_int_equal(message.from, example.from);
	assert_int_equal(message.configuration, example.configuration);
	assert_int_equal(message.view, example.view);
	assert_int_equal(message.op, example.op);
	assert_int_equal(message.commit, example.commit);
	assert_int_equal(message.client, example.client);
	assert_int_equal(message.number, example.number);
	assert_int_equal(message.snapshot, example.snapshot);
	assert_int_equal(message.nonce, example.nonce);
	assert_int_equal(message.incarnation, example.incarnation);
	assert_int_equal(message.body_len, example.body_len);
}

static void message__tail_is_the_end_of_the_body(void **state)
{
	struct message out = example, in;
	uint8_t bytes[200];
	(void)state;

	out.body = "hel";
	out.body_len = 3;
	out.tail = "lo";
	out.tail_len = 2;
	assert_int_equal(message_size(&out), MESSAGE_HEADER_LEN + 5);
	message_write(&out, bytes);
	assert_int_equal(message_parse(&in, bytes, message_size(&out)), 0);
	assert_int_equal(in.body_len, 5);
	assert_memory_equal(in.body, "hello", 5);
	assert_int_equal(in.tail_len, 0);
}

static void message__numbers_are_little_endian(void **state)
{
	uint8_t bytes[200];
	(void)state;

	write_example(bytes);
	assert_memory_equal(bytes, "DTX1", 4);
	assert_memory_equal(bytes + 24, "\5\0\0\0\0\0\0\0", 8);
}

static void message__cut_anywhere_is_refused(void **state)
{
	uint8_t bytes[200];
	size_t len = write_example(bytes);
	struct message message;
	(void)state;

	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(message_parse(&message, bytes, cut), -EBADMSG);
	assert_int_equal(message_parse(&message, bytes, len + 1), -EBADMSG);
}

static void message__of_another_version_is_told_apart(void **state)
{
	uint8_t bytes[200];
	size_t len = write_example(bytes);
	struct message message;
	(void)state;

	bytes[3] = '2';
	assert_int_equal(message_parse(&message, bytes, len), -EPROTONOSUPPORT);
	bytes[0] = 'X';
	assert_int_equal(message_parse(&message, bytes, len), -EBADMSG);
}

static void message__of_what_there_is_not_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} wrong[] = {
		{4, 0}, {4, MESSAGE_TYPE_END}, {5, RESULT_END}, {6, SHARDS_MAX}, {8, REPLICAS_MAX}};
	uint8_t bytes[200];
	size_t len = write_example(bytes);
	struct message message;
	(void)state;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		uint8_t was = bytes[wrong[i].at];

		bytes[wrong[i].at] = wrong[i].value;
		assert_int_equal(message_parse(&message, bytes, len), -EBADMSG);
		bytes[wrong[i].at] = was;
	}
	assert_int_equal(message_parse(&message, bytes, len), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message__is_read_as_it_was_written),
		cmocka_unit_test(message__tail_is_the_end_of_the_body),
		cmocka_unit_test(message__numbers_are_little_endian),
		cmocka_unit_test(message__cut_anywhere_is_refused),
		cmocka_unit_test(message__of_another_version_is_told_apart),
		cmocka_unit_test(message__of_what_there_is_not_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
