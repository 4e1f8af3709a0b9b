/* SPDX-License-Identifier: MIT */
/*
 * Addresses. An IP address of either version has 16 bytes, IPv4's as mapped ones, ::ffff:a.b.c.d
 * (RFC 4291, section 2.5.5.2), so that tables have one kind of key. Such an address must not come
 * out of an IPv6 header, since it would pass for IPv4: ipv6_parse refuses it (RFC 4942, 2.2).
 */
#ifndef DEMI_WIRE_ADDRESS_H
#define DEMI_WIRE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "wire/bytes.h"

#define ETH_ADDRESS_BYTES 6
#define IP_ADDRESS_BYTES 16
#define IP_MAPPED_PREFIX 0x0000ffffu /* bytes 8 to 11 of a mapped address; those before are 0 */

struct eth_address {
	uint8_t bytes[ETH_ADDRESS_BYTES];
};

struct ip_address {
	uint8_t bytes[IP_ADDRESS_BYTES];
};

/* Ethernet */

static inline struct eth_address eth_address_load(const void *data)
{
	struct eth_address address;

	memcpy(&address, data, sizeof(address));
	return address;
}

static inline bool eth_address_equal(const struct eth_address *a, const struct eth_address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/** eth_address_is_multicast - a group's address, that of all stations among them */
static inline bool eth_address_is_multicast(const struct eth_address *address)
{
	return address->bytes[0] & 1;
}

static inline struct eth_address eth_address_broadcast(void)
{
	return (struct eth_address){{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
}

/* IP: loading, storing, converting */

/** ip_address_v4 - the IPv4 address @host, in the host's byte order */
static inline struct ip_address ip_address_v4(uint32_t host)
{
	struct ip_address address = {{0}};

	store_be64(address.bytes, 0);
	/* At once: who reads all eight bytes soon does not wait for two stores. */
	store_be64(address.bytes + 8, (uint64_t)IP_MAPPED_PREFIX << 32 | host);
	return address;
}

/** ip_address_v6 - from the 16 bytes at @data, or from its two halves in the host's byte order */
static inline struct ip_address ip_address_v6(const void *data)
{
	struct ip_address address;

	memcpy(&address, data, sizeof(address));
	return address;
}

static inline struct ip_address ip_address_v6_halves(uint64_t high, uint64_t low)
{
	struct ip_address address = {{0}};

	store_be64(address.bytes, high);
	store_be64(address.bytes + 8, low);
	return address;
}

/** ip_address_low32 - the last four bytes: the whole of an IPv4 address, in host byte order */
static inline uint32_t ip_address_low32(const struct ip_address *address)
{
	return load_be32(address->bytes + 12);
}

static inline struct ip_address ip_address_from_in(struct in_addr in)
{
	return ip_address_v4(be32toh(in.s_addr));
}

static inline struct in_addr ip_address_to_in(const struct ip_address *address)
{
	return (struct in_addr){.s_addr = htobe32(ip_address_low32(address))};
}

static inline struct ip_address ip_address_from_in6(const struct in6_addr *in6)
{
	return ip_address_v6(in6->s6_addr);
}

static inline struct in6_addr ip_address_to_in6(const struct ip_address *address)
{
	struct in6_addr in6;

	memcpy(&in6, address->bytes, sizeof(in6));
	return in6;
}

/* IP: what an address is. Each question works for both versions. */

static inline bool ip_address_equal(const struct ip_address *a, const struct ip_address *b)
{
	return load_be64(a->bytes) == load_be64(b->bytes) &&
	       load_be64(a->bytes + 8) == load_be64(b->bytes + 8);
}

static inline bool ip_address_is_v4(const struct ip_address *address)
{
	return load_be64(address->bytes) == 0 && load_be32(address->bytes + 8) == IP_MAPPED_PREFIX;
}

/** ip_address_is_multicast - 224.0.0.0/4 (RFC 1112, section 4) or ff00::/8 (RFC 4291, 2.7) */
static inline bool ip_address_is_multicast(const struct ip_address *address)
{
	return address->bytes[0] == 0xff ||
	       (ip_address_is_v4(address) && (address->bytes[12] & 0xf0) == 0xe0);
}

/** ip_address_is_broadcast - 255.255.255.255; that of a subnet only its interface knows */
static inline bool ip_address_is_broadcast(const struct ip_address *address)
{
	return ip_address_is_v4(address) && ip_address_low32(address) == UINT32_MAX;
}

/** ip_address_is_loopback - 127.0.0.0/8 (RFC 1122, section 3.2.1.3) or ::1 (RFC 4291, 2.5.3) */
static inline bool ip_address_is_loopback(const struct ip_address *address)
{
	if (load_be64(address->bytes) != 0)
		return false;
	return load_be64(address->bytes + 8) == 1 ||
	       load_be64(address->bytes + 8) >> 24 == ((uint64_t)IP_MAPPED_PREFIX << 8 | 127);
}

/** ip_address_is_unspecified - 0.0.0.0 or :: */
static inline bool ip_address_is_unspecified(const struct ip_address *address)
{
	uint64_t low = load_be64(address->bytes + 8);

	return load_be64(address->bytes) == 0 &&
	       (low == 0 || low == (uint64_t)IP_MAPPED_PREFIX << 32);
}

/** ip_address_is_link_local - 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291, 2.5.6) */
static inline bool ip_address_is_link_local(const struct ip_address *address)
{
	return load_be16(address->bytes) >> 6 == 0xfe80 >> 6 ||
	       (ip_address_is_v4(address) && ip_address_low32(address) >> 16 == 0xa9fe);
}

/* IP: groups */

#define IPV6_ALL_NODES ip_address_v6_halves(0xff02000000000000, 1)   /* RFC 4291, 2.7.1 */
#define IPV6_ALL_ROUTERS ip_address_v6_halves(0xff02000000000000, 2) /* RFC 4291, 2.7.1 */

/** ip_address_solicited_node - the group whose members may have @address (RFC 4291, 2.7.1) */
static inline struct ip_address ip_address_solicited_node(const struct ip_address *address)
{
	return ip_address_v6_halves(0xff02000000000000,
				    0x1ff000000 | (ip_address_low32(address) & 0xffffff));
}

/**
 * eth_address_of_group - where frames to an IP group go
 *
 * 01-00-5e and 23 bits of an IPv4 group (RFC 1112, section 6.4), 33-33 and 32 bits of an IPv6 one
 * (RFC 2464, section 7).
 */
static inline struct eth_address eth_address_of_group(const struct ip_address *group)
{
	const uint8_t *low = group->bytes + 12;

	if (ip_address_is_v4(group))
		return (struct eth_address){{1, 0, 0x5e, low[1] & 0x7f, low[2], low[3]}};
	return (struct eth_address){{0x33, 0x33, low[0], low[1], low[2], low[3]}};
}

#endif /* DEMI_WIRE_ADDRESS_H */
