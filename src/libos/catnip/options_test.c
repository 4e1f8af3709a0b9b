/* SPDX-License-Identifier: MIT */
#include "libos/catnip/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/tcp/congestion.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The fields that are texts, for tables of them. */
#define TEXT(field) offsetof(struct config, net.field), sizeof(((struct config *)NULL)->net.field)

/* Of the stack, which is not linked. */
const struct tcp_congestion_ops tcp_cubic = {.name = "cubic"};
const struct tcp_congestion_ops tcp_reno = {.name = "reno"};
const struct tcp_congestion_ops tcp_dctcp = {.name = "dctcp"};

static struct config config_make(void)
{
	struct config config;

	config_defaults(&config);
	strcpy(config.net.dev, "loop:");
	return config;
}

static int parse(struct catnip_options *options, const struct config *config, char error[256])
{
	memset(options, 0xa5, sizeof(*options));
	error[0] = '\0';
	return catnip_options_parse(options, config, error, 256);
}

static void options_parse__device_alone_is_enough(void **state)
{
	struct config config = config_make();
	struct catnip_options options;
	static const struct eth_address none;
	char error[256];

	(void)state;
	assert_int_equal(parse(&options, &config, error), 0);
	assert_int_equal(options.address_count, 0);
	assert_int_equal(options.gateway_count, 0);
	assert_int_equal(options.route_count, 0);
	assert_true(eth_address_equal(&options.mac, &none));
}

static void options_parse__without_a_device_says_which_variable(void **state)
{
	struct config config = config_make();
	struct catnip_options options;
	char error[256];

	(void)state;
	config.net.dev[0] = '\0';
	assert_int_equal(parse(&options, &config, error), -EINVAL);
	assert_string_equal(error, "net.dev (DEMI_NET_DEV): Catnip needs a device; "
				   "write it as in tap:demi0 or afxdp:eth1");
}

static void options_parse__addresses_of_both_versions(void **state)
{
	static const uint8_t first[16] = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 2};
	static const uint8_t second[16] = {0xfd, [15] = 2};
	struct config config = config_make();
	struct catnip_options options;
	char error[256];

	(void)state;
	strcpy(config.net.ip, " 10.0.0.2/24 ,fd00::2/64");
	assert_int_equal(parse(&options, &config, error), 0);
	assert_int_equal(options.address_count, 2);
	assert_memory_equal(options.addresses[0].ip.bytes, first, 16);
	assert_int_equal(options.addresses[0].prefix_bits, 24);
	assert_memory_equal(options.addresses[1].ip.bytes, second, 16);
	assert_int_equal(options.addresses[1].prefix_bits, 64);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(options.addresses[i].is_static);
		assert_false(options.addresses[i].is_deprecated);
		assert_true(options.addresses[i].valid_until_ns == UINT64_MAX);
		assert_true(options.addresses[i].preferred_until_ns == UINT64_MAX);
	}
}

static void options_parse__takes_as_many_addresses_as_the_stack(void **state)
{
	struct config config = config_make();
	struct catnip_options options;
	char error[256];
	size_t length = 0;

	(void)state;
	for (unsigned int i = 1; i <= NET_CONFIGURED_MAX; i++)
		length += (size_t)snprintf(config.net.ip + length, sizeof(config.net.ip) - length,
					   "%s10.0.0.%u/24", i > 1 ? "," : "", i);
	assert_int_equal(parse(&options, &config, error), 0);
	assert_int_equal(options.address_count, NET_CONFIGURED_MAX);
	strcpy(config.net.ip + length, ",10.0.0.99/24");
	assert_int_equal(parse(&options, &config, error), -EINVAL);
	assert_string_equal(error, "net.ip (DEMI_NET_IP): more than 16 addresses; "
				   "write it as in 10.0.0.2/24 or fd00::2/64");
}

