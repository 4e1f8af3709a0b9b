/* SPDX-License-Identifier: MIT */
#include "net/ip_testing.h"

#include "net/icmp.h"
#include "net/neighbour.h"
#include "wire/icmp6.h"

/* ---- Fakes ---- */

static struct {
	unsigned int answered, told, ndp, mld;
	struct icmp_echo echo;
	/* icmp_error_tell */
	unsigned int errors;
	int error;
	uint32_t mtu;
	struct quoted_packet quoted;
	unsigned int reason;
	/* icmp_answer_send */
	unsigned int sent;
	uint32_t length;
	uint8_t bytes[2048];
	bool cannot_answer;
	uint32_t room;
} called;

void icmp_echo_answer(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	(void)packet;
	called.answered++;
	netdev_release(net->device, buf);
}

void icmp_echo_tell(struct net *net, const struct ip_packet *packet, const struct icmp_echo *echo,
		    struct buf *buf)
{
	(void)packet;
	called.told++;
	called.echo = *echo;
	assert_memory_equal(echo->payload, "payload", 7);
	netdev_release(net->device, buf);
}

unsigned int icmp_error_tell(struct net *net, const struct ip_packet *packet,
			     const struct quoted_packet *quoted, int error, uint32_t mtu)
{
	(void)net;
	(void)packet;
	called.errors++;
	called.quoted = *quoted;
	called.error = error;
	called.mtu = mtu;
	return called.reason;
}

bool icmp_answer_begin(struct net *net, const struct ip_packet *packet, struct icmp_answer *answer)
{
	if (called.cannot_answer)
		return false;
	answer->source = packet->destination;
	answer->buf = netdev_alloc(net->device);
	answer->room = called.room;
	return true;
}

void icmp_answer_send(struct net *net, struct icmp_answer *answer, uint32_t bytes)
{
	called.sent++;
	called.length = bytes;
	memcpy(called.bytes, answer->buf->data, bytes);
	netdev_release(net->device, answer->buf);
}

void ndp_rx(struct net *net, const struct ip_packet *packet, const struct buf *buf)
{
	(void)net;
	(void)packet;
	assert_true(buf->length >= 8);
	called.ndp++;
}

void mld_rx(struct net *net, const struct ip_packet *packet, const struct buf *buf)
{
	(void)net;
	(void)packet;
	assert_int_equal(buf->data[0], 130);
	called.mld++;
}

/* ---- Messages from fd00::7 to fd00::2 ---- */

static struct ip_packet packet;

static int setup(void **state)
{
	memset(&called, 0, sizeof(called));
	called.room = 1700;
	packet = (struct ip_packet){
		.source = V6(7),
		.destination = V6(2),
		.protocol = IPPROTO_ICMPV6,
		.is_v6 = true,
		.is_frame = true,
	};
	return rig_setup(state);
}

/* The sum of fd00::2, fd00::7, length and 58. */
static uint16_t pseudo(uint32_t length)
{
	const uint8_t bytes[] = {
		0xfd, 0, 0, 2, 0xfd, 0, 0, 7, (uint8_t)(length >> 8), (uint8_t)length, 0, 58};

	return rig_sum(bytes, sizeof(bytes), 0);
}

/* With its checksum. */
static void arrive(const uint8_t *bytes, uint32_t length)
{
	struct buf *buf = rig_frame(bytes, length);

	store_be16(buf->data + 2, 0);
	store_be16(buf->data + 2, (uint16_t)~rig_sum(buf->data, length, pseudo(length)));
	icmp6_rx(&rig.net, &packet, buf);
}

static uint64_t dropped(unsigned int reason)
{
	return rig_drops(NET_LAYER_ICMP6, reason);
}

static const uint8_t request[] = {128, 0,   0,   0,   0x12, 0x34, 0,  7,
				  'p', 'a', 'y', 'l', 'o',  'a',  'd'};

/* ---- In ---- */

static void icmp6_rx__answers_and_tells_of_echo(void **state)
{
	uint8_t bytes[sizeof(request)];

	(void)state;
	arrive(request, sizeof(request));
	assert_int_equal(called.answered, 1);
	memcpy(bytes, request, sizeof(bytes));
	bytes[0] = 129;
	arrive(bytes, sizeof(bytes));
	assert_int_equal(called.told, 1);
	assert_int_equal(called.echo.identifier, 0x1234);
	assert_int_equal(called.echo.sequence, 7);
	assert_int_equal(called.echo.payload_bytes, 7);
	assert_int_equal(rig.net.counters.layers[NET_LAYER_ICMP6].rx_packets, 2);
}

