/* SPDX-License-Identifier: MIT */
/*
 * The device over DPDK: the path of a packet, opening and closing. A received mbuf is a frame
 * already, and one to be sent needs its fields filled in only.
 */
#include "netdev/dpdk.h"

#include <errno.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_alarm.h>

#include "base/log.h"
#include "heap/frames.h"
#include "netdev/kinds.h"

/* ---- receiving ---- */

/*
 * The driver has verified it: the checksum is right (GOOD), or it is known that the data are though
 * the checksum was never completed (NONE, which has the bit too).
 */
static inline uint32_t rx_flags(const struct rte_mbuf *mbuf)
{
	return mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_GOOD ? BUF_CHECKED : 0;
}

static inline struct buf *segment_receive(struct rte_mbuf *mbuf)
{
	struct buf *buf = dpdk_buf_of(mbuf);

	buf->data = (unsigned char *)mbuf->buf_addr + mbuf->data_off;
	buf->length = mbuf->data_len;
	buf->next = NULL;
	buf->flags = 0;
	return buf;
}

static bool is_ours(const struct dpdk_device *device, const struct rte_mbuf *mbuf)
{
	for (; mbuf; mbuf = mbuf->next) {
		if (mbuf->pool != device->frame_pool)
			return false;
	}
	return true;
}

/* Some drivers hand on what others gave them: net_ring what was sent into it. NULL: lost. */
static struct buf *receive_foreign(struct dpdk_device *device, struct rte_mbuf *mbuf)
{
	uint32_t length = mbuf->pkt_len;
	struct buf *buf = NULL;

	if (length > device->frame_bytes_max)
		device->netdev.counters.rx_errors++;
	else if (!(buf = netdev_alloc(&device->netdev)))
		device->netdev.counters.rx_no_frame++;
	if (buf) {
		const void *data = rte_pktmbuf_read(mbuf, 0, length, buf->data);

		if (data != buf->data)
			memcpy(buf->data, data, length);
		buf->length = length;
		buf->flags = rx_flags(mbuf);
	}
	rte_pktmbuf_free(mbuf);
	return buf;
}

static struct buf *receive_chain(struct dpdk_device *device, struct rte_mbuf *mbuf)
{
	struct buf *head = dpdk_buf_of(mbuf);
	struct buf **link = &head;

	if (!is_ours(device, mbuf))
		return receive_foreign(device, mbuf);
	while (mbuf) {
		struct rte_mbuf *next = mbuf->next;

		*link = segment_receive(mbuf);
		link = &(*link)->next;
		mbuf->next = NULL;
		mbuf->nb_segs = 1;
		mbuf = next;
	}
	head->flags = rx_flags(dpdk_mbuf_of(head));
	return head;
}

/* Only of memif somebody else may take the rings away. */
static inline bool enter(struct dpdk_device *device)
{
	return likely(!device->answers_in_interrupts) || dpdk_gate_enter(&device->gate);
}

static inline void leave(struct dpdk_device *device)
{
	if (unlikely(device->answers_in_interrupts))
		dpdk_gate_leave(&device->gate);
}

static unsigned int dpdk_rx_burst(struct netdev *netdev, struct buf **frames, unsigned int room,
				  uint64_t now_ns)
{
	struct dpdk_device *device = dpdk_device_of(netdev);
	struct rte_mbuf *mbufs[NETDEV_BURST_MAX];
	unsigned int received, kept = 0;
	uint64_t bytes = 0;

	(void)now_ns;
	if (!enter(device))
		return 0;
	received = rte_eth_rx_burst(device->port, 0, mbufs,
				    (uint16_t)RTE_MIN(room, NETDEV_BURST_MAX));
	leave(device);
	for (unsigned int i = 0; i < received; i++) {
		__builtin_prefetch(dpdk_buf_of(mbufs[i]), 1);
		__builtin_prefetch((char *)mbufs[i]->buf_addr + mbufs[i]->data_off);
	}
	for (unsigned int i = 0; i < received; i++) {
		struct rte_mbuf *mbuf = mbufs[i];
		uint32_t length = mbuf->pkt_len;
		struct buf *buf;

		if (likely(mbuf->nb_segs == 1 && mbuf->pool == device->frame_pool)) {
			buf = segment_receive(mbuf);
			buf->flags = rx_flags(mbuf);
		} else {
			buf = receive_chain(device, mbuf);
			if (!buf)
				continue;
		}
		bytes += length;
		frames[kept++] = buf;
	}
	netdev->counters.rx_frames += kept;
	netdev->counters.rx_bytes += bytes;
	return kept;
}

/* ---- sending ---- */

