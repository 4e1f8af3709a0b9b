/* SPDX-License-Identifier: MIT */
#include "rule.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_BYTES_MAX 64u
#define V4_BITS 96u

/* ---- Addresses ---- */

/* As 16 bytes; false: neither IPv4 nor IPv6. */
static bool address_load(const struct sockaddr *address, struct in6_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (address->sa_family == AF_INET6) {
		*out = ((const struct sockaddr_in6 *)address)->sin6_addr;
		return true;
	}
	if (address->sa_family != AF_INET)
		return false;
	out->s6_addr[10] = out->s6_addr[11] = 0xff;
	memcpy(&out->s6_addr[12], &((const struct sockaddr_in *)address)->sin_addr, 4);
	return true;
}

uint16_t address_port(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)address)->sin_port);
	if (address->sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
	return 0;
}

bool address_is_wildcard(const struct sockaddr *address)
{
	static const unsigned char zeroes[16];
	struct in6_addr bytes;

	if (!address_load(address, &bytes))
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&bytes))
		return memcmp(&bytes.s6_addr[12], zeroes, 4) == 0;
	return memcmp(&bytes, zeroes, 16) == 0;
}

static bool prefix_has(const struct prefix *prefix, const struct in6_addr *address)
{
	unsigned int bytes = prefix->bits / 8;
	unsigned int bits = prefix->bits % 8;
	unsigned char mask = (unsigned char)(0xff00u >> bits);

	if (memcmp(&prefix->address, address, bytes) != 0)
		return false;
	return bits == 0 ||
	       ((prefix->address.s6_addr[bytes] ^ address->s6_addr[bytes]) & mask) == 0;
}

/* ---- Parsing ---- */

struct text {
	const char *start;
	size_t length;
};

static bool text_is(struct text text, const char *word)
{
	return text.length == strlen(word) && memcmp(text.start, word, text.length) == 0;
}

static struct text text_trim(struct text text)
{
	while (text.length && text.start[0] == ' ') {
		text.start++;
		text.length--;
	}
	while (text.length && text.start[text.length - 1] == ' ')
		text.length--;
	return text;
}

/* Take what stands before @separator off the front of @rest; all of it when there is none. */
static struct text text_cut(struct text *rest, char separator)
{
	const char *end = memchr(rest->start, separator, rest->length);
	struct text cut = {rest->start, end ? (size_t)(end - rest->start) : rest->length};

	rest->start += cut.length + (end != NULL);
	rest->length -= cut.length + (end != NULL);
	return text_trim(cut);
}

/* A decimal number from 0 to @most; -1: it is none. */
static long number_parse(struct text text, long most)
{
	long value = 0;

	if (text.length == 0 || text.length > 5)
		return -1;
	for (size_t i = 0; i < text.length; i++) {
		if (text.start[i] < '0' || text.start[i] > '9')
			return -1;
		value = 10 * value + (text.start[i] - '0');
	}
	return value <= most ? value : -1;
}

/* "10.0.0.0/24", "fd00::1". */
static bool prefix_parse(struct prefix *prefix, struct text text)
{
	struct text address = text_cut(&text, '/');
	bool has_length = address.start + address.length < text.start;
	char name[ADDRESS_BYTES_MAX];
	struct in_addr v4;
	long bits;

	if (address.length >= sizeof(name))
		return false;
	memcpy(name, address.start, address.length);
	name[address.length] = '\0';
	memset(prefix, 0, sizeof(*prefix));
	if (inet_pton(AF_INET, name, &v4) == 1) {
		prefix->address.s6_addr[10] = prefix->address.s6_addr[11] = 0xff;
		memcpy(&prefix->address.s6_addr[12], &v4, 4);
		bits = has_length ? number_parse(text, 32) : 32;
		prefix->bits = V4_BITS + (unsigned int)bits;
	} else {
		bits = has_length ? number_parse(text, 128) : 128;
		prefix->bits = (unsigned int)bits;
		if (inet_pton(AF_INET6, name, &prefix->address) != 1)
			return false;
	}
	return bits >= 0;
}

/* ":80", ":80-90", or nothing. */
static bool ports_parse(struct rule *rule, struct text text)
{
	long first, last;
	struct text from;
	bool is_range;

	rule->port_first = 0;
	rule->port_last = UINT16_MAX;
	if (text.length == 0)
		return true;
	if (text.start[0] != ':')
		return false;
	text.start++;
	text.length--;
	if (text_is(text, "*"))
		return true;
	is_range = memchr(text.start, '-', text.length) != NULL;
	from = text_cut(&text, '-');
	first = number_parse(from, UINT16_MAX);
	last = is_range ? number_parse(text, UINT16_MAX) : first;
	rule->port_first = (uint16_t)first;
	rule->port_last = (uint16_t)last;
	return first >= 0 && last >= first;
}

static bool target_parse(struct rule *rule, struct text text)
{
	struct text address;

	if (text.length && text.start[0] == '[') {
		text.start++;
		text.length--;
		if (!memchr(text.start, ']', text.length))
			return false;
		address = text_cut(&text, ']');
	} else {
		address.start = text.start;
		for (address.length = 0; address.length < text.length; address.length++)
			if (text.start[address.length] == ':')
				break;
		text.start += address.length;
		text.length -= address.length;
	}
	if (text_is(address, "*"))
		rule->prefix = (struct prefix){.bits = 0};
	else if (!prefix_parse(&rule->prefix, address))
		return false;
	return ports_parse(rule, text);
}

