/* SPDX-License-Identifier: MIT */
/*
 * lwIP's raw API over a DPDK port. What the port receives lwIP reads where it is; what lwIP sends is
 * copied into an mbuf, and goes to the device with all else that the same look at it brought about.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/sys.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>

#include "stream/lwip_port.h"
#include "stream/stack.h"

#define BACKLOG 128
#define LOOKS_PER_TIMERS 1024u /* looks at the port for each one at lwIP's timers */

/* In the private room of an mbuf. */
struct frame {
	struct pbuf_custom pbuf; /* first: lwIP gives this one back */
	struct rte_mbuf *mbuf;
};

_Static_assert(sizeof(struct frame) <= LWIP_PORT_ROOM_BYTES, "it goes with the frame");

static struct stack_options options;
static struct netif netif;
static struct tcp_pcb *pcbs[STREAM_CONNECTIONS_MAX];
static char message[STREAM_MESSAGE_MAX];

/* ---- The system ---- */

u32_t sys_now(void)
{
	return (u32_t)(stream_now_ns() / 1000000);
}

/* ---- The port ---- */

static err_t link_output(struct netif *interface, struct pbuf *pbuf)
{
	void *room = lwip_port_queue(pbuf->tot_len);

	(void)interface;
	if (!room)
		return ERR_MEM;
	if (pbuf->len == pbuf->tot_len)
		memcpy(room, pbuf->payload, pbuf->len);
	else
		pbuf_copy_partial(pbuf, room, pbuf->tot_len, 0);
	return ERR_OK;
}

static void frame_free(struct pbuf *pbuf)
{
	lwip_port_free(((struct frame *)(void *)pbuf)->mbuf);
}

static void input(const struct lwip_frame *received)
{
	struct frame *frame = received->room;
	struct pbuf *pbuf;

	frame->mbuf = received->mbuf;
	frame->pbuf.custom_free_function = frame_free;
	pbuf = pbuf_alloced_custom(PBUF_RAW, received->length, PBUF_REF, &frame->pbuf,
				   received->data, received->length);
	if (!pbuf)
		lwip_port_free(received->mbuf);
	else if (netif.input(pbuf, &netif) != ERR_OK)
		pbuf_free(pbuf);
}

static err_t netif_start(struct netif *interface)
{
	lwip_port_mac(interface->hwaddr);
	interface->hwaddr_len = 6;
	interface->mtu = 1500;
	interface->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
			   NETIF_FLAG_LINK_UP;
	interface->output = etharp_output;
	interface->linkoutput = link_output;
	return ERR_OK;
}

static int lwip_start(const struct stack_options *given)
{
	ip4_addr_t ip, mask, none;
	int error = lwip_port_start(given->device);

	if (error)
		return error;
	options = *given;
	memset(message, 'm', sizeof(message));
	lwip_init();
	ip4addr_aton(options.local_ip, &ip);
	IP4_ADDR(&mask, 255, 255, 255, 0);
	ip4_addr_set_zero(&none);
	if (!netif_add(&netif, &ip, &mask, &none, NULL, netif_start, ethernet_input))
		return -ENODEV;
	netif_set_default(&netif);
	netif_set_up(&netif);
	return 0;
}

/* ---- Connections ---- */

static uint32_t number_of(void *argument)
{
	return (uint32_t)(uintptr_t)argument;
}

static int send_messages(uint32_t connection, uint32_t count)
{
	while (count-- > 0) {
		err_t error = tcp_write(pcbs[connection], message, (u16_t)stream_message_bytes(),
					TCP_WRITE_FLAG_COPY);

		if (error != ERR_OK)
			return -ENOBUFS;
	}
	return 0;
}

static err_t received(void *argument, struct tcp_pcb *pcb, struct pbuf *pbuf, err_t error)
{
	uint32_t connection = number_of(argument);
	uint32_t due;

	(void)error;
	if (!pbuf) {
		stream_closed(connection);
		return ERR_OK;
	}
	tcp_recved(pcb, pbuf->tot_len);
	due = stream_received(connection, pbuf->tot_len);
	pbuf_free(pbuf);
	/* What is written here lwIP sends when this segment has been dealt with. */
	return send_messages(connection, due) ? ERR_MEM : ERR_OK;
}

static void failed(void *argument, err_t error)
{
	(void)error;
	pcbs[number_of(argument)] = NULL; /* lwIP has freed it */
	stream_closed(number_of(argument));
}

static void keep(struct tcp_pcb *pcb, uint32_t connection)
{
	pcbs[connection] = pcb;
	tcp_arg(pcb, (void *)(uintptr_t)connection);
	tcp_recv(pcb, received);
	tcp_err(pcb, failed);
	tcp_nagle_disable(pcb);
}

static err_t accepted(void *argument, struct tcp_pcb *pcb, err_t error)
{
	(void)argument;
	if (error != ERR_OK || !pcb)
		return ERR_VAL;
	keep(pcb, stream_accepted());
	return ERR_OK;
}

static err_t connected(void *argument, struct tcp_pcb *pcb, err_t error)
{
	(void)pcb;
	(void)error;
	stream_opened(number_of(argument));
	return ERR_OK;
}

static int lwip_listen(void)
{
	for (uint32_t i = 0; i < STREAM_PORTS; i++) {
		struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_V4);

		if (!pcb || tcp_bind(pcb, IP4_ADDR_ANY, stream_port(i)) != ERR_OK)
			return -EADDRINUSE;
		pcb = tcp_listen_with_backlog(pcb, BACKLOG);
		if (!pcb)
			return -ENOMEM;
		tcp_accept(pcb, accepted);
	}
	return 0;
}

static int lwip_connect(uint32_t connection)
{
	struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_V4);
	ip_addr_t peer;

	if (!pcb || !ipaddr_aton(options.peer_ip, &peer))
		return -ENOMEM;
	keep(pcb, connection);
	return tcp_connect(pcb, &peer, stream_port(connection), connected) == ERR_OK ? 0 : -EIO;
}

static int lwip_send(uint32_t connection, uint32_t bytes)
{
	int error = send_messages(connection, 1);

	(void)bytes; /* they are stream_message_bytes */
	return error || tcp_output(pcbs[connection]) == ERR_OK ? error : -EIO;
}

static int lwip_poll(void)
{
	static uint32_t looks;
	struct lwip_frame frames[LWIP_PORT_BURST];
	uint16_t count = lwip_port_receive(frames);

	for (uint16_t i = 0; i < count; i++)
		input(&frames[i]);
	if (looks++ % LOOKS_PER_TIMERS == 0)
		sys_check_timeouts();
	lwip_port_flush();
	return 0;
}

static int lwip_close(uint32_t connection)
{
	struct tcp_pcb *pcb = pcbs[connection];

	if (!pcb)
		return 0;
	tcp_recv(pcb, NULL);
	tcp_err(pcb, NULL);
	pcbs[connection] = NULL;
	tcp_close(pcb);
	return 0;
}

static uint64_t lwip_allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void lwip_stop(void)
{
	lwip_port_stop();
}

const struct stack lwip_stack = {
	.name = "lwip",
	.start = lwip_start,
	.listen = lwip_listen,
	.connect = lwip_connect,
	.send = lwip_send,
	.poll = lwip_poll,
	.close = lwip_close,
	.allocated = lwip_allocated,
	.stop = lwip_stop,
};
