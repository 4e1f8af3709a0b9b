/* SPDX-License-Identifier: MIT */
#include "stream/lwip_port.h"

#include <string.h>

#include "device/port.h"

static struct port port;
static struct rte_mbuf *unsent[LWIP_PORT_BURST];
static uint16_t unsent_count;

int lwip_port_start(const char *device)
{
	return port_start(&port, device, LWIP_PORT_ROOM_BYTES);
}

void lwip_port_stop(void)
{
	port_stop(&port);
}

void lwip_port_mac(uint8_t mac[6])
{
	struct rte_ether_addr address;

	rte_eth_macaddr_get(port.id, &address);
	memcpy(mac, address.addr_bytes, sizeof(address.addr_bytes));
}

uint16_t lwip_port_receive(struct lwip_frame frames[LWIP_PORT_BURST])
{
	struct rte_mbuf *mbufs[LWIP_PORT_BURST];
	uint16_t count = rte_eth_rx_burst(port.id, 0, mbufs, LWIP_PORT_BURST);

	for (uint16_t i = 0; i < count; i++)
		frames[i] = (struct lwip_frame){mbufs[i], rte_pktmbuf_mtod(mbufs[i], void *),
						rte_mbuf_to_priv(mbufs[i]), mbufs[i]->data_len};
	return count;
}

void lwip_port_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

void lwip_port_flush(void)
{
	uint16_t sent;

	if (unsent_count == 0)
		return;
	sent = rte_eth_tx_burst(port.id, 0, unsent, unsent_count);
	if (sent < unsent_count)
		rte_pktmbuf_free_bulk(unsent + sent, (unsigned int)(unsent_count - sent));
	unsent_count = 0;
}

void *lwip_port_queue(uint16_t length)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(port.pool);

	if (!mbuf)
		return NULL;
	if (unsent_count == LWIP_PORT_BURST)
		lwip_port_flush();
	mbuf->data_len = length;
	mbuf->pkt_len = length;
	unsent[unsent_count++] = mbuf;
	return rte_pktmbuf_mtod(mbuf, void *);
}
