/* SPDX-License-Identifier: MIT */
#include "wire/ipv6.h"

/* Codes of the parameter problem: RFC 4443, section 3.4, and RFC 7112, section 5. */
enum problem {
	PROBLEM_FIELD = 0,
	PROBLEM_NEXT_HEADER = 1,
	PROBLEM_OPTION = 2,
	PROBLEM_INCOMPLETE_CHAIN = 3,
};

enum option {
	OPTION_PAD1 = 0,
	OPTION_PADN = 1,
	OPTION_ROUTER_ALERT = 5,
};

/* The two high bits of an option that we do not know: RFC 8200, section 4.2. */
enum unknown_option {
	UNKNOWN_SKIP = 0,
	UNKNOWN_DISCARD = 1,
	UNKNOWN_ANSWER = 2,
	UNKNOWN_ANSWER_UNLESS_GROUP = 3,
};

/* Where the walk stands. */
struct walk {
	const uint8_t *data;
	size_t end;        /* of the packet, or of what we have of it */
	size_t at;         /* the header to be read */
	size_t next_at;    /* the byte that has named it */
	uint8_t next;      /* its name */
	unsigned int seen; /* headers before it */
};

/* Fill in the answer that goes with @error, and return that. */
static int problem(struct ipv6_chain *chain, enum wire_error error, enum problem code,
		   size_t pointer)
{
	chain->answer = true;
	chain->problem_code = (uint8_t)code;
	chain->problem_pointer = (uint16_t)pointer;
	return -(int)error;
}

static int truncated(struct ipv6_chain *chain)
{
	if (chain->is_fragment)
		return problem(chain, WIRE_INCOMPLETE_CHAIN, PROBLEM_INCOMPLETE_CHAIN, 0);
	return -WIRE_TRUNCATED;
}

static int option_unknown(struct ipv6_chain *chain, uint8_t type, size_t at)
{
	switch ((enum unknown_option)(type >> 6)) {
	case UNKNOWN_SKIP:
		return 0;
	case UNKNOWN_DISCARD:
		return -WIRE_BAD_OPTION;
	case UNKNOWN_ANSWER:
		chain->answer_group = true;
		break;
	case UNKNOWN_ANSWER_UNLESS_GROUP:
		break;
	}
	return problem(chain, WIRE_BAD_OPTION, PROBLEM_OPTION, at);
}

/* The options from @at to @end, which lies within the packet. */
static int options_parse(struct ipv6_chain *chain, const struct walk *walk, size_t at, size_t end)
{
	size_t options = 0, padding = 0;
	int error;

	while (at < end) {
		uint8_t type = walk->data[at];
		size_t bytes = 1;

		if (type != OPTION_PAD1) {
			if (end - at < 2)
				return problem(chain, WIRE_BAD_OPTION, PROBLEM_FIELD, at);
			bytes = 2u + walk->data[at + 1];
			if (bytes > end - at)
				return problem(chain, WIRE_BAD_OPTION, PROBLEM_FIELD, at + 1);
		}
		padding = type <= OPTION_PADN ? padding + bytes : 0;
		options += type > OPTION_PADN;
		if (options > IPV6_OPTIONS_MAX || padding > IPV6_PADDING_BYTES_MAX)
			return -WIRE_TOO_MANY_OPTIONS;
		if (type == OPTION_ROUTER_ALERT && walk->next == IPPROTO_HOPOPTS) {
			chain->router_alert = true;
		} else if (type > OPTION_PADN) {
			error = option_unknown(chain, type, at);
			if (error)
				return error;
		}
		at += bytes;
	}
	return 0;
}

/* No routing type is known here; one that has been served already does not matter: 4.4. */
static int routing_parse(struct ipv6_chain *chain, const struct walk *walk)
{
	if (walk->data[walk->at + 3] == 0)
		return 0;
	return problem(chain, WIRE_SOURCE_ROUTE, PROBLEM_FIELD, walk->at + 2);
}

