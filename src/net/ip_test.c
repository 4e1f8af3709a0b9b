/* SPDX-License-Identifier: MIT */
#include "net/ip_testing.h"

#include "net/eth.h"
#include "net/icmp.h"
#include "net/neighbour.h"
#include "net/tcp/tcp.h"
#include "net/udp.h"

/* ---- Fakes ---- */

enum called { NOBODY, UDP, TCP, ICMP, ICMP6, IGMP, NEIGHBOUR, ETH, LOOPBACK, FRAGMENTS };

static struct {
	enum called who;
	unsigned int loopback_count;
	struct buf *buf; /* sent */
	uint16_t eth_type;
	struct eth_address eth_destination;
	uint32_t payload_bytes;
	int result;
	/* icmp_tx_error */
	unsigned int errors;
	uint32_t pointer;
} called;

static void received(struct net *net, const struct ip_packet *packet, struct buf *buf,
		     enum called who)
{
	called.who = who;
	ip_free(net, packet, buf);
}

void udp_rx(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	received(net, packet, buf, UDP);
}

void tcp_rx(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	received(net, packet, buf, TCP);
}

void icmp_rx(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	received(net, packet, buf, ICMP);
}

void icmp6_rx(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	received(net, packet, buf, ICMP6);
}

void igmp_rx(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	received(net, packet, buf, IGMP);
}

void icmp_tx_error(struct net *net, const struct ip_packet *packet, enum icmp_problem problem,
		   uint8_t code, uint32_t pointer, bool answers_group)
{
	(void)net;
	(void)packet;
	assert_int_equal(problem, ICMP_PROBLEM_PROTOCOL_UNREACHABLE);
	assert_int_equal(code, 0);
	assert_false(answers_group);
	called.errors++;
	called.pointer = pointer;
}

int neighbour_tx_slow(struct net *net, struct neighbour *neighbour, struct buf *buf)
{
	(void)net;
	assert_non_null(neighbour);
	called.who = NEIGHBOUR;
	called.buf = buf;
	return called.result;
}

void eth_tx(struct net *net, struct buf *buf, const struct eth_address *destination, uint16_t type)
{
	(void)net;
	called.who = ETH;
	called.buf = buf;
	called.eth_type = type;
	called.eth_destination = *destination;
}

int ip_tx_loopback(struct net *net, const struct ip_send *send, const struct buf *chain)
{
	(void)net;
	(void)send;
	called.who = LOOPBACK;
	called.loopback_count++;
	called.payload_bytes = buf_chain_length(chain);
	return called.result;
}

int ip_tx_fragments(struct net *net, const struct ip_send *send, struct buf *chain,
		    uint32_t payload_bytes)
{
	(void)send;
	called.who = FRAGMENTS;
	called.payload_bytes = payload_bytes;
	netdev_release_chain(net->device, chain);
	return called.result;
}

/* ---- Delivery ---- */

static int setup(void **state)
{
	memset(&called, 0, sizeof(called));
	return rig_setup(state);
}

static enum called deliver(uint8_t protocol, bool is_v6)
{
	struct ip_packet packet = {
		.protocol = protocol,
		.is_v6 = is_v6,
		.is_frame = true,
		.protocol_offset = is_v6 ? 48 : 0,
	};

	called.who = NOBODY;
	ip_deliver(&rig.net, &packet, rig_frame("abcdefgh", 8));
	return called.who;
}

static void ip_deliver__chooses_by_protocol_and_version(void **state)
{
	(void)state;
	assert_int_equal(deliver(17, false), UDP);
	assert_int_equal(deliver(17, true), UDP);
	assert_int_equal(deliver(6, false), TCP);
	assert_int_equal(deliver(6, true), TCP);
	assert_int_equal(deliver(1, false), ICMP);
	assert_int_equal(deliver(58, true), ICMP6);
	assert_int_equal(deliver(2, false), IGMP);
	assert_int_equal(called.errors, 0);
}

/* RFC 1122, 3.2.2.1; RFC 4443, 3.4: the pointer says which byte. */
static void ip_deliver__answers_unknown_protocols(void **state)
{
	static const uint8_t unknown_v4[] = {0, 4, 41, 50, 58, 59, 132, 255};
	static const uint8_t unknown_v6[] = {1, 2, 4, 50, 132, 255};

	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(unknown_v4); i++) {
		assert_int_equal(deliver(unknown_v4[i], false), NOBODY);
		assert_int_equal(called.errors, i + 1);
		assert_int_equal(called.pointer, 0);
		assert_int_equal(rig_drops(NET_LAYER_IPV4, NET_DROP_UNKNOWN_PROTOCOL), i + 1);
	}
	called.errors = 0;
	for (uint32_t i = 0; i < COUNT_OF(unknown_v6); i++) {
		assert_int_equal(deliver(unknown_v6[i], true), NOBODY);
		assert_int_equal(called.errors, i + 1);
		assert_int_equal(called.pointer, 48);
		assert_int_equal(rig_drops(NET_LAYER_IPV6, NET_DROP_UNKNOWN_PROTOCOL), i + 1);
	}
}

