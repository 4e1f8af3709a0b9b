/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>

#include "stun_message.h"

static const uint8_t transaction[STUN_TRANSACTION_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static struct net_address address(const char *text)
{
	struct net_address result;

	assert_null(net_address_parse(&result, text));
	return result;
}

/* A message with one of each kind of attribute that a client sends. */
static size_t sample(uint8_t *bytes, size_t room)
{
	struct net_address four = address("192.0.2.1:7"), six = address("[2001:db8::1]:65535");
	struct stun_writer writer;

	stun_begin(&writer, bytes, room, STUN_METHOD_CREATE_PERMISSION, STUN_REQUEST, transaction);
	stun_add(&writer, STUN_TYPE_USERNAME, "user1", 5);
	stun_add_address(&writer, STUN_TYPE_XOR_PEER_ADDRESS, &four);
	stun_add_32(&writer, STUN_TYPE_LIFETIME, 600);
	stun_add_address(&writer, STUN_TYPE_XOR_PEER_ADDRESS, &six);
	stun_add(&writer, STUN_TYPE_DONT_FRAGMENT, NULL, 0);
	assert_false(writer.is_full);
	return writer.length;
}

static void parse__reads_what_was_built(void **state)
{
	(void)state;
	struct net_address four = address("192.0.2.1:7"), six = address("[2001:db8::1]:65535"),
			   peer;
	uint8_t bytes[256];
	size_t length = sample(bytes, sizeof(bytes)), place = 0, value_length;
	struct stun_message message;

	assert_int_equal(stun_parse(&message, bytes, length), 0);
	assert_int_equal(message.method, STUN_METHOD_CREATE_PERMISSION);
	assert_int_equal(message.class, STUN_REQUEST);
	assert_memory_equal(message.transaction, transaction, sizeof(transaction));
	assert_false(message.is_malformed);
	assert_memory_equal(stun_value(&message, STUN_USERNAME, &value_length), "user1", 5);
	assert_int_equal(value_length, 5);
	assert_int_equal(stun_value_32(&message, STUN_LIFETIME), 600);
	assert_true(stun_has(&message, STUN_DONT_FRAGMENT));
	assert_null(stun_value(&message, STUN_NONCE, &value_length));
	assert_int_equal(stun_next_peer(&message, &place, &peer), 1);
	assert_true(net_address_equal(&peer, &four));
	assert_int_equal(stun_next_peer(&message, &place, &peer), 1);
	assert_true(net_address_equal(&peer, &six));
	assert_int_equal(stun_next_peer(&message, &place, &peer), 0);
}

static void parse__knows_every_method_and_class(void **state)
{
	(void)state;
	uint8_t bytes[STUN_HEADER_BYTES];
	struct stun_message message;
	struct stun_writer writer;

	for (unsigned int method = 0; method < 0x1000; method++) {
		for (unsigned int class = 0; class < 4; class ++) {
			stun_begin(&writer, bytes, sizeof(bytes), (enum stun_method)method,
				   (enum stun_class) class, transaction);
			assert_int_equal(stun_parse(&message, bytes, writer.length), 0);
			assert_int_equal(message.method, method);
			assert_int_equal(message.class, class);
		}
	}
}

static void parse__refuses_a_message_cut_at_any_byte(void **state)
{
	(void)state;
	uint8_t bytes[256];
	size_t length = sample(bytes, sizeof(bytes));
	struct stun_message message;

	for (size_t cut = 0; cut < length; cut++) {
		/* A block of its own: reading behind it would be seen. */
		uint8_t *copy = malloc(cut + 1);

		assert_non_null(copy);
		memcpy(copy, bytes, cut);
		assert_int_equal(stun_parse(&message, copy, cut), -EBADMSG);
		free(copy);
	}
	assert_int_equal(stun_parse(&message, bytes, length + 1), -EBADMSG);
}

static void parse__refuses_wrong_lengths(void **state)
{
	(void)state;
	uint8_t bytes[256];
	size_t length = sample(bytes, sizeof(bytes));
	struct stun_message message;

	for (size_t body = 0; body < 200; body++) {
		stun_put_16(bytes + 2, body);
		if (body + STUN_HEADER_BYTES != length)
			assert_int_equal(stun_parse(&message, bytes, length), -EBADMSG);
	}
	/* The first attribute says that it reaches beyond the end. */
	length = sample(bytes, sizeof(bytes));
	stun_put_16(bytes + STUN_HEADER_BYTES + 2, length);
	assert_int_equal(stun_parse(&message, bytes, length), -EBADMSG);
	stun_put_16(bytes + STUN_HEADER_BYTES + 2, UINT16_MAX);
	assert_int_equal(stun_parse(&message, bytes, length), -EBADMSG);
}

static void parse__refuses_what_is_not_stun(void **state)
{
	(void)state;
	uint8_t bytes[256];
	size_t length = sample(bytes, sizeof(bytes));
	struct stun_message message;

	bytes[0] |= 0x80;
	assert_int_equal(stun_parse(&message, bytes, length), -EBADMSG);
	bytes[0] = 0;
	bytes[7] ^= 1; /* the cookie */
	assert_int_equal(stun_parse(&message, bytes, length), -EBADMSG);
}

static void parse__takes_the_first_of_duplicates(void **state)
{
	(void)state;
	uint8_t bytes[128];
	struct stun_writer writer;
	struct stun_message message;

	stun_begin(&writer, bytes, sizeof(bytes), STUN_METHOD_REFRESH, STUN_REQUEST, transaction);
	stun_add_32(&writer, STUN_TYPE_LIFETIME, 1);
	stun_add_32(&writer, STUN_TYPE_LIFETIME, 2);
	assert_int_equal(stun_parse(&message, bytes, writer.length), 0);
	assert_int_equal(stun_value_32(&message, STUN_LIFETIME), 1);
}

static void parse__names_unknown_types_once(void **state)
{
	(void)state;
	uint8_t bytes[512];
	struct stun_writer writer;
	struct stun_message message;

	stun_begin(&writer, bytes, sizeof(bytes), STUN_METHOD_BINDING, STUN_REQUEST, transaction);
	for (unsigned int i = 0; i < 2 * STUN_UNKNOWN_MAX; i++) {
		stun_add(&writer, (enum stun_type)(0x7f00 + i), "x", 1);
		stun_add(&writer, (enum stun_type)0x7f00, "x", 1);
		stun_add(&writer, (enum stun_type)0xff00, "x", 1); /* need not be known */
	}
	assert_false(writer.is_full);
	assert_int_equal(stun_parse(&message, bytes, writer.length), 0);
	assert_int_equal(message.unknown_count, STUN_UNKNOWN_MAX);
	for (unsigned int i = 0; i < STUN_UNKNOWN_MAX; i++)
		assert_int_equal(message.unknown[i], 0x7f00 + i);
}

static void parse__marks_values_of_wrong_lengths(void **state)
{
	(void)state;
	static const struct {
		enum stun_type type;
		size_t length;
	} wrong[] = {{STUN_TYPE_LIFETIME, 3},
		     {STUN_TYPE_LIFETIME, 8},
		     {STUN_TYPE_CHANNEL_NUMBER, 2},
		     {STUN_TYPE_USERNAME, 514},
		     {STUN_TYPE_DONT_FRAGMENT, 4},
		     {STUN_TYPE_MESSAGE_INTEGRITY, 16},
		     {STUN_TYPE_MESSAGE_INTEGRITY_SHA256, 30},
		     {STUN_TYPE_MESSAGE_INTEGRITY_SHA256, 12},
		     {STUN_TYPE_XOR_PEER_ADDRESS, 4},
		     {STUN_TYPE_FINGERPRINT, 8}};
	static const uint8_t zeros[1024];
	uint8_t bytes[2048];
	struct stun_writer writer;
	struct stun_message message;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		stun_begin(&writer, bytes, sizeof(bytes), STUN_METHOD_REFRESH, STUN_REQUEST,
			   transaction);
		stun_add(&writer, wrong[i].type, zeros, wrong[i].length);
		assert_int_equal(stun_parse(&message, bytes, writer.length), 0);
		assert_true(message.is_malformed);
	}
}

