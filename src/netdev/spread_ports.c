/* SPDX-License-Identifier: MIT */
#include "netdev/spread_ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/eth.h"

#define PORTS ((size_t)65536)
#define PLACES (SPREAD_PROTOCOLS * PORTS)

static inline uint64_t bit_of(uint32_t slot)
{
	return UINT64_C(1) << slot;
}

static inline size_t place_of(enum spread_protocol protocol, uint16_t port)
{
	return (size_t)protocol * PORTS + port;
}

/* ---- Birth and death ---- */

int spread_ports_init(struct spread_ports *ports, uint32_t slots, uint64_t secret)
{
	*ports = (struct spread_ports){
		.slots = slots,
		.secret = secret,
		/* Pages of it are in use only where ports are. */
		.claims = calloc(PLACES, sizeof(struct spread_claims)),
	};
	pthread_mutex_init(&ports->mutex, NULL);
	return ports->claims ? 0 : -ENOMEM;
}

void spread_ports_fini(struct spread_ports *ports)
{
	pthread_mutex_destroy(&ports->mutex);
	free(ports->claims);
	ports->claims = NULL;
}

int spread_holdings_init(struct spread_holdings *holdings)
{
	holdings->bound = calloc(PLACES, sizeof(uint32_t));
	holdings->flows = calloc(PLACES, sizeof(uint32_t));
	if (holdings->bound && holdings->flows)
		return 0;
	free(holdings->bound);
	free(holdings->flows);
	*holdings = (struct spread_holdings){NULL, NULL};
	return -ENOMEM;
}

static void set_bit(uint64_t *word, uint64_t bit, bool is_set)
{
	__atomic_store_n(word, is_set ? *word | bit : *word & ~bit, __ATOMIC_RELEASE);
}

/* Under the mutex: what all see of what a slot holds of one port. */
static void tell(struct spread_ports *ports, const struct spread_holdings *holdings, uint32_t slot,
		 size_t place, bool shares)
{
	struct spread_claims *claims = &ports->claims[place];
	uint64_t bit = bit_of(slot);
	bool is_bound = holdings->bound[place] > 0;

	set_bit(&claims->shares, bit, is_bound && shares);
	set_bit(&claims->flows, bit, holdings->flows[place] > 0);
	set_bit(&claims->bound, bit, is_bound);
}

void spread_holdings_fini(struct spread_holdings *holdings, struct spread_ports *ports,
			  uint32_t slot)
{
	if (!holdings->bound)
		return;
	pthread_mutex_lock(&ports->mutex);
	for (size_t place = 0; place < PLACES; place++) {
		if (!holdings->bound[place] && !holdings->flows[place])
			continue;
		holdings->bound[place] = 0;
		holdings->flows[place] = 0;
		tell(ports, holdings, slot, place, false);
	}
	pthread_mutex_unlock(&ports->mutex);
	free(holdings->bound);
	free(holdings->flows);
	*holdings = (struct spread_holdings){NULL, NULL};
}

/* ---- Claims ---- */

int spread_ports_bind(struct spread_ports *ports, struct spread_holdings *holdings, uint32_t slot,
		      enum spread_protocol protocol, uint16_t port, bool shares)
{
	size_t place = place_of(protocol, port);
	const struct spread_claims *claims = &ports->claims[place];
	uint64_t others;
	int error = 0;

	pthread_mutex_lock(&ports->mutex);
	others = claims->bound & ~bit_of(slot);
	if (others && (!shares || (others & ~claims->shares))) {
		error = -EADDRINUSE;
	} else {
		/* All of a slot's sockets must share it, for those of others to come. */
		shares = shares &&
			 (!holdings->bound[place] || (claims->shares & bit_of(slot)) != 0);
		holdings->bound[place]++;
		tell(ports, holdings, slot, place, shares);
	}
	pthread_mutex_unlock(&ports->mutex);
	return error;
}

void spread_ports_unbind(struct spread_ports *ports, struct spread_holdings *holdings,
			 uint32_t slot, enum spread_protocol protocol, uint16_t port)
{
	size_t place = place_of(protocol, port);

	if (--holdings->bound[place] > 0)
		return;
	pthread_mutex_lock(&ports->mutex);
	tell(ports, holdings, slot, place, false);
	pthread_mutex_unlock(&ports->mutex);
}

/* Only the first and the last flow of a port are told of. */
static void tell_flows(struct spread_ports *ports, const struct spread_holdings *holdings,
		       uint32_t slot, size_t place)
{
	pthread_mutex_lock(&ports->mutex);
	tell(ports, holdings, slot, place, (ports->claims[place].shares & bit_of(slot)) != 0);
	pthread_mutex_unlock(&ports->mutex);
}

void spread_ports_enter(struct spread_ports *ports, struct spread_holdings *holdings, uint32_t slot,
			enum spread_protocol protocol, uint16_t port)
{
	size_t place = place_of(protocol, port);

	if (holdings->flows[place]++ == 0)
		tell_flows(ports, holdings, slot, place);
}

void spread_ports_leave(struct spread_ports *ports, struct spread_holdings *holdings, uint32_t slot,
			enum spread_protocol protocol, uint16_t port)
{
	size_t place = place_of(protocol, port);

