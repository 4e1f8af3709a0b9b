/* SPDX-License-Identifier: MIT */
#include "net/counters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct net_counters counters;

struct figure {
	char name[64];
	uint64_t value;
};

static struct figure told[1024];
static unsigned int told_count;

static void tell(void *context, const char *part, const char *name, const char *detail,
		 uint64_t value)
{
	struct figure *figure = &told[told_count++];

	(void)context;
	assert_true(told_count <= sizeof(told) / sizeof(told[0]));
	snprintf(figure->name, sizeof(figure->name), "%s.%s%s%s", part, name, detail ? "." : "",
		 detail ? detail : "");
	figure->value = value;
}

static int setup(void **state)
{
	(void)state;
	memset(&counters, 0, sizeof(counters));
	told_count = 0;
	return 0;
}

static uint64_t value_of(const char *name)
{
	for (unsigned int i = 0; i < told_count; i++) {
		if (strcmp(told[i].name, name) == 0)
			return told[i].value;
	}
	fail_msg("%s was not told", name);
	return 0;
}

/* Each counter has a value of its own, and each value is told once: none is left out or mixed up. */
static void net_counters_tell__tells_every_counter_once(void **state)
{
	uint64_t *all = (uint64_t *)&counters;
	size_t count = sizeof(counters) / sizeof(*all);
	unsigned int *seen = calloc(count, sizeof(*seen));

	(void)state;
	for (size_t i = 0; i < count; i++)
		all[i] = i;
	net_counters_tell(&counters, tell, NULL);
	for (unsigned int i = 0; i < told_count; i++) {
		assert_in_range(told[i].value, 0, count - 1);
		seen[told[i].value]++;
	}
	for (size_t i = 0; i < count; i++) {
		bool is_reason_0 = false;

		/* That is no reason, and never counted. */
		for (int layer = 0; layer < NET_LAYERS_END; layer++)
			is_reason_0 |= &all[i] == &counters.layers[layer].drops[WIRE_OK];
		assert_int_equal(seen[i], !is_reason_0);
	}
	free(seen);
}

static void net_counters_tell__by_their_names(void **state)
{
	(void)state;
	counters.layers[NET_LAYER_UDP].drops[NET_DROP_NO_PORT] = 3;
	counters.layers[NET_LAYER_IPV4].drops[WIRE_BAD_CHECKSUM] = 4;
	counters.layers[NET_LAYER_TCP].rx_packets = 5;
	counters.copied_bytes = 6;
	net_counters_tell(&counters, tell, NULL);
	assert_int_equal(value_of("udp.drops.NO_PORT"), 3);
	assert_int_equal(value_of("ipv4.drops.BAD_CHECKSUM"), 4);
	assert_int_equal(value_of("tcp.rx_packets"), 5);
	assert_int_equal(value_of("net.copied_bytes"), 6);
	assert_int_equal(value_of("icmp6.tx_bytes"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(net_counters_tell__tells_every_counter_once, setup),
		cmocka_unit_test_setup(net_counters_tell__by_their_names, setup),
	};

	return cmocka_run_group_tests_name("net/counters", tests, NULL, NULL);
}
