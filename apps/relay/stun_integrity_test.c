/* SPDX-License-Identifier: MIT */
/* The test vectors of RFC 5769, section 2, and of RFC 8489, appendix B.1 with its erratum 6268. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "stun_integrity.h"

#define BYTES_MAX 256
#define TEXT(literal) ((struct stun_text){(literal), sizeof(literal) - 1})

#define COOKIE "2112a442"
#define ID COOKIE "b7e7a701bc34d686fa87dfae"
#define LONG_TERM_ID COOKIE "78ad3433c6ad72c029da412e"
#define REALM_HEX "0014000b6578616d706c652e6f726700"
#define USER "\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9"

static const char request[] = "00010058" ID
			      "802200105354554e207465737420636c69656e74" /* SOFTWARE */
			      "002400046e0001ff"                         /* PRIORITY */
			      "80290008932ff9b151263b36"                 /* ICE-CONTROLLED */
			      "000600096576746a3a68367659202020"         /* USERNAME */
			      "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";
static const char response_v4[] =
	"0101003c" ID "8022000b7465737420766563746f7220"
	"002000080001a147e112a643"
	"000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";
static const char response_v6[] =
	"01010048" ID "8022000b7465737420766563746f7220"
	"002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
	"00080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";
static const char long_term[] =
	"00010060" LONG_TERM_ID "00060012e3839ee38388e383aae38383e382afe382b90000"
	"0015001c662f2f3439396b39353464364f4c33346f4c39465354767936347341" REALM_HEX
	"00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";
static const char long_term_sha256[] =
	"00010090" LONG_TERM_ID
	"001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704"
	"001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c39465354767936347341000000" REALM_HEX
	"001d000400020000"
	"001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65";