static bool rule_parse(struct rule *rule, struct text text)
{
	struct text word = text_cut(&text, ' ');

	if (text_is(word, "demi"))
		rule->side = SIDE_DEMI;
	else if (text_is(word, "kernel"))
		rule->side = SIDE_KERNEL;
	else
		return false;
	text = text_trim(text);
	rule->type = 0;
	if (text.length > 4 && memcmp(text.start, "tcp ", 4) == 0)
		rule->type = SOCK_STREAM;
	else if (text.length > 4 && memcmp(text.start, "udp ", 4) == 0)
		rule->type = SOCK_DGRAM;
	if (rule->type)
		text_cut(&text, ' ');
	return target_parse(rule, text_trim(text));
}

static int refuse(char *message, size_t size, const char *key, struct text text,
		  const char *allowed)
{
	snprintf(message, size, "%s: \"%.*s\"; allowed: %s", key, (int)text.length, text.start,
		 allowed);
	return -EINVAL;
}

static int parse_rules(struct rules *rules, struct text text, char *message, size_t size)
{
	while (text.length) {
		struct text one = text_cut(&text, ',');

		if (rules->count == RULES_MAX)
			return refuse(message, size, "shim.rules", one, "32 rules");
		if (!rule_parse(&rules->rules[rules->count++], one))
			return refuse(message, size, "shim.rules", one,
				      "demi|kernel [tcp|udp] *|ADDRESS[/BITS][:PORT[-PORT]], an "
				      "IPv6 address in brackets");
	}
	return 0;
}

static int parse_own(struct rules *rules, struct text text, char *message, size_t size)
{
	while (text.length) {
		struct text one = text_cut(&text, ',');

		if (one.length == 0)
			continue;
		if (rules->own_count == PREFIXES_MAX)
			return refuse(message, size, "net.ip", one, "32 addresses");
		if (!prefix_parse(&rules->own[rules->own_count++], one))
			return refuse(message, size, "net.ip", one, "ADDRESS/BITS");
	}
	return 0;
}

int rules_parse(struct rules *rules, const char *text, const char *own, char *message,
		size_t message_size)
{
	int error;

	memset(rules, 0, sizeof(*rules));
	error = parse_rules(rules, (struct text){text, strlen(text)}, message, message_size);
	if (!error)
		error = parse_own(rules, (struct text){own, strlen(own)}, message, message_size);
	return error;
}

void rules_add_kernel(struct rules *rules, const struct sockaddr *address)
{
	struct prefix *prefix = &rules->kernel[rules->kernel_count];

	if (rules->kernel_count == PREFIXES_MAX || !address_load(address, &prefix->address))
		return;
	prefix->bits = 128;
	rules->kernel_count++;
}

/* ---- Deciding ---- */

/* SIDE_UNDECIDED: no rule fits. */
static enum side ruled(const struct rules *rules, int type, const struct in6_addr *address,
		       uint16_t port)
{
	for (unsigned int i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->rules[i];

		if ((rule->type == 0 || rule->type == type) && port >= rule->port_first &&
		    port <= rule->port_last && prefix_has(&rule->prefix, address))
			return rule->side;
	}
	return SIDE_UNDECIDED;
}

static bool any_has(const struct prefix *prefixes, unsigned int count,
		    const struct in6_addr *address)
{
	for (unsigned int i = 0; i < count; i++)
		if (prefix_has(&prefixes[i], address))
			return true;
	return false;
}

static bool is_own(const struct rules *rules, const struct in6_addr *address)
{
	for (unsigned int i = 0; i < rules->own_count; i++)
		if (memcmp(&rules->own[i].address, address, sizeof(*address)) == 0)
			return true;
	return false;
}

/* What a rule says, or that there is no stack for it; SIDE_UNDECIDED: it is for the addresses. */
static enum side by_rule(const struct rules *rules, int type, const struct sockaddr *address,
			 struct in6_addr *bytes)
{
	if (rules->own_count == 0 || !address_load(address, bytes))
		return SIDE_KERNEL;
	return ruled(rules, type, bytes, address_port(address));
}

enum side rules_bind(const struct rules *rules, int type, const struct sockaddr *address)
{
	struct in6_addr bytes;
	enum side side = by_rule(rules, type, address, &bytes);

	if (side != SIDE_UNDECIDED)
		return side;
	if (address_is_wildcard(address))
		return SIDE_BOTH;
	return is_own(rules, &bytes) ? SIDE_DEMI : SIDE_KERNEL;
}

enum side rules_connect(const struct rules *rules, int type, const struct sockaddr *address)
{
	struct in6_addr bytes;
	enum side side = by_rule(rules, type, address, &bytes);

	if (side != SIDE_UNDECIDED)
		return side;
	if (any_has(rules->kernel, rules->kernel_count, &bytes))
		return SIDE_KERNEL;
	return any_has(rules->own, rules->own_count, &bytes) ? SIDE_DEMI : SIDE_KERNEL;
}