static void icmp6_rx__hands_link_messages_on(void **state)
{
	uint8_t bytes[28] = {0};

	(void)state;
	for (uint8_t type = 133; type <= 137; type++) {
		bytes[0] = type;
		arrive(bytes, sizeof(bytes));
	}
	assert_int_equal(called.ndp, 5);
	bytes[0] = 130;
	arrive(bytes, sizeof(bytes));
	assert_int_equal(called.mld, 1);
	/* Another host's report is for routers. */
	bytes[0] = 143;
	arrive(bytes, sizeof(bytes));
	assert_int_equal(dropped(WIRE_BAD_TYPE), 1);
}

/* RFC 6980, section 5: atomic fragments too. */
static void icmp6_rx__drops_fragmented_neighbour_discovery(void **state)
{
	uint8_t bytes[28] = {0};

	(void)state;
	packet.was_fragmented = true;
	for (uint8_t type = 133; type <= 137; type++) {
		bytes[0] = type;
		arrive(bytes, sizeof(bytes));
	}
	assert_int_equal(called.ndp, 0);
	assert_int_equal(dropped(WIRE_BAD_FRAGMENT), 5);
	arrive(request, sizeof(request));
	assert_int_equal(called.answered, 1);
}

static void icmp6_rx__drops_what_the_parser_refuses(void **state)
{
	uint8_t bytes[sizeof(request)];

	(void)state;
	for (uint32_t length = 0; length < 8; length++)
		icmp6_rx(&rig.net, &packet, rig_frame(request, length));
	assert_int_equal(dropped(WIRE_TRUNCATED), 8);
	icmp6_rx(&rig.net, &packet, rig_frame(request, sizeof(request)));
	assert_int_equal(dropped(WIRE_BAD_CHECKSUM), 1);
	memcpy(bytes, request, sizeof(bytes));
	bytes[0] = 200;
	arrive(bytes, sizeof(bytes));
	assert_int_equal(dropped(WIRE_BAD_TYPE), 1);
	bytes[0] = 128;
	bytes[1] = 1;
	arrive(bytes, sizeof(bytes));
	assert_int_equal(dropped(WIRE_BAD_CODE), 1);
	assert_int_equal(called.answered, 0);
}

/* An error about a datagram from our port 4660 to fd00::9, port 22136. */
static uint8_t error_bytes[8 + 48];

static void set_error(uint8_t type, uint8_t code, uint32_t rest)
{
	static const uint8_t datagram[] = {0x12, 0x34, 0x56, 0x78, 0, 8, 0, 0};

	memset(error_bytes, 0, sizeof(error_bytes));
	error_bytes[0] = type;
	error_bytes[1] = code;
	store_be32(error_bytes + 4, rest);
	error_bytes[8] = 0x60;
	error_bytes[8 + 5] = 8;
	error_bytes[8 + 6] = 17;
	error_bytes[8 + 8] = error_bytes[8 + 24] = 0xfd;
	error_bytes[8 + 23] = 2;
	error_bytes[8 + 39] = 9;
	memcpy(error_bytes + 48, datagram, sizeof(datagram));
}

/* RFC 4443, section 3. */
static void icmp6_rx__tells_errors_to_the_socket(void **state)
{
	static const struct {
		uint8_t type, code;
		int error;
	} cases[] = {
		{1, 0, ENETUNREACH},  {1, 1, EACCES},        {1, 2, EHOSTUNREACH},
		{1, 3, EHOSTUNREACH}, {1, 4, ECONNREFUSED},  {1, 5, EACCES},
		{1, 6, EACCES},       {1, 99, EHOSTUNREACH}, {2, 0, EMSGSIZE},
		{3, 0, EHOSTUNREACH}, {3, 1, EHOSTUNREACH},  {4, 0, EPROTO},
		{4, 1, EPROTO},       {99, 0, EPROTO},
	};
	const struct ip_address ours = V6(2), theirs = V6(9);

	(void)state;
	for (uint32_t i = 0; i < COUNT_OF(cases); i++) {
		set_error(cases[i].type, cases[i].code, 1400);
		arrive(error_bytes, sizeof(error_bytes));
		assert_int_equal(called.errors, i + 1);
		assert_int_equal(called.error, cases[i].error);
		assert_int_equal(called.quoted.source_port, 0x1234);
		assert_int_equal(called.quoted.destination_port, 0x5678);
		assert_true(ip_address_equal(&called.quoted.source, &ours));
		assert_true(ip_address_equal(&called.quoted.destination, &theirs));
		if (cases[i].error == EMSGSIZE)
			assert_int_equal(called.mtu, 1400);
	}
	called.reason = NET_DROP_UNSOLICITED;
	arrive(error_bytes, sizeof(error_bytes));
	assert_int_equal(dropped(NET_DROP_UNSOLICITED), 1);
}

