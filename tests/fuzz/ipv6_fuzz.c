/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for IPv6: the fixed header is emitted as it was, the walk stays within. */
#include "wire_fuzz.h"

#include "wire/ipv6.h"

static void check_chain(const struct ipv6_chain *chain, const uint8_t *data, size_t end)
{
	uint8_t again[IPV6_FRAGMENT_BYTES];
	size_t at = chain->fragment_header_offset;

	must(chain->upper_offset >= IPV6_HEADER_BYTES && chain->upper_offset <= end);
	must(chain->protocol_offset < chain->upper_offset);
	must(data[chain->protocol_offset] == chain->protocol);
	must(chain->fragment_offset_bytes || !ipv6_is_extension(chain->protocol));
	must(chain->is_fragment == (chain->more_fragments || chain->fragment_offset_bytes));
	if (!chain->has_fragment_header)
		return;
	must(at + IPV6_FRAGMENT_BYTES <= chain->upper_offset);
	must(data[chain->fragment_next_offset] == IPPROTO_FRAGMENT);
	must(ipv6_fragment_emit(again, sizeof(again), chain) == IPV6_FRAGMENT_BYTES);
	must(again[0] == data[at] && again[2] == data[at + 2]);
	must(!memcmp(again + 4, data + at + 4, 4));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[IPV6_HEADER_BYTES];
	struct ipv6_header header;
	struct ipv6_chain chain;
	size_t end;
	int result;

	if (checked(ipv6_parse(&header, data, size), size) < 0)
		return 0;
	must(ipv6_emit(again, sizeof(again), &header) == IPV6_HEADER_BYTES);
	must(!memcmp(again, data, sizeof(again)));
	must(!ip_address_is_v4(&header.source) && !ip_address_is_v4(&header.destination));
	end = IPV6_HEADER_BYTES + (size_t)header.payload_bytes;
	result = checked(ipv6_chain_parse(&chain, &header, data, size), end);
	if (result < 0) {
		must(!chain.answer || chain.problem_pointer < end);
		return 0;
	}
	must(result == chain.upper_offset && !chain.answer);
	check_chain(&chain, data, end);
	return 0;
}
