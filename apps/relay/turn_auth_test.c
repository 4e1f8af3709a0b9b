/* SPDX-License-Identifier: MIT */
/* Who may do what: credentials, nonces, replays, denied peers, and answers to strangers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <nettle/base64.h>
#include <nettle/hmac.h>

#include "turn_world.h"

#define PEER "203.0.113.5:9000"
#define SECRET "north"

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

/* --- credentials --- */

static void challenge__has_all_that_a_client_needs(void **state)
{
	(void)state;
	size_t length;

	world_start(&world);
	world_begin_allocate(&world);
	world_input(&world);
	assert_int_equal(world_error(&world), 401);
	assert_memory_equal(stun_value(&world.message, STUN_REALM, &length), WORLD_REALM, length);
	assert_non_null(stun_value(&world.message, STUN_NONCE, &length));
	assert_non_null(stun_value(&world.message, STUN_PASSWORD_ALGORITHMS, &length));
	assert_false(stun_has(&world.message, STUN_MESSAGE_INTEGRITY));
	assert_int_equal(world.open, 0);
}

static void credentials__that_are_wrong_are_refused(void **state)
{
	(void)state;
	world_start(&world);
	world.password = WORLD_TEXT("secret2");
	assert_int_equal(world_allocate(&world), 401);
	world.password = WORLD_TEXT(WORLD_PASSWORD);
	world.user = WORLD_TEXT("nobody");
	assert_int_equal(world_allocate(&world), 401);
	world.user = WORLD_TEXT(WORLD_USER);
	assert_int_equal(world_allocate(&world), 0);
}

static void credentials__that_are_not_complete_are_a_bad_request(void **state)
{
	(void)state;
	static const enum stun_type types[] = {STUN_TYPE_USERNAME, STUN_TYPE_REALM,
					       STUN_TYPE_NONCE};
	struct stun_key key;

	world_start(&world);
	world_greet(&world);
	world_key(&world, &key);
	for (size_t missing = 0; missing < 3; missing++) {
		world_begin_allocate(&world);
		for (size_t i = 0; i < 3; i++) {
			if (i != missing)
				stun_add(&world.writer, types[i], "x", 1);
		}
		stun_add_integrity(&world.writer, &key);
		world_input(&world);
		assert_int_equal(world_error(&world), 400);
	}
}

static void credentials__of_another_realm_are_refused(void **state)
{
	(void)state;
	struct stun_key key;

	world_start(&world);
	world_greet(&world);
	world_key(&world, &key);
	world_begin_allocate(&world);
	stun_add(&world.writer, STUN_TYPE_USERNAME, WORLD_USER, 5);
	stun_add(&world.writer, STUN_TYPE_REALM, "elsewhere", 9);
	stun_add(&world.writer, STUN_TYPE_NONCE, world.nonce, sizeof(world.nonce));
	stun_add_integrity(&world.writer, &key);
	world_input(&world);
	assert_int_equal(world_error(&world), 401);
}

static void credentials__of_sha256_work_with_and_without_a_name(void **state)
{
	(void)state;
	struct stun_key key;

	world_start(&world);
	world.algorithm = STUN_ALGORITHM_SHA256;
	assert_int_equal(world_allocate(&world), 0);
	world_key(&world, &key);
	assert_true(stun_integrity_sha256_is_right(&world.message, &key));
	assert_false(stun_has(&world.message, STUN_MESSAGE_INTEGRITY));
	world.by_hash = true;
	assert_int_equal(world_refresh(&world, 600), 0);
	world.user = WORLD_TEXT("nobody");
	assert_int_equal(world_refresh(&world, 600), 401);
}

