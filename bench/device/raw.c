/* SPDX-License-Identifier: MIT */
/* The device's floor: frames of the same sizes, written straight on DPDK, nobody looks into them. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "device/exchange.h"

#define BURST 32
#define DESCRIPTORS 1024
#define MBUFS 8191

static struct rte_mempool *pool;
static uint16_t port;
static uint32_t frame_bytes;

static int start_eal(const char *device)
{
	char prefix[64], vdev[512];
	char *arguments[] = {(char[]){"demi-bench-device"},
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
		fprintf(stderr, "raw: the EAL does not start with %s\n", vdev);
		return -ENODEV;
	}
	/* The EAL pins its main thread to the first CPU; the caller has chosen another. */
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	return 0;
}

static int start_port(void)
{
	struct rte_eth_conf configuration = {0};
	int error;

	pool = rte_pktmbuf_pool_create("bench", MBUFS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
				       SOCKET_ID_ANY);
	if (!pool)
		return -ENOMEM;
	port = (uint16_t)rte_eth_find_next(0);
	error = rte_eth_dev_configure(port, 1, 1, &configuration);
	if (!error)
		error = rte_eth_rx_queue_setup(port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL, pool);
	if (!error)
		error = rte_eth_tx_queue_setup(port, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL);
	return error ? error : rte_eth_dev_start(port);
}

static int raw_start(const struct exchange_options *options)
{
	int error = start_eal(options->device);

	frame_bytes = EXCHANGE_HEADER_BYTES + options->bytes;
	if (!error)
		error = start_port();
	if (error)
		fprintf(stderr, "raw: %s: %s\n", options->device, strerror(-error));
	return error;
}

static void send_mbuf(struct rte_mbuf *mbuf)
{
	if (rte_eth_tx_burst(port, 0, &mbuf, 1) != 1)
		rte_pktmbuf_free(mbuf);
}

static int raw_serve(void)
{
	for (;;) {
		struct rte_mbuf *mbufs[BURST];
		uint16_t count = rte_eth_rx_burst(port, 0, mbufs, BURST);

		for (uint16_t i = 0; i < count; i++) {
			char kind = *rte_pktmbuf_mtod_offset(mbufs[i], char *,
							     EXCHANGE_HEADER_BYTES);

			send_mbuf(mbufs[i]);
			if (kind == EXCHANGE_STOP)
				return 0;
		}
	}
}

static int raw_send(char kind)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);

	if (!mbuf)
		return -ENOBUFS;
	mbuf->data_len = (uint16_t)frame_bytes;
	mbuf->pkt_len = frame_bytes;
	/* The application writes its payload; so does this one. */
	memset(rte_pktmbuf_mtod(mbuf, char *), kind, frame_bytes);
	send_mbuf(mbuf);
	return 0;
}

static int raw_receive(uint64_t timeout_ns)
{
	uint64_t end_ns = timeout_ns ? exchange_now_ns() + timeout_ns : 0;
	struct rte_mbuf *mbuf;

	while (rte_eth_rx_burst(port, 0, &mbuf, 1) == 0) {
		if (timeout_ns && exchange_now_ns() > end_ns)
			return -ETIMEDOUT;
	}
	rte_pktmbuf_free(mbuf);
	return 0;
}

static int raw_round_trips(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		int error = raw_send(EXCHANGE_PING);

		if (!error)
			error = raw_receive(0);
		if (error)
			return error;
	}
	return 0;
}

static void raw_stop(void)
{
	rte_eth_dev_stop(port);
	rte_eth_dev_close(port);
	rte_eal_cleanup();
}

const struct exchange raw_exchange = {
	.name = "raw",
	.start = raw_start,
	.serve = raw_serve,
	.send = raw_send,
	.receive = raw_receive,
	.round_trips = raw_round_trips,
	.stop = raw_stop,
};