/* RFC 8200, section 4.7. */
static void ip_deliver__ignores_no_next_header(void **state)
{
	(void)state;
	assert_int_equal(deliver(59, true), NOBODY);
	assert_int_equal(called.errors, 0);
	assert_int_equal(rig_drops(NET_LAYER_IPV6, NET_DROP_UNKNOWN_PROTOCOL), 1);
}

/* ---- Bufs ---- */

/* A transport need not know where its packet came from. */
static void ip_give__makes_frames_and_copies_alike(void **state)
{
	struct ip_packet packet = {0};
	struct buf *bufs[] = {rig_frame("x", 1), ip_alloc(&rig.net, 100),
			      ip_alloc(&rig.net, 65700)};

	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(bufs); i++) {
		assert_non_null(bufs[i]);
		assert_null(buf_from_pointer(rig.heap, bufs[i]));
		assert_int_equal(heap_free_buf(rig.heap, bufs[i]) < 0, true);
		ip_give(&rig.net, &packet, bufs[i]);
		assert_ptr_equal(buf_from_pointer(rig.heap, bufs[i]), bufs[i]);
		assert_int_equal(buf_free(rig.heap, bufs[i]), 0);
		assert_int_not_equal(buf_free(rig.heap, bufs[i]), 0);
	}
}

static void ip_free__lets_go_of_frames_and_copies(void **state)
{
	struct ip_packet packet = {0};

	(void)state;
	ip_free(&rig.net, &packet, rig_frame("x", 1));
	ip_free(&rig.net, &packet, ip_alloc(&rig.net, 100));
	net_drop(&rig.net, ip_alloc(&rig.net, 65700), NET_LAYER_UDP, NET_DROP_NO_PORT);
	heap_fail_after(rig.heap, 0);
	assert_null(ip_alloc(&rig.net, 100));
	heap_fail_after(rig.heap, UINT64_MAX);
}

static void ip_linearise__joins_what_a_device_has_scattered(void **state)
{
	struct buf *chain = rig_frame("abc", 3), *whole;

	(void)state;
	chain->flags = BUF_CHECKED;
	chain->next = rig_frame("", 0);
	chain->next->next = rig_frame("defgh", 5);
	whole = ip_linearise(&rig.net, NET_LAYER_IPV4, chain);
	assert_non_null(whole);
	assert_null(whole->next);
	assert_int_equal(whole->length, 8);
	assert_memory_equal(whole->data, "abcdefgh", 8);
	assert_int_equal(whole->flags, BUF_CHECKED);
	netdev_release(&rig.device, whole);
	heap_fail_after(rig.heap, 0);
	assert_null(ip_linearise(&rig.net, NET_LAYER_IPV6, rig_frame("abc", 3)));
	heap_fail_after(rig.heap, UINT64_MAX);
	assert_int_equal(rig_drops(NET_LAYER_IPV6, NET_DROP_NO_MEMORY), 1);
}

/* ---- Sending ---- */

static char neighbour_storage[64] __attribute__((aligned(64)));
static struct path path;
static struct ip_send send_data;

static void use(bool is_v6)
{
	memset(&called, 0, sizeof(called));
	/* Unresolved, so that neighbour_tx goes the long way. */
	memset(neighbour_storage, 0, sizeof(neighbour_storage));
	path = (struct path){
		.destination = is_v6 ? V6(7) : V4(10, 0, 0, 7),
		.mtu = 1500,
		.neighbour = (struct neighbour *)(void *)neighbour_storage,
	};
	send_data = (struct ip_send){
		.path = &path,
		.source = is_v6 ? V6(2) : V4(10, 0, 0, 2),
		.protocol = IPPROTO_UDP,
	};
}

static int send_bytes(const char *data)
{
	return ip_tx(&rig.net, &send_data, rig_frame(data, (uint32_t)strlen(data)));
}

static void expect_sent(const uint8_t *expected, uint32_t length)
{
	assert_int_equal(called.buf->length, length);
	assert_memory_equal(called.buf->data, expected, length);
	netdev_release_chain(&rig.device, called.buf);
}

