/* SPDX-License-Identifier: MIT */
/* Addresses of IPv4 and IPv6 in one small form, and as people write them: 10.0.0.1:3478, [::1]:3478. */
#ifndef RELAY_NET_ADDRESS_H
#define RELAY_NET_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define NET_IP_BYTES 16
#define NET_V4 4
#define NET_V6 6

/* Room for "[IPv6]:65535" and the final zero. */
#define NET_ADDRESS_TEXT_MAX 64

struct net_address {
	uint8_t ip[NET_IP_BYTES]; /* of IPv4 the first 4 bytes, the others are zero */
	uint16_t port;            /* of the host's byte order */
	uint8_t family;           /* NET_V4, NET_V6; 0: none */
	uint8_t reserved;         /* zero, so that addresses are compared and hashed as bytes */
};

_Static_assert(sizeof(struct net_address) == 20, "no hidden padding: it is hashed as bytes");

/** net_ip_bytes - how many bytes an address of @family has: 4 or 16 */
static inline size_t net_ip_bytes(uint8_t family)
{
	return family == NET_V4 ? 4 : NET_IP_BYTES;
}

/** net_address_equal - the same address and port */
static inline bool net_address_equal(const struct net_address *a, const struct net_address *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->ip, b->ip, NET_IP_BYTES) == 0;
}

/** net_address_from - from what a socket says; family 0 if it is neither IPv4 nor IPv6 */
void net_address_from(struct net_address *address, const struct sockaddr *from);

/** net_address_to - for a socket. Return: bytes used in @to. */
socklen_t net_address_to(const struct net_address *address, struct sockaddr_storage *to);

/**
 * net_address_parse_ip - read an IP address alone, with or without brackets; port 0
 *
 * Return: NULL, or what is wrong with @text.
 */
const char *net_address_parse_ip(struct net_address *address, const char *text);

/** net_address_parse - read IP:PORT or [IPv6]:PORT. Return: NULL, or what is wrong with @text. */
const char *net_address_parse(struct net_address *address, const char *text);

/** net_address_format - write an address the way net_address_parse reads it. Return: @text. */
const char *net_address_format(const struct net_address *address, char text[NET_ADDRESS_TEXT_MAX]);

/** net_address_format_ip - the same, without the port and without brackets */
const char *net_address_format_ip(const struct net_address *address,
				  char text[NET_ADDRESS_TEXT_MAX]);

#endif /* RELAY_NET_ADDRESS_H */