static void options_parse__gateways_and_routes(void **state)
{
	static const uint8_t gateway[16] = {0xfd, [15] = 1};
	static const uint8_t prefix[16] = {[10] = 0xff, [11] = 0xff, 10, 1, 0, 0};
	static const uint8_t via[16] = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 9};
	struct config config = config_make();
	struct catnip_options options;
	char error[256];

	(void)state;
	strcpy(config.net.gw, "10.0.0.1,fd00::1");
	strcpy(config.net.routes, "10.1.0.0/16 via 10.0.0.9, 2001:db8::/32 via fe80::1,0.0.0.0/0 "
				  "via 10.0.0.1");
	assert_int_equal(parse(&options, &config, error), 0);
	assert_int_equal(options.gateway_count, 2);
	assert_memory_equal(options.gateways[1].bytes, gateway, 16);
	assert_int_equal(options.route_count, 3);
	assert_memory_equal(options.routes[0].prefix.bytes, prefix, 16);
	/* Of 128, as tables have it. */
	assert_int_equal(options.routes[0].prefix_bits, 112);
	assert_memory_equal(options.routes[0].gateway.bytes, via, 16);
	assert_true(options.routes[0].is_static);
	assert_true(options.routes[0].valid_until_ns == UINT64_MAX);
	assert_int_equal(options.routes[1].prefix_bits, 32);
	assert_int_equal(options.routes[2].prefix_bits, 96);
}

static void options_parse__mac(void **state)
{
	static const uint8_t expected[6] = {0x02, 0xaB, 0x00, 0xff, 0x10, 0x01};
	struct config config = config_make();
	struct catnip_options options;
	char error[256];

	(void)state;
	strcpy(config.net.mac, "02:aB:00:FF:10:01");
	assert_int_equal(parse(&options, &config, error), 0);
	assert_memory_equal(options.mac.bytes, expected, 6);
}

static void options_parse__names_the_wrong_word(void **state)
{
#define IP "net.ip (DEMI_NET_IP): "
#define AS_IP "; write it as in 10.0.0.2/24 or fd00::2/64"
#define GW "net.gw (DEMI_NET_GW): "
#define AS_GW "; write it as in 10.0.0.1 or fd00::1"
#define ROUTES "net.routes (DEMI_NET_ROUTES): "
#define AS_ROUTE "; write it as in 10.1.0.0/16 via 10.0.0.9"
#define MAC "net.mac (DEMI_NET_MAC): "
#define AS_MAC "; write it as in 02:00:00:00:00:01"
	static const struct {
		size_t offset, size;
		const char *text, *error;
	} cases[] = {
		{TEXT(ip), "10.0.0.2", IP "\"10.0.0.2\" lacks the length of its prefix" AS_IP},
		{TEXT(ip), "10.0.0.2/33", IP "\"33\" is not a length of a prefix, 0 to 32" AS_IP},
		{TEXT(ip), "fd00::2/129", IP "\"129\" is not a length of a prefix, 0 to 128" AS_IP},
		{TEXT(ip), "10.0.0.2/", IP "\"\" is not a length of a prefix, 0 to 32" AS_IP},
		{TEXT(ip), "10.0.0.2/+8", IP "\"+8\" is not a length of a prefix, 0 to 32" AS_IP},
		{TEXT(ip), "10.0.0.2/08", IP "\"08\" is not a length of a prefix, 0 to 32" AS_IP},
		{TEXT(ip), "10.0.0.2/8/8", IP "\"8/8\" is not a length of a prefix, 0 to 32" AS_IP},
		{TEXT(ip), "10.0.0.2/4294967320",
		 IP "\"4294967320\" is not a length of a prefix, 0 to 32" AS_IP},
		{TEXT(ip), "10.0.0.256/24", IP "\"10.0.0.256\" is not an IP address" AS_IP},
		{TEXT(ip), "myhost/24", IP "\"myhost\" is not an IP address" AS_IP},
		{TEXT(ip), "/24", IP "\"\" is not an IP address" AS_IP},
		/* It would pass for the IPv4 address that it maps. */
		{TEXT(ip), "::ffff:10.0.0.2/96",
		 IP "\"::ffff:10.0.0.2\" is not an IP address" AS_IP},
		{TEXT(ip), "10.0.0.2/24,", IP "an empty element" AS_IP},
		{TEXT(ip), ",10.0.0.2/24", IP "an empty element" AS_IP},
		{TEXT(ip), "10.0.0.2/24, ,10.0.0.3/24", IP "an empty element" AS_IP},
		{TEXT(gw), "10.0.0.1/24", GW "\"10.0.0.1/24\" is not an IP address" AS_GW},
		{TEXT(gw), "10.0.0.1,10.0.0.2",
		 GW "\"10.0.0.2\" is a second gateway of one version of IP" AS_GW},
		{TEXT(gw), "fd00::1,10.0.0.1,fd00::2",
		 GW "\"fd00::2\" is a second gateway of one version of IP" AS_GW},
		{TEXT(routes), "10.1.0.0/16", ROUTES "\"10.1.0.0/16\" is not a route" AS_ROUTE},
		{TEXT(routes), "10.1.0.0/16 10.0.0.9",
		 ROUTES "\"10.1.0.0/16 10.0.0.9\" is not a route" AS_ROUTE},
		{TEXT(routes), "10.1.0.1/16 via 10.0.0.9",
		 ROUTES "\"10.1.0.1/16\" has bits behind its prefix" AS_ROUTE},
		{TEXT(routes), "fd00::1/64 via fd00::1",
		 ROUTES "\"fd00::1/64\" has bits behind its prefix" AS_ROUTE},
		{TEXT(routes), "10.1.0.0/16 via ",
		 ROUTES "\"10.1.0.0/16 via\" is not a route" AS_ROUTE},
		{TEXT(routes), "10.1.0.0/16 via eth0",
		 ROUTES "\"eth0\" is not an IP address" AS_ROUTE},
		{TEXT(mac), "02:00:00:00:00",
		 MAC "\"02:00:00:00:00\" is not an Ethernet address" AS_MAC},
		{TEXT(mac), "02-00-00-00-00-01",
		 MAC "\"02-00-00-00-00-01\" is not an Ethernet address" AS_MAC},
		{TEXT(mac), "02:00:00:00:00:0g",
		 MAC "\"02:00:00:00:00:0g\" is not an Ethernet address" AS_MAC},
		{TEXT(mac), "01:00:5e:00:00:01",
		 MAC "\"01:00:5e:00:00:01\" is not the address of one station" AS_MAC},
		{TEXT(mac), "00:00:00:00:00:00",
		 MAC "\"00:00:00:00:00:00\" is not the address of one station" AS_MAC},
	};
	struct catnip_options options;
	char error[256];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct config config = config_make();

		assert_true(strlen(cases[i].text) < cases[i].size);
		strcpy((char *)&config + cases[i].offset, cases[i].text);
		assert_int_equal(parse(&options, &config, error), -EINVAL);
		assert_string_equal(error, cases[i].error);
	}
}

