/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "rule.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define OWN "10.0.0.2/24,fd00::2/64"

union name {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

static const struct sockaddr *name_of(union name *name, const char *text, uint16_t port)
{
	memset(name, 0, sizeof(*name));
	if (inet_pton(AF_INET, text, &name->in.sin_addr) == 1) {
		name->in.sin_family = AF_INET;
		name->in.sin_port = htons(port);
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &name->in6.sin6_addr), 1);
		name->in6.sin6_family = AF_INET6;
		name->in6.sin6_port = htons(port);
	}
	return &name->any;
}

static void parse(struct rules *rules, const char *text, const char *own)
{
	char message[256] = "";

	if (rules_parse(rules, text, own, message, sizeof(message)) != 0)
		fail_msg("%s", message);
}

static enum side bind_side(const struct rules *rules, int type, const char *text, uint16_t port)
{
	union name name;

	return rules_bind(rules, type, name_of(&name, text, port));
}

static enum side connect_side(const struct rules *rules, int type, const char *text, uint16_t port)
{
	union name name;

	return rules_connect(rules, type, name_of(&name, text, port));
}

/* ---- Forms ---- */

static void rules_parse__takes_every_form(void **state)
{
	static const struct {
		const char *text;
		enum side side;
		int type;
		unsigned int bits;
		const char *address; /* of IPv6, or mapped */
		uint16_t first, last;
	} cases[] = {
		{"demi *", SIDE_DEMI, 0, 0, "::", 0, 65535},
		{"kernel *", SIDE_KERNEL, 0, 0, "::", 0, 65535},
		{"demi *:*", SIDE_DEMI, 0, 0, "::", 0, 65535},
		{"demi tcp *", SIDE_DEMI, SOCK_STREAM, 0, "::", 0, 65535},
		{"kernel udp *:53", SIDE_KERNEL, SOCK_DGRAM, 0, "::", 53, 53},
		{"demi *:80-90", SIDE_DEMI, 0, 0, "::", 80, 90},
		{"demi *:80-80", SIDE_DEMI, 0, 0, "::", 80, 80},
		{"demi *:0-65535", SIDE_DEMI, 0, 0, "::", 0, 65535},
		{"demi 10.0.0.7", SIDE_DEMI, 0, 128, "::ffff:10.0.0.7", 0, 65535},
		{"demi 10.0.0.7:65535", SIDE_DEMI, 0, 128, "::ffff:10.0.0.7", 65535, 65535},
		{"demi 10.0.0.0/24", SIDE_DEMI, 0, 120, "::ffff:10.0.0.0", 0, 65535},
		{"demi 10.0.0.0/24:1-2", SIDE_DEMI, 0, 120, "::ffff:10.0.0.0", 1, 2},
		{"demi 0.0.0.0/0", SIDE_DEMI, 0, 96, "::ffff:0.0.0.0", 0, 65535},
		{"demi 10.0.0.0/32", SIDE_DEMI, 0, 128, "::ffff:10.0.0.0", 0, 65535},
		{"demi [fd00::7]", SIDE_DEMI, 0, 128, "fd00::7", 0, 65535},
		{"demi [fd00::7]:443", SIDE_DEMI, 0, 128, "fd00::7", 443, 443},
		{"demi [fd00::/64]", SIDE_DEMI, 0, 64, "fd00::", 0, 65535},
		{"demi tcp [fd00::/64]:1-9", SIDE_DEMI, SOCK_STREAM, 64, "fd00::", 1, 9},
		{"demi [::]", SIDE_DEMI, 0, 128, "::", 0, 65535},
		{"demi [::/0]", SIDE_DEMI, 0, 0, "::", 0, 65535},
		{"demi [::ffff:10.0.0.7]", SIDE_DEMI, 0, 128, "::ffff:10.0.0.7", 0, 65535},
		{"  demi   udp   10.0.0.7:5  ", SIDE_DEMI, SOCK_DGRAM, 128, "::ffff:10.0.0.7", 5,
		 5},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct in6_addr address;
		struct rules rules;
		const struct rule *rule = &rules.rules[0];

		parse(&rules, cases[i].text, OWN);
		assert_int_equal(inet_pton(AF_INET6, cases[i].address, &address), 1);
		assert_int_equal(rules.count, 1);
		assert_int_equal(rule->side, cases[i].side);
		assert_int_equal(rule->type, cases[i].type);
		assert_int_equal(rule->prefix.bits, cases[i].bits);
		assert_memory_equal(&rule->prefix.address, &address, sizeof(address));
		assert_int_equal(rule->port_first, cases[i].first);
		assert_int_equal(rule->port_last, cases[i].last);
	}
}

