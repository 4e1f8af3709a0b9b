/* SPDX-License-Identifier: MIT */
/* A DPDK port with one queue each way, for those who are written straight on DPDK. */
#ifndef BENCH_DEVICE_PORT_H
#define BENCH_DEVICE_PORT_H

#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

struct port {
	uint16_t id;
	struct rte_mempool *pool;
};

/**
 * port_start - start the EAL with a virtual device, and the device
 * @device: EAL words, "net_memif0,role=client,..."
 * @private_bytes: behind each mbuf, the caller's
 *
 * Return: 0, or -errno having said what is wrong.
 */
int port_start(struct port *port, const char *device, uint16_t private_bytes);

void port_stop(struct port *port);

#endif /* BENCH_DEVICE_PORT_H */
