/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for what routers say of the MTUs of paths, against a model. The input is records:
 * a byte that says which message, or that time passes, then the MTU, or the seconds, in two bytes,
 * and for a message that does not quote what we have sent where it differs, and how.
 */
#include "net_fuzz.h"

#define DESTINATIONS 4u /* of each version */
#define RECORDS_MAX 300u
#define PORT 7u
#define LIFETIME_NS (600 * SECOND_NS) /* RFC 1191, section 6.3 */
#define QUOTED_PAYLOAD_BYTES 12u

/* In a record's first byte, above the two bits of the destination. */
enum flag {
	FLAG_V6 = 4,
	FLAG_TIME = 8,
	FLAG_FORGED = 16,
	FLAG_OTHER_CODE = 32, /* an error of another kind */
};

static struct {
	uint32_t mtu;
	uint64_t until_ns; /* UINT64_MAX: nobody has said anything */
} models[2][DESTINATIONS];

static struct ip_address destination_of(bool v6, unsigned int number)
{
	return v6 ? ip_address_v6_halves(0x20010db800000000, number + 1)
		  : V4(192, 0, 2, number + 1);
}

static void check(void)
{
	for (unsigned int i = 0; i < 2 * DESTINATIONS; i++) {
		bool v6 = i >= DESTINATIONS;
		struct ip_address destination = destination_of(v6, i % DESTINATIONS);

		if (models[v6][i % DESTINATIONS].until_ns <= rig.now_ns) {
			models[v6][i % DESTINATIONS].mtu = RIG_MTU;
			models[v6][i % DESTINATIONS].until_ns = UINT64_MAX;
		}
		must(pmtu_find(rig.net, &destination) == models[v6][i % DESTINATIONS].mtu);
	}
}

/* What a true message comes to: RFC 1191, section 5; RFC 8201, section 4. */
static void expect(bool v6, unsigned int number, uint32_t mtu)
{
	if (!v6 && mtu == 0)
		mtu = pmtu_plateau(RIG_MTU);
	if (!v6 && mtu < PMTU_V4_LOWEST)
		mtu = PMTU_V4_LOWEST;
	if (mtu >= models[v6][number].mtu || (v6 && mtu < 1280))
		return;
	models[v6][number].mtu = mtu;
	models[v6][number].until_ns = rig.now_ns + LIFETIME_NS;
}

/* A datagram of the link's MTU, as far as it is quoted. Return: its length. */
static size_t quote(uint8_t *to, const struct ip_address *source,
		    const struct ip_address *destination)
{
	bool v6 = !ip_address_is_v4(source);
	size_t at = v6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;

	if (v6)
		ipv6_emit(to, IPV6_HEADER_BYTES,
			  &(struct ipv6_header){.source = *source,
						.destination = *destination,
						.payload_bytes = RIG_MTU - IPV6_HEADER_BYTES,
						.next_header = IPPROTO_UDP,
						.hop_limit = 64});
	else
		ipv4_emit(to, IPV4_HEADER_BYTES,
			  &(struct ipv4_header){.source = *source,
						.destination = *destination,
						.total_bytes = RIG_MTU,
						.protocol = IPPROTO_UDP,
						.ttl = 64});
	udp_emit(to + at, UDP_HEADER_BYTES,
		 &(struct udp_header){PORT, PORT, (uint16_t)(RIG_MTU - at), 0});
	memset(to + at + UDP_HEADER_BYTES, 0, QUOTED_PAYLOAD_BYTES - UDP_HEADER_BYTES);
	return at + QUOTED_PAYLOAD_BYTES;
}

static void tell(unsigned int flags, uint16_t mtu, uint8_t place, uint8_t change)
{
	bool v6 = flags & FLAG_V6;
	struct ip_address destination = destination_of(v6, flags % DESTINATIONS);
	struct ipv6_header header = {
		.source = v6 ? V6(1) : V4(10, 0, 0, 1),
		.destination = v6 ? V6(2) : V4(10, 0, 0, 2),
		.next_header = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
		.hop_limit = 64,
	};
	uint8_t message[128] = {0};
	size_t length = 8 + quote(message + 8, &header.destination, &destination);

	message[0] = v6 ? ICMP6_TYPE_TOO_BIG : ICMP_TYPE_UNREACHABLE;
	message[1] = v6 ? 0 : ICMP_UNREACHABLE_TOO_BIG;
	if (flags & FLAG_OTHER_CODE)
		message[v6 ? 0 : 1] = 1;
	store_be16(message + 6, mtu);
	if (flags & FLAG_FORGED)
		message[8 + place % (length - 8)] ^= change;
	rig_receive_message(&header, message, length);
	if (!(flags & FLAG_OTHER_CODE) && (!(flags & FLAG_FORGED) || !change))
		expect(v6, flags % DESTINATIONS, mtu);
}

/* A forged one may be of another destination, or differ where nobody looks: it lowers, if at all. */
static void believe(void)
{
	for (unsigned int i = 0; i < 2 * DESTINATIONS; i++) {
		bool v6 = i >= DESTINATIONS;
		unsigned int number = i % DESTINATIONS;
		struct ip_address destination = destination_of(v6, number);
		uint32_t mtu = pmtu_find(rig.net, &destination);

		must(mtu <= models[v6][number].mtu && mtu >= (v6 ? 1280 : PMTU_V4_LOWEST));
		if (mtu == models[v6][number].mtu)
			continue;
		models[v6][number].mtu = mtu;
		models[v6][number].until_ns = rig.now_ns + LIFETIME_NS;
	}
}

static bool received(struct udp_socket *socket, struct buf *buf)
{
	(void)socket;
	(void)buf;
	return false;
}

static void failed(struct udp_socket *socket, int error)
{
	must(socket->peer_port && error > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct udp_socket_ops ops = {.received = received, .failed = failed};
	const struct ip_address any = ip_address_v6_halves(0, 0);
	struct udp_socket socket;

	rig_begin(&(struct rig_options){0});
	rig_create_net();
	udp_socket_init(&socket, rig.net, &ops, true);
	must(udp_bind(&socket, &any, PORT) == 0);
	for (unsigned int i = 0; i < 2 * DESTINATIONS; i++) {
		models[i / DESTINATIONS][i % DESTINATIONS].mtu = RIG_MTU;
		models[i / DESTINATIONS][i % DESTINATIONS].until_ns = UINT64_MAX;
	}
	for (unsigned int i = 0; i < RECORDS_MAX && size >= 5; i++, data += 5, size -= 5) {
		uint16_t word = load_be16(data + 1);

		/* A millisecond more, so that no timer is at its edge when the next message comes. */
		if (data[0] & FLAG_TIME) {
			rig_run(rig.now_ns + word % 1024 * SECOND_NS + MILLISECOND_NS, 10000);
			check();
			continue;
		}
		tell(data[0], word, data[3], data[4]);
		if (data[0] & FLAG_FORGED)
			believe();
		check();
	}
	udp_socket_fini(&socket);
	rig_end();
	return 0;
}
