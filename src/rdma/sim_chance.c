/* SPDX-License-Identifier: MIT */
/* What becomes of messages on the way. */
#include "rdma/sim_device.h"

/* SplitMix64: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, 2014. */
static uint64_t draw(struct sim_network *network)
{
	uint64_t value = network->random_state += 0x9e3779b97f4a7c15;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

bool rdma_sim_happens(struct sim_network *network, uint32_t rate)
{
	return rate > 0 && draw(network) % RDMA_SIM_MILLION < rate;
}

uint64_t rdma_sim_arrival(struct sim_network *network, uint64_t *last_ns)
{
	const struct rdma_sim_options *options = &network->options;
	uint64_t arrive_ns = network->clock.now_ns + options->delay_ns;

	if (options->jitter_ns)
		arrive_ns += draw(network) % (options->jitter_ns + 1);
	if (arrive_ns < *last_ns)
		arrive_ns = *last_ns;
	*last_ns = arrive_ns;
	return arrive_ns;
}

bool rdma_sim_is_deaf(const struct sim_device *device)
{
	return device->link_down || device->silent || device->removed;
}

/* Whether any of the packets that carry so many bytes is lost. */
static bool loses_packet(struct sim_device *from, uint64_t bytes)
{
	struct sim_network *network = from->network;
	uint64_t packets = 1 + (bytes ? (bytes - 1) / from->limits.mtu : 0);

	if (network->options.loss == 0)
		return false;
	while (packets-- > 0) {
		if (rdma_sim_happens(network, network->options.loss))
			return true;
	}
	return false;
}

bool rdma_sim_loses(struct sim_device *from, struct sim_device *to, enum rdma_sim_kind kind,
		    uint64_t bytes)
{
	const struct rdma_sim_options *options = &from->network->options;
	const struct rdma_sim_message message = {kind, &from->rdma, bytes};
	bool lost = !to || rdma_sim_is_deaf(from) || rdma_sim_is_deaf(to) ||
		    loses_packet(from, bytes);

	if (!lost && options->filter)
		lost = !options->filter(options->filter_context, &message);
	from->counters.lost += lost;
	return lost;
}
