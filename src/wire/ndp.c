/* SPDX-License-Identifier: MIT */
#include "wire/ndp.h"

#include "wire/bytes.h"
#include "wire/icmp6.h"

#define OPTION_UNIT_BYTES 8
#define PREFIX_BITS_MAX 128

/* RFC 4861, section 4.6. */
enum option {
	OPTION_SOURCE_LINK = 1,
	OPTION_TARGET_LINK = 2,
	OPTION_PREFIX = 3,
	OPTION_MTU = 5,
};

enum flag {
	FLAG_MANAGED = 0x80, /* router advertisement, section 4.2 */
	FLAG_OTHER = 0x40,
	FLAG_ROUTER = 0x80, /* neighbor advertisement, section 4.4 */
	FLAG_SOLICITED = 0x40,
	FLAG_OVERRIDE = 0x20,
	FLAG_ON_LINK = 0x80, /* prefix, section 4.6.2 */
	FLAG_AUTONOMOUS = 0x40,
};

/* What a type is called by, up to its options; 0: none of ours. */
static size_t fixed_bytes(uint8_t type)
{
	switch (type) {
	case ICMP6_TYPE_ROUTER_SOLICITATION:
		return 8;
	case ICMP6_TYPE_ROUTER_ADVERTISEMENT:
		return 16;
	case ICMP6_TYPE_NEIGHBOR_SOLICITATION:
	case ICMP6_TYPE_NEIGHBOR_ADVERTISEMENT:
		return 24;
	case ICMP6_TYPE_REDIRECT:
		return 40;
	default:
		return 0;
	}
}

/* Whether an option is looked at in this type of message: section 4. */
static bool option_belongs(uint8_t type, uint8_t option)
{
	switch (option) {
	case OPTION_SOURCE_LINK:
		return type <= ICMP6_TYPE_NEIGHBOR_SOLICITATION;
	case OPTION_TARGET_LINK:
		return type >= ICMP6_TYPE_NEIGHBOR_ADVERTISEMENT;
	case OPTION_PREFIX:
	case OPTION_MTU:
		return type == ICMP6_TYPE_ROUTER_ADVERTISEMENT;
	default:
		return false;
	}
}

/* A flag byte is read once: what was checked is what is used. */
static int prefix_parse(struct ndp_message *message, const uint8_t *data)
{
	struct ndp_prefix *prefix;
	uint8_t length_bits = data[2], flags = data[3];

	if (length_bits > PREFIX_BITS_MAX)
		return -WIRE_BAD_OPTION;
	if (message->prefix_count == NDP_PREFIXES_MAX)
		return 0;
	prefix = &message->prefixes[message->prefix_count++];
	prefix->length_bits = length_bits;
	prefix->on_link = flags & FLAG_ON_LINK;
	prefix->autonomous = flags & FLAG_AUTONOMOUS;
	prefix->valid_s = load_be32(data + 4);
	prefix->preferred_s = load_be32(data + 8);
	prefix->prefix = ip_address_v6(data + 16);
	return 0;
}

static int link_parse(struct eth_address *link, bool *has_link, const uint8_t *data)
{
	*link = eth_address_load(data + 2);
	*has_link = true;
	return eth_address_is_multicast(link) ? -WIRE_BAD_OPTION : 0;
}

/* One option that belongs to the message; @bytes of it lie within. */
static int option_parse(struct ndp_message *message, uint8_t option, const uint8_t *data,
			size_t bytes)
{
	if (bytes != (option == OPTION_PREFIX ? 32 : 8))
		return -WIRE_BAD_OPTION;
	switch ((enum option)option) {
	case OPTION_SOURCE_LINK:
		return link_parse(&message->source_link, &message->has_source_link, data);
	case OPTION_TARGET_LINK:
		return link_parse(&message->target_link, &message->has_target_link, data);
	case OPTION_PREFIX:
		return prefix_parse(message, data);
	case OPTION_MTU:
		message->has_mtu = true;
		message->mtu = load_be32(data + 4);
		break;
	}
	return 0;
}

static int options_parse(struct ndp_message *message, const uint8_t *data, size_t length)
{
	unsigned int count = 0;
	size_t at = 0;
	int error;

	while (at < length) {
		uint8_t option;
		size_t bytes;

		if (length - at < OPTION_UNIT_BYTES)
			return -WIRE_BAD_OPTION;
		if (count++ == NDP_OPTIONS_MAX)
			return -WIRE_TOO_MANY_OPTIONS;
		option = data[at];
		bytes = data[at + 1] * (size_t)OPTION_UNIT_BYTES;
		if (!bytes || bytes > length - at)
			return -WIRE_BAD_OPTION;
		if (option_belongs(message->type, option)) {
			error = option_parse(message, option, data + at, bytes);
			if (error)
				return error;
		}
		at += bytes;
	}
	return 0;
}