	if (--holdings->flows[place] == 0)
		tell_flows(ports, holdings, slot, place);
}

bool spread_is_bound_elsewhere(const struct spread_ports *ports, uint32_t slot,
			       enum spread_protocol protocol, uint16_t port)
{
	const struct spread_claims *claims = &ports->claims[place_of(protocol, port)];

	return (__atomic_load_n(&claims->bound, __ATOMIC_RELAXED) & ~bit_of(slot)) != 0;
}

/* ---- Where a packet goes ---- */

/* splitmix64's finalizer: each bit of the value reaches each of the result. */
static inline uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

uint32_t spread_home(const struct spread_ports *ports, const struct spread_flow *flow)
{
	uint64_t words[4];
	uint64_t hash = ports->secret ^ ((uint64_t)flow->local_port << 32 |
					 (uint64_t)flow->remote_port << 8 | flow->protocol);

	memcpy(words, &flow->local, sizeof(flow->local));
	memcpy(words + 2, &flow->remote, sizeof(flow->remote));
	for (unsigned int i = 0; i < 4; i++)
		hash = mix(hash ^ words[i]) + ports->secret;
	/* The high bits, by a product: as good as a remainder, and no division. */
	return (uint32_t)((hash >> 32) * ports->slots >> 32);
}

/* The first one of @slots from @start on, around. */
static inline uint32_t first_from(uint64_t slots, uint32_t start)
{
	uint64_t behind = slots & ~(bit_of(start) - 1);

	return (uint32_t)__builtin_ctzll(behind ? behind : slots);
}

uint32_t spread_next(const struct spread_ports *ports, const struct spread_flow *flow,
		     uint64_t present, uint64_t tried)
{
	const struct spread_claims *claims =
		&ports->claims[place_of(flow->protocol, flow->local_port)];
	uint64_t bound = __atomic_load_n(&claims->bound, __ATOMIC_ACQUIRE) & present;
	uint64_t flows = __atomic_load_n(&claims->flows, __ATOMIC_ACQUIRE) & present;
	uint64_t left = present & ~tried;
	uint32_t home = spread_home(ports, flow);

	/* That is all, mostly. */
	if (!tried && bound)
		return first_from(bound, home);
	if (flows & left)
		return first_from(flows & left, home);
	if (left & bit_of(home))
		return home;
	/* A segment of a connection is of one of those above, and they are not many. */
	if ((flow->protocol != SPREAD_TCP || flow->opens) && (bound & left))
		return first_from(bound & left, home);
	return tried ? SPREAD_SLOTS_MAX : first_from(present, home);
}

/* ---- What a frame says ---- */

#define IPV6_FIXED_BYTES 40u
#define TCP_FLAGS_AT 13u

/* Where the transport's header is in an IP packet; 0: it is for everybody. */
static size_t parse_v4(struct spread_flow *flow, const uint8_t *ip, size_t length,
		       uint8_t *protocol)
{
	size_t bytes = (size_t)(ip[0] & 15) * 4;

	/* A fragment: its ports are in another one, or it is needed to find them. */
	if (bytes < 20 || length < bytes || (load_be16(ip + 6) & 0x3fff) != 0)
		return 0;
	*protocol = ip[9];
	flow->remote = ip_address_v4(load_be32(ip + 12));
	flow->local = ip_address_v4(load_be32(ip + 16));
	return bytes;
}

static size_t parse_v6(struct spread_flow *flow, const uint8_t *ip, size_t length,
		       uint8_t *protocol)
{
	if (length < IPV6_FIXED_BYTES || ip[0] >> 4 != 6)
		return 0;
	*protocol = ip[6];
	flow->remote = ip_address_v6(ip + 8);
	flow->local = ip_address_v6(ip + 24);
	return IPV6_FIXED_BYTES;
}

bool spread_parse(struct spread_flow *flow, const void *frame, size_t length)
{
	const uint8_t *bytes = frame;
	size_t at = ETH_HEADER_BYTES, header_bytes;
	uint16_t type;
	uint8_t protocol;

	if (length < ETH_HEADER_BYTES_MAX + 20 || bytes[0] & 1)
		return false;
	type = load_be16(bytes + 12);
	if (type == ETH_TYPE_TAG) {
		type = load_be16(bytes + 16);
		at = ETH_HEADER_BYTES_MAX;
	}
	if (type == ETH_TYPE_IPV4)
		header_bytes = parse_v4(flow, bytes + at, length - at, &protocol);
	else if (type == ETH_TYPE_IPV6)
		header_bytes = parse_v6(flow, bytes + at, length - at, &protocol);
	else
		return false;
	at += header_bytes;
	if (header_bytes == 0 || length < at + 4 ||
	    (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP))
		return false;
	flow->protocol = protocol == IPPROTO_TCP ? SPREAD_TCP : SPREAD_UDP;
	flow->remote_port = load_be16(bytes + at);
	flow->local_port = load_be16(bytes + at + 2);
	/* A SYN without ACK. */
	flow->opens = protocol == IPPROTO_TCP && length > at + TCP_FLAGS_AT &&
		      (bytes[at + TCP_FLAGS_AT] & 0x12) == 2;
	return true;
}
