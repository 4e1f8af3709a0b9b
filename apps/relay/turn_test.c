/* SPDX-License-Identifier: MIT */
/* The core: allocations, permissions, channels, data both ways, and what expires. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "turn_world.h"

#define PEER "203.0.113.5:9000"
#define PEER_OTHER_PORT "203.0.113.5:9001"
#define STRANGER "203.0.113.6:9000"
#define PEER_V6 "[2001:db9::5]:9000"

static struct world world;

static int set_up(void **state)
{
	(void)state;
	world_prepare(&world);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_end(&world);
	return 0;
}

static struct net_address answered_address(enum stun_attribute attribute)
{
	/* The parser reads peers; the other addresses have the same form. */
	struct stun_message message = world.message;
	struct net_address address;
	size_t place = message.at[attribute];
	uint8_t copy[TURN_ANSWER_BYTES_MAX];

	assert_int_not_equal(place, 0);
	memcpy(copy, message.bytes, message.length);
	stun_put_16(copy + place, STUN_TYPE_XOR_PEER_ADDRESS);
	message.bytes = copy;
	message.at[STUN_MESSAGE_INTEGRITY] = message.at[STUN_MESSAGE_INTEGRITY_SHA256] = 0;
	assert_int_equal(stun_next_peer(&message, &place, &address), 1);
	return address;
}

/* --- Binding --- */

static void binding__tells_the_mapped_address(void **state)
{
	(void)state;
	struct net_address mapped;

	world_start(&world);
	world_begin(&world, STUN_METHOD_BINDING);
	world_input(&world);
	assert_int_equal(world_error(&world), 0);
	mapped = answered_address(STUN_XOR_MAPPED_ADDRESS);
	assert_true(net_address_equal(&mapped, &world.client.address));
	/* A bare header gets the address, 12 bytes, and nothing else. */
	assert_int_equal(world.output.answer_bytes, STUN_HEADER_BYTES + 12);
}

static void binding__of_a_larger_request_tells_the_software(void **state)
{
	(void)state;
	static const uint8_t zeros[64];

	world_start(&world);
	world_begin(&world, STUN_METHOD_BINDING);
	stun_add(&world.writer, STUN_TYPE_SOFTWARE, zeros, sizeof(zeros));
	stun_add_fingerprint(&world.writer);
	world_input(&world);
	assert_true(stun_has(&world.message, STUN_SOFTWARE));
	assert_true(stun_fingerprint_is_right(&world.message));
	assert_true(world.output.answer_bytes <= world.writer.length);
}

static void binding__with_unknown_attributes_names_them(void **state)
{
	(void)state;
	size_t length;
	const uint8_t *value;

	world_start(&world);
	world_begin(&world, STUN_METHOD_BINDING);
	stun_add(&world.writer, (enum stun_type)0x7777, "x", 1);
	stun_add(&world.writer, (enum stun_type)0x8777, "x", 1); /* which need not be known */
	stun_add(&world.writer, (enum stun_type)0x0003, "xxxx", 4);
	world_input(&world);
	assert_int_equal(world_error(&world), 420);
	value = stun_value(&world.message, STUN_UNKNOWN_ATTRIBUTES, &length);
	assert_int_equal(length, 4);
	assert_int_equal(stun_get_32(value), 0x77770003);
}

static void binding__with_a_wrong_fingerprint_is_dropped(void **state)
{
	(void)state;
	world_start(&world);
	world_begin(&world, STUN_METHOD_BINDING);
	stun_add_32(&world.writer, STUN_TYPE_FINGERPRINT, 7);
	world_input(&world);
	assert_int_equal(world.output.action, TURN_NOTHING);
	assert_int_equal(world.turn.counters.drop_fingerprint, 1);
}

/* --- allocations --- */

static void allocate__opens_a_port_of_the_range(void **state)
{
	(void)state;
	struct net_address relayed;
	struct stun_key key;

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	relayed = answered_address(STUN_XOR_RELAYED_ADDRESS);
	assert_memory_equal(relayed.ip, world.settings.relay_ip[0].ip, NET_IP_BYTES);
	assert_in_range(relayed.port, 49152, 65535);
	assert_int_equal(stun_value_32(&world.message, STUN_LIFETIME), 600);
	assert_true(stun_has(&world.message, STUN_XOR_MAPPED_ADDRESS));
	world_key(&world, &key);
	assert_true(stun_integrity_is_right(&world.message, &key));
	assert_int_equal(world.open, 1);
	assert_int_equal(world.events[TURN_EVENT_MADE], 1);
}