/* RFC 8489, 9.2.4: who leaves out what we offered, or changes it, is being bidden down. */
static void algorithms__that_were_changed_on_the_way_are_refused(void **state)
{
	(void)state;
	static const uint8_t offered[] = {0, 1, 0, 0}, chosen[] = {0, 1, 0, 0};
	struct stun_key key;

	world_start(&world);
	world_greet(&world);
	world_key(&world, &key);
	for (size_t without = 0; without < 3; without++) {
		world_begin_allocate(&world);
		stun_add(&world.writer, STUN_TYPE_USERNAME, WORLD_USER, 5);
		stun_add(&world.writer, STUN_TYPE_REALM, WORLD_REALM, sizeof(WORLD_REALM) - 1);
		stun_add(&world.writer, STUN_TYPE_NONCE, world.nonce, sizeof(world.nonce));
		if (without != 0)
			stun_add(&world.writer, STUN_TYPE_PASSWORD_ALGORITHMS, offered, 4);
		if (without != 1)
			stun_add(&world.writer, STUN_TYPE_PASSWORD_ALGORITHM, chosen, 4);
		stun_add_integrity(&world.writer, &key);
		world_input(&world);
		assert_int_equal(world_error(&world), 400);
	}
}

static void credentials__with_a_key_need_no_password(void **state)
{
	(void)state;
	static const char text[] = "0x00112233445566778899aabbccddeeFF";
	struct stun_key key;
	struct stun_text person;

	assert_int_equal(
		credentials_add_user(&world.credentials, WORLD_TEXT("keyed"), WORLD_TEXT(text)), 0);
	assert_int_equal(credentials_key(&world.credentials, WORLD_TEXT("keyed"), 0,
					 STUN_ALGORITHM_MD5, 0, &key, &person),
			 0);
	assert_int_equal(key.length, 16);
	assert_int_equal(key.bytes[15], 0xff);
	assert_int_not_equal(credentials_key(&world.credentials, WORLD_TEXT("keyed"), 0,
					     STUN_ALGORITHM_SHA256, 0, &key, &person),
			     0);
	world_start(&world);
}

/* As coturn's documentation has it: the base64 of HMAC-SHA1 of "TIME:NAME". */
static void limited_password(char password[BASE64_ENCODE_RAW_LENGTH(20)], const char *name,
			     const char *secret)
{
	struct hmac_sha1_ctx context;
	uint8_t digest[20];

	hmac_sha1_set_key(&context, strlen(secret), (const uint8_t *)secret);
	hmac_sha1_update(&context, strlen(name), (const uint8_t *)name);
	hmac_sha1_digest(&context, sizeof(digest), digest);
	base64_encode_raw(password, sizeof(digest), digest);
}

static void credentials__of_limited_time_end(void **state)
{
	(void)state;
	char name[64], password[BASE64_ENCODE_RAW_LENGTH(20)];

	world.settings.nonce_s = 0;
	assert_int_equal(credentials_add_secret(&world.credentials, WORLD_TEXT("other")), 0);
	assert_int_equal(credentials_add_secret(&world.credentials, WORLD_TEXT(SECRET)), 0);
	world_start(&world);
	snprintf(name, sizeof(name), "%llu:alice", (unsigned long long)world.unix_s + 100);
	limited_password(password, name, SECRET);
	world.user = (struct stun_text){name, strlen(name)};
	world.password = (struct stun_text){password, sizeof(password)};
	assert_int_equal(world_allocate(&world), 0);
	assert_string_equal(turn_find(&world.turn, &world.client)->quota->shown, "alice");
	world_pass(&world, 99);
	assert_int_equal(world_refresh(&world, 600), 0);
	world_pass(&world, 1);
	assert_int_equal(world_refresh(&world, 600), 401);
	/* With a new time it is the same person. */
	snprintf(name, sizeof(name), "%llu:alice", (unsigned long long)world.unix_s + 100);
	limited_password(password, name, SECRET);
	assert_int_equal(world_refresh(&world, 600), 0);
	limited_password(password, name, "south");
	assert_int_equal(world_refresh(&world, 600), 401);
}

