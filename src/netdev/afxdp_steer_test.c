/* SPDX-License-Identifier: MIT */
/* Who gets which frame: the device, the kernel, or both. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "netdev/afxdp_testing.h"

#define FRAME_BYTES 128
#define MARK_AT (FRAME_BYTES - 1)
#define MARK_OURS 1    /* sent behind the frame, to the device */
#define MARK_KERNELS 2 /* and to the kernel */
#define MARK 3

#define OURS 1
#define KERNELS 2
#define BOTH (OURS | KERNELS)

static void send_mark(struct link *link, uint32_t destination, uint8_t mark)
{
	uint8_t frame[FRAME_BYTES] = {0};

	frame_ipv4(frame, destination, 0, FRAME_BYTES - ETH_HEADER_BYTES - IPV4_BYTES);
	frame[MARK_AT] = mark;
	assert_true(peer_send(link, frame, sizeof(frame)));
}

/* Whether the frame comes before the kernel's mark does. */
static bool kernel_gets(struct link *link, const uint8_t *frame)
{
	uint8_t seen[2048];
	bool found = false;

	for (;;) {
		ssize_t length = link_receive(link->kernel, seen, sizeof(seen));

		assert_true(length > 0);
		if (length < FRAME_BYTES - ETH_TAG_BYTES)
			continue;
		if (seen[length - 1] == MARK_KERNELS)
			return found;
		/* The kernel takes a tag out. */
		assert_int_not_equal(seen[length - 1], MARK_OURS);
		if (seen[length - 1] == MARK && memcmp(seen, frame, 12) == 0)
			found = true;
	}
}

static bool device_gets(struct link *link, const uint8_t *frame)
{
	bool found = false;
	bool marked = false;
	struct buf *buf;

	/* Both ways into the device are read to their ends, in whichever order. */
	while (!marked || link->device->ops->rx_burst(link->device, &buf, 1, 0) == 1) {
		if (!marked)
			assert_int_equal(link_rx(link->device, &buf, 1), 1);
		assert_int_equal(buf->length, FRAME_BYTES);
		assert_int_not_equal(buf->data[MARK_AT], MARK_KERNELS);
		if (buf->data[MARK_AT] == MARK_OURS)
			marked = true;
		else if (memcmp(buf->data, frame, FRAME_BYTES) == 0)
			found = true;
		netdev_release(link->device, buf);
	}
	return found;
}

/* Sends the frame from the other end. Return: OURS, KERNELS or both. */
static int who_gets(struct link *link, uint8_t frame[FRAME_BYTES])
{
	int who = 0;

	frame[MARK_AT] = MARK;
	assert_true(peer_send(link, frame, FRAME_BYTES));
	send_mark(link, 0x0a000002, MARK_OURS);
	send_mark(link, 0x0a0000fe, MARK_KERNELS);
	who |= kernel_gets(link, frame) ? KERNELS : 0;
	who |= device_gets(link, frame) ? OURS : 0;
	return who;
}

/* ---- Frames ---- */