static void rules_parse__takes_lists(void **state)
{
	struct rules rules;

	(void)state;
	parse(&rules, "", "");
	assert_int_equal(rules.count + rules.own_count + rules.kernel_count, 0);
	parse(&rules, "kernel *:22,demi 10.0.0.0/8 , demi [fd00::/8]:1-2", OWN);
	assert_int_equal(rules.count, 3);
	assert_int_equal(rules.rules[0].side, SIDE_KERNEL);
	assert_int_equal(rules.rules[1].prefix.bits, 104);
	assert_int_equal(rules.rules[2].port_last, 2);
	assert_int_equal(rules.own_count, 2);
	assert_int_equal(rules.own[0].bits, 120);
	assert_int_equal(rules.own[1].bits, 64);
	/* What was there before is forgotten. */
	parse(&rules, "demi *", "10.0.0.9/8");
	assert_int_equal(rules.count, 1);
	assert_int_equal(rules.own_count, 1);
}

static void assert_refused(const char *text, const char *own, const char *key, const char *quoted)
{
	char message[256] = "", wanted[128];
	struct rules rules;

	if (rules_parse(&rules, text, own, message, sizeof(message)) != -EINVAL)
		fail_msg("\"%s\" with net.ip \"%s\" was taken", text, own);
	snprintf(wanted, sizeof(wanted), "%s: \"%s\"; allowed: ", key, quoted);
	assert_memory_equal(message, wanted, strlen(wanted));
	assert_true(strlen(message) > strlen(wanted));
	assert_null(strchr(message, '\n'));
}

static void rules_parse__refuses_each_mistake(void **state)
{
	static const char *const texts[] = {
		"x",
		"demi",
		"*",
		"10.0.0.7",
		"Demi *",
		"demi tcp",
		"demi tcp udp *",
		"demi sctp *",
		"demi tcp* ",
		"demi 10.0.0",
		"demi 10.0.0.256",
		"demi 10.0.0.7/33",
		"demi 10.0.0.7/-1",
		"demi 10.0.0.7/",
		"demi 10.0.0.7/x",
		"demi 10.0.0.0/24/8",
		"demi 10.0.0.7 80",
		"demi 10.0.0.7 :80",
		"demi 10.0.0.7:",
		"demi 10.0.0.7:x",
		"demi 10.0.0.7:65536",
		"demi 10.0.0.7:100000",
		"demi 10.0.0.7:-1",
		"demi 10.0.0.7:+1",
		"demi 10.0.0.7:90-80",
		"demi 10.0.0.7:80-",
		"demi 10.0.0.7:80-65536",
		"demi 10.0.0.7:80-90-100",
		"demi 10.0.0.7:80:90",
		"demi *:*-80",
		"demi */0",
		"demi **",
		"demi fd00::7",
		"demi [fd00::7",
		"demi [fd00::7]80",
		"demi [fd00::7]/64",
		"demi [fd00::7/129]",
		"demi [fd00::7/]",
		"demi [fd00:::7]",
		"demi [fd00::7]:",
		"demi []",
		"demi [",
		"demi localhost",
		"demi 10.0.0.7;80",
		"demi\t*",
		"demi 1111111111111111111111111111111111111111111111111111111111111111",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		char list[256], quoted[128];
		size_t length = strlen(texts[i]);

		snprintf(quoted, sizeof(quoted), "%s", texts[i]);
		if (quoted[length - 1] == ' ')
			quoted[length - 1] = '\0';
		assert_refused(texts[i], OWN, "shim.rules", quoted);
		/* It is the wrong one that is named. */
		snprintf(list, sizeof(list), "kernel *:1,%s,kernel *:2", texts[i]);
		assert_refused(list, OWN, "shim.rules", quoted);
	}
	assert_refused(",demi *", OWN, "shim.rules", "");
	assert_refused("demi *,,demi *", OWN, "shim.rules", "");
	assert_refused(" ", OWN, "shim.rules", "");
}

static void rules_parse__refuses_what_is_no_address(void **state)
{
	static const char *const texts[] = {
		"x", "10.0.0.2/33", "10.0.0/24", "[fd00::2/64]", "fd00::2/129", "10.0.0.2/24:80",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		char list[64];

		assert_refused("", texts[i], "net.ip", texts[i]);
		snprintf(list, sizeof(list), "10.0.0.3/24, %s", texts[i]);
		assert_refused("demi *", list, "net.ip", texts[i]);
	}
}

