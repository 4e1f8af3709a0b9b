/* SPDX-License-Identifier: MIT */
#include "device/port.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>

#define DESCRIPTORS 1024
#define MBUFS 8191

static int start_eal(const char *device)
{
	char prefix[64], vdev[512];
	char *arguments[] = {(char[]){"demi-bench"},
			     (char[]){"--no-pci"},
			     (char[]){"--no-huge"},
			     (char[]){"-m"},
			     (char[]){"96"},
			     (char[]){"--no-telemetry"},
			     (char[]){"--log-level=1"},
			     (char[]){"--iova-mode=va"},
			     prefix,
			     vdev,
			     NULL};
	cpu_set_t cpus;

	snprintf(prefix, sizeof(prefix), "--file-prefix=demi-bench-%d", (int)getpid());
	snprintf(vdev, sizeof(vdev), "--vdev=%s", device);
	pthread_getaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	if (rte_eal_init(10, arguments) < 0) {
		fprintf(stderr, "the EAL does not start with %s\n", vdev);
		return -ENODEV;
	}
	/* The EAL pins its main thread to the first CPU; the caller has chosen another. */
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	return 0;
}

static int start_device(struct port *port, uint16_t private_bytes)
{
	struct rte_eth_conf configuration = {0};
	int error;

	port->pool = rte_pktmbuf_pool_create("bench", MBUFS, 256, private_bytes,
					     RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!port->pool)
		return -ENOMEM;
	port->id = (uint16_t)rte_eth_find_next(0);
	error = rte_eth_dev_configure(port->id, 1, 1, &configuration);
	if (!error)
		error = rte_eth_rx_queue_setup(port->id, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL,
					       port->pool);
	if (!error)
		error = rte_eth_tx_queue_setup(port->id, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL);
	return error ? error : rte_eth_dev_start(port->id);
}

int port_start(struct port *port, const char *device, uint16_t private_bytes)
{
	int error = start_eal(device);

	if (!error)
		error = start_device(port, private_bytes);
	if (error)
		fprintf(stderr, "%s: %s\n", device, strerror(-error));
	return error;
}

void port_stop(struct port *port)
{
	rte_eth_dev_stop(port->id);
	rte_eth_dev_close(port->id);
	rte_eal_cleanup();
}