static inline void segment_send(struct rte_mbuf *mbuf, const struct buf *buf)
{
	if (buf->object) {
		mbuf->buf_addr = buf->data;
		mbuf->buf_iova = (uintptr_t)buf->data;
		mbuf->buf_len = (uint16_t)buf->length;
		mbuf->data_off = 0;
	} else {
		mbuf->data_off = (uint16_t)(buf->data - (unsigned char *)mbuf->buf_addr);
	}
	mbuf->data_len = (uint16_t)buf->length;
}

/* The other segments of a frame; bytes of the whole. */
static uint32_t chain_send(struct rte_mbuf *head, const struct buf *buf)
{
	struct rte_mbuf *last = head;
	uint32_t length = buf->length;
	uint16_t count = 1;

	while ((buf = buf->next)) {
		struct rte_mbuf *mbuf = dpdk_mbuf_of((struct buf *)buf);

		segment_send(mbuf, buf);
		length += buf->length;
		last->next = mbuf;
		last = mbuf;
		count++;
	}
	head->nb_segs = count;
	return length;
}

/* What the stack or the driver may have again is a single segment. */
static void chain_undo(struct buf *buf)
{
	for (; buf; buf = buf->next) {
		dpdk_mbuf_of(buf)->next = NULL;
		dpdk_mbuf_of(buf)->nb_segs = 1;
	}
}

static inline void checksum_send(struct rte_mbuf *mbuf, const struct buf *buf)
{
	const struct buf_transmit *transmit = &buf->transmit;

	mbuf->ol_flags = (transmit->is_v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4) |
			 (transmit->protocol == IPPROTO_UDP ? RTE_MBUF_F_TX_UDP_CKSUM
							    : RTE_MBUF_F_TX_TCP_CKSUM);
	mbuf->tx_offload = rte_mbuf_tx_offload(transmit->link_bytes, transmit->network_bytes, 0, 0,
					       0, 0, 0);
}

/* The mbuf of a frame; false: it can never be sent. */
static inline bool frame_send(const struct dpdk_device *device, struct buf *buf)
{
	struct rte_mbuf *mbuf = dpdk_mbuf_of(buf);
	uint32_t length = buf->length;

	segment_send(mbuf, buf);
	mbuf->ol_flags = 0;
	if (buf->next)
		length = chain_send(mbuf, buf);
	mbuf->pkt_len = length;
	if (buf->flags & BUF_CHECKSUM)
		checksum_send(mbuf, buf);
	return likely(length - RTE_ETHER_HDR_LEN <= device->frame_bytes_max - RTE_ETHER_HDR_LEN &&
		      mbuf->nb_segs <= device->netdev.caps.segments_max);
}

/* What the first of frames hands over; how many were taken, and whether the next can never be. */
struct sent {
	unsigned int taken;
	bool next_is_bad;
};

static inline struct sent run_send(struct dpdk_device *device, struct buf **frames,
				   unsigned int count)
{
	struct netdev_counters *counters = &device->netdev.counters;
	struct rte_mbuf *mbufs[NETDEV_BURST_MAX];
	struct sent sent = {0, false};
	unsigned int filled = 0, ready;
	uint64_t bytes = 0;

	for (; filled < count; filled++) {
		mbufs[filled] = dpdk_mbuf_of(frames[filled]);
		if (!frame_send(device, frames[filled])) {
			chain_undo(frames[filled]);
			sent.next_is_bad = true;
			break;
		}
		bytes += mbufs[filled]->pkt_len;
	}
	ready = filled;
	if (device->checks_frames)
		ready = rte_eth_tx_prepare(device->port, 0, mbufs, (uint16_t)filled);
	sent.next_is_bad |= ready < filled;
	sent.taken = rte_eth_tx_burst(device->port, 0, mbufs, (uint16_t)ready);
	sent.next_is_bad &= sent.taken == ready;
	for (unsigned int i = sent.taken; i < filled; i++) {
		bytes -= mbufs[i]->pkt_len;
		chain_undo(frames[i]);
	}
	counters->tx_frames += sent.taken;
	counters->tx_bytes += bytes;
	return sent;
}

static unsigned int dpdk_tx_burst(struct netdev *netdev, struct buf **frames, unsigned int count,
				  uint64_t now_ns)
{
	struct dpdk_device *device = dpdk_device_of(netdev);
	unsigned int taken = 0;
	struct sent sent;

	(void)now_ns;
	if (!enter(device)) {
		netdev->counters.tx_full++;
		return 0;
	}
	do {
		sent = run_send(device, frames + taken, RTE_MIN(count - taken, NETDEV_BURST_MAX));
		taken += sent.taken;
		if (unlikely(sent.next_is_bad)) {
			netdev->counters.tx_errors++;
			netdev_release_chain(netdev, frames[taken++]);
		}
	} while (unlikely(taken < count && (sent.taken > 0 || sent.next_is_bad)));
	leave(device);
	netdev->counters.tx_full += taken < count;
	return taken;
}