static void options_parse__bounds_long_words(void **state)
{
	struct config config = config_make();
	struct catnip_options options;
	char error[256], small[8];

	(void)state;
	memset(config.net.ip, '1', sizeof(config.net.ip) - 1);
	assert_int_equal(parse(&options, &config, error), -EINVAL);
	assert_string_equal(error, "net.ip (DEMI_NET_IP): \"11111111111111111111...\" is too long; "
				   "write it as in 10.0.0.2/24 or fd00::2/64");
	assert_int_equal(catnip_options_parse(&options, &config, small, sizeof(small)), -EINVAL);
	assert_string_equal(small, "net.ip ");
}

static void options_fill__hands_on_what_is_configured(void **state)
{
	struct config config = config_make();
	struct catnip_options options;
	struct net_options net_options = {0};
	char error[256];

	(void)state;
	strcpy(config.net.ip, "10.0.0.2/24");
	config.net.vlan = 4094;
	config.net.autoconf = CONFIG_OFF;
	config.net.mtu = 1400;
	config.net.copy_max = 16384;
	config.net.reassembly_bytes_max = 1u << 30;
	assert_int_equal(parse(&options, &config, error), 0);
	catnip_options_fill(&net_options, &options, &config);
	assert_int_equal(net_options.address_count, 1);
	assert_ptr_equal(net_options.addresses, options.addresses);
	assert_int_equal(net_options.vlan, 4094);
	assert_false(net_options.autoconf);
	assert_int_equal(net_options.mtu, 1400);
	assert_int_equal(net_options.copy_max, 16384);
	assert_int_equal(net_options.neighbours_max, 1024);
	assert_int_equal(net_options.neighbour_pending_max, 64);
	assert_int_equal(net_options.reassembly_bytes_max, 1u << 30);
	assert_int_equal(net_options.icmp_rate, 1000);
	assert_int_equal(net_options.socket_bytes_max, 1u << 20);
}