static void parse__ignores_what_integrity_does_not_cover(void **state)
{
	(void)state;
	static const uint8_t zeros[32];
	struct net_address peer = address("192.0.2.1:7");
	uint8_t bytes[256];
	struct stun_writer writer;
	struct stun_message message;
	size_t place = 0;

	stun_begin(&writer, bytes, sizeof(bytes), STUN_METHOD_REFRESH, STUN_REQUEST, transaction);
	stun_add(&writer, STUN_TYPE_MESSAGE_INTEGRITY, zeros, 20);
	stun_add_32(&writer, STUN_TYPE_LIFETIME, 1);
	stun_add(&writer, (enum stun_type)0x7f00, "x", 1);
	stun_add(&writer, STUN_TYPE_MESSAGE_INTEGRITY_SHA256, zeros, 32);
	stun_add_address(&writer, STUN_TYPE_XOR_PEER_ADDRESS, &peer);
	stun_add_32(&writer, STUN_TYPE_FINGERPRINT, 0);
	assert_int_equal(stun_parse(&message, bytes, writer.length), 0);
	assert_false(stun_has(&message, STUN_LIFETIME));
	assert_int_equal(message.unknown_count, 0);
	assert_true(stun_has(&message, STUN_MESSAGE_INTEGRITY_SHA256));
	assert_true(stun_has(&message, STUN_FINGERPRINT));
	assert_int_equal(stun_next_peer(&message, &place, &peer), 0);
	/* And nothing stands behind the fingerprint. */
	stun_add_32(&writer, STUN_TYPE_LIFETIME, 1);
	assert_int_equal(stun_parse(&message, bytes, writer.length), -EBADMSG);
}

