/* SPDX-License-Identifier: MIT */
#include "libos/catnip/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/tcp/congestion.h"

#define IPV4_BITS 32u
#define IPV6_BITS 128u
#define WORD_BYTES_MAX 128 /* longer than anything that could be right */
#define MS_PER_S 1000u
#define VIA " via "

/* Where a word comes from, and where to say what is wrong with it. */
struct reader {
	const char *key;     /* "net.ip (DEMI_NET_IP)" */
	const char *example; /* of one element */
	char *error;
	size_t error_size;
};

/* Return: -EINVAL, so that a caller can return what this returns. */
__attribute__((format(printf, 2, 3))) static int fail(const struct reader *reader,
						      const char *format, ...)
{
	char wrong[256];
	va_list arguments;

	va_start(arguments, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start is a line above */
	vsnprintf(wrong, sizeof(wrong), format, arguments);
	va_end(arguments);
	snprintf(reader->error, reader->error_size, "%s: %s; write it as in %s", reader->key, wrong,
		 reader->example);
	return -EINVAL;
}

/* Either version. An IPv4 address has one spelling: as a mapped one it would pass for itself. */
static bool address_parse(const char *text, struct ip_address *address)
{
	struct in_addr in;
	struct in6_addr in6;

	if (inet_pton(AF_INET, text, &in) == 1) {
		*address = ip_address_from_in(in);
		return true;
	}
	if (inet_pton(AF_INET6, text, &in6) != 1)
		return false;
	*address = ip_address_from_in6(&in6);
	return !ip_address_is_v4(address);
}

/* "24": up to three digits, no sign, no blanks. */
static bool bits_parse(const char *text, unsigned int max, uint8_t *bits)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 3 || text[digits] != '\0' || (digits > 1 && text[0] == '0'))
		return false;
	if (strtoul(text, NULL, 10) > max)
		return false;
	*bits = (uint8_t)strtoul(text, NULL, 10);
	return true;
}

/* ADDRESS/BITS, the bits as they are written. */
static int prefix_parse(const struct reader *reader, const char *word, struct ip_address *address,
			uint8_t *bits)
{
	const char *slash = strchr(word, '/');
	char text[WORD_BYTES_MAX];
	unsigned int max;

	if (!slash)
		return fail(reader, "\"%s\" lacks the length of its prefix", word);
	snprintf(text, sizeof(text), "%.*s", (int)(slash - word), word);
	if (!address_parse(text, address))
		return fail(reader, "\"%s\" is not an IP address", text);
	max = ip_address_is_v4(address) ? IPV4_BITS : IPV6_BITS;
	if (!bits_parse(slash + 1, max, bits))
		return fail(reader, "\"%s\" is not a length of a prefix, 0 to %u", slash + 1, max);
	return 0;
}

static int add_address(const struct reader *reader, const char *word, void *context)
{
	struct catnip_options *options = context;
	struct net_address *address = &options->addresses[options->address_count];
	int error;

	if (options->address_count == NET_CONFIGURED_MAX)
		return fail(reader, "more than %u addresses", NET_CONFIGURED_MAX);
	*address = (struct net_address){
		.is_static = true,
		.valid_until_ns = UINT64_MAX,
		.preferred_until_ns = UINT64_MAX,
	};
	error = prefix_parse(reader, word, &address->ip, &address->prefix_bits);
	if (!error)
		options->address_count++;
	return error;
}

static int add_gateway(const struct reader *reader, const char *word, void *context)
{
	struct catnip_options *options = context;
	struct ip_address gateway;

	if (!address_parse(word, &gateway))
		return fail(reader, "\"%s\" is not an IP address", word);
	for (unsigned int i = 0; i < options->gateway_count; i++)
		if (ip_address_is_v4(&options->gateways[i]) == ip_address_is_v4(&gateway))
			return fail(reader, "\"%s\" is a second gateway of one version of IP",
				    word);
	options->gateways[options->gateway_count++] = gateway;
	return 0;
}