static void dpdk_tx_reclaim(struct netdev *netdev)
{
	struct dpdk_device *device = dpdk_device_of(netdev);
	struct rte_mbuf *none[1];

	if (!enter(device))
		return;
	if (device->cleans_up)
		rte_eth_tx_done_cleanup(device->port, 0, 0);
	else
		rte_eth_tx_burst(device->port, 0, none, 0); /* drivers look at this time */
	leave(device);
}

/* ---- the rest ---- */

/* Polling is all there is; but who asks has time. */
static int dpdk_idle_fd(struct netdev *netdev, bool *sleep_out)
{
	(void)sleep_out;
	dpdk_port_count_errors(dpdk_device_of(netdev));
	return -ENOTSUP;
}

static void dpdk_update_counters(struct netdev *netdev)
{
	dpdk_port_count_errors(dpdk_device_of(netdev));
}

/* The EAL's threads are not in the child, and the port is the parent's. */
static void dpdk_forget(struct netdev *netdev)
{
	(void)netdev;
}

static void close_port(struct dpdk_device *device)
{
	dpdk_log_collect();
	if (device->started) {
		dpdk_port_count_errors(device);
		rte_eth_dev_stop(device->port);
	}
	/* While the driver still knows what it has mapped; a stopped port reads and writes nothing. */
	dpdk_memory_close(device);
	/* Gives back every frame that the driver has. */
	dpdk_eal_detach(device);
}

struct closing {
	struct dpdk_device *device;
	sem_t done;
};

static void close_in_interrupts(void *argument)
{
	struct closing *closing = argument;

	close_port(closing->device);
	sem_post(&closing->done);
}

/*
 * memif's driver answers its other side in the EAL's thread for interrupts, and takes no lock: when
 * that leaves while we close, both free the same rings. In that thread one comes after the other;
 * meanwhile this one waits, so that the heap has one user as ever.
 */
static void close_after_interrupts(struct dpdk_device *device)
{
	struct closing closing = {.device = device};

	sem_init(&closing.done, 0, 0);
	if (rte_eal_alarm_set(1, close_in_interrupts, &closing) == 0) {
		while (sem_wait(&closing.done) < 0)
			;
		dpdk_gate_settle();
	} else {
		close_port(device);
	}
	sem_destroy(&closing.done);
}

static void dpdk_close(struct netdev *netdev)
{
	struct dpdk_device *device = dpdk_device_of(netdev);

	dpdk_eal_lock();
	if (device->answers_in_interrupts)
		close_after_interrupts(device);
	else
		close_port(device);
	dpdk_gate_remove(&device->gate);
	dpdk_pool_close(device);
	dpdk_eal_unlock();
	if (netdev->heap)
		netdev_fini(netdev);
	free(device);
}

static const struct netdev_ops dpdk_ops = {
	.kind = "dpdk",
	.rx_burst = dpdk_rx_burst,
	.tx_burst = dpdk_tx_burst,
	.tx_reclaim = dpdk_tx_reclaim,
	.set_group = dpdk_set_group,
	.idle_fd = dpdk_idle_fd,
	.update_counters = dpdk_update_counters,
	.forget = dpdk_forget,
	.close = dpdk_close,
};

static int set_up(struct dpdk_device *device, const struct netdev_options *options)
{
	struct dpdk_plan plan;
	int error = dpdk_port_plan(device, &plan, options);

	if (!error)
		error = netdev_init(&device->netdev, &dpdk_ops, options->heap, plan.frame_bytes,
				    DPDK_ROOM_OFFSET, options->config->net.frames, DPDK_ROOM_OFFSET,
				    DPDK_DATA_OFFSET);
	if (!error)
		error = dpdk_pool_open(device);
	if (!error)
		error = dpdk_memory_open(device);
	if (!error)
		error = dpdk_port_start(device, &plan, options);
	return error;
}

int dpdk_open(struct netdev **device_out, const char *arguments,
	      const struct netdev_options *options)
{
	struct dpdk_device *device = calloc(1, sizeof(*device));
	int error;

	if (!device) {
		log_error("dpdk:%s: no memory", arguments);
		return -ENOMEM;
	}
	snprintf(device->netdev.name, sizeof(device->netdev.name), "dpdk:%s", arguments);
	dpdk_eal_lock();
	error = dpdk_eal_attach(device, arguments, options->config);
	if (error) {
		dpdk_eal_unlock();
		free(device);
		return error;
	}
	error = set_up(device, options);
	dpdk_eal_unlock();
	if (!error) {
		error = dpdk_port_await_link(device, arguments);
		if (error)
			log_error("dpdk:%s: the other side has gone; start it, and try again",
				  arguments);
	}
	if (error) {
		dpdk_close(&device->netdev);
		return error;
	}
	*device_out = &device->netdev;
	return 0;
}