static size_t from_hex(uint8_t bytes[BYTES_MAX], const char *hex)
{
	size_t length = strlen(hex) / 2;

	assert_true(length <= BYTES_MAX);
	for (size_t i = 0; i < length; i++) {
		const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

		bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return length;
}

static void parse(struct stun_message *message, uint8_t bytes[BYTES_MAX], const char *hex)
{
	assert_int_equal(stun_parse(message, bytes, from_hex(bytes, hex)), 0);
	assert_false(message->is_malformed);
}

static struct stun_key short_term_key(void)
{
	static const char password[] = "VOkJxbRl1RmTxUk/WvJxBt";
	struct stun_key key = {.length = sizeof(password) - 1};

	memcpy(key.bytes, password, key.length);
	return key;
}

/* The message is right, and wrong as soon as any bit is another. */
static void check(const char *hex, const struct stun_key *key,
		  bool (*is_right)(const struct stun_message *, const struct stun_key *),
		  size_t covered)
{
	uint8_t bytes[BYTES_MAX];
	struct stun_message message;

	parse(&message, bytes, hex);
	assert_true(is_right(&message, key));
	for (size_t bit = 8 * STUN_HEADER_BYTES; bit < 8 * covered; bit++) {
		struct stun_message changed;

		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (stun_parse(&changed, bytes, message.length) == 0)
			assert_false(is_right(&changed, key));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static bool fingerprint_is_right(const struct stun_message *message, const struct stun_key *key)
{
	(void)key;
	return stun_fingerprint_is_right(message);
}

static void integrity__of_rfc_5769_is_right(void **state)
{
	(void)state;
	const struct stun_key key = short_term_key();

	check(request, &key, stun_integrity_is_right, sizeof(request) / 2 - 8);
	check(response_v4, &key, stun_integrity_is_right, sizeof(response_v4) / 2 - 8);
	check(response_v6, &key, stun_integrity_is_right, sizeof(response_v6) / 2 - 8);
}

static void fingerprint__of_rfc_5769_is_right(void **state)
{
	(void)state;
	check(request, NULL, fingerprint_is_right, sizeof(request) / 2);
	check(response_v4, NULL, fingerprint_is_right, sizeof(response_v4) / 2);
	check(response_v6, NULL, fingerprint_is_right, sizeof(response_v6) / 2);
}

static void integrity__of_long_term_credentials_is_right(void **state)
{
	(void)state;
	struct stun_key key;

	stun_key_make(&key, STUN_ALGORITHM_MD5, TEXT(USER), TEXT("example.org"), TEXT("TheMatrIX"));
	check(long_term, &key, stun_integrity_is_right, sizeof(long_term) / 2);
}

static void integrity_sha256__of_long_term_credentials_is_right(void **state)
{
	(void)state;
	uint8_t bytes[BYTES_MAX], hash[STUN_SHA256_BYTES];
	struct stun_message message;
	struct stun_key key;
	size_t length;

	stun_key_make(&key, STUN_ALGORITHM_SHA256, TEXT(USER), TEXT("example.org"),
		      TEXT("TheMatrIX"));
	check(long_term_sha256, &key, stun_integrity_sha256_is_right, sizeof(long_term_sha256) / 2);
	parse(&message, bytes, long_term_sha256);
	stun_userhash(hash, TEXT(USER), TEXT("example.org"));
	assert_memory_equal(stun_value(&message, STUN_USERHASH, &length), hash, sizeof(hash));
}

static void integrity__of_another_key_is_wrong(void **state)
{
	(void)state;
	struct stun_key key = short_term_key();
	uint8_t bytes[BYTES_MAX];
	struct stun_message message;

	key.bytes[0] ^= 1;
	parse(&message, bytes, request);
	assert_false(stun_integrity_is_right(&message, &key));
	assert_false(stun_integrity_sha256_is_right(&message, &key)); /* there is none */
}

/* What we write is what the RFC has, byte for byte. */
static void writer__writes_the_vector(void **state)
{
	(void)state;
	const struct stun_key key = short_term_key();
	uint8_t expected[BYTES_MAX], bytes[BYTES_MAX];
	size_t length = from_hex(expected, response_v6);
	struct net_address mapped;
	struct stun_writer writer;

	assert_null(net_address_parse(&mapped, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"));
	stun_begin(&writer, bytes, sizeof(bytes), STUN_METHOD_BINDING, STUN_SUCCESS, expected + 8);
	stun_add(&writer, STUN_TYPE_SOFTWARE, "test vector", 11);
	stun_add_address(&writer, STUN_TYPE_XOR_MAPPED_ADDRESS, &mapped);
	bytes[STUN_HEADER_BYTES + 15] = ' '; /* the RFC pads with blanks */
	stun_add_integrity(&writer, &key);
	stun_add_fingerprint(&writer);
	assert_int_equal(writer.length, length);
	assert_memory_equal(bytes, expected, length);
}

static void writer__writes_what_is_right(void **state)
{
	(void)state;
	const struct stun_key key = short_term_key();
	uint8_t bytes[BYTES_MAX];
	struct stun_writer writer;
	struct stun_message message;

	stun_begin(&writer, bytes, sizeof(bytes), STUN_METHOD_BINDING, STUN_SUCCESS,
		   (uint8_t[12]){0});
	stun_add_integrity(&writer, &key);
	stun_add_integrity_sha256(&writer, &key);
	stun_add_fingerprint(&writer);
	assert_int_equal(stun_parse(&message, bytes, writer.length), 0);
	assert_true(stun_integrity_is_right(&message, &key));
	assert_true(stun_integrity_sha256_is_right(&message, &key));
	assert_true(stun_fingerprint_is_right(&message));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integrity__of_rfc_5769_is_right),
		cmocka_unit_test(fingerprint__of_rfc_5769_is_right),
		cmocka_unit_test(integrity__of_long_term_credentials_is_right),
		cmocka_unit_test(integrity_sha256__of_long_term_credentials_is_right),
		cmocka_unit_test(integrity__of_another_key_is_wrong),
		cmocka_unit_test(writer__writes_the_vector),
		cmocka_unit_test(writer__writes_what_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