static bool has_host_bits(const struct ip_address *address, unsigned int prefix_bits)
{
	for (unsigned int bit = prefix_bits; bit < IPV6_BITS; bit++)
		if (address->bytes[bit / 8] & 0x80u >> bit % 8)
			return true;
	return false;
}

static int add_route(const struct reader *reader, const char *word, void *context)
{
	struct catnip_options *options = context;
	struct net_route *route = &options->routes[options->route_count];
	const char *via = strstr(word, VIA);
	char prefix[WORD_BYTES_MAX];
	const char *gateway;
	int error;

	if (options->route_count == NET_ROUTES_MAX)
		return fail(reader, "more than %u routes", NET_ROUTES_MAX);
	if (!via)
		return fail(reader, "\"%s\" is not a route", word);
	snprintf(prefix, sizeof(prefix), "%.*s", (int)(via - word), word);
	gateway = via + strlen(VIA);
	*route = (struct net_route){.is_static = true, .valid_until_ns = UINT64_MAX};
	error = prefix_parse(reader, prefix, &route->prefix, &route->prefix_bits);
	if (error)
		return error;
	if (ip_address_is_v4(&route->prefix))
		route->prefix_bits = (uint8_t)(route->prefix_bits + IPV6_BITS - IPV4_BITS);
	if (has_host_bits(&route->prefix, route->prefix_bits))
		return fail(reader, "\"%s\" has bits behind its prefix", prefix);
	if (!address_parse(gateway, &route->gateway))
		return fail(reader, "\"%s\" is not an IP address", gateway);
	options->route_count++;
	return 0;
}