static void rules_parse__bounds_their_numbers(void **state)
{
	char many[1024] = "", own[1024] = "", address[32];
	struct rules rules;

	(void)state;
	for (unsigned int i = 0; i < RULES_MAX; i++)
		strcat(many, i ? ",demi *" : "demi *");
	for (unsigned int i = 0; i < PREFIXES_MAX; i++) {
		snprintf(address, sizeof(address), "%s10.0.0.%u/24", i ? "," : "", i);
		strcat(own, address);
	}
	parse(&rules, many, own);
	assert_int_equal(rules.count, RULES_MAX);
	assert_int_equal(rules.own_count, PREFIXES_MAX);
	strcat(many, ",kernel *");
	assert_refused(many, "", "shim.rules", "kernel *");
	strcat(own, ",10.0.0.99/24");
	assert_refused("", own, "net.ip", "10.0.0.99/24");
}

/* ---- Without rules ---- */

static void rules_bind__own_addresses_are_ours(void **state)
{
	struct rules rules;

	(void)state;
	parse(&rules, "", OWN);
	for (int i = 0; i < 2; i++) {
		int type = i ? SOCK_STREAM : SOCK_DGRAM;

		assert_int_equal(bind_side(&rules, type, "10.0.0.2", 80), SIDE_DEMI);
		assert_int_equal(bind_side(&rules, type, "10.0.0.2", 0), SIDE_DEMI);
		assert_int_equal(bind_side(&rules, type, "fd00::2", 80), SIDE_DEMI);
		assert_int_equal(bind_side(&rules, type, "::ffff:10.0.0.2", 80), SIDE_DEMI);
		/* Of the prefix, but not ours: the kernel may have it, and says so if not. */
		assert_int_equal(bind_side(&rules, type, "10.0.0.3", 80), SIDE_KERNEL);
		assert_int_equal(bind_side(&rules, type, "fd00::3", 80), SIDE_KERNEL);
		assert_int_equal(bind_side(&rules, type, "127.0.0.1", 80), SIDE_KERNEL);
		assert_int_equal(bind_side(&rules, type, "::1", 80), SIDE_KERNEL);
		assert_int_equal(bind_side(&rules, type, "::ffff:127.0.0.1", 80), SIDE_KERNEL);
		assert_int_equal(bind_side(&rules, type, "192.168.0.1", 80), SIDE_KERNEL);
	}
}

static void rules_bind__wildcard_addresses_are_of_both(void **state)
{
	struct rules rules;

	(void)state;
	parse(&rules, "", OWN);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "0.0.0.0", 80), SIDE_BOTH);
	assert_int_equal(bind_side(&rules, SOCK_DGRAM, "::", 0), SIDE_BOTH);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "::ffff:0.0.0.0", 80), SIDE_BOTH);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "::0.0.0.1", 80), SIDE_KERNEL);
}

static void rules_connect__own_prefixes_are_ours(void **state)
{
	struct rules rules;

	(void)state;
	parse(&rules, "", OWN);
	for (int i = 0; i < 2; i++) {
		int type = i ? SOCK_STREAM : SOCK_DGRAM;

		assert_int_equal(connect_side(&rules, type, "10.0.0.2", 80), SIDE_DEMI);
		assert_int_equal(connect_side(&rules, type, "10.0.0.255", 80), SIDE_DEMI);
		assert_int_equal(connect_side(&rules, type, "fd00::ffff", 80), SIDE_DEMI);
		assert_int_equal(connect_side(&rules, type, "::ffff:10.0.0.9", 80), SIDE_DEMI);
		assert_int_equal(connect_side(&rules, type, "10.0.1.2", 80), SIDE_KERNEL);
		assert_int_equal(connect_side(&rules, type, "9.255.255.255", 80), SIDE_KERNEL);
		assert_int_equal(connect_side(&rules, type, "fd00:0:0:1::2", 80), SIDE_KERNEL);
		assert_int_equal(connect_side(&rules, type, "127.0.0.1", 80), SIDE_KERNEL);
		assert_int_equal(connect_side(&rules, type, "::1", 80), SIDE_KERNEL);
		assert_int_equal(connect_side(&rules, type, "0.0.0.0", 80), SIDE_KERNEL);
		assert_int_equal(connect_side(&rules, type, "224.0.0.1", 80), SIDE_KERNEL);
	}
}