/* RFC 791, section 3.1; RFC 6864, section 4.1: no identification where nobody may fragment. */
static void ip_tx__writes_an_ipv4_header(void **state)
{
	static const uint8_t expected[] = {0x45, 0xb8, 0, 24, 0,  0, 0x40, 0, 64,  17,  0x26, 0x15,
					   10,   0,    0, 2,  10, 0, 0,    7, 'd', 'a', 't',  'a'};

	(void)state;
	use(false);
	send_data.dont_fragment = true;
	send_data.traffic_class = 0xb8;
	assert_int_equal(send_bytes("data"), 0);
	assert_int_equal(called.who, NEIGHBOUR);
	expect_sent(expected, sizeof(expected));
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV4].tx_packets, 1);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV4].tx_bytes, 24);
}

/* RFC 1191, section 3: what fits goes in one piece, what does not is cut here and not refused. */
static void ip_tx__asks_routers_not_to_fragment_what_fits(void **state)
{
	struct buf *large;

	(void)state;
	use(false);
	send_data.atomic = true;
	assert_int_equal(send_bytes("data"), 0);
	assert_int_equal(load_be16(called.buf->data + 4), 0);
	assert_int_equal(load_be16(called.buf->data + 6), 0x4000);
	netdev_release_chain(&rig.device, called.buf);
	large = netdev_alloc(&rig.device);
	large->length = 1481;
	assert_int_equal(ip_tx(&rig.net, &send_data, large), 0);
	assert_int_equal(called.who, FRAGMENTS);
}

/* RFC 8200, section 3. */
static void ip_tx__writes_an_ipv6_header(void **state)
{
	static const uint8_t expected[] = {0x6b, 0x80, 0,    0, 0, 4, 17, 33,  0xfd, 0,   0,
					   0,    0,    0,    0, 0, 0, 0,  0,   0,    0,   0,
					   0,    2,    0xfd, 0, 0, 0, 0,  0,   0,    0,   0,
					   0,    0,    0,    0, 0, 0, 7,  'd', 'a',  't', 'a'};

	(void)state;
	use(true);
	send_data.traffic_class = 0xb8;
	send_data.hop_limit = 33;
	assert_int_equal(send_bytes("data"), 0);
	assert_int_equal(called.who, NEIGHBOUR);
	expect_sent(expected, sizeof(expected));
	assert_int_equal(rig.net.counters.layers[NET_LAYER_IPV6].tx_bytes, 44);
}

/* RFC 2113; RFC 2711. */
static void ip_tx__writes_the_router_alert(void **state)
{
	static const uint8_t option[] = {0x94, 4, 0, 0, 'd', 'a', 't', 'a'};
	static const uint8_t header[] = {58, 0, 5, 2, 0, 0, 1, 0, 'd', 'a', 't', 'a'};

	(void)state;
	use(false);
	send_data.router_alert = true;
	assert_int_equal(send_bytes("data"), 0);
	assert_int_equal(called.buf->data[0], 0x46);
	assert_int_equal(rig_sum(called.buf->data, 24, 0), 0xffff);
	assert_int_equal(load_be16(called.buf->data + 2), 28);
	buf_pull(called.buf, 20);
	expect_sent(option, sizeof(option));
	use(true);
	send_data.router_alert = true;
	send_data.protocol = IPPROTO_ICMPV6;
	assert_int_equal(send_bytes("data"), 0);
	assert_int_equal(load_be16(called.buf->data + 4), 12);
	assert_int_equal(called.buf->data[6], 0);
	buf_pull(called.buf, 40);
	expect_sent(header, sizeof(header));
}

static uint8_t sent_hop_limit(void)
{
	uint8_t hop_limit;

	assert_int_equal(send_bytes("data"), 0);
	hop_limit = called.buf->data[called.buf->data[0] >> 4 == 4 ? 8 : 7];
	netdev_release_chain(&rig.device, called.buf);
	return hop_limit;
}

/* RFC 1112, section 6.1: 1 to a group, unless somebody says more. */
static void ip_tx__has_default_hop_limits(void **state)
{
	(void)state;
	use(false);
	assert_int_equal(sent_hop_limit(), 64);
	path.to_group = true;
	path.neighbour = NULL;
	assert_int_equal(sent_hop_limit(), 1);
	send_data.hop_limit = 5;
	assert_int_equal(sent_hop_limit(), 5);
	use(true);
	assert_int_equal(sent_hop_limit(), 64);
}

