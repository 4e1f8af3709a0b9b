/* SPDX-License-Identifier: MIT */
#include "peer_filter.h"

#include <stdio.h>
#include <stdlib.h>

enum kind { KIND_NEVER, KIND_LOOPBACK, KIND_PRIVATE };

/* What is denied to begin with. */
static const struct {
	uint8_t ip[NET_IP_BYTES];
	uint8_t family, bits;
	enum kind kind;
} special[] = {
	{{0}, NET_V4, 8, KIND_NEVER},
	{{10}, NET_V4, 8, KIND_PRIVATE},
	{{100, 64}, NET_V4, 10, KIND_PRIVATE},
	{{127}, NET_V4, 8, KIND_LOOPBACK},
	{{169, 254}, NET_V4, 16, KIND_NEVER},
	{{172, 16}, NET_V4, 12, KIND_PRIVATE},
	{{192, 0, 0}, NET_V4, 24, KIND_NEVER},
	{{192, 168}, NET_V4, 16, KIND_PRIVATE},
	{{198, 18}, NET_V4, 15, KIND_PRIVATE},
	{{224}, NET_V4, 4, KIND_NEVER},
	{{240}, NET_V4, 4, KIND_NEVER},
	{{[15] = 1}, NET_V6, 128, KIND_LOOPBACK},
	{{0, 0x64, 0xff, 0x9b, 0, 1}, NET_V6, 48, KIND_PRIVATE}, /* RFC 8215: NAT64 of one's own */
	{{0}, NET_V6, 128, KIND_NEVER},
	{{0xfc}, NET_V6, 7, KIND_PRIVATE},
	{{0xfe, 0x80}, NET_V6, 10, KIND_NEVER},
	{{0xfe, 0xc0}, NET_V6, 10, KIND_PRIVATE},
	{{0xff}, NET_V6, 8, KIND_NEVER},
	{{1}, NET_V6, 64, KIND_NEVER}, /* 100::/64 goes nowhere */
};

/* IPv6 networks whose addresses have one of IPv4 in them, and where. */
static const struct {
	uint8_t ip[NET_IP_BYTES];
	uint8_t bits, at;
} embedding[] = {
	{{[10] = 0xff, [11] = 0xff}, 96, 12},
	{{0, 0x64, 0xff, 0x9b}, 96, 12},
	{{0x20, 0x02}, 16, 2},
	{{0}, 96, 12},
};

static bool has_prefix(const uint8_t *ip, const uint8_t *prefix, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (memcmp(ip, prefix, whole) != 0)
		return false;
	return rest == 0 || (ip[whole] ^ prefix[whole]) >> (8 - rest) == 0;
}

static bool in_ranges(const struct peer_range ranges[], uint32_t count,
		      const struct net_address *peer)
{
	for (uint32_t i = 0; i < count; i++) {
		if (ranges[i].first.family == peer->family &&
		    memcmp(peer->ip, ranges[i].first.ip, NET_IP_BYTES) >= 0 &&
		    memcmp(peer->ip, ranges[i].last.ip, NET_IP_BYTES) <= 0)
			return true;
	}
	return false;
}

static bool is_special(const struct peer_filter *filter, const struct net_address *peer)
{
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		if (special[i].family != peer->family ||
		    !has_prefix(peer->ip, special[i].ip, special[i].bits))
			continue;
		if (special[i].kind == KIND_LOOPBACK && filter->allow_loopback)
			return false;
		return special[i].kind != KIND_PRIVATE || !filter->allow_private;
	}
	return false;
}

/* The IPv4 address that an IPv6 one leads to. */
static bool embedded(const struct net_address *peer, struct net_address *inner)
{
	static const uint8_t loopback[NET_IP_BYTES] = {[15] = 1}, nobody[NET_IP_BYTES];

	if (peer->family != NET_V6 || memcmp(peer->ip, loopback, NET_IP_BYTES) == 0 ||
	    memcmp(peer->ip, nobody, NET_IP_BYTES) == 0)
		return false;
	for (size_t i = 0; i < sizeof(embedding) / sizeof(embedding[0]); i++) {
		if (!has_prefix(peer->ip, embedding[i].ip, embedding[i].bits))
			continue;
		*inner = (struct net_address){.family = NET_V4, .port = peer->port};
		memcpy(inner->ip, peer->ip + embedding[i].at, 4);
		return true;
	}
	return false;
}

bool peer_is_allowed(const struct peer_filter *filter, const struct net_address *peer)
{
	struct net_address inner;

	if (in_ranges(filter->allowed, filter->allowed_count, peer))
		return true;
	if (in_ranges(filter->denied, filter->denied_count, peer) || is_special(filter, peer))
		return false;
	return !embedded(peer, &inner) || peer_is_allowed(filter, &inner);
}

/* The first and the last address of a network; false: so many bits it has not. */
static bool network(struct peer_range *range, const char *text)
{
	size_t bytes = net_ip_bytes(range->first.family), digits = strspn(text, "0123456789");
	long bits = strtol(text, NULL, 10);

	if (digits == 0 || digits > 3 || text[digits] != '\0' || bits > 8 * (long)bytes)
		return false;
	range->last = range->first;
	for (size_t i = 0; i < bytes; i++) {
		long inside = bits - 8 * (long)i; /* bits of this byte that are the network's */
		uint8_t host = inside >= 8 ? 0 : inside <= 0 ? 0xff : (uint8_t)(0xff >> inside);

		range->first.ip[i] &= (uint8_t)~host;
		range->last.ip[i] |= host;
	}
	return true;
}

const char *peer_range_parse(struct peer_range *range, const char *text)
{
	char first[NET_ADDRESS_TEXT_MAX];
	size_t length = strcspn(text, "/-");
	const char *wrong;

	if (length >= sizeof(first))
		return "write IP, IP/BITS or IP-IP";
	memcpy(first, text, length);
	first[length] = '\0';
	wrong = net_address_parse_ip(&range->first, first);
	if (wrong)
		return wrong;
	range->last = range->first;
	if (text[length] == '/')
		return network(range, text + length + 1) ? NULL
							 : "BITS is more than the address has";
	if (text[length] == '\0')
		return NULL;
	wrong = net_address_parse_ip(&range->last, text + length + 1);
	if (wrong)
		return wrong;
	if (range->first.family != range->last.family ||
	    memcmp(range->first.ip, range->last.ip, NET_IP_BYTES) > 0)
		return "the second address stands before the first, or is of another family";
	return NULL;
}
