/* SPDX-License-Identifier: MIT */
/*
 * What the stack counts, in one place: for each layer packets, bytes, and drops by reason. The
 * reasons are those of the parsers (wire/error.h) and, behind them, those that need a state.
 */
#ifndef DEMI_NET_COUNTERS_H
#define DEMI_NET_COUNTERS_H

#include <stdint.h>

#include "base/figure.h"
#include "wire/error.h"

/* NET_LAYER_name and how it is called. */
#define NET_LAYERS(X)                        \
	X(ETH, "eth")                        \
	X(ARP, "arp")                        \
	X(IPV4, "ipv4")                      \
	X(IPV6, "ipv6")                      \
	X(ICMP, "icmp")                      \
	X(ICMP6, "icmp6")                    \
	X(NDP, "ndp")                        \
	X(GROUP, "group") /* IGMP and MLD */ \
	X(UDP, "udp")                        \
	X(TCP, "tcp")

enum net_layer {
#define NET_LAYER_ENTRY(name, text) NET_LAYER_##name,
	NET_LAYERS(NET_LAYER_ENTRY)
#undef NET_LAYER_ENTRY
		NET_LAYERS_END,
};

/* NET_DROP_name and what net_drop_name says of it. */
#define NET_DROPS(X)                                                                     \
	X(NOT_FOR_US, "not for us") /* another station's frame, another host's packet */ \
	X(OTHER_VLAN, "other VLAN")                                                      \
	X(UNKNOWN_PROTOCOL, "unknown protocol")                                          \
	X(OWN_ADDRESS, "own address as source")                                          \
	X(SPOOFED, "sender is not the frame's source")                                   \
	X(UNSOLICITED, "unsolicited") /* an answer to nothing that we have asked */      \
	X(CONFLICT, "address conflict")                                                  \
	X(NO_PORT, "no such port")                                                       \
	X(QUEUE_FULL, "queue full") /* of a socket, or of what waits for a neighbour */  \
	X(TABLE_FULL, "table full")                                                      \
	X(NO_MEMORY, "no memory")                                                        \
	X(NO_FRAME, "no frame") /* of the device */                                      \
	X(NO_ROUTE, "no route")                                                          \
	X(NO_NEIGHBOUR, "no neighbour") /* it did not answer */                          \
	X(DEVICE_FULL, "device full")                                                    \
	X(OVERLAP, "overlapping fragments")                                              \
	X(TIMEOUT, "reassembly timeout")                                                 \
	X(TOO_BIG, "too big") /* for the path */                                         \
	X(RATE_LIMIT, "rate limit")                                                      \
	X(NO_MEMBER, "not a member") /* of the group */                                  \
	X(BAD_FLAGS, "impossible flags")                                                 \
	X(OUT_OF_WINDOW, "out of window")                                                \
	X(OLD_TIMESTAMP, "old timestamp") /* RFC 7323, 5.3 */                            \
	X(BAD_ACK, "impossible acknowledgment")                                          \
	X(DUPLICATE, "received before")                                                  \
	X(CLOSED, "connection is closed")

/* Continues enum wire_error; 0 is none. */
enum net_drop {
	NET_DROP_BEFORE_FIRST = WIRE_ERRORS_END - 1,
#define NET_DROP_ENTRY(name, text) NET_DROP_##name,
	NET_DROPS(NET_DROP_ENTRY)
#undef NET_DROP_ENTRY
		NET_DROPS_END,
};

struct net_layer_counters {
	uint64_t rx_packets; /* that came so far, dropped ones included */
	uint64_t rx_bytes;   /* from this layer's header on */
	uint64_t tx_packets;
	uint64_t tx_bytes;
	uint64_t drops[NET_DROPS_END]; /* by reason; both directions */
};

struct net_counters {
	struct net_layer_counters layers[NET_LAYERS_END];
	/* Payload that was longer than net.copy_max and was copied all the same, either direction. */
	uint64_t copied_bytes;
};

/** net_layer_name, net_drop_name - for traces and reports; constant strings, never NULL */
const char *net_layer_name(enum net_layer layer);
const char *net_drop_name(unsigned int reason);

/** net_counters_drops - all drops of one layer */
uint64_t net_counters_drops(const struct net_counters *counters, enum net_layer layer);

/**
 * net_counters_tell - every figure, zeroes too, always in the same order
 *
 * Called "udp.rx_packets", "udp.drops.no_port" (NET_DROP_NO_PORT or WIRE_, in small letters), and
 * "net.copied_bytes".
 */
void net_counters_tell(const struct net_counters *counters, figure_fn *tell, void *context);

/** net_counters_log - at level info, a line for each layer that has seen anything */
void net_counters_log(const struct net_counters *counters);

#endif /* DEMI_NET_COUNTERS_H */