static void credentials__of_limited_time_have_a_form(void **state)
{
	(void)state;
	static const char *const names[] = {"",
					    ":",
					    "alice",
					    "alice:99999999999",
					    "99999999999x:a",
					    "9999999999999999999999:a",
					    "1:a"};
	struct stun_key key;
	struct stun_text person;

	assert_int_equal(credentials_add_secret(&world.credentials, WORLD_TEXT(SECRET)), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_not_equal(credentials_key(&world.credentials,
						     (struct stun_text){names[i], strlen(names[i])},
						     0, STUN_ALGORITHM_MD5, world.unix_s, &key,
						     &person),
				     0);
	world_start(&world);
}

static void allocation__of_one_user_is_not_anothers(void **state)
{
	(void)state;
	assert_int_equal(credentials_add_user(&world.credentials, WORLD_TEXT("other"),
					      WORLD_TEXT(WORLD_PASSWORD)),
			 0);
	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	world.user = WORLD_TEXT("other");
	assert_int_equal(world_refresh(&world, 0), 441);
	assert_int_equal(world_permit(&world, PEER), 441);
	assert_int_equal(world.open, 1);
}

static void anybody__may_allocate_where_that_is_said(void **state)
{
	(void)state;
	world.settings.no_auth = true;
	world_start(&world);
	world_begin_allocate(&world);
	world_input(&world);
	assert_int_equal(world_error(&world), 0);
	assert_int_equal(world.open, 1);
}

static void nobody__allocates_where_stun_is_all(void **state)
{
	(void)state;
	world.settings.stun_only = true;
	world_start(&world);
	world_begin_allocate(&world);
	world_input(&world);
	assert_int_equal(world.output.action, TURN_NOTHING);
}

/* --- nonces --- */

static void nonce__grows_old(void **state)
{
	(void)state;
	size_t length;

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	world_pass(&world, 550);
	assert_int_equal(world_refresh(&world, 600), 0);
	world_pass(&world, 51);
	assert_int_equal(world_refresh(&world, 600), 438);
	assert_memory_equal(stun_value(&world.message, STUN_REALM, &length), WORLD_REALM,
			    sizeof(WORLD_REALM) - 1);
	assert_true(stun_has(&world.message, STUN_PASSWORD_ALGORITHMS));
	memcpy(world.nonce, stun_value(&world.message, STUN_NONCE, &length), sizeof(world.nonce));
	assert_int_equal(world_refresh(&world, 600), 0);
}

static void nonce__with_any_character_changed_is_stale(void **state)
{
	(void)state;
	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	for (size_t i = 0; i < NONCE_CHARACTERS; i++) {
		char kept = world.nonce[i];

		world.nonce[i] ^= 1;
		assert_int_equal(world_refresh(&world, 600), 438);
		world.nonce[i] = kept;
	}
	assert_int_equal(world_refresh(&world, 600), 0);
}

/* What was recorded on the way is worth nothing from elsewhere. */
static void request__replayed_from_another_address_is_refused(void **state)
{
	(void)state;
	uint8_t recorded[2048];
	size_t length;

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	length = world.writer.length;
	memcpy(recorded, world.request, length);
	world.client.address = world_address("198.51.100.8:4000");
	turn_client_input(&world.turn, world.now_ns, &world.client, recorded, length, world.answer,
			  &world.output);
	assert_int_equal(stun_parse(&world.message, world.answer, world.output.answer_bytes), 0);
	assert_int_equal(world_error(&world), 438);
	world.client.address = world_address("198.51.100.7:4001");
	turn_client_input(&world.turn, world.now_ns, &world.client, recorded, length, world.answer,
			  &world.output);
	assert_int_equal(stun_parse(&world.message, world.answer, world.output.answer_bytes), 0);
	assert_int_equal(world_error(&world), 438);
	assert_int_equal(world.open, 1);
}

static void request__changed_in_any_bit_does_nothing(void **state)
{
	(void)state;
	uint8_t recorded[2048];
	size_t length;

	world_start(&world);
	world_greet(&world);
	world_begin_allocate(&world);
	world_add_credentials(&world);
	length = world.writer.length;
	memcpy(recorded, world.request, length);
	for (size_t bit = 0; bit < 8 * length; bit++) {
		recorded[bit / 8] ^= (uint8_t)(1 << bit % 8);
		turn_client_input(&world.turn, world.now_ns, &world.client, recorded, length,
				  world.answer, &world.output);
		assert_int_equal(world.open, 0);
		recorded[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* --- strangers --- */

/* An answer to nobody in particular is at most so much larger than what asked for it. */
static void answers__to_strangers_are_small(void **state)
{
	(void)state;
	static const enum stun_method methods[] = {
		STUN_METHOD_BINDING, STUN_METHOD_ALLOCATE, STUN_METHOD_REFRESH,
		STUN_METHOD_CREATE_PERMISSION, STUN_METHOD_CHANNEL_BIND};
	const size_t challenge = 8 + STUN_ATTRIBUTE_BYTES + 12 + STUN_ATTRIBUTE_BYTES + 40 +
				 STUN_ATTRIBUTE_BYTES + 8;

	world_start(&world);
	for (size_t i = 0; i < 5; i++) {
		for (size_t extra = 0; extra < 1200; extra += 100) {
			static const uint8_t zeros[1200];
			size_t most;

			world_begin(&world, methods[i]);
			stun_add(&world.writer, STUN_TYPE_SOFTWARE, zeros, extra);
			world_input(&world);
			most = methods[i] == STUN_METHOD_BINDING ? 12 : challenge;
			assert_true(world.output.answer_bytes <= STUN_HEADER_BYTES + most ||
				    world.output.answer_bytes <= world.writer.length);
		}
	}
}

static void answers__to_one_address_are_counted(void **state)
{
	(void)state;
	unsigned int answered = 0;

	world.settings.challenges_per_s = 100;
	world_start(&world);
	for (unsigned int i = 0; i < 1000; i++) {
		world.client.address.port = (uint16_t)(1024 +
						       i); /* it is the address that counts */
		world_begin_allocate(&world);
		world_input(&world);
		answered += world.output.action == TURN_ANSWER;
	}
	assert_int_equal(answered, 100);
	assert_int_equal(world.turn.counters.drop_challenge_rate, 900);
	world_pass(&world, 1);
	world_input(&world);
	assert_int_equal(world.output.action, TURN_ANSWER);
}

static void flood__of_strangers_takes_no_memory(void **state)
{
	(void)state;
	world_start(&world);
	for (unsigned int i = 0; i < 200000; i++) {
		stun_put_32(world.client.address.ip, 0xc6336400u + i);
		world_begin_allocate(&world);
		world_input(&world);
	}
	assert_int_equal(world.turn.allocations.count, 0);
	assert_int_equal(world.turn.quotas.count, 0);
	assert_int_equal(world.turn.timers.room, 0);
}

/* --- peers --- */

static void peers__of_the_operators_network_are_denied(void **state)
{
	(void)state;
	static const char *const denied[] = {
		"0.0.0.0:1",     "10.1.2.3:1",         "100.64.0.1:1", "127.0.0.1:1",
		"127.255.0.1:1", "169.254.169.254:80", "172.16.0.1:1", "172.31.255.255:1",
		"192.168.0.1:1", "224.0.0.1:1",        "239.1.1.1:1",  "255.255.255.255:1"};
	static const char *const allowed[] = {
		"9.255.255.255:1", "11.0.0.1:1",   "100.128.0.1:1", "126.0.0.1:1",
		"172.15.0.1:1",    "172.32.0.1:1", "192.167.0.1:1", "223.255.255.255:1"};

	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
		assert_int_equal(world_permit(&world, denied[i]), 403);
		assert_int_equal(world_bind(&world, denied[i], 0x4000), 403);
		assert_false(world_send(&world, denied[i], 10));
	}
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		assert_int_equal(world_permit(&world, allowed[i]), 0);
}

static void peers__of_ipv6_that_lead_to_denied_ones_are_denied(void **state)
{
	(void)state;
	static const char *const denied[] = {"[::]:1",
					     "[::1]:1",
					     "[fe80::1]:1",
					     "[fc00::1]:1",
					     "[fdff::1]:1",
					     "[ff02::1]:1",
					     "[::ffff:127.0.0.1]:1",
					     "[::ffff:10.0.0.1]:1",
					     "[::7f00:1]:1",
					     "[64:ff9b::7f00:1]:1",
					     "[64:ff9b:1::808:808]:1",
					     "[2002:7f00:1::1]:1",
					     "[100::1]:1"};
	static const char *const allowed[] = {"[2001:db9::1]:1", "[64:ff9b::808:808]:1",
					      "[2002:808:808::1]:1"};

	world_start(&world);
	world_greet(&world);
	world_begin_allocate(&world);
	stun_add_32(&world.writer, STUN_TYPE_REQUESTED_ADDRESS_FAMILY, 2u << 24);
	assert_int_equal(world_finish(&world), 0);
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
		assert_int_equal(world_permit(&world, denied[i]), 403);
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		assert_int_equal(world_permit(&world, allowed[i]), 0);
}

static void peers__are_allowed_by_configuration(void **state)
{
	(void)state;
	struct peer_filter *filter = &world.settings.filter;

	filter->allow_loopback = true;
	assert_null(peer_range_parse(&filter->allowed[filter->allowed_count++], "10.1.0.0/16"));
	assert_null(peer_range_parse(&filter->denied[filter->denied_count++],
				     "203.0.113.1-203.0.113.9"));
	world_start(&world);
	assert_int_equal(world_allocate(&world), 0);
	assert_int_equal(world_permit(&world, "127.0.0.1:1"), 0);
	assert_int_equal(world_permit(&world, "10.1.255.255:1"), 0);
	assert_int_equal(world_permit(&world, "10.2.0.0:1"), 403);
	assert_int_equal(world_permit(&world, "203.0.113.9:1"), 403);
	assert_int_equal(world_permit(&world, "203.0.113.10:1"), 0);
}

static void ranges__that_are_none_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {"",
					    "10.0.0.0/33",
					    "10.0.0.0/",
					    "10.0.0.0/x",
					    "10.0.0.9-10.0.0.1",
					    "10.0.0.1-::1",
					    "fe80::/129",
					    "10.0.0",
					    "10.0.0.1-"};
	struct peer_range range;

	world_start(&world);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_non_null(peer_range_parse(&range, wrong[i]));
	assert_null(peer_range_parse(&range, "10.1.2.3/9"));
	assert_memory_equal(range.first.ip, "\x0a\0\0\0", 4);
	assert_memory_equal(range.last.ip, "\x0a\x7f\xff\xff", 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(challenge__has_all_that_a_client_needs),
		TEST(credentials__that_are_wrong_are_refused),
		TEST(credentials__that_are_not_complete_are_a_bad_request),
		TEST(credentials__of_another_realm_are_refused),
		TEST(credentials__of_sha256_work_with_and_without_a_name),
		TEST(algorithms__that_were_changed_on_the_way_are_refused),
		TEST(credentials__with_a_key_need_no_password),
		TEST(credentials__of_limited_time_end),
		TEST(credentials__of_limited_time_have_a_form),
		TEST(allocation__of_one_user_is_not_anothers),
		TEST(anybody__may_allocate_where_that_is_said),
		TEST(nobody__allocates_where_stun_is_all),
		TEST(nonce__grows_old),
		TEST(nonce__with_any_character_changed_is_stale),
		TEST(request__replayed_from_another_address_is_refused),
		TEST(request__changed_in_any_bit_does_nothing),
		TEST(answers__to_strangers_are_small),
		TEST(answers__to_one_address_are_counted),
		TEST(flood__of_strangers_takes_no_memory),
		TEST(peers__of_the_operators_network_are_denied),
		TEST(peers__of_ipv6_that_lead_to_denied_ones_are_denied),
		TEST(peers__are_allowed_by_configuration),
		TEST(ranges__that_are_none_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