static void fixed_parse(struct ndp_message *message, const uint8_t *data)
{
	uint8_t flags;

	switch (message->type) {
	case ICMP6_TYPE_ROUTER_ADVERTISEMENT:
		flags = data[5];
		message->hop_limit = data[4];
		message->managed = flags & FLAG_MANAGED;
		message->other = flags & FLAG_OTHER;
		message->lifetime_s = load_be16(data + 6);
		message->reachable_ms = load_be32(data + 8);
		message->retransmit_ms = load_be32(data + 12);
		break;
	case ICMP6_TYPE_NEIGHBOR_ADVERTISEMENT:
		flags = data[4];
		message->router = flags & FLAG_ROUTER;
		message->solicited = flags & FLAG_SOLICITED;
		message->overrides = flags & FLAG_OVERRIDE;
		message->target = ip_address_v6(data + 8);
		break;
	case ICMP6_TYPE_NEIGHBOR_SOLICITATION:
		message->target = ip_address_v6(data + 8);
		break;
	case ICMP6_TYPE_REDIRECT:
		message->target = ip_address_v6(data + 8);
		message->destination = ip_address_v6(data + 24);
		break;
	default:
		break;
	}
}

/* A unicast IPv6 address that a node of the link can have. */
static bool is_unicast(const struct ip_address *address)
{
	return !ip_address_is_multicast(address) && !ip_address_is_unspecified(address) &&
	       !ip_address_is_loopback(address) && !ip_address_is_v4(address);
}

/* Sections 6.1.1 and 7.1.1: who has no address yet must not be answered to a link address. */
static int unspecified_check(const struct ndp_message *message, const struct ip_address *source)
{
	return ip_address_is_unspecified(source) && message->has_source_link ? -WIRE_BAD_SOURCE : 0;
}

static int neighbor_solicitation_check(const struct ndp_message *message,
				       const struct ip_address *source,
				       const struct ip_address *destination)
{
	struct ip_address group = ip_address_solicited_node(&message->target);

	if (!is_unicast(&message->target))
		return -WIRE_BAD_TARGET;
	if (ip_address_is_unspecified(source) && !ip_address_equal(destination, &group))
		return -WIRE_BAD_DESTINATION;
	return unspecified_check(message, source);
}

/* What is left of the rules when a message has been read. */
static int addresses_check(const struct ndp_message *message, const struct ip_address *source,
			   const struct ip_address *destination)
{
	switch (message->type) {
	case ICMP6_TYPE_ROUTER_SOLICITATION:
		return unspecified_check(message, source);
	case ICMP6_TYPE_ROUTER_ADVERTISEMENT:
		return ip_address_is_link_local(source) ? 0 : -WIRE_BAD_SOURCE;
	case ICMP6_TYPE_NEIGHBOR_SOLICITATION:
		return neighbor_solicitation_check(message, source, destination);
	case ICMP6_TYPE_NEIGHBOR_ADVERTISEMENT:
		if (!is_unicast(&message->target))
			return -WIRE_BAD_TARGET;
		return message->solicited && ip_address_is_multicast(destination)
			       ? -WIRE_BAD_DESTINATION
			       : 0;
	default: /* redirect, section 8.1 */
		if (!ip_address_is_link_local(source))
			return -WIRE_BAD_SOURCE;
		if (!is_unicast(&message->destination))
			return -WIRE_BAD_DESTINATION;
		return (ip_address_is_link_local(&message->target) &&
			!ip_address_is_v4(&message->target)) ||
				       ip_address_equal(&message->target, &message->destination)
			       ? 0
			       : -WIRE_BAD_TARGET;
	}
}

int ndp_parse(struct ndp_message *message, const struct ip_address *source,
	      const struct ip_address *destination, uint8_t hop_limit, const void *data,
	      size_t length)
{
	const uint8_t *bytes = data;
	uint16_t start;
	size_t at;
	int error;

	if (hop_limit != NDP_HOP_LIMIT)
		return -WIRE_BAD_HOP_LIMIT;
	if (length < 2)
		return -WIRE_TRUNCATED;
	start = load_be16(bytes);
	at = fixed_bytes((uint8_t)(start >> 8));
	if (!at)
		return -WIRE_BAD_TYPE;
	if (start & 0xff)
		return -WIRE_BAD_CODE;
	if (length < at)
		return -WIRE_TRUNCATED;
	memset(message, 0, sizeof(*message));
	message->type = (uint8_t)(start >> 8);
	fixed_parse(message, bytes);
	error = options_parse(message, bytes + at, length - at);
	if (!error)
		error = addresses_check(message, source, destination);
	return error ? error : (int)length;
}

