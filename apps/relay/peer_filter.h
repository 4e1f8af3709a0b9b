/* SPDX-License-Identifier: MIT */
/*
 * Which peers may be relayed to. A relay stands inside of its operator's network, so what only that
 * network can reach is refused unless it is allowed: RFC 8656, section 21.1.3 and RFC 6890.
 */
#ifndef RELAY_PEER_FILTER_H
#define RELAY_PEER_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "net_address.h"

#define PEER_RANGES_MAX 64

/** A range of addresses, its ends included; both are of one family. */
struct peer_range {
	struct net_address first, last; /* the ports are not looked at */
};

struct peer_filter {
	struct peer_range allowed[PEER_RANGES_MAX], denied[PEER_RANGES_MAX];
	uint32_t allowed_count, denied_count;
	bool allow_loopback; /* 127.0.0.0/8, ::1 */
	bool allow_private;  /* 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7 */
};

/** peer_range_parse - read IP, IP/BITS or IP-IP. Return: NULL, or what is wrong with @text. */
const char *peer_range_parse(struct peer_range *range, const char *text);

/**
 * peer_is_allowed - whether a peer may be relayed to
 *
 * What the operator allows comes first, then what he denies, then what is denied to begin with:
 * addresses of this host, of its link, of groups, of nobody, and of private networks. An IPv6 address
 * that leads to an IPv4 one (mapped, compatible, NAT64, 6to4) is that one.
 */
bool peer_is_allowed(const struct peer_filter *filter, const struct net_address *peer);

#endif /* RELAY_PEER_FILTER_H */
