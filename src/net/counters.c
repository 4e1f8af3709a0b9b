/* SPDX-License-Identifier: MIT */
#include "net/counters.h"

const char *net_layer_name(enum net_layer layer)
{
	static const char *const names[] = {
#define NET_LAYER_ENTRY(name, text) [NET_LAYER_##name] = text,
		NET_LAYERS(NET_LAYER_ENTRY)
#undef NET_LAYER_ENTRY
	};

	return (unsigned int)layer < NET_LAYERS_END ? names[layer] : "unknown";
}

const char *net_drop_name(unsigned int reason)
{
	static const char *const names[] = {
#define NET_DROP_ENTRY(name, text) [NET_DROP_##name - WIRE_ERRORS_END] = text,
		NET_DROPS(NET_DROP_ENTRY)
#undef NET_DROP_ENTRY
	};

	if (reason < WIRE_ERRORS_END)
		return wire_error_name((int)reason);
	return reason < NET_DROPS_END ? names[reason - WIRE_ERRORS_END] : "unknown";
}

uint64_t net_counters_drops(const struct net_counters *counters, enum net_layer layer)
{
	uint64_t drops = 0;

	for (unsigned int reason = 0; reason < NET_DROPS_END; reason++)
		drops += counters->layers[layer].drops[reason];
	return drops;
}
