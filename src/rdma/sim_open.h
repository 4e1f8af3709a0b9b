/* SPDX-License-Identifier: MIT */
/* The words that a simulated device is made with, and the network that they name. */
#ifndef DEMI_RDMA_SIM_OPEN_H
#define DEMI_RDMA_SIM_OPEN_H

#include "rdma/sim_device.h"

struct sim_arguments {
	char name[sizeof(((struct sim_network *)0)->name)];
	struct rdma_sim_options network;
	uint64_t given; /* bits of the network's keys, of which others have to agree */
	struct rdma_sim_limits limits;
	struct sim_address addresses[RDMA_SIM_ADDRESSES_MAX];
	unsigned int address_count;
};

/**
 * rdma_sim_parse - read "NAME,key=value,..." over what @arguments has
 *
 * Return: 0, -EINVAL, logged.
 */
int rdma_sim_parse(struct sim_arguments *arguments, const char *text);

/**
 * rdma_sim_join - become a device of the network with that name, which is made if there is none
 *
 * Return: 0; -EINVAL, -EADDRINUSE, logged; -ENOMEM.
 */
int rdma_sim_join(struct sim_device *device, const struct sim_arguments *arguments);

/** rdma_sim_part - leave it; the last one ends it */
void rdma_sim_part(struct sim_device *device);

#endif /* DEMI_RDMA_SIM_OPEN_H */