static const uint8_t us[] = {US};
static const uint8_t somebody[] = {2, 0, 0, 0, 0, 0x77};
static const uint8_t everybody[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static const uint8_t *v6(const char *text)
{
	static uint8_t address[16];

	assert_int_equal(inet_pton(AF_INET6, text, address), 1);
	return address;
}

static int who_gets_ipv4(struct link *link, const uint8_t *destination, const char *address)
{
	uint8_t frame[FRAME_BYTES] = {0};

	frame_ipv4(frame, ntohl(inet_addr(address)), 0, 64);
	memcpy(frame, destination, 6);
	return who_gets(link, frame);
}

static int who_gets_arp(struct link *link, const uint8_t *destination, const char *target)
{
	/* RFC 826: Ethernet, IPv4, lengths 6 and 4, a request from 10.0.0.3. */
	static const uint8_t request[] = {0, 1, 8, 0, 6, 4, 0, 1, PEER, 10, 0, 0, 3};
	uint8_t frame[FRAME_BYTES] = {0};
	uint32_t address = inet_addr(target);

	frame_header(frame, destination, ETH_TYPE_ARP);
	memcpy(frame + 14, request, sizeof(request));
	memcpy(frame + 14 + 24, &address, 4);
	return who_gets(link, frame);
}

/* RFC 8200, section 3; @next_header: 17 is UDP */
static void write_ipv6(uint8_t *frame, const uint8_t *destination, uint8_t next_header,
		       const char *address)
{
	frame_header(frame, destination, ETH_TYPE_IPV6);
	frame[14] = 0x60;
	frame[14 + 5] = 64;
	frame[14 + 6] = next_header;
	frame[14 + 7] = 255;
	memcpy(frame + 14 + 24, v6(address), 16);
}

static int who_gets_ipv6(struct link *link, const uint8_t *destination, const char *address)
{
	uint8_t frame[FRAME_BYTES] = {0};

	write_ipv6(frame, destination, 17, address);
	return who_gets(link, frame);
}

/* A neighbour solicitation for @target (RFC 4861, section 4.3), to its group. */
static int who_gets_solicitation(struct link *link, const char *target)
{
	uint8_t frame[FRAME_BYTES] = {0};

	write_ipv6(frame, (const uint8_t[]){0x33, 0x33, 0xff, 0, 0, 2}, 58, "ff02::1:ff00:2");
	frame[54] = 135;
	memcpy(frame + 54 + 8, v6(target), 16);
	return who_gets(link, frame);
}

/* ---- Unicast ---- */

static void steer__ipv4_goes_by_its_destination(void **state)
{
	assert_int_equal(who_gets_ipv4(*state, us, "10.0.0.2"), OURS);
	assert_int_equal(who_gets_ipv4(*state, us, "10.0.0.1"), KERNELS);
	assert_int_equal(who_gets_ipv4(*state, us, "10.0.0.7"), KERNELS);
	assert_int_equal(who_gets_ipv4(*state, us, "2.0.0.10"), KERNELS);
}

static void steer__ipv6_goes_by_its_destination(void **state)
{
	assert_int_equal(who_gets_ipv6(*state, us, "fd00::2"), OURS);
	assert_int_equal(who_gets_ipv6(*state, us, "fd00::1"), KERNELS);
	assert_int_equal(who_gets_ipv6(*state, us, "fe80::2"), KERNELS);
	/* Not IPv4 in disguise (RFC 4942, section 2.2). */
	assert_int_equal(who_gets_ipv6(*state, us, "fd00::2:2"), KERNELS);
}

/* RFC 791, section 3.2: a later fragment has no ports, but the destination. */
static void steer__fragments_go_where_their_packet_goes(void **state)
{
	uint8_t frame[FRAME_BYTES] = {0};

	frame_ipv4(frame, 0x0a000002, 0, 64);
	store_be16(frame + 14 + 6, 0x00b9);
	assert_int_equal(who_gets(*state, frame), OURS);
	frame_ipv4(frame, 0x0a000001, 0, 64);
	store_be16(frame + 14 + 6, 0x00b9);
	assert_int_equal(who_gets(*state, frame), KERNELS);
}

static void steer__arp_goes_by_its_target(void **state)
{
	assert_int_equal(who_gets_arp(*state, us, "10.0.0.2"), OURS);
	assert_int_equal(who_gets_arp(*state, everybody, "10.0.0.2"), OURS);
	assert_int_equal(who_gets_arp(*state, us, "10.0.0.1"), KERNELS);
}

static void steer__solicitations_go_by_their_target(void **state)
{
	assert_int_equal(who_gets_solicitation(*state, "fd00::2"), OURS);
	/* Of the same group (RFC 4291, section 2.7.1), and perhaps the kernel's. */
	assert_int_equal(who_gets_solicitation(*state, "fe80::2"), KERNELS);
}

/* Such as a query for the group's members (RFC 3810, section 5.1.15). */
static void steer__what_else_goes_to_their_group_goes_to_both(void **state)
{
	struct link *link = *state;
	struct eth_address group = {{0x33, 0x33, 0xff, 0, 0, 2}};

	assert_int_equal(link->device->ops->set_group(link->device, group, true), 0);
	assert_int_equal(who_gets_ipv6(link, group.bytes, "ff02::1:ff00:2"), BOTH);
	assert_int_equal(who_gets_solicitation(link, "fd00::2"), OURS);
	assert_int_equal(who_gets_solicitation(link, "fe80::2"), BOTH);
}

static void steer__looks_through_one_tag(void **state)
{
	/* IEEE 802.1Q, clause 9: VLAN 5. */
	static const uint8_t tag[] = {0x81, 0, 0, 5};
	uint8_t inner[FRAME_BYTES] = {0};
	uint8_t frame[FRAME_BYTES] = {0};

	for (int i = 0; i < 2; i++) {
		frame_ipv4(inner, i == 0 ? 0x0a000002 : 0x0a000001, 0, 64);
		memcpy(frame, inner, 12);
		memcpy(frame + 12, tag, sizeof(tag));
		memcpy(frame + 16, inner + 12, FRAME_BYTES - 16);
		assert_int_equal(who_gets(*state, frame), i == 0 ? OURS : KERNELS);
	}
}

static void steer__short_packets_are_the_kernels(void **state)
{
	struct link *link = *state;
	uint8_t frame[FRAME_BYTES] = {0};
	struct buf *buf;

	/* 19 bytes of an IPv4 header that would be for us. */
	frame_ipv4(frame, 0x0a000002, 0, 0);
	assert_true(peer_send(link, frame, 33));
	send_mark(link, 0x0a000002, MARK_OURS);
	assert_int_equal(link_rx(link->device, &buf, 1), 1);
	assert_int_equal(buf->length, FRAME_BYTES);
	netdev_release(link->device, buf);
}

/* ---- Groups and broadcasts ---- */

static void steer__broadcasts_go_to_both(void **state)
{
	assert_int_equal(who_gets_ipv4(*state, everybody, "10.0.0.255"), BOTH);
	assert_int_equal(who_gets_ipv4(*state, everybody, "255.255.255.255"), BOTH);
	assert_int_equal(who_gets_arp(*state, everybody, "10.0.0.1"), BOTH);
}

static void steer__all_nodes_go_to_both(void **state)
{
	assert_int_equal(
		who_gets_ipv6(*state, (const uint8_t[]){0x33, 0x33, 0, 0, 0, 1}, "ff02::1"), BOTH);
	assert_int_equal(who_gets_ipv4(*state, (const uint8_t[]){1, 0, 0x5e, 0, 0, 1}, "224.0.0.1"),
			 BOTH);
}

static void steer__copies_keep_their_tag(void **state)
{
	uint8_t frame[FRAME_BYTES] = {[12] = 0x81, [14] = 0x60, [15] = 5, [16] = 8, [18] = 0x45};

	memcpy(frame, everybody, 6);
	memcpy(frame + 6, (const uint8_t[]){PEER}, 6);
	assert_int_equal(who_gets(*state, frame), BOTH);
}

static void steer__groups_go_to_both_while_we_are_in_them(void **state)
{
	struct link *link = *state;
	const struct netdev_ops *ops = link->device->ops;
	struct eth_address mdns[] = {{{1, 0, 0x5e, 0, 0, 0xfb}}, {{0x33, 0x33, 0, 0, 0, 0xfb}}};

	assert_int_equal(who_gets_ipv4(link, mdns[0].bytes, "224.0.0.251"), KERNELS);
	assert_int_equal(who_gets_ipv6(link, mdns[1].bytes, "ff02::fb"), KERNELS);
	assert_int_equal(ops->set_group(link->device, mdns[0], true), 0);
	assert_int_equal(ops->set_group(link->device, mdns[1], true), 0);
	assert_true(link_run("ip maddr show dev veth0 | grep -q 01:00:5e:00:00:fb"));
	assert_int_equal(who_gets_ipv4(link, mdns[0].bytes, "224.0.0.251"), BOTH);
	assert_int_equal(who_gets_ipv6(link, mdns[1].bytes, "ff02::fb"), BOTH);
	assert_int_equal(ops->set_group(link->device, mdns[0], false), 0);
	assert_int_equal(ops->set_group(link->device, mdns[1], false), 0);
	assert_int_equal(who_gets_ipv4(link, mdns[0].bytes, "224.0.0.251"), KERNELS);
	assert_int_equal(who_gets_ipv6(link, mdns[1].bytes, "ff02::fb"), KERNELS);
	assert_false(link_run("ip maddr show dev veth0 | grep -q 01:00:5e:00:00:fb"));
}

/* What the kernel itself sends there is not what comes in. */
static void steer__does_not_overhear_the_kernel_sending(void **state)
{
	struct link *link = *state;
	uint8_t frame[FRAME_BYTES] = {0};
	struct buf *buf;

	frame_ipv4(frame, 0x0a0000ff, 0, 64);
	memcpy(frame, everybody, 6);
	frame[MARK_AT] = MARK;
	assert_int_equal(send(link->kernel, frame, sizeof(frame), 0), sizeof(frame));
	send_mark(link, 0x0a000002, MARK_OURS);
	assert_int_equal(link_rx(link->device, &buf, 1), 1);
	assert_int_equal(buf->data[MARK_AT], MARK_OURS);
	netdev_release(link->device, buf);
}

/* ---- Changes ---- */

static void set_addresses__replaces_all_addresses(void **state)
{
	struct link *link = *state;
	const struct netdev_ops *ops = link->device->ops;
	struct ip_address addresses[2] = {ip_address_v4(0x0a000002),
					  ip_address_v6_halves(0xfe80000000000000, 2)};

	/* fe80::2 comes, of the same group as fd00::2, which goes before or after that. */
	for (int i = 0; i < 2; i++) {
		struct ip_address all[3] = {addresses[0], addresses[1],
					    ip_address_v6_halves(0xfd00000000000000, 2)};

		assert_int_equal(ops->set_addresses(link->device, all, i == 0 ? 3 : 2), 0);
		assert_int_equal(who_gets_solicitation(link, "fe80::2"), OURS);
	}
	assert_int_equal(who_gets_ipv4(link, us, "10.0.0.2"), OURS);
	assert_int_equal(who_gets_ipv6(link, us, "fd00::2"), KERNELS);
	assert_int_equal(who_gets_ipv6(link, us, "fe80::2"), OURS);
	assert_int_equal(who_gets_solicitation(link, "fd00::2"), KERNELS);
	assert_int_equal(ops->set_addresses(link->device, addresses, 1), 0);
	assert_int_equal(who_gets_ipv6(link, us, "fe80::2"), KERNELS);
}

static void set_addresses__joins_the_groups_of_neighbours_questions(void **state)
{
	struct link *link = *state;

	assert_true(link_run("ip maddr show dev veth0 | grep -q 33:33:ff:00:00:02"));
	assert_int_equal(link->device->ops->set_addresses(link->device, NULL, 0), 0);
	assert_false(link_run("ip maddr show dev veth0 | grep -q 33:33:ff:00:00:02"));
}

static void steer__a_station_of_our_own_is_ours(void **state)
{
	struct link *link = *state;
	struct netdev_options options = link->options;
	struct ip_address address = ip_address_v4(0x0a000002);

	memcpy(options.mac.bytes, somebody, 6);
	netdev_close(link->device);
	link->device = NULL;
	assert_int_equal(afxdp_open(&link->device, "veth0", &options), 0);
	assert_memory_equal(link->device->caps.mac.bytes, somebody, 6);
	assert_int_equal(link->device->ops->set_addresses(link->device, &address, 1), 0);
	assert_int_equal(who_gets_ipv4(link, somebody, "10.0.0.9"), OURS);
	assert_int_equal(who_gets_ipv4(link, us, "10.0.0.9"), KERNELS);
}

/* Asks for 10.0.0.1's link address first, so ARP of the kernel works both ways too. */
static void steer__the_kernel_goes_on_using_the_interface(void **state)
{
	struct link *link = *state;
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(7), .sin_addr.s_addr = htonl(0x0a000001)};
	struct sockaddr_in from;
	socklen_t from_bytes = sizeof(from);
	char text[8] = "";
	int server = socket(AF_INET, SOCK_DGRAM, 0);
	int client;

	assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_true(link_go(link->there));
	client = socket(AF_INET, SOCK_DGRAM, 0);
	assert_true(link_go(link->here));
	assert_int_equal(
		sendto(client, "hello", 6, 0, (struct sockaddr *)&address, sizeof(address)), 6);
	assert_int_equal(poll(&(struct pollfd){.fd = server, .events = POLLIN}, 1, 3000), 1);
	assert_int_equal(
		recvfrom(server, text, sizeof(text), 0, (struct sockaddr *)&from, &from_bytes), 6);
	assert_int_equal(from.sin_addr.s_addr, htonl(0x0a000003));
	assert_int_equal(sendto(server, text, 6, 0, (struct sockaddr *)&from, from_bytes), 6);
	assert_int_equal(link_receive(client, text, sizeof(text)), 6);
	assert_string_equal(text, "hello");
	close(client);
	close(server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(steer__ipv4_goes_by_its_destination),
		TEST(steer__ipv6_goes_by_its_destination),
		TEST(steer__fragments_go_where_their_packet_goes),
		TEST(steer__arp_goes_by_its_target),
		TEST(steer__solicitations_go_by_their_target),
		TEST(steer__what_else_goes_to_their_group_goes_to_both),
		TEST(steer__looks_through_one_tag),
		TEST(steer__short_packets_are_the_kernels),
		TEST(steer__broadcasts_go_to_both),
		TEST(steer__all_nodes_go_to_both),
		TEST(steer__copies_keep_their_tag),
		TEST(steer__groups_go_to_both_while_we_are_in_them),
		TEST(steer__does_not_overhear_the_kernel_sending),
		TEST(set_addresses__replaces_all_addresses),
		TEST(set_addresses__joins_the_groups_of_neighbours_questions),
		TEST(steer__a_station_of_our_own_is_ours),
		TEST(steer__the_kernel_goes_on_using_the_interface),
	};
	const char *why = link_enter();

	if (!why)
		why = afxdp_missing();
	if (why)
		return link_skip(why);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
