/* SPDX-License-Identifier: MIT */
/* The device's floor: frames of the same sizes, written straight on DPDK, nobody looks into them. */
#include <errno.h>
#include <string.h>

#include "device/exchange.h"
#include "device/port.h"

#define BURST 32

static struct port port;
static uint32_t frame_bytes;

static int raw_start(const struct exchange_options *options)
{
	frame_bytes = EXCHANGE_HEADER_BYTES + options->bytes;
	return port_start(&port, options->device, 0);
}

static void send_mbuf(struct rte_mbuf *mbuf)
{
	if (rte_eth_tx_burst(port.id, 0, &mbuf, 1) != 1)
		rte_pktmbuf_free(mbuf);
}

static int raw_serve(void)
{
	for (;;) {
		struct rte_mbuf *mbufs[BURST];
		uint16_t count = rte_eth_rx_burst(port.id, 0, mbufs, BURST);

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
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(port.pool);

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

	while (rte_eth_rx_burst(port.id, 0, &mbuf, 1) == 0) {
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
	port_stop(&port);
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