static void allocate__tells_the_external_address(void **state)
{
	(void)state;
	struct net_address relayed;

	world.settings.external_ip[0] = world_ip("203.0.113.99");
	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	relayed = answered_address(STUN_XOR_RELAYED_ADDRESS);
	assert_memory_equal(relayed.ip, world.settings.external_ip[0].ip, NET_IP_BYTES);
}

static void allocate__sent_again_is_answered_again(void **state)
{
	(void)state;
	uint8_t first[TURN_ANSWER_BYTES_MAX];
	size_t length;

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	length = world.output.answer_bytes;
	memcpy(first, world.answer, length);
	world_input(&world);
	assert_int_equal(world.output.answer_bytes, length);
	assert_memory_equal(world.answer, first, length);
	assert_int_equal(world.open, 1);
	/* But another request is one too many. */
	assert_int_equal(world_allocate(&world), 437);
}

static void allocate__checks_what_it_is_asked_for(void **state)
{
	(void)state;
	world_start(&world);
	world_greet(&world);
	world_begin(&world, STUN_METHOD_ALLOCATE);
	assert_int_equal(world_finish(&world), 400);
	world_begin(&world, STUN_METHOD_ALLOCATE);
	stun_add_32(&world.writer, STUN_TYPE_REQUESTED_TRANSPORT, 6u << 24);
	assert_int_equal(world_finish(&world), 442);
	world_begin_allocate(&world);
	stun_add_32(&world.writer, STUN_TYPE_REQUESTED_ADDRESS_FAMILY, 3u << 24);
	assert_int_equal(world_finish(&world), 440);
	world_begin_allocate(&world);
	stun_add_32(&world.writer, STUN_TYPE_REQUESTED_ADDRESS_FAMILY, 1u << 24);
	stun_add_32(&world.writer, STUN_TYPE_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
	assert_int_equal(world_finish(&world), 400);
	world_begin_allocate(&world);
	stun_add_32(&world.writer, STUN_TYPE_ADDITIONAL_ADDRESS_FAMILY, 1u << 24);
	assert_int_equal(world_finish(&world), 400);
	world_begin_allocate(&world);
	stun_add(&world.writer, STUN_TYPE_EVEN_PORT, "\0", 1);
	stun_add(&world.writer, STUN_TYPE_RESERVATION_TOKEN, "12345678", 8);
	assert_int_equal(world_finish(&world), 400);
	world_begin_allocate(&world);
	stun_add(&world.writer, STUN_TYPE_RESERVATION_TOKEN, "12345678", 8);
	assert_int_equal(world_finish(&world), 508);
	for (size_t i = 0; i < 2; i++) {
		world_begin_allocate(&world);
		stun_add(&world.writer, STUN_TYPE_RESERVATION_TOKEN, "12345678", 8);
		stun_add_32(&world.writer,
			    i ? STUN_TYPE_REQUESTED_ADDRESS_FAMILY
			      : STUN_TYPE_ADDITIONAL_ADDRESS_FAMILY,
			    2u << 24);
		assert_int_equal(world_finish(&world), 400);
	}
	world_begin_allocate(&world);
	stun_add(&world.writer, STUN_TYPE_EVEN_PORT, "\x80", 1);
	stun_add_32(&world.writer, STUN_TYPE_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
	assert_int_equal(world_finish(&world), 400);
	world_begin_allocate(&world);
	stun_add(&world.writer, (enum stun_type)0x7777, "x", 1);
	assert_int_equal(world_finish(&world), 420);
	world_begin_allocate(&world);
	stun_add(&world.writer, STUN_TYPE_LIFETIME, "x", 1);
	assert_int_equal(world_finish(&world), 400);
	assert_int_equal(world.open, 0);
	assert_int_equal(world.turn.allocations.count, 0);
}

static void allocate__of_ipv6_gives_ipv6(void **state)
{
	(void)state;
	struct net_address relayed;

	world_start(&world);
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add_32(&world.writer, STUN_TYPE_REQUESTED_ADDRESS_FAMILY, 2u << 24);
	assert_int_equal(world_finish(&world), 0);
	relayed = answered_address(STUN_XOR_RELAYED_ADDRESS);
	assert_int_equal(relayed.family, NET_V6);
	assert_int_equal(world_permit(&world, PEER), 443);
	assert_int_equal(world_permit(&world, PEER_V6), 0);
	assert_true(world_send(&world, PEER_V6, 10));
	assert_false(world_send(&world, PEER, 10));
}

static void allocate__of_both_families_gives_both(void **state)
{
	(void)state;
	world_start(&world);
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add_32(&world.writer, STUN_TYPE_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
	assert_int_equal(world_finish(&world), 0);
	assert_int_equal(world.open, 2);
	assert_false(stun_has(&world.message, STUN_ADDRESS_ERROR_CODE));
	assert_int_equal(world_permit(&world, PEER), 0);
	assert_int_equal(world_permit(&world, PEER_V6), 0);
	/* One of them goes by itself. */
	world_begin(&world, STUN_METHOD_REFRESH);
	stun_add_32(&world.writer, STUN_TYPE_LIFETIME, 0);
	stun_add_32(&world.writer, STUN_TYPE_REQUESTED_ADDRESS_FAMILY, 2u << 24);
	assert_int_equal(world_finish(&world), 0);
	assert_int_equal(world.open, 1);
	assert_true(world_send(&world, PEER, 10));
	assert_false(world_send(&world, PEER_V6, 10));
}

static void allocate__of_both_where_one_is_missing_says_so(void **state)
{
	(void)state;
	size_t length;
	const uint8_t *value;

	world.settings.relay_ip[1].family = 0;
	world_start(&world);
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add_32(&world.writer, STUN_TYPE_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
	assert_int_equal(world_finish(&world), 0);
	value = stun_value(&world.message, STUN_ADDRESS_ERROR_CODE, &length);
	assert_non_null(value);
	assert_memory_equal(value, "\2\0\4\x28", 4); /* IPv6: 440 */
}

static void allocate__of_both_without_a_port_of_ipv4_gives_ipv6(void **state)
{
	(void)state;
	size_t length;
	const uint8_t *value;

	world.settings.port_min = world.settings.port_max = 50000;
	world_start(&world);
	world_greet(&world);
	assert_int_equal(world_allocate(&world), 0);
	world.client.address.port++;
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add_32(&world.writer, STUN_TYPE_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
	assert_int_equal(world_finish(&world), 0);
	assert_int_equal(answered_address(STUN_XOR_RELAYED_ADDRESS).family, NET_V6);
	value = stun_value(&world.message, STUN_ADDRESS_ERROR_CODE, &length);
	assert_non_null(value);
	assert_memory_equal(value, "\1\0\5\x08", 4); /* IPv4: 508 */
	/* Nor one of IPv6 left: no allocation, and nothing of it. */
	world.client.address.port++;
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add_32(&world.writer, STUN_TYPE_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
	assert_int_equal(world_finish(&world), 508);
	assert_int_equal(world.open, 2);
}

static void allocate__of_an_even_port_keeps_the_next(void **state)
{
	(void)state;
	static const uint8_t reserve = 0x80;
	struct net_address first, second;
	uint8_t token[8];
	size_t length;

	world_start(&world);
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add(&world.writer, STUN_TYPE_EVEN_PORT, &reserve, 1);
	assert_int_equal(world_finish(&world), 0);
	first = answered_address(STUN_XOR_RELAYED_ADDRESS);
	assert_int_equal(first.port % 2, 0);
	memcpy(token, stun_value(&world.message, STUN_RESERVATION_TOKEN, &length), sizeof(token));
	assert_int_equal(world.open, 2);
	/* Another socket of the client takes it. */
	world.client.address.port++;
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add(&world.writer, STUN_TYPE_RESERVATION_TOKEN, token, sizeof(token));
	assert_int_equal(world_finish(&world), 0);
	second = answered_address(STUN_XOR_RELAYED_ADDRESS);
	assert_int_equal(second.port, first.port + 1);
	assert_int_equal(world.open, 2);
	assert_int_equal(world.turn.reserved_count, 0);
}

static unsigned int allocate_even(const char *bits)
{
	world.client.address.port++;
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add(&world.writer, STUN_TYPE_EVEN_PORT, bits, 1);
	return world_finish(&world);
}

static void allocate__of_an_even_port_alone_keeps_nothing(void **state)
{
	(void)state;
	world.settings.port_min = 50001;
	world.settings.port_max = 50005;
	world_start(&world);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(allocate_even("\0"), 0);
		assert_int_equal(answered_address(STUN_XOR_RELAYED_ADDRESS).port % 2, 0);
		assert_false(stun_has(&world.message, STUN_RESERVATION_TOKEN));
		assert_int_equal(world.open, i + 1);
	}
	/* There are others, but none of them is even. */
	assert_int_equal(allocate_even("\0"), 508);
	assert_int_equal(world.open, 2);
}

static void allocate__of_an_even_port_without_a_next_one_fails(void **state)
{
	(void)state;
	world.settings.port_min = world.settings.port_max = 50000;
	world_start(&world);
	assert_int_equal(allocate_even("\x80"), 508);
	assert_int_equal(world.open, 0);
	assert_int_equal(world.turn.allocations.count, 0);
	assert_int_equal(allocate_even("\0"), 0);
}

static void reservations__are_limited(void **state)
{
	(void)state;
	world.settings.reservations_max = 2;
	world_start(&world);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(allocate_even("\x80"), i < 2 ? 0 : 508);
	assert_int_equal(world.open, 4);
	assert_int_equal(allocate_even("\0"), 0);
	world_pass(&world, 30);
	assert_int_equal(allocate_even("\x80"), 0);
}

static void allocate__of_a_reserved_port_needs_no_ipv4(void **state)
{
	(void)state;
	static const uint8_t reserve = 0x80;
	uint8_t token[8];
	size_t length;

	world.settings.relay_ip[0].family = 0;
	world_start(&world);
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add(&world.writer, STUN_TYPE_EVEN_PORT, &reserve, 1);
	stun_add_32(&world.writer, STUN_TYPE_REQUESTED_ADDRESS_FAMILY, 2u << 24);
	assert_int_equal(world_finish(&world), 0);
	memcpy(token, stun_value(&world.message, STUN_RESERVATION_TOKEN, &length), sizeof(token));
	world.client.address.port++;
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add(&world.writer, STUN_TYPE_RESERVATION_TOKEN, token, sizeof(token));
	assert_int_equal(world_finish(&world), 0);
	assert_int_equal(answered_address(STUN_XOR_RELAYED_ADDRESS).family, NET_V6);
}

static void reservation__ends_after_its_time(void **state)
{
	(void)state;
	static const uint8_t reserve = 0x80;

	world_start(&world);
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add(&world.writer, STUN_TYPE_EVEN_PORT, &reserve, 1);
	assert_int_equal(world_finish(&world), 0);
	world_pass(&world, 29);
	assert_int_equal(world.open, 2);
	world_pass(&world, 2);
	assert_int_equal(world.open, 1);
	assert_int_equal(world.turn.reserved_count, 0);
}

static void allocate__without_fragments_where_that_is_impossible_is_unknown(void **state)
{
	(void)state;
	size_t length;

	world.cannot_dont_fragment = true;
	world_start(&world);
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add(&world.writer, STUN_TYPE_DONT_FRAGMENT, NULL, 0);
	assert_int_equal(world_finish(&world), 420);
	assert_int_equal(stun_get_16(stun_value(&world.message, STUN_UNKNOWN_ATTRIBUTES, &length)),
			 STUN_TYPE_DONT_FRAGMENT);
}

static void lifetime__is_what_was_asked_within_bounds(void **state)
{
	(void)state;
	static const struct {
		uint32_t asked, granted;
	} cases[] = {{1, 600}, {600, 600}, {1000, 1000}, {3600, 3600}, {UINT32_MAX, 3600}};

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(world_refresh(&world, cases[i].asked), 0);
		assert_int_equal(stun_value_32(&world.message, STUN_LIFETIME), cases[i].granted);
	}
}

static void allocation__ends_when_its_time_is_over(void **state)
{
	(void)state;
	world.settings.nonce_s = 0;
	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	world_pass(&world, 500);
	assert_int_equal(world_refresh(&world, 600), 0);
	world_pass(&world, 599);
	assert_int_equal(world.open, 1);
	world_pass(&world, 1);
	assert_int_equal(world.open, 0);
	assert_int_equal(world.events[TURN_EVENT_EXPIRED], 1);
	assert_int_equal(world_refresh(&world, 600), 437);
	assert_int_equal(world.turn.quotas.count, 0);
}

static void refresh__of_zero_ends_it(void **state)
{
	(void)state;
	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	assert_int_equal(world_bind(&world, PEER, 0x4000), 0);
	assert_int_equal(world_refresh(&world, 0), 0);
	assert_int_equal(stun_value_32(&world.message, STUN_LIFETIME), 0);
	assert_int_equal(world.open, 0);
	assert_int_equal(world.turn.timers.count, 0);
	assert_int_equal(world.turn.permissions.count, 0);
	assert_int_equal(world.turn.channels_by_peer.count, 0);
}

static void refresh__of_a_family_that_it_has_not_is_refused(void **state)
{
	(void)state;
	static const uint32_t families[] = {2, 3};
	struct stun_key key;

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	world_key(&world, &key);
	for (size_t i = 0; i < 2; i++) {
		world_begin(&world, STUN_METHOD_REFRESH);
		stun_add_32(&world.writer, STUN_TYPE_LIFETIME, 0);
		stun_add_32(&world.writer, STUN_TYPE_REQUESTED_ADDRESS_FAMILY, families[i] << 24);
		assert_int_equal(world_finish(&world), 443);
		/* Whose request was covered can believe in the error. */
		assert_true(stun_integrity_is_right(&world.message, &key));
	}
	assert_int_equal(world.open, 1);
}

static void ports__of_others_are_passed_over(void **state)
{
	(void)state;
	world.settings.port_min = 50000;
	world.settings.port_max = 50009;
	world.busy_from = 50000;
	world.busy_to = 50009;
	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	assert_int_equal(answered_address(STUN_XOR_RELAYED_ADDRESS).port, 50009);
	world.client.address.port++;
	world_greet(&world);
	assert_int_equal(world_allocate(&world), 508);
	assert_int_equal(world.turn.allocations.count, 1);
}

static void quotas__of_a_user_and_of_all_hold(void **state)
{
	(void)state;
	world.settings.user_allocations_max = 2;
	world.settings.allocations_max = 3;
	assert_int_equal(credentials_add_user(&world.credentials, WORLD_TEXT("other"),
					      WORLD_TEXT(WORLD_PASSWORD)),
			 0);
	world_start(&world);
	for (unsigned int i = 0; i < 3; i++) {
		world.client.address.port++;
		world_greet(&world);
		assert_int_equal(world_allocate(&world), i < 2 ? 0 : 486);
	}
	world.user = WORLD_TEXT("other");
	for (unsigned int i = 0; i < 2; i++) {
		world.client.address.port++;
		world_greet(&world);
		assert_int_equal(world_allocate(&world), i < 1 ? 0 : 486);
	}
	assert_int_equal(world.open, 3);
}

/* --- permissions and data --- */

static void data__needs_a_permission_either_way(void **state)
{
	(void)state;
	struct turn_envelope envelope;

	world_start(&world);
	assert_false(world_send(&world, PEER, 10));
	assert_int_equal(world_allocate(&world), 0);
	assert_false(world_send(&world, PEER, 10));
	assert_false(world_receive(&world, PEER, 10, &envelope));
	assert_int_equal(world_permit(&world, PEER), 0);
	assert_true(world_send(&world, PEER, 10));
	assert_true(world_send(&world, PEER_OTHER_PORT, 0));
	assert_true(world_receive(&world, PEER_OTHER_PORT, 10, &envelope));
	assert_false(world_send(&world, STRANGER, 10));
	assert_false(world_receive(&world, STRANGER, 10, &envelope));
	assert_int_equal(world.turn.counters.drop_no_permission, 4);
}

/* An indication has no answer: what is wrong with one is only counted. */
static void send__that_is_wrong_is_dropped(void **state)
{
	(void)state;
	struct net_address peer = world_address(PEER);

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	assert_int_equal(world_permit(&world, PEER), 0);
	for (unsigned int wrong = 0; wrong < 6; wrong++) {
		world.cannot_dont_fragment = wrong == 5;
		world_begin(&world, STUN_METHOD_SEND);
		if (wrong != 1)
			stun_add_address(&world.writer, STUN_TYPE_XOR_PEER_ADDRESS, &peer);
		if (wrong != 2)
			stun_add(&world.writer, STUN_TYPE_DATA, "data", 4);
		if (wrong == 3)
			stun_add(&world.writer, (enum stun_type)0x7777, "x", 1);
		stun_add(&world.writer, STUN_TYPE_DONT_FRAGMENT, "x", wrong == 4);
		world_input(&world);
		assert_int_equal(world.output.action, wrong ? TURN_NOTHING : TURN_TO_PEER);
		assert_true(wrong || world.output.dont_fragment);
	}
	assert_int_equal(world.turn.counters.drop_malformed, 4);
	assert_int_equal(world.turn.counters.drop_unexpected, 1);
	assert_true(world_send(&world, PEER, 10));
	assert_false(world.output.dont_fragment);
}

static void data__of_a_peer_comes_in_an_indication(void **state)
{
	(void)state;
	struct net_address peer = world_address(PEER), read;
	struct turn_envelope envelope;
	struct stun_message message;
	uint8_t bytes[STUN_DATA_HEADER_BYTES_MAX + 16] = {0};
	size_t place = 0;

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	assert_int_equal(world_permit(&world, PEER), 0);
	assert_true(world_receive(&world, PEER, 13, &envelope));
	assert_int_equal(envelope.padding_bytes, 3);
	assert_true(net_address_equal(&envelope.client->address, &world.client.address));
	memcpy(bytes, envelope.header, envelope.header_bytes);
	assert_int_equal(stun_parse(&message, bytes, envelope.header_bytes + 16), 0);
	assert_int_equal(stun_next_peer(&message, &place, &read), 1);
	assert_true(net_address_equal(&read, &peer));
}

/* RFC 8656, 11.5 and 18.13. */
static void error__of_a_peer_comes_in_an_indication(void **state)
{
	(void)state;
	static const struct {
		const char *peer;
		struct turn_icmp icmp;
		bool is_told;
		uint32_t number, data;
	} cases[] = {
		{PEER, {3, 3, 99}, true, 3 << 9 | 3, 0},
		{PEER, {3, 4, 1400}, true, 3 << 9 | 4, 1400},
		{PEER_OTHER_PORT, {11, 0, 0}, true, 11 << 9, 0},
		{PEER, {12, 0, 0}, false, 0, 0},
		{STRANGER, {3, 3, 0}, false, 0, 0},
		{PEER_V6, {1, 4, 99}, true, 1 << 9 | 4, 0},
		{PEER_V6, {2, 0, 1280}, true, 2 << 9, 1280},
		{PEER_V6, {3, 1, 99}, true, 3 << 9 | 1, 0},
		{PEER_V6, {4, 0, 0}, false, 0, 0},
	};
	uint8_t bytes[TURN_ICMP_BYTES_MAX];

	world_start(&world);
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add_32(&world.writer, STUN_TYPE_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
	assert_int_equal(world_finish(&world), 0);
	assert_int_equal(world_permit(&world, PEER), 0);
	assert_int_equal(world_permit(&world, PEER_V6), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct net_address peer = world_address(cases[i].peer), read;
		struct stun_message message;
		size_t place = 0, length;
		size_t told = turn_peer_error(&world.turn, world.now_ns,
					      world_relay(&world, peer.family), &peer,
					      &cases[i].icmp, bytes);
		const uint8_t *value;

		assert_int_equal(told != 0, cases[i].is_told);
		if (!told)
			continue;
		assert_int_equal(stun_parse(&message, bytes, told), 0);
		assert_int_equal(message.method, STUN_METHOD_DATA);
		assert_int_equal(message.class, STUN_INDICATION);
		assert_false(stun_has(&message, STUN_DATA));
		assert_int_equal(stun_next_peer(&message, &place, &read), 1);
		assert_true(net_address_equal(&read, &peer));
		value = stun_value(&message, STUN_ICMP, &length);
		assert_non_null(value);
		assert_int_equal(stun_get_32(value), cases[i].number);
		assert_int_equal(stun_get_32(value + 4), cases[i].data);
	}
	assert_int_equal(world.turn.counters.peer_errors, 6);
	assert_int_equal(world.turn.counters.drop_no_permission, 1);
}

static void permission__ends_after_five_minutes(void **state)
{
	(void)state;
	struct turn_envelope envelope;

	world.settings.nonce_s = 0;
	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	assert_int_equal(world_permit(&world, PEER), 0);
	world_pass(&world, 299);
	assert_true(world_send(&world, PEER, 10));
	assert_int_equal(world_permit(&world, PEER), 0);
	world_pass(&world, 299);
	assert_true(world_receive(&world, PEER, 10, &envelope));
	world_pass(&world, 1);
	assert_false(world_send(&world, PEER, 10));
	assert_false(world_receive(&world, PEER, 10, &envelope));
	assert_int_equal(world.turn.permissions.count, 0);
}

static void permission__over_but_not_yet_freed_is_none(void **state)
{
	(void)state;
	struct turn_envelope envelope;

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	assert_int_equal(world_bind(&world, PEER, 0x4000), 0);
	world.now_ns += 300 * TURN_NS_PER_S; /* and turn_expire was not called */
	assert_false(world_send(&world, PEER, 10));
	assert_false(world_send_channel(&world, 0x4000, 10));
	assert_false(world_receive(&world, PEER, 10, &envelope));
	world.now_ns += 300 * TURN_NS_PER_S;
	assert_false(world_receive(&world, PEER, 10, &envelope));
}

static void permissions__of_one_request_are_all_or_none(void **state)
{
	(void)state;
	struct net_address good = world_address(PEER), bad = world_address("127.0.0.1:9");

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	world_begin(&world, STUN_METHOD_CREATE_PERMISSION);
	stun_add_address(&world.writer, STUN_TYPE_XOR_PEER_ADDRESS, &good);
	stun_add_address(&world.writer, STUN_TYPE_XOR_PEER_ADDRESS, &bad);
	assert_int_equal(world_finish(&world), 403);
	assert_false(world_send(&world, PEER, 10));
	world_begin(&world, STUN_METHOD_CREATE_PERMISSION);
	assert_int_equal(world_finish(&world), 400);
}

static void permissions__of_an_allocation_are_limited(void **state)
{
	(void)state;
	char peer[32];

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	for (unsigned int i = 0; i < 70; i++) {
		snprintf(peer, sizeof(peer), "203.0.113.%u:9", i + 1);
		assert_int_equal(world_permit(&world, peer), i < 64 ? 0 : 508);
	}
	assert_int_equal(world_permit(&world, "203.0.113.1:9"), 0); /* it has that one */
}

/* --- channels --- */

static void channel__carries_data_both_ways(void **state)
{
	(void)state;
	struct turn_envelope envelope;

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	assert_false(world_send_channel(&world, 0x4001, 10));
	assert_int_equal(world_bind(&world, PEER, 0x4001), 0);
	assert_true(world_send_channel(&world, 0x4001, 10));
	assert_true(world_send_channel(&world, 0x4001, 0));
	assert_false(world_send_channel(&world, 0x4002, 10));
	assert_true(world_receive(&world, PEER, 13, &envelope));
	assert_int_equal(envelope.header_bytes, 4);
	assert_int_equal(envelope.padding_bytes, 0);
	assert_memory_equal(envelope.header, "\x40\x01\0\x0d", 4);
	/* Another port of the same peer has the permission, not the channel. */
	assert_true(world_receive(&world, PEER_OTHER_PORT, 13, &envelope));
	assert_true(envelope.header_bytes > 4);
}

static void channel__on_a_stream_is_padded(void **state)
{
	(void)state;
	struct turn_envelope envelope;

	world.client.is_stream = true;
	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	assert_int_equal(world_bind(&world, PEER, 0x4001), 0);
	assert_true(world_receive(&world, PEER, 13, &envelope));
	assert_int_equal(envelope.padding_bytes, 3);
}

static void channel__longer_than_its_datagram_is_dropped(void **state)
{
	(void)state;
	uint8_t bytes[] = {0x40, 0x01, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8};

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	assert_int_equal(world_bind(&world, PEER, 0x4001), 0);
	for (size_t length = 0; length <= sizeof(bytes); length++) {
		turn_client_input(&world.turn, world.now_ns, &world.client, bytes, length,
				  world.answer, &world.output);
		assert_int_equal(world.output.action, TURN_NOTHING);
	}
	bytes[3] = 8;
	turn_client_input(&world.turn, world.now_ns, &world.client, bytes, sizeof(bytes),
			  world.answer, &world.output);
	assert_int_equal(world.output.action, TURN_TO_PEER);
}

static void channel_bind__refuses_what_is_bound_otherwise(void **state)
{
	(void)state;
	world_start(&world);
	assert_int_equal(world_bind(&world, PEER, 0x4000), 438); /* no nonce of ours */
	world_take_nonce(&world);
	assert_int_equal(world_bind(&world, PEER, 0x4000), 437);
	assert_int_equal(world_permit(&world, PEER), 437);
	assert_int_equal(world_refresh(&world, 0), 437);
	assert_int_equal(world_allocate(&world), 0);
	assert_int_equal(world_bind(&world, PEER, 0x3fff), 400);
	assert_int_equal(world_bind(&world, PEER, 0x8000), 400);
	assert_int_equal(world_bind(&world, PEER, 0x4fff), 0);
	assert_int_equal(world_bind(&world, PEER, 0x4fff), 0);
	assert_int_equal(world_bind(&world, PEER, 0x4000), 400);
	assert_int_equal(world_bind(&world, STRANGER, 0x4fff), 400);
	assert_int_equal(world_bind(&world, STRANGER, 0x4000), 0);
	assert_int_equal(world_bind(&world, PEER_V6, 0x4001), 443);
	assert_int_equal(world_bind(&world, "10.0.0.1:1", 0x4001), 403);
}

static void channel__ends_after_ten_minutes(void **state)
{
	(void)state;
	world.settings.nonce_s = 0;
	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	assert_int_equal(world_refresh(&world, 3600), 0);
	assert_int_equal(world_bind(&world, PEER, 0x4000), 0);
	world_pass(&world, 299);
	assert_int_equal(world_permit(&world, PEER), 0);
	world_pass(&world, 299);
	assert_int_equal(world_permit(&world, PEER), 0);
	assert_true(world_send_channel(&world, 0x4000, 10));
	world_pass(&world, 2);
	assert_false(world_send_channel(&world, 0x4000, 10));
	assert_int_equal(world_bind(&world, STRANGER, 0x4000), 0);
}

static void channels__of_an_allocation_are_limited(void **state)
{
	(void)state;
	char peer[32];

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	for (unsigned int i = 0; i < 70; i++) {
		snprintf(peer, sizeof(peer), "203.0.113.1:%u", i + 1);
		assert_int_equal(world_bind(&world, peer, 0x4000 + i), i < 64 ? 0 : 508);
	}
}

/* --- limits --- */

static void rate__of_an_allocation_holds_each_way(void **state)
{
	(void)state;
	struct turn_envelope envelope;
	unsigned int sent = 0, received = 0;

	world.settings.bytes_per_s = 10000;
	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	assert_int_equal(world_permit(&world, PEER), 0);
	for (unsigned int i = 0; i < 40000; i++) {
		world.now_ns += TURN_NS_PER_S / 10000;
		sent += world_send(&world, PEER, 100);
		received += world_receive(&world, PEER, 100, &envelope);
	}
	/* Four seconds of 10,000 bytes, and the first second's worth that was there before. */
	assert_in_range(sent, 490, 500);
	assert_in_range(received, 490, 500);
}

/* What a block takes of glibc's heap, its head included. */
static size_t block(size_t bytes)
{
	return (bytes + sizeof(size_t) + 15) & ~(size_t)15;
}

static void memory__of_an_allocation_is_bounded(void **state)
{
	(void)state;
	const size_t slot = sizeof(void *),
		     timer_slot = slot + slot / 4; /* which grow by a quarter */
	const size_t alone = block(sizeof(struct turn_allocation)) + slot +
			     block(sizeof(struct turn_relay)) + timer_slot;
	const size_t permission = block(sizeof(struct turn_permission)) + slot + timer_slot;
	const size_t channel = block(sizeof(struct turn_channel)) + 2 * slot + timer_slot;
	const size_t user = block(sizeof(struct quota)) + slot;

	print_message("bytes: allocation %zu, permission %zu, channel %zu, user %zu\n", alone,
		      permission, channel, user);
	assert_true(alone + permission + channel <= 512);
	assert_true(alone + permission + user <= 512);
	world_start(&world);
}

static void connection__takes_its_allocation_with_it(void **state)
{
	(void)state;
	world.client.is_stream = true;
	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	turn_client_gone(&world.turn, &world.client, world.now_ns);
	assert_int_equal(world.open, 0);
	assert_int_equal(world.events[TURN_EVENT_GONE], 1);
	turn_client_gone(&world.turn, &world.client, world.now_ns);
	assert_int_equal(world.events[TURN_EVENT_GONE], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(binding__tells_the_mapped_address),
		TEST(binding__of_a_larger_request_tells_the_software),
		TEST(binding__with_unknown_attributes_names_them),
		TEST(binding__with_a_wrong_fingerprint_is_dropped),
		TEST(allocate__opens_a_port_of_the_range),
		TEST(allocate__tells_the_external_address),
		TEST(allocate__sent_again_is_answered_again),
		TEST(allocate__checks_what_it_is_asked_for),
		TEST(allocate__of_ipv6_gives_ipv6),
		TEST(allocate__of_both_families_gives_both),
		TEST(allocate__of_both_where_one_is_missing_says_so),
		TEST(allocate__of_both_without_a_port_of_ipv4_gives_ipv6),
		TEST(allocate__of_an_even_port_keeps_the_next),
		TEST(allocate__of_an_even_port_alone_keeps_nothing),
		TEST(allocate__of_an_even_port_without_a_next_one_fails),
		TEST(reservations__are_limited),
		TEST(allocate__of_a_reserved_port_needs_no_ipv4),
		TEST(reservation__ends_after_its_time),
		TEST(allocate__without_fragments_where_that_is_impossible_is_unknown),
		TEST(lifetime__is_what_was_asked_within_bounds),
		TEST(allocation__ends_when_its_time_is_over),
		TEST(refresh__of_zero_ends_it),
		TEST(refresh__of_a_family_that_it_has_not_is_refused),
		TEST(ports__of_others_are_passed_over),
		TEST(quotas__of_a_user_and_of_all_hold),
		TEST(data__needs_a_permission_either_way),
		TEST(send__that_is_wrong_is_dropped),
		TEST(data__of_a_peer_comes_in_an_indication),
		TEST(error__of_a_peer_comes_in_an_indication),
		TEST(permission__ends_after_five_minutes),
		TEST(permission__over_but_not_yet_freed_is_none),
		TEST(permissions__of_one_request_are_all_or_none),
		TEST(permissions__of_an_allocation_are_limited),
		TEST(channel__carries_data_both_ways),
		TEST(channel__on_a_stream_is_padded),
		TEST(channel__longer_than_its_datagram_is_dropped),
		TEST(channel_bind__refuses_what_is_bound_otherwise),
		TEST(channel__ends_after_ten_minutes),
		TEST(channels__of_an_allocation_are_limited),
		TEST(rate__of_an_allocation_holds_each_way),
		TEST(memory__of_an_allocation_is_bounded),
		TEST(connection__takes_its_allocation_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
