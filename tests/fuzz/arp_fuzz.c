/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for ARP: what is taken is emitted as it was. */
#include "wire_fuzz.h"

#include "wire/arp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arp_packet packet;
	uint8_t again[ARP_BYTES];

	if (checked(arp_parse(&packet, data, size), size) < 0)
		return 0;
	must(arp_emit(again, sizeof(again), &packet) == ARP_BYTES);
	must(!memcmp(again, data, ARP_BYTES));
	return 0;
}