static void ip_tx__goes_to_groups_without_a_neighbour(void **state)
{
	const struct eth_address link = {{1, 0, 0x5e, 1, 2, 3}};

	(void)state;
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		use(is_v6);
		path.to_group = true;
		path.neighbour = NULL;
		path.link_destination = link;
		assert_int_equal(send_bytes("data"), 0);
		assert_int_equal(called.who, ETH);
		assert_int_equal(called.eth_type, is_v6 ? 0x86dd : 0x0800);
		assert_true(eth_address_equal(&called.eth_destination, &link));
		netdev_release_chain(&rig.device, called.buf);
	}
}

/* IP_MULTICAST_TTL 0: to members among ourselves, and to nobody else. */
static void ip_tx__stays_here(void **state)
{
	(void)state;
	use(false);
	path.to_group = true;
	path.neighbour = NULL;
	path.destination = rig.group;
	send_data.stays = true;
	assert_int_equal(send_bytes("data"), 0);
	assert_int_equal(called.who, NOBODY);
	send_data.loop = true;
	assert_int_equal(send_bytes("data"), 0);
	assert_int_equal(called.who, LOOPBACK);
	assert_int_equal(called.loopback_count, 1);
}

/* IP_MULTICAST_LOOP: only what we would receive. */
static void ip_tx__comes_back_to_members(void **state)
{
	(void)state;
	use(false);
	path.to_group = true;
	path.neighbour = NULL;
	path.destination = rig.group;
	assert_int_equal(send_bytes("data"), 0);
	netdev_release_chain(&rig.device, called.buf);
	assert_int_equal(called.loopback_count, 0);
	send_data.loop = true;
	assert_int_equal(send_bytes("data"), 0);
	netdev_release_chain(&rig.device, called.buf);
	assert_int_equal(called.who, ETH);
	assert_int_equal(called.loopback_count, 1);
	assert_int_equal(called.payload_bytes, 4);
	path.destination = V4(239, 9, 9, 9);
	assert_int_equal(send_bytes("data"), 0);
	netdev_release_chain(&rig.device, called.buf);
	assert_int_equal(called.loopback_count, 1);
}

static void ip_tx__says_where_the_checksum_is(void **state)
{
	(void)state;
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		struct buf *buf = rig_frame("datagram", 8);

		use(is_v6);
		buf->flags = BUF_CHECKSUM;
		assert_int_equal(ip_tx(&rig.net, &send_data, buf), 0);
		assert_int_equal(buf->transmit.network_bytes, is_v6 ? 40 : 20);
		assert_int_equal(buf->transmit.link_bytes, 14);
		assert_int_equal(buf->transmit.protocol, IPPROTO_UDP);
		assert_int_equal(buf->transmit.is_v6, is_v6);
		netdev_release_chain(&rig.device, buf);
	}
}

static unsigned int done_count;

static void done_told(struct buf_done *self)
{
	(void)self;
	done_count++;
}

static struct buf *chain_of(uint32_t length, struct buf **object_out)
{
	static struct buf_done done = {done_told};
	struct buf *chain = rig_frame("datagram", 8), *object = buf_alloc(rig.heap, length - 8);

	chain->next = netdev_reference(&rig.device, object->data, length - 8);
	chain->next->transmit.done = &done;
	chain->next->flags = BUF_DONE;
	*object_out = object;
	return chain;
}

static int send_length(uint32_t length)
{
	struct buf *object, *chain = chain_of(length, &object);
	int result;

	called.who = NOBODY;
	result = ip_tx(&rig.net, &send_data, chain);
	if (called.who == NEIGHBOUR)
		netdev_release_chain(&rig.device, called.buf);
	buf_free(rig.heap, object);
	return result;
}

static void ip_tx__fragments_what_the_path_cannot_carry(void **state)
{
	(void)state;
	for (int is_v6 = 0; is_v6 < 2; is_v6++) {
		uint32_t most = is_v6 ? 1460 : 1480;

		use(is_v6);
		assert_int_equal(send_length(most), 0);
		assert_int_equal(called.who, NEIGHBOUR);
		assert_int_equal(send_length(most + 1), 0);
		assert_int_equal(called.who, FRAGMENTS);
		assert_int_equal(called.payload_bytes, most + 1);
		called.result = -ENOBUFS;
		assert_int_equal(send_length(most + 1), -ENOBUFS);
	}
}

static void ip_tx__refuses_to_fragment(void **state)
{
	(void)state;
	use(false);
	send_data.dont_fragment = true;
	done_count = 0;
	assert_int_equal(send_length(1480), 0);
	assert_int_equal(done_count, 1);
	assert_int_equal(send_length(1481), -EMSGSIZE);
	assert_int_equal(done_count, 2);
	assert_int_equal(rig_drops(NET_LAYER_IPV4, NET_DROP_TOO_BIG), 1);
}