static void add_kernel(struct rules *rules, const char *text)
{
	union name name;

	rules_add_kernel(rules, name_of(&name, text, 0));
}

static void rules_connect__the_kernels_own_addresses_are_its(void **state)
{
	struct rules rules;

	(void)state;
	parse(&rules, "demi tcp *:443", OWN);
	add_kernel(&rules, "10.0.0.1");
	add_kernel(&rules, "fd00::1");
	assert_int_equal(rules.kernel_count, 2);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "10.0.0.1", 80), SIDE_KERNEL);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "::ffff:10.0.0.1", 80), SIDE_KERNEL);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "fd00::1", 80), SIDE_KERNEL);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "10.0.0.3", 80), SIDE_DEMI);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "fd00::3", 80), SIDE_DEMI);
	/* A rule goes before. */
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "10.0.0.1", 443), SIDE_DEMI);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "10.0.0.1", 80), SIDE_KERNEL);
}

static void rules_add_kernel__bounds_their_number_and_ignores_others(void **state)
{
	struct sockaddr other = {.sa_family = AF_PACKET};
	char text[32];
	struct rules rules;

	(void)state;
	parse(&rules, "", OWN);
	rules_add_kernel(&rules, &other);
	assert_int_equal(rules.kernel_count, 0);
	for (unsigned int i = 0; i < PREFIXES_MAX + 8; i++) {
		snprintf(text, sizeof(text), "10.0.0.%u", 10 + i);
		add_kernel(&rules, text);
	}
	assert_int_equal(rules.kernel_count, PREFIXES_MAX);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "10.0.0.10", 1), SIDE_KERNEL);
}

static void rules__other_families_are_the_kernels(void **state)
{
	union name name = {.un = {.sun_family = AF_UNIX, .sun_path = "/tmp/x"}};
	struct rules rules;

	(void)state;
	parse(&rules, "demi *", OWN);
	assert_int_equal(rules_bind(&rules, SOCK_STREAM, &name.any), SIDE_KERNEL);
	assert_int_equal(rules_connect(&rules, SOCK_STREAM, &name.any), SIDE_KERNEL);
	assert_int_equal(address_port(&name.any), 0);
	assert_false(address_is_wildcard(&name.any));
}

static void rules__without_a_stack_all_is_the_kernels(void **state)
{
	struct rules rules;

	(void)state;
	parse(&rules, "demi *", "");
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "10.0.0.2", 80), SIDE_KERNEL);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "0.0.0.0", 80), SIDE_KERNEL);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "10.0.0.2", 80), SIDE_KERNEL);
}

/* ---- With rules ---- */

static void rules__the_first_that_fits_decides(void **state)
{
	struct rules rules;

	(void)state;
	parse(&rules, "kernel 10.0.0.8,demi 10.0.0.0/28,kernel 10.0.0.0/24,demi 192.168.0.0/16",
	      OWN);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "10.0.0.8", 1), SIDE_KERNEL);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "10.0.0.9", 1), SIDE_DEMI);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "10.0.0.16", 1), SIDE_KERNEL);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "192.168.3.4", 1), SIDE_DEMI);
	/* None fits. */
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "11.0.0.1", 1), SIDE_KERNEL);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "fd00::9", 1), SIDE_DEMI);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "192.168.3.4", 1), SIDE_DEMI);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "0.0.0.0", 1), SIDE_BOTH);
}

static void rules__ports_and_types_are_looked_at(void **state)
{
	struct rules rules;

	(void)state;
	parse(&rules, "kernel tcp *:22,kernel udp 10.0.0.0/24:100-200", OWN);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "10.0.0.9", 22), SIDE_KERNEL);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "10.0.0.9", 21), SIDE_DEMI);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "10.0.0.9", 23), SIDE_DEMI);
	assert_int_equal(connect_side(&rules, SOCK_DGRAM, "10.0.0.9", 22), SIDE_DEMI);
	assert_int_equal(connect_side(&rules, SOCK_STREAM, "10.0.0.9", 150), SIDE_DEMI);
	assert_int_equal(connect_side(&rules, SOCK_DGRAM, "10.0.0.9", 99), SIDE_DEMI);
	assert_int_equal(connect_side(&rules, SOCK_DGRAM, "10.0.0.9", 100), SIDE_KERNEL);
	assert_int_equal(connect_side(&rules, SOCK_DGRAM, "10.0.0.9", 200), SIDE_KERNEL);
	assert_int_equal(connect_side(&rules, SOCK_DGRAM, "10.0.0.9", 201), SIDE_DEMI);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "10.0.0.2", 22), SIDE_KERNEL);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "fd00::2", 22), SIDE_KERNEL);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "10.0.0.2", 80), SIDE_DEMI);
}

