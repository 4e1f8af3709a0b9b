/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "libos/catmint/message.h"

static const struct message_hello good = {
	.receive_bytes = 4096,
	.granted = 4,
	.counters = 0x0123456789abcdef,
	.counters_rkey = 0xfedcba98,
	.large_bytes = 1 << 20,
};

static void header__comes_back_as_it_was_stored(void **state)
{
	(void)state;
	for (int kind = MESSAGE_DATA; kind <= MESSAGE_END; kind++) {
		struct message_header header = {
			(enum message_kind)kind, 7, {0x80000001, 0xfffffffe}};
		unsigned char bytes[MESSAGE_HEADER_BYTES];
		struct message_header again;

		message_header_store(bytes, &header);
		assert_true(message_header_load(&again, bytes, MESSAGE_HEADER_BYTES + 7));
		assert_int_equal(again.kind, header.kind);
		assert_int_equal(again.length, header.length);
		assert_int_equal(again.counters.granted, header.counters.granted);
		assert_int_equal(again.counters.read, header.counters.read);
	}
}

static void header__has_the_length_of_its_message(void **state)
{
	struct message_header header = {MESSAGE_DATA, 7, {1, 2}};
	unsigned char bytes[MESSAGE_HEADER_BYTES];

	(void)state;
	message_header_store(bytes, &header);
	for (uint32_t length = 0; length < 64; length++)
		assert_int_equal(message_header_load(&header, bytes, length),
				 length == MESSAGE_HEADER_BYTES + 7);
	header.length = UINT32_MAX;
	message_header_store(bytes, &header);
	assert_false(message_header_load(&header, bytes, MESSAGE_HEADER_BYTES - 1));
	assert_false(message_header_load(&header, bytes, MESSAGE_HEADER_BYTES));
}

static void header__of_another_kind_is_none(void **state)
{
	(void)state;
	for (int kind = 0; kind < 256; kind++) {
		unsigned char bytes[MESSAGE_HEADER_BYTES] = {(unsigned char)kind};
		struct message_header header;

		assert_int_equal(message_header_load(&header, bytes, sizeof(bytes)),
				 kind >= MESSAGE_DATA && kind <= MESSAGE_END);
		for (int at = 1; at < 4; at++) {
			bytes[at] = 1;
			assert_false(message_header_load(&header, bytes, sizeof(bytes)));
			bytes[at] = 0;
		}
	}
}

static void counters__come_back_as_they_were_packed(void **state)
{
	struct message_counters counters = {0xfffffff0, 0x12345678};
	uint64_t word = message_counters_pack(counters);
	unsigned char bytes[8];

	(void)state;
	memcpy(bytes, &word, sizeof(bytes));
	assert_int_equal(load_be32(bytes), counters.granted);
	assert_int_equal(load_be32(bytes + 4), counters.read);
	counters = message_counters_unpack(word);
	assert_int_equal(counters.granted, 0xfffffff0);
	assert_int_equal(counters.read, 0x12345678);
}

static void place__comes_back_as_it_was_stored(void **state)
{
	struct message_place place = {0xfedcba9876543210, 0x11223344, 0xffffffff}, again;
	unsigned char bytes[MESSAGE_PLACE_BYTES];

	(void)state;
	message_place_store(bytes, &place);
	message_place_load(&again, bytes);
	assert_true(again.address == place.address && again.rkey == place.rkey &&
		    again.length == place.length);
}

static void hello__comes_back_as_it_was_stored(void **state)
{
	unsigned char bytes[MESSAGE_HELLO_BYTES + 24] = {0};
	struct message_hello again;

	(void)state;
	message_hello_store(bytes, &good);
	/* Private data may be longer than what was given. */
	assert_int_equal(message_hello_load(&again, bytes, sizeof(bytes)), HELLO_GOOD);
	assert_memory_equal(&again, &good, sizeof(good));
}

static void hello__that_was_cut_is_strange(void **state)
{
	unsigned char bytes[MESSAGE_HELLO_BYTES];
	struct message_hello again;

	(void)state;
	message_hello_store(bytes, &good);
	for (uint32_t length = 0; length < sizeof(bytes); length++)
		assert_int_equal(message_hello_load(&again, bytes, length), HELLO_STRANGE);
	assert_int_equal(message_hello_load(&again, NULL, sizeof(bytes)), HELLO_STRANGE);
}

static void hello__tells_strangers_from_other_versions(void **state)
{
	unsigned char bytes[MESSAGE_HELLO_BYTES];
	struct message_hello again;

	(void)state;
	message_hello_store(bytes, &good);
	bytes[7]++;
	assert_int_equal(message_hello_load(&again, bytes, sizeof(bytes)), HELLO_OTHER_VERSION);
	bytes[0]++;
	assert_int_equal(message_hello_load(&again, bytes, sizeof(bytes)), HELLO_STRANGE);
}

/* A notice of a large message fits into each receive buffer. */
static void hello__has_the_least_that_is_needed(void **state)
{
	uint32_t least = MESSAGE_HEADER_BYTES + MESSAGE_PLACES_MAX * MESSAGE_PLACE_BYTES + 1;
	unsigned char bytes[MESSAGE_HELLO_BYTES];
	struct message_hello hello = good, again;

	(void)state;
	hello.receive_bytes = hello.large_bytes = least;
	message_hello_store(bytes, &hello);
	assert_int_equal(message_hello_load(&again, bytes, sizeof(bytes)), HELLO_GOOD);
	hello.receive_bytes = least - 1;
	message_hello_store(bytes, &hello);
	assert_int_equal(message_hello_load(&again, bytes, sizeof(bytes)), HELLO_STRANGE);
	hello.receive_bytes = least;
	hello.large_bytes = least - 1;
	message_hello_store(bytes, &hello);
	assert_int_equal(message_hello_load(&again, bytes, sizeof(bytes)), HELLO_STRANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header__comes_back_as_it_was_stored),
		cmocka_unit_test(header__has_the_length_of_its_message),
		cmocka_unit_test(header__of_another_kind_is_none),
		cmocka_unit_test(counters__come_back_as_they_were_packed),
		cmocka_unit_test(place__comes_back_as_it_was_stored),
		cmocka_unit_test(hello__comes_back_as_it_was_stored),
		cmocka_unit_test(hello__that_was_cut_is_strange),
		cmocka_unit_test(hello__tells_strangers_from_other_versions),
		cmocka_unit_test(hello__has_the_least_that_is_needed),
	};

	return cmocka_run_group_tests_name("libos/catmint/message", tests, NULL, NULL);
}