/* Call @add for each element of a list, without the blanks around it. */
static int list_parse(const struct reader *reader, const char *list,
		      int (*add)(const struct reader *reader, const char *word, void *context),
		      void *context)
{
	int error = 0;

	while (*list && !error) {
		size_t length = strcspn(list, ","), start = strspn(list, " "), end = length;
		char word[WORD_BYTES_MAX];

		while (end > start && list[end - 1] == ' ')
			end--;
		if (end <= start)
			return fail(reader, "an empty element");
		if (end - start >= sizeof(word))
			return fail(reader, "\"%.20s...\" is too long", list + start);
		memcpy(word, list + start, end - start);
		word[end - start] = '\0';
		error = add(reader, word, context);
		list += length;
		if (!error && *list == ',' && *++list == '\0')
			return fail(reader, "an empty element");
	}
	return error;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Six pairs of hexadecimal digits, with colons between. */
static int mac_parse(const struct reader *reader, const char *text, struct eth_address *mac)
{
	static const struct eth_address none;

	if (strlen(text) != 3 * ETH_ADDRESS_BYTES - 1)
		return fail(reader, "\"%s\" is not an Ethernet address", text);
	for (unsigned int i = 0; i < ETH_ADDRESS_BYTES; i++) {
		const char *pair = text + (size_t)3 * i;
		int high = hex_digit(pair[0]), low = hex_digit(pair[1]);

		if (high < 0 || low < 0 || (pair[2] != ':' && pair[2] != '\0'))
			return fail(reader, "\"%s\" is not an Ethernet address", text);
		mac->bytes[i] = (uint8_t)(high << 4 | low);
	}
	if (eth_address_is_multicast(mac) || eth_address_equal(mac, &none))
		return fail(reader, "\"%s\" is not the address of one station", text);
	return 0;
}

int catnip_options_parse(struct catnip_options *options, const struct config *config, char *error,
			 size_t error_size)
{
	struct reader dev = {"net.dev (DEMI_NET_DEV)", "tap:demi0 or afxdp:eth1", error,
			     error_size};
	struct reader ip = {"net.ip (DEMI_NET_IP)", "10.0.0.2/24 or fd00::2/64", error, error_size};
	struct reader gw = {"net.gw (DEMI_NET_GW)", "10.0.0.1 or fd00::1", error, error_size};
	struct reader routes = {"net.routes (DEMI_NET_ROUTES)", "10.1.0.0/16 via 10.0.0.9", error,
				error_size};
	struct reader mac = {"net.mac (DEMI_NET_MAC)", "02:00:00:00:00:01", error, error_size};
	struct reader buffer = {"tcp.buffer (DEMI_TCP_BUFFER)", "64K", error, error_size};
	struct reader rto = {"tcp.rto_min_ms (DEMI_TCP_RTO_MIN_MS)", "200", error, error_size};
	int result;

	memset(options, 0, sizeof(*options));
	if (!config->net.dev[0])
		return fail(&dev, "Catnip needs a device");
	if (config->tcp.buffer > config->tcp.max_buffer)
		return fail(&buffer, "more than tcp.max_buffer");
	if (config->tcp.rto_min_ms > config->tcp.rto_max_ms)
		return fail(&rto, "more than tcp.rto_max_ms");
	result = list_parse(&ip, config->net.ip, add_address, options);
	if (!result)
		result = list_parse(&gw, config->net.gw, add_gateway, options);
	if (!result)
		result = list_parse(&routes, config->net.routes, add_route, options);
	if (!result && config->net.mac[0])
		result = mac_parse(&mac, config->net.mac, &options->mac);
	return result;
}

static struct net_tcp_options tcp_options_of(const struct config *config)
{
	static const struct tcp_congestion_ops *const congestions[] = {
		[CONFIG_CONGESTION_CUBIC] = &tcp_cubic,
		[CONFIG_CONGESTION_RENO] = &tcp_reno,
		[CONFIG_CONGESTION_DCTCP] = &tcp_dctcp,
	};

	return (struct net_tcp_options){
		.connections_max = config->tcp.connections_max,
		.syn_backlog_max = config->tcp.syn_backlog_max,
		.time_waits_max = config->tcp.time_wait_max,
		.time_wait_ms = config->tcp.time_wait_ms,
		.buffer = (uint32_t)config->tcp.buffer,
		.max_buffer = (uint32_t)config->tcp.max_buffer,
		.send_pieces_max = config->tcp.send_pieces_max,
		.out_of_order_max = config->tcp.out_of_order_max,
		.rto_min_ms = config->tcp.rto_min_ms,
		.rto_max_ms = config->tcp.rto_max_ms,
		.delayed_ack_ms = config->tcp.delayed_ack_ms,
		.connect_timeout_ms = config->tcp.connect_timeout_s * MS_PER_S,
		.retries_timeout_ms = config->tcp.retries_timeout_s * MS_PER_S,
		.orphan_timeout_ms = config->tcp.orphan_timeout_s * MS_PER_S,
		.timestamps = config->tcp.timestamps == CONFIG_ON,
		.window_scaling = config->tcp.window_scaling == CONFIG_ON,
		.sack = config->tcp.sack == CONFIG_ON,
		.ecn = config->tcp.ecn == CONFIG_ON,
		.congestion = congestions[config->tcp.congestion],
	};
}

void catnip_options_fill(struct net_options *net_options, const struct catnip_options *options,
			 const struct config *config)
{
	net_options->addresses = options->addresses;
	net_options->address_count = options->address_count;
	net_options->gateways = options->gateways;
	net_options->gateway_count = options->gateway_count;
	net_options->routes = options->routes;
	net_options->route_count = options->route_count;
	net_options->vlan = (uint16_t)config->net.vlan;
	net_options->autoconf = config->net.autoconf == CONFIG_ON;
	net_options->mtu = config->net.mtu;
	net_options->copy_max = (uint32_t)config->net.copy_max;
	net_options->neighbours_max = config->net.neighbours_max;
	net_options->neighbour_pending_max = config->net.neighbour_pending_max;
	net_options->reassembly_bytes_max = (uint32_t)config->net.reassembly_bytes_max;
	net_options->icmp_rate = config->net.icmp_rate;
	net_options->socket_bytes_max = (uint32_t)config->net.socket_bytes_max;
	net_options->tcp = tcp_options_of(config);
}
