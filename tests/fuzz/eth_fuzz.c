/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for the Ethernet header, with a tag or without: what is taken is emitted as it was. */
#include "wire_fuzz.h"

#include "wire/eth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[ETH_HEADER_BYTES_MAX];
	struct eth_header header;
	int at = checked(eth_parse(&header, data, size), size);

	if (at < 0)
		return 0;
	must(at == (header.tagged ? ETH_HEADER_BYTES_MAX : ETH_HEADER_BYTES));
	must(header.tagged || !header.tag);
	must(eth_vlan(&header) <= 0xfff && header.type >= ETH_TYPE_MIN);
	must(!eth_address_is_multicast(&header.source));
	must(eth_emit(again, (size_t)at - 1, &header) == -WIRE_NO_ROOM);
	must(eth_emit(again, sizeof(again), &header) == at);
	must(!memcmp(again, data, (size_t)at));
	return 0;
}