/* The length fields have 16 bits: all of an IPv4 packet, all behind the header of an IPv6 one. */
static void ip_tx__refuses_what_no_packet_holds(void **state)
{
	(void)state;
	use(false);
	assert_int_equal(send_length(65515), 0);
	assert_int_equal(called.who, FRAGMENTS);
	assert_int_equal(send_length(65516), -EMSGSIZE);
	assert_int_equal(called.who, NOBODY);
	path.is_local = true;
	assert_int_equal(send_length(65516), -EMSGSIZE);
	assert_int_equal(called.who, NOBODY);
	assert_int_equal(rig_drops(NET_LAYER_IPV4, NET_DROP_TOO_BIG), 2);
	use(true);
	assert_int_equal(send_length(65535), 0);
	assert_int_equal(called.who, FRAGMENTS);
	assert_int_equal(send_length(65536), -EMSGSIZE);
	assert_int_equal(rig_drops(NET_LAYER_IPV6, NET_DROP_TOO_BIG), 1);
}

/* It is copied, so that the memory is free at once. */
static void ip_tx__sends_to_ourselves_by_loopback(void **state)
{
	(void)state;
	use(false);
	path.is_local = true;
	path.neighbour = NULL;
	path.mtu = 65535;
	done_count = 0;
	assert_int_equal(send_length(9000), 0);
	assert_int_equal(called.who, LOOPBACK);
	assert_int_equal(done_count, 1);
	called.result = -ENOBUFS;
	assert_int_equal(send_length(9000), -ENOBUFS);
	assert_int_equal(done_count, 2);
}

static void ip_tx__tells_that_a_neighbour_is_unreachable(void **state)
{
	(void)state;
	use(false);
	called.result = -EHOSTUNREACH;
	assert_int_equal(send_length(100), -EHOSTUNREACH);
}

/* RFC 6864, 4.3: not twice within what can be under way; RFC 7739: and nobody can count along. */
static void ip_identification__is_a_permutation(void **state)
{
	static bool seen[65536];
	uint32_t next = 0, same = 0;
	uint16_t last = ip_identification(&rig.net), first = last;

	(void)state;
	memset(seen, 0, sizeof(seen));
	seen[last] = true;
	for (uint32_t i = 1; i < 65536; i++) {
		uint16_t identification = ip_identification(&rig.net);

		assert_false(seen[identification]);
		seen[identification] = true;
		next += (uint16_t)(identification - last) < 16;
		last = identification;
	}
	/* As often as by chance: 16 of 65,536 each time, 16 times. */
	assert_true(next < 200);
	assert_int_equal(ip_identification(&rig.net), first);
	rig.net.secret[0] ^= 1;
	rig.net.ipv4_identification = 0;
	for (uint32_t i = 0; i < 100; i++) {
		uint16_t identification = ip_identification(&rig.net);

		rig.net.secret[0] ^= 1;
		rig.net.ipv4_identification--;
		same += identification == ip_identification(&rig.net);
		rig.net.secret[0] ^= 1;
	}
	assert_true(same < 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ip_deliver__chooses_by_protocol_and_version),
		TEST(ip_deliver__answers_unknown_protocols),
		TEST(ip_deliver__ignores_no_next_header),
		TEST(ip_give__makes_frames_and_copies_alike),
		TEST(ip_free__lets_go_of_frames_and_copies),
		TEST(ip_linearise__joins_what_a_device_has_scattered),
		TEST(ip_tx__writes_an_ipv4_header),
		TEST(ip_tx__asks_routers_not_to_fragment_what_fits),
		TEST(ip_tx__writes_an_ipv6_header),
		TEST(ip_tx__writes_the_router_alert),
		TEST(ip_tx__has_default_hop_limits),
		TEST(ip_tx__goes_to_groups_without_a_neighbour),
		TEST(ip_tx__stays_here),
		TEST(ip_tx__comes_back_to_members),
		TEST(ip_tx__says_where_the_checksum_is),
		TEST(ip_tx__fragments_what_the_path_cannot_carry),
		TEST(ip_tx__refuses_to_fragment),
		TEST(ip_tx__refuses_what_no_packet_holds),
		TEST(ip_tx__sends_to_ourselves_by_loopback),
		TEST(ip_tx__tells_that_a_neighbour_is_unreachable),
		TEST(ip_identification__is_a_permutation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