/* RFC 8200, section 4.5. */
static int fragment_parse(struct ipv6_chain *chain, const struct walk *walk)
{
	uint64_t word = load_be64(walk->data + walk->at);
	size_t bytes = walk->end - walk->at - IPV6_FRAGMENT_BYTES;

	/* The unfragmentable part has only one. */
	if (chain->has_fragment_header)
		return problem(chain, WIRE_BAD_EXTENSION, PROBLEM_NEXT_HEADER, walk->next_at);
	chain->has_fragment_header = true;
	chain->fragment_header_offset = (uint16_t)walk->at;
	chain->fragment_next_offset = (uint16_t)walk->next_at;
	chain->fragment_next_header = (uint8_t)(word >> 56);
	chain->fragment_offset_bytes = (uint16_t)(word >> 32 & 0xfff8);
	chain->more_fragments = word >> 32 & 1;
	chain->fragment_identification = (uint32_t)word;
	chain->is_fragment = chain->more_fragments || chain->fragment_offset_bytes;
	if (chain->more_fragments && bytes % 8)
		return problem(chain, WIRE_BAD_FRAGMENT, PROBLEM_FIELD, IPV6_PAYLOAD_LENGTH_OFFSET);
	/* The whole: what stands between the fixed header and this one, and up to our end. */
	if (walk->at - IPV6_HEADER_BYTES + chain->fragment_offset_bytes + bytes > UINT16_MAX)
		return problem(chain, WIRE_BAD_FRAGMENT, PROBLEM_FIELD, walk->at + 2);
	if (chain->more_fragments && !bytes)
		return -WIRE_BAD_FRAGMENT;
	return 0;
}

/* One extension header; 0 or an error. */
static int extension_parse(struct ipv6_chain *chain, struct walk *walk)
{
	size_t left = walk->end - walk->at, bytes = IPV6_FRAGMENT_BYTES;
	uint8_t next;
	int error;

	if (walk->next == IPPROTO_HOPOPTS && walk->seen)
		return problem(chain, WIRE_BAD_EXTENSION, PROBLEM_NEXT_HEADER, walk->next_at);
	if (walk->seen == IPV6_EXTENSIONS_MAX)
		return -WIRE_TOO_MANY_HEADERS;
	if (left < bytes)
		return truncated(chain);
	next = walk->data[walk->at];
	if (walk->next == IPPROTO_FRAGMENT) {
		error = fragment_parse(chain, walk);
		next = chain->fragment_next_header;
	} else {
		bytes = 8 + (size_t)walk->data[walk->at + 1] * 8;
		if (left < bytes)
			return truncated(chain);
		error = walk->next == IPPROTO_ROUTING
				? routing_parse(chain, walk)
				: options_parse(chain, walk, walk->at + 2, walk->at + bytes);
	}
	walk->next_at = walk->at;
	walk->next = next;
	walk->at += bytes;
	walk->seen++;
	return error;
}

int ipv6_chain_parse(struct ipv6_chain *chain, const struct ipv6_header *header, const void *data,
		     size_t length)
{
	struct walk walk = {
		.data = data,
		.end = IPV6_HEADER_BYTES + (size_t)header->payload_bytes,
		.at = IPV6_HEADER_BYTES,
		.next_at = IPV6_NEXT_HEADER_OFFSET,
		.next = header->next_header,
	};
	int error;

	memset(chain, 0, sizeof(*chain));
	if (length < walk.end)
		return -WIRE_TRUNCATED;
	while (ipv6_is_extension(walk.next) && !chain->fragment_offset_bytes) {
		error = extension_parse(chain, &walk);
		if (error) {
			if (ip_address_is_multicast(&header->destination))
				chain->answer &= chain->answer_group;
			return error;
		}
	}
	chain->protocol = walk.next;
	chain->protocol_offset = (uint16_t)walk.next_at;
	chain->upper_offset = (uint16_t)walk.at;
	return (int)walk.at;
}

int ipv6_fragment_emit(void *buffer, size_t room, const struct ipv6_chain *chain)
{
	if (room < IPV6_FRAGMENT_BYTES)
		return -WIRE_NO_ROOM;
	store_be64(buffer, (uint64_t)chain->fragment_next_header << 56 |
				   (uint64_t)(chain->fragment_offset_bytes & 0xfff8) << 32 |
				   (uint64_t)chain->more_fragments << 32 |
				   chain->fragment_identification);
	return IPV6_FRAGMENT_BYTES;
}

int ipv6_router_alert_emit(void *buffer, size_t room, uint8_t next_header)
{
	if (room < IPV6_ROUTER_ALERT_BYTES)
		return -WIRE_NO_ROOM;
	/* Option 5 of two bytes, value 0, and two bytes of padding. */
	store_be64(buffer, (uint64_t)next_header << 56 | 0x0000050200000100);
	return IPV6_ROUTER_ALERT_BYTES;
}
