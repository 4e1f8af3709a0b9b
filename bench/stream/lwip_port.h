/* SPDX-License-Identifier: MIT */
/* The DPDK port below lwIP, without DPDK's headers: they and lwIP's define the same names. */
#ifndef BENCH_STREAM_LWIP_PORT_H
#define BENCH_STREAM_LWIP_PORT_H

#include <stdint.h>

#define LWIP_PORT_BURST 32u
#define LWIP_PORT_ROOM_BYTES 128u

struct rte_mbuf;

struct lwip_frame {
	struct rte_mbuf *mbuf;
	void *data;
	void *room; /* LWIP_PORT_ROOM_BYTES that go with it, lwIP's */
	uint16_t length;
};

/** lwip_port_start - 0, or -errno having said what is wrong */
int lwip_port_start(const char *device);
void lwip_port_stop(void);

void lwip_port_mac(uint8_t mac[6]);

/** lwip_port_receive - what has come; each is freed by lwip_port_free */
uint16_t lwip_port_receive(struct lwip_frame frames[LWIP_PORT_BURST]);
void lwip_port_free(struct rte_mbuf *mbuf);

/** lwip_port_queue - room for a frame of @length bytes, sent with the next flush; NULL: there is none */
void *lwip_port_queue(uint16_t length);
void lwip_port_flush(void);

#endif /* BENCH_STREAM_LWIP_PORT_H */