static void fixed_emit(uint8_t *bytes, const struct ndp_message *message, size_t fixed)
{
	memset(bytes, 0, fixed);
	bytes[0] = message->type;
	switch (message->type) {
	case ICMP6_TYPE_ROUTER_ADVERTISEMENT:
		bytes[4] = message->hop_limit;
		bytes[5] = (message->managed ? FLAG_MANAGED : 0) |
			   (message->other ? FLAG_OTHER : 0);
		store_be16(bytes + 6, message->lifetime_s);
		store_be32(bytes + 8, message->reachable_ms);
		store_be32(bytes + 12, message->retransmit_ms);
		break;
	case ICMP6_TYPE_NEIGHBOR_ADVERTISEMENT:
		bytes[4] = (message->router ? FLAG_ROUTER : 0) |
			   (message->solicited ? FLAG_SOLICITED : 0) |
			   (message->overrides ? FLAG_OVERRIDE : 0);
		memcpy(bytes + 8, message->target.bytes, IP_ADDRESS_BYTES);
		break;
	case ICMP6_TYPE_REDIRECT:
		memcpy(bytes + 24, message->destination.bytes, IP_ADDRESS_BYTES);
		memcpy(bytes + 8, message->target.bytes, IP_ADDRESS_BYTES);
		break;
	case ICMP6_TYPE_NEIGHBOR_SOLICITATION:
		memcpy(bytes + 8, message->target.bytes, IP_ADDRESS_BYTES);
		break;
	default:
		break;
	}
}

static size_t link_emit(uint8_t *bytes, enum option option, const struct eth_address *link)
{
	bytes[0] = (uint8_t)option;
	bytes[1] = 1;
	memcpy(bytes + 2, link->bytes, ETH_ADDRESS_BYTES);
	return 8;
}

static size_t prefix_emit(uint8_t *bytes, const struct ndp_prefix *prefix)
{
	bytes[0] = OPTION_PREFIX;
	bytes[1] = 4;
	bytes[2] = prefix->length_bits;
	bytes[3] = (prefix->on_link ? FLAG_ON_LINK : 0) |
		   (prefix->autonomous ? FLAG_AUTONOMOUS : 0);
	store_be32(bytes + 4, prefix->valid_s);
	store_be32(bytes + 8, prefix->preferred_s);
	store_be32(bytes + 12, 0);
	memcpy(bytes + 16, prefix->prefix.bytes, IP_ADDRESS_BYTES);
	return 32;
}

int ndp_emit(void *buffer, size_t room, const struct ip_address *source,
	     const struct ip_address *destination, const struct ndp_message *message)
{
	size_t at = fixed_bytes(message->type), prefixes = 0, needed;
	bool source_link, target_link, mtu;
	uint8_t *bytes = buffer;

	source_link = message->has_source_link && option_belongs(message->type, OPTION_SOURCE_LINK);
	target_link = message->has_target_link && option_belongs(message->type, OPTION_TARGET_LINK);
	mtu = message->has_mtu && option_belongs(message->type, OPTION_MTU);
	if (option_belongs(message->type, OPTION_PREFIX))
		prefixes = message->prefix_count;
	if (!at)
		return -WIRE_BAD_TYPE;
	needed = at + 8ul * (source_link + target_link + mtu) + 32 * prefixes;
	if (prefixes > NDP_PREFIXES_MAX || room < needed)
		return -WIRE_NO_ROOM;
	fixed_emit(bytes, message, at);
	if (source_link)
		at += link_emit(bytes + at, OPTION_SOURCE_LINK, &message->source_link);
	if (target_link)
		at += link_emit(bytes + at, OPTION_TARGET_LINK, &message->target_link);
	if (mtu) {
		store_be32(bytes + at, (uint32_t)OPTION_MTU << 24 | 1u << 16);
		store_be32(bytes + at + 4, message->mtu);
		at += 8;
	}
	for (size_t i = 0; i < prefixes; i++)
		at += prefix_emit(bytes + at, &message->prefixes[i]);
	icmp6_checksum_store(bytes, source, destination, at);
	return (int)at;
}