static void options_fill__defaults_of_tcp(void **state)
{
	struct config config = config_make();
	struct catnip_options options;
	struct net_options net_options = {0};
	const struct net_tcp_options *tcp = &net_options.tcp;
	char error[256];

	(void)state;
	assert_int_equal(parse(&options, &config, error), 0);
	catnip_options_fill(&net_options, &options, &config);
	assert_int_equal(tcp->connections_max, 131072);
	assert_int_equal(tcp->syn_backlog_max, 1024);
	assert_int_equal(tcp->time_waits_max, 65536);
	assert_int_equal(tcp->time_wait_ms, 60000);
	assert_int_equal(tcp->buffer, 65536);
	assert_int_equal(tcp->max_buffer, 4 << 20);
	assert_int_equal(tcp->send_pieces_max, 4096);
	assert_int_equal(tcp->out_of_order_max, 1024);
	assert_int_equal(tcp->rto_min_ms, 200);
	assert_int_equal(tcp->rto_max_ms, 120000);
	assert_int_equal(tcp->delayed_ack_ms, 40);
	assert_int_equal(tcp->connect_timeout_ms, 180000);
	assert_int_equal(tcp->retries_timeout_ms, 900000);
	assert_int_equal(tcp->orphan_timeout_ms, 60000);
	assert_true(tcp->timestamps);
	assert_true(tcp->window_scaling);
	assert_true(tcp->sack);
	assert_false(tcp->ecn);
	assert_ptr_equal(tcp->congestion, &tcp_cubic);
}

static void options_fill__hands_on_what_is_configured_of_tcp(void **state)
{
	struct config config = config_make();
	struct catnip_options options;
	struct net_options net_options = {0};
	char error[256];

	(void)state;
	config.tcp.max_buffer = 1u << 30;
	config.tcp.retries_timeout_s = 86400;
	config.tcp.timestamps = CONFIG_OFF;
	config.tcp.window_scaling = CONFIG_OFF;
	config.tcp.sack = CONFIG_OFF;
	config.tcp.ecn = CONFIG_ON;
	config.tcp.congestion = CONFIG_CONGESTION_DCTCP;
	assert_int_equal(parse(&options, &config, error), 0);
	catnip_options_fill(&net_options, &options, &config);
	assert_int_equal(net_options.tcp.max_buffer, 1u << 30);
	assert_int_equal(net_options.tcp.retries_timeout_ms, 86400000);
	assert_false(net_options.tcp.timestamps);
	assert_false(net_options.tcp.window_scaling);
	assert_false(net_options.tcp.sack);
	assert_true(net_options.tcp.ecn);
	assert_ptr_equal(net_options.tcp.congestion, &tcp_dctcp);
	config.tcp.congestion = CONFIG_CONGESTION_RENO;
	catnip_options_fill(&net_options, &options, &config);
	assert_ptr_equal(net_options.tcp.congestion, &tcp_reno);
}

static void options_parse__limits_of_tcp_that_cross(void **state)
{
	struct config config = config_make();
	struct catnip_options options;
	char error[256];

	(void)state;
	config.tcp.buffer = config.tcp.max_buffer;
	config.tcp.rto_min_ms = config.tcp.rto_max_ms = 1000;
	assert_int_equal(parse(&options, &config, error), 0);
	config.tcp.rto_min_ms = 1001;
	assert_int_equal(parse(&options, &config, error), -EINVAL);
	assert_string_equal(error,
			    "tcp.rto_min_ms (DEMI_TCP_RTO_MIN_MS): more than tcp.rto_max_ms; "
			    "write it as in 200");
	config.tcp.buffer++;
	assert_int_equal(parse(&options, &config, error), -EINVAL);
	assert_string_equal(error, "tcp.buffer (DEMI_TCP_BUFFER): more than tcp.max_buffer; "
				   "write it as in 64K");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_parse__device_alone_is_enough),
		cmocka_unit_test(options_parse__without_a_device_says_which_variable),
		cmocka_unit_test(options_parse__addresses_of_both_versions),
		cmocka_unit_test(options_parse__takes_as_many_addresses_as_the_stack),
		cmocka_unit_test(options_parse__gateways_and_routes),
		cmocka_unit_test(options_parse__mac),
		cmocka_unit_test(options_parse__names_the_wrong_word),
		cmocka_unit_test(options_parse__bounds_long_words),
		cmocka_unit_test(options_fill__hands_on_what_is_configured),
		cmocka_unit_test(options_fill__defaults_of_tcp),
		cmocka_unit_test(options_fill__hands_on_what_is_configured_of_tcp),
		cmocka_unit_test(options_parse__limits_of_tcp_that_cross),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