static void rules__wildcards_match_rules_as_addresses(void **state)
{
	struct rules rules;

	(void)state;
	parse(&rules, "kernel tcp *:22,demi 0.0.0.0:80,demi [::]:81", OWN);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "0.0.0.0", 22), SIDE_KERNEL);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "::", 22), SIDE_KERNEL);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "0.0.0.0", 80), SIDE_DEMI);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "::ffff:0.0.0.0", 80), SIDE_DEMI);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "::", 81), SIDE_DEMI);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "0.0.0.0", 81), SIDE_BOTH);
	parse(&rules, "demi 10.0.0.0/8", OWN);
	assert_int_equal(bind_side(&rules, SOCK_STREAM, "0.0.0.0", 80), SIDE_BOTH);
}

/* ---- Prefixes, against the slow way ---- */

static bool bits_agree(const struct in6_addr *a, const struct in6_addr *b, unsigned int bits)
{
	for (unsigned int i = 0; i < bits; i++)
		if ((a->s6_addr[i / 8] ^ b->s6_addr[i / 8]) & (0x80 >> i % 8))
			return false;
	return true;
}

static void rules__prefixes_of_any_length(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		unsigned int bits = (unsigned int)rand_r(&seed) % 129;
		char text[64], prefix[INET6_ADDRSTRLEN];
		struct in6_addr a, b;
		struct rules rules;
		union name name = {.in6 = {.sin6_family = AF_INET6}};
		unsigned int flip = (unsigned int)rand_r(&seed) % 128;

		for (int i = 0; i < 16; i++)
			a.s6_addr[i] = (uint8_t)rand_r(&seed);
		b = a;
		b.s6_addr[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
		inet_ntop(AF_INET6, &a, prefix, sizeof(prefix));
		snprintf(text, sizeof(text), "demi [%s/%u]", prefix, bits);
		parse(&rules, text, "10.0.0.2/32");
		name.in6.sin6_addr = b;
		assert_int_equal(rules_connect(&rules, SOCK_STREAM, &name.any),
				 bits_agree(&a, &b, bits) ? SIDE_DEMI : SIDE_KERNEL);
	}
}

static void address__ports_and_wildcards(void **state)
{
	union name name;

	(void)state;
	assert_int_equal(address_port(name_of(&name, "10.0.0.2", 0x1234)), 0x1234);
	assert_int_equal(address_port(name_of(&name, "fd00::2", 0x1234)), 0x1234);
	assert_true(address_is_wildcard(name_of(&name, "0.0.0.0", 1)));
	assert_true(address_is_wildcard(name_of(&name, "::", 1)));
	assert_true(address_is_wildcard(name_of(&name, "::ffff:0.0.0.0", 1)));
	assert_false(address_is_wildcard(name_of(&name, "0.0.0.1", 1)));
	assert_false(address_is_wildcard(name_of(&name, "::1", 1)));
	assert_false(address_is_wildcard(name_of(&name, "::ffff:0.0.0.1", 1)));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_parse__takes_every_form),
		cmocka_unit_test(rules_parse__takes_lists),
		cmocka_unit_test(rules_parse__refuses_each_mistake),
		cmocka_unit_test(rules_parse__refuses_what_is_no_address),
		cmocka_unit_test(rules_parse__bounds_their_numbers),
		cmocka_unit_test(rules_bind__own_addresses_are_ours),
		cmocka_unit_test(rules_bind__wildcard_addresses_are_of_both),
		cmocka_unit_test(rules_connect__own_prefixes_are_ours),
		cmocka_unit_test(rules_connect__the_kernels_own_addresses_are_its),
		cmocka_unit_test(rules_add_kernel__bounds_their_number_and_ignores_others),
		cmocka_unit_test(rules__other_families_are_the_kernels),
		cmocka_unit_test(rules__without_a_stack_all_is_the_kernels),
		cmocka_unit_test(rules__the_first_that_fits_decides),
		cmocka_unit_test(rules__ports_and_types_are_looked_at),
		cmocka_unit_test(rules__wildcards_match_rules_as_addresses),
		cmocka_unit_test(rules__prefixes_of_any_length),
		cmocka_unit_test(address__ports_and_wildcards),
	};

	return cmocka_run_group_tests_name("shim/rule", tests, NULL, NULL);
}
