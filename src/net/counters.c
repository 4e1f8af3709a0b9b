/* SPDX-License-Identifier: MIT */
#include "net/counters.h"

#include <stdio.h>

#include "base/log.h"

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

/* As in the code, since a name is for programs: the text is for people. */
static const char *drop_symbol(unsigned int reason)
{
	static const char *const symbols[NET_DROPS_END] = {
#define WIRE_ERROR_SYMBOL(name, text) [WIRE_##name] = #name,
		WIRE_ERRORS(WIRE_ERROR_SYMBOL)
#undef WIRE_ERROR_SYMBOL
#define NET_DROP_SYMBOL(name, text) [NET_DROP_##name] = #name,
			NET_DROPS(NET_DROP_SYMBOL)
#undef NET_DROP_SYMBOL
	};

	return symbols[reason];
}

static void tell_layer(const struct net_counters *counters, enum net_layer layer, figure_fn *tell,
		       void *context)
{
	const struct net_layer_counters *own = &counters->layers[layer];
	const char *part = net_layer_name(layer);

	tell(context, part, "rx_packets", NULL, own->rx_packets);
	tell(context, part, "rx_bytes", NULL, own->rx_bytes);
	tell(context, part, "tx_packets", NULL, own->tx_packets);
	tell(context, part, "tx_bytes", NULL, own->tx_bytes);
	for (unsigned int reason = WIRE_OK + 1; reason < NET_DROPS_END; reason++)
		tell(context, part, "drops", drop_symbol(reason), own->drops[reason]);
}

void net_counters_tell(const struct net_counters *counters, figure_fn *tell, void *context)
{
	for (unsigned int layer = 0; layer < NET_LAYERS_END; layer++)
		tell_layer(counters, (enum net_layer)layer, tell, context);
	tell(context, "net", "copied_bytes", NULL, counters->copied_bytes);
}

/* ", dropped: 3 bad checksum, 1 no such port" of a layer, or nothing; cut off where it is too long. */
static void format_drops(const struct net_layer_counters *own, char text[], size_t room)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned int reason = WIRE_OK + 1; reason < NET_DROPS_END && used < room; reason++) {
		int length;

		if (!own->drops[reason])
			continue;
		length = snprintf(text + used, room - used, "%s%llu %s",
				  used ? ", " : "; dropped: ",
				  (unsigned long long)own->drops[reason], net_drop_name(reason));
		used += (size_t)length;
	}
}

void net_counters_log(const struct net_counters *counters)
{
	for (unsigned int layer = 0; layer < NET_LAYERS_END; layer++) {
		const struct net_layer_counters *own = &counters->layers[layer];
		char drops[512];

		format_drops(own, drops, sizeof(drops));
		if (!own->rx_packets && !own->tx_packets && !drops[0])
			continue;
		log_info("%s: %llu packets (%llu bytes) in, %llu (%llu) out%s",
			 net_layer_name((enum net_layer)layer), (unsigned long long)own->rx_packets,
			 (unsigned long long)own->rx_bytes, (unsigned long long)own->tx_packets,
			 (unsigned long long)own->tx_bytes, drops);
	}
	if (counters->copied_bytes)
		log_info("payload longer than net.copy_max that was copied: %llu bytes",
			 (unsigned long long)counters->copied_bytes);
}