/* RFC 8201, section 4. */
static void icmp6_rx__drops_lies_about_the_mtu(void **state)
{
	(void)state;
	set_error(2, 0, 1279);
	arrive(error_bytes, sizeof(error_bytes));
	set_error(2, 0, 0);
	arrive(error_bytes, sizeof(error_bytes));
	assert_int_equal(called.errors, 0);
	assert_int_equal(dropped(WIRE_BAD_TOTAL_LENGTH), 2);
	set_error(2, 0, 1280);
	arrive(error_bytes, sizeof(error_bytes));
	assert_int_equal(called.errors, 1);
}

static void icmp6_rx__drops_wrong_quotations(void **state)
{
	(void)state;
	set_error(1, 4, 0);
	for (uint32_t length = 8; length < sizeof(error_bytes); length++)
		arrive(error_bytes, length);
	assert_int_equal(dropped(WIRE_TRUNCATED), 48);
	error_bytes[8] = 0x45;
	arrive(error_bytes, sizeof(error_bytes));
	assert_int_equal(dropped(WIRE_BAD_VERSION), 1);
	set_error(1, 4, 0);
	packet.to_group = true;
	arrive(error_bytes, sizeof(error_bytes));
	assert_int_equal(dropped(WIRE_BAD_DESTINATION), 1);
	assert_int_equal(called.errors, 0);
}

/* ---- Out ---- */

static uint8_t offending[2048];

static void send_error(enum icmp_problem problem, uint8_t code, uint32_t pointer, uint32_t bytes)
{
	packet.header = offending;
	packet.header_bytes = 40;
	packet.total_bytes = bytes;
	for (uint32_t i = 0; i < bytes; i++)
		offending[i] = (uint8_t)(i * 3 + 1);
	icmp6_tx_error(&rig.net, &packet, problem, code, pointer);
	if (called.sent)
		assert_int_equal(rig_sum(called.bytes, called.length, pseudo(called.length)),
				 0xffff);
}

static void icmp6_tx_error__says_what_was_wrong(void **state)
{
	static const uint8_t unreachable[] = {1, 4}, timeout[] = {3, 1}, next_header[] = {4, 1};
	static const uint8_t option[] = {4, 2}, nothing[4] = {0};

	(void)state;
	send_error(ICMP_PROBLEM_PORT_UNREACHABLE, 0, 0, 60);
	assert_memory_equal(called.bytes, unreachable, 2);
	assert_memory_equal(called.bytes + 4, nothing, 4);
	assert_memory_equal(called.bytes + 8, offending, 60);
	assert_int_equal(called.length, 68);
	send_error(ICMP_PROBLEM_REASSEMBLY_TIMEOUT, 0, 0, 60);
	assert_memory_equal(called.bytes, timeout, 2);
	send_error(ICMP_PROBLEM_PROTOCOL_UNREACHABLE, 0, 48, 60);
	assert_memory_equal(called.bytes, next_header, 2);
	assert_int_equal(load_be32(called.bytes + 4), 48);
	send_error(ICMP_PROBLEM_PARAMETER, 2, 42, 60);
	assert_memory_equal(called.bytes, option, 2);
	assert_int_equal(load_be32(called.bytes + 4), 42);
	assert_int_equal(called.sent, 4);
}

/* RFC 4443, section 2.4 (c): as much as the least MTU holds. */
static void icmp6_tx_error__quotes_what_fits(void **state)
{
	(void)state;
	send_error(ICMP_PROBLEM_PORT_UNREACHABLE, 0, 0, 1500);
	assert_int_equal(called.length, 1280 - 40);
	called.room = 500;
	send_error(ICMP_PROBLEM_PORT_UNREACHABLE, 0, 0, 1500);
	assert_int_equal(called.length, 500);
	called.cannot_answer = true;
	send_error(ICMP_PROBLEM_PORT_UNREACHABLE, 0, 0, 1500);
	assert_int_equal(called.sent, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(icmp6_rx__answers_and_tells_of_echo),
		TEST(icmp6_rx__hands_link_messages_on),
		TEST(icmp6_rx__drops_fragmented_neighbour_discovery),
		TEST(icmp6_rx__drops_what_the_parser_refuses),
		TEST(icmp6_rx__tells_errors_to_the_socket),
		TEST(icmp6_rx__drops_lies_about_the_mtu),
		TEST(icmp6_rx__drops_wrong_quotations),
		TEST(icmp6_tx_error__says_what_was_wrong),
		TEST(icmp6_tx_error__quotes_what_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