static void peers__behind_integrity_are_none(void **state)
{
	(void)state;
	static const uint8_t zeros[20];
	struct net_address first = address("192.0.2.1:7"), second = address("192.0.2.2:7"), peer;
	uint8_t bytes[256];
	struct stun_writer writer;
	struct stun_message message;
	size_t place = 0;

	stun_begin(&writer, bytes, sizeof(bytes), STUN_METHOD_CREATE_PERMISSION, STUN_REQUEST,
		   transaction);
	stun_add_address(&writer, STUN_TYPE_XOR_PEER_ADDRESS, &first);
	stun_add(&writer, STUN_TYPE_MESSAGE_INTEGRITY, zeros, 20);
	stun_add_address(&writer, STUN_TYPE_XOR_PEER_ADDRESS, &second);
	assert_int_equal(stun_parse(&message, bytes, writer.length), 0);
	assert_int_equal(stun_next_peer(&message, &place, &peer), 1);
	assert_true(net_address_equal(&peer, &first));
	assert_int_equal(stun_next_peer(&message, &place, &peer), 0);
}

static void peers__of_a_wrong_family_are_refused(void **state)
{
	(void)state;
	uint8_t bytes[256];
	struct stun_message message;
	struct net_address peer;
	size_t length = sample(bytes, sizeof(bytes)), place = 0;

	assert_int_equal(stun_parse(&message, bytes, length), 0);
	bytes[message.at[STUN_XOR_PEER_ADDRESS] + STUN_ATTRIBUTE_BYTES + 1] = 2;
	assert_int_equal(stun_next_peer(&message, &place, &peer), -EBADMSG);
}

static void writer__says_that_it_is_full(void **state)
{
	(void)state;
	uint8_t bytes[256];
	size_t length = sample(bytes, sizeof(bytes));
	struct stun_writer writer;

	for (size_t room = STUN_HEADER_BYTES; room < length; room++) {
		uint8_t *block = malloc(room);

		assert_non_null(block);
		stun_begin(&writer, block, room, STUN_METHOD_BINDING, STUN_SUCCESS, transaction);
		stun_add(&writer, STUN_TYPE_SOFTWARE, bytes, length - STUN_HEADER_BYTES - 4);
		assert_true(writer.is_full);
		assert_int_equal(writer.length, STUN_HEADER_BYTES);
		free(block);
	}
}

static void data_header__makes_a_message_around_any_payload(void **state)
{
	(void)state;
	const struct net_address peers[] = {address("192.0.2.1:7"), address("[2001:db8::1]:65535")};
	uint8_t bytes[STUN_DATA_HEADER_BYTES_MAX + 1504];

	for (size_t payload = 0; payload <= 1500; payload++) {
		const struct net_address *peer = &peers[payload % 2];
		struct stun_message message;
		struct net_address read;
		size_t header, length, value_length, place = 0;

		memset(bytes, 0, sizeof(bytes));
		header = stun_data_header(bytes, peer, transaction, payload);
		assert_true(header <= STUN_DATA_HEADER_BYTES_MAX);
		length = header + payload + stun_padding(payload);
		assert_int_equal(stun_parse(&message, bytes, length), 0);
		assert_int_equal(message.method, STUN_METHOD_DATA);
		assert_int_equal(message.class, STUN_INDICATION);
		assert_int_equal(stun_next_peer(&message, &place, &read), 1);
		assert_true(net_address_equal(&read, peer));
		assert_ptr_equal(stun_value(&message, STUN_DATA, &value_length), bytes + header);
		assert_int_equal(value_length, payload);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse__reads_what_was_built),
		cmocka_unit_test(parse__knows_every_method_and_class),
		cmocka_unit_test(parse__refuses_a_message_cut_at_any_byte),
		cmocka_unit_test(parse__refuses_wrong_lengths),
		cmocka_unit_test(parse__refuses_what_is_not_stun),
		cmocka_unit_test(parse__takes_the_first_of_duplicates),
		cmocka_unit_test(parse__names_unknown_types_once),
		cmocka_unit_test(parse__marks_values_of_wrong_lengths),
		cmocka_unit_test(parse__ignores_what_integrity_does_not_cover),
		cmocka_unit_test(peers__behind_integrity_are_none),
		cmocka_unit_test(peers__of_a_wrong_family_are_refused),
		cmocka_unit_test(writer__says_that_it_is_full),
		cmocka_unit_test(data_header__makes_a_message_around_any_payload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
