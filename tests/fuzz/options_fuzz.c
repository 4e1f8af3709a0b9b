/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for the texts of the configuration that Catnip reads itself: the lines of the
 * input are net.ip, net.gw, net.routes and net.mac. What is right in its form goes to a stack,
 * which takes it or refuses it.
 */
#include "net_fuzz.h"

#include <errno.h>

#include "libos/catnip/options.h"
#include "text_fuzz.h"

static void check_addresses(const struct catnip_options *options)
{
	must(options->address_count <= NET_CONFIGURED_MAX);
	must(options->route_count <= NET_ROUTES_MAX);
	must(options->gateway_count <= 2);
	for (unsigned int i = 0; i < options->address_count; i++) {
		const struct net_address *address = &options->addresses[i];

		must(address->prefix_bits <= (ip_address_is_v4(&address->ip) ? 32 : 128));
		must(address->is_static && address->valid_until_ns == UINT64_MAX);
	}
	for (unsigned int i = 0; i < options->route_count; i++) {
		const struct net_route *route = &options->routes[i];

		must(route->prefix_bits <= 128);
		must(!ip_address_is_v4(&route->prefix) || route->prefix_bits >= 96);
		must(net_prefix_has(&route->prefix, route->prefix_bits, &route->prefix));
	}
	if (options->gateway_count == 2)
		must(ip_address_is_v4(&options->gateways[0]) !=
		     ip_address_is_v4(&options->gateways[1]));
	must(!eth_address_is_multicast(&options->mac));
}

static void start(const struct catnip_options *options, const struct config *config)
{
	struct net_options net_options = rig_net_options();
	int error;

	catnip_options_fill(&net_options, options, config);
	net_options.neighbours_max = RIG_NEIGHBOURS;
	net_options.tcp.connections_max = RIG_CONNECTIONS;
	error = net_create(&rig.net, &net_options);
	if (error) {
		must(error == -EINVAL);
		rig.net = NULL;
		return;
	}
	must(rig.net->address_count >= options->address_count);
	/* Duplicates are looked for, and what is configured is announced. */
	rig_run(rig.now_ns + 20 * SECOND_NS, 1000);
	for (unsigned int i = 0; i < options->address_count; i++)
		must(net_has_address(rig.net, &options->addresses[i].ip) != NULL);
	rig_check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct catnip_options options;
	struct config config;
	char error[320] = "";
	int result;

	config_defaults(&config);
	strcpy(config.net.dev, "null:");
	take_line(&data, &size, config.net.ip, sizeof(config.net.ip));
	take_line(&data, &size, config.net.gw, sizeof(config.net.gw));
	take_line(&data, &size, config.net.routes, sizeof(config.net.routes));
	take_line(&data, &size, config.net.mac, sizeof(config.net.mac));
	result = catnip_options_parse(&options, &config, error, sizeof(error));
	if (result) {
		must(result == -EINVAL && !strncmp(error, "net.", 4));
		return 0;
	}
	must(!error[0]);
	check_addresses(&options);
	rig_begin(&(struct rig_options){0});
	start(&options, &config);
	rig_end();
	return 0;
}
