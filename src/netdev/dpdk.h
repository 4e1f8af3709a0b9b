/* SPDX-License-Identifier: MIT */
/*
 * The parts of the device over DPDK: its environment, the EAL (dpdk_eal.c), what that is started
 * with and what it says (dpdk_args.c, dpdk_log.c), whose a PCI device is (dpdk_pci.c), frames of
 * the heap as mbufs (dpdk_pool.c), the port (dpdk_port.c), the path of a packet (dpdk.c).
 *
 * A frame and its mbuf are one object, so that either is found from the other by adding:
 *
 *	  0  struct buf
 *	104  struct rte_mempool_objhdr
 *	128  struct rte_mbuf
 *	256  room: the mbuf's buffer; a shell ends here
 *	384  data
 *
 * Whoever has a frame has one hold on it, the driver too: when it takes an mbuf from its pool it
 * takes a frame, when it frees an mbuf it releases one. The mbuf's own reference count stays 1. As
 * DPDK wants of mbufs in a pool, all that the driver does not have are single segments.
 */
#ifndef DEMI_NETDEV_DPDK_H
#define DEMI_NETDEV_DPDK_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

/* Both DPDK and the heap define them, alike. */
#undef likely
#undef unlikely

#include "netdev/dpdk_gate.h"
#include "netdev/netdev.h"

#define DPDK_MBUF_OFFSET 128u
#define DPDK_ROOM_OFFSET (DPDK_MBUF_OFFSET + (uint32_t)sizeof(struct rte_mbuf))
#define DPDK_DATA_OFFSET (DPDK_ROOM_OFFSET + RTE_PKTMBUF_HEADROOM)

/* What many drivers want behind the head room; larger frames are for larger MTUs. */
#define DPDK_DATA_BYTES_MIN 2176u

/* Around an IP packet: an Ethernet header, two tags, a check sequence. */
#define DPDK_LINK_BYTES_MAX (RTE_ETHER_HDR_LEN + 8u + RTE_ETHER_CRC_LEN)

/* Multicast addresses that a port filters for; with more of them it takes all. */
#define DPDK_GROUPS_MAX 64u

_Static_assert(sizeof(struct rte_mbuf) == 128, "an mbuf is two cache lines");
_Static_assert(sizeof(struct buf) + sizeof(struct rte_mempool_objhdr) <= DPDK_MBUF_OFFSET,
	       "the header of an object stands between buf and mbuf");
_Static_assert(RTE_PKTMBUF_HEADROOM >= NETDEV_HEAD_ROOM, "data stands behind the head room");

struct dpdk_device {
	struct netdev netdev;
	uint16_t port;
	bool checks_frames;         /* what is sent goes by rte_eth_tx_prepare first */
	bool cleans_up;             /* rte_eth_tx_done_cleanup works */
	bool answers_in_interrupts; /* the driver works in the EAL's thread too: dpdk_gate.h */
	uint32_t frame_bytes_max;
	struct rte_mempool *frame_pool;
	struct rte_mempool *shell_pool;

	struct dpdk_gate gate;

	struct rte_device *rte_device;
	bool started;
	bool is_vdev;

	bool knows_heap; /* registered as @registrar; and the EAL knows the range */
	bool knows_range;
	unsigned int registrar;
	bool told_of_memory; /* that it did not get some */

	bool takes_all_groups;
	uint32_t group_count;
	struct rte_ether_addr groups[DPDK_GROUPS_MAX];
	uint32_t group_members[DPDK_GROUPS_MAX]; /* that asked for it */
	uint64_t errors_folded;                  /* of the port's, in counters.rx_errors already */
};

static inline struct dpdk_device *dpdk_device_of(struct netdev *netdev)
{
	return (struct dpdk_device *)netdev;
}

static inline struct rte_mbuf *dpdk_mbuf_of(struct buf *buf)
{
	return (struct rte_mbuf *)(void *)((char *)buf + DPDK_MBUF_OFFSET);
}

static inline struct buf *dpdk_buf_of(struct rte_mbuf *mbuf)
{
	return (struct buf *)(void *)((char *)mbuf - DPDK_MBUF_OFFSET);
}

/* ---- the EAL (dpdk_eal.c) ---- */

/**
 * dpdk_eal_lock, dpdk_eal_unlock - one at a time opens or closes devices in this process
 */
void dpdk_eal_lock(void);
void dpdk_eal_unlock(void);

/**
 * dpdk_eal_attach - start the EAL, when this is the process's first device, and find or make it
 * @arguments: "net_memif0,role=client" or "0000:01:00.0"
 *
 * Sets port, rte_device and is_vdev. The calling thread keeps its affinity and its signal mask, and
 * no thread that the EAL starts takes signals. Called with the lock, as the opposite.
 * Return: 0 or -errno, having logged it.
 */
int dpdk_eal_attach(struct dpdk_device *device, const char *arguments, const struct config *config);

/** dpdk_eal_detach - close the port and remove its device; the EAL stays, it can start only once */
void dpdk_eal_detach(struct dpdk_device *device);

/* ---- whose a PCI device is (dpdk_pci.c) ---- */

/** dpdk_pci_is_there - this machine has the device; @address is "0000:01:00.0", whole */
bool dpdk_pci_is_there(const char *address);

/**
 * dpdk_pci_say_why_not - log who has the device instead, and what to do
 * @name: the network device's; @said: DPDK's own words
 */
void dpdk_pci_say_why_not(const char *name, const char *address, const char *said);

/* ---- why there is no AF_XDP (dpdk_af_xdp.c) ---- */

/** dpdk_af_xdp_say_why_not - log it when this is a net_af_xdp, else false; @said: DPDK's own words */
bool dpdk_af_xdp_say_why_not(const struct dpdk_device *device, const char *said);

/* ---- what the EAL is started with (dpdk_args.c) ---- */

#define DPDK_ARGUMENTS_MAX 64u

struct dpdk_arguments {
	unsigned int count;
	char *words[DPDK_ARGUMENTS_MAX + 1]; /* they lie in text */
	size_t used;
	char text[4096];
};

/**
 * dpdk_arguments_make - ours, and those of dpdk.args, which win
 * @pci: the address of the first device; NULL: it is a virtual one
 *
 * Return: 0; -E2BIG.
 */
int dpdk_arguments_make(struct dpdk_arguments *line, const struct config *config, const char *pci);

/** dpdk_arguments_have - whether @args has one of @options, "--no-huge -m"; "-m64" is -m too */
bool dpdk_arguments_have(const char *args, const char *options);

/* ---- what DPDK would take without a word (dpdk_words.c, dpdk_keys.c) ---- */

/** dpdk_words_check - of dpdk.args: 0; -EINVAL, having logged it. @name: the network device's */
int dpdk_words_check(const char *name, const char *args);

/** dpdk_keys_check - of a virtual device, "net_memif0,role=client": likewise */
int dpdk_keys_check(const char *name, const char *arguments);

/* ---- what DPDK says (dpdk_log.c) ---- */

/** dpdk_log_open - lead DPDK's messages to ours; 0 or -errno */
int dpdk_log_open(void);

/**
 * dpdk_log_collect - from now on keep errors for dpdk_log_collected, instead of writing them; what
 * libraries of its drivers say is for debugging only
 */
void dpdk_log_collect(void);

/**
 * dpdk_log_mute, dpdk_log_unmute - keep the calling thread from writing to standard output and error by
 * stdio: the EAL prints its usage there, 100 lines, and what is fatal once more than by its log
 *
 * @with_errors: also to standard error.
 */
void dpdk_log_mute(bool with_errors);
void dpdk_log_unmute(void);

/**
 * dpdk_log_collected - end it
 *
 * Return: the errors since dpdk_log_collect, on one line, or @otherwise when there were none; valid
 * until the next dpdk_log_collect.
 */
const char *dpdk_log_collected(const char *otherwise);

/* ---- frames as mbufs (dpdk_pool.c) ---- */

/** dpdk_pool_open - pools over frames and shells; 0 or -errno, having logged it */
int dpdk_pool_open(struct dpdk_device *device);

/** dpdk_pool_close - from now on DPDK touches no frame */
void dpdk_pool_close(struct dpdk_device *device);

/** dpdk_memory_open - let the port read and write the heap; 0 or -errno, having logged it */
int dpdk_memory_open(struct dpdk_device *device);
void dpdk_memory_close(struct dpdk_device *device);

/* ---- the port (dpdk_port.c) ---- */

/** struct dpdk_plan - what the port can do and how it is set up */
struct dpdk_plan {
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	uint16_t rx_descriptors;
	uint16_t tx_descriptors;
	uint32_t frame_bytes; /* of a frame of the heap */
};

/** dpdk_port_plan - find out; sets caps and frame_bytes_max. 0 or -errno, having logged it */
int dpdk_port_plan(struct dpdk_device *device, struct dpdk_plan *plan,
		   const struct netdev_options *options);

/** dpdk_port_start - configure and start it, for what dpdk_port_plan said; likewise */
int dpdk_port_start(struct dpdk_device *device, const struct dpdk_plan *plan,
		    const struct netdev_options *options);

/**
 * dpdk_port_await_link - wait until the link is up, but not for long
 * @arguments: that the device was opened with; of vdevs only a client of memif is waited for
 *
 * Return: 0, also where the link stays down, which is logged; -ENOTCONN: the other side has gone.
 */
int dpdk_port_await_link(const struct dpdk_device *device, const char *arguments);

/** dpdk_port_count_errors - add what the port has counted meanwhile to the counters */
void dpdk_port_count_errors(struct dpdk_device *device);

/** dpdk_set_group - as netdev_ops.set_group */
int dpdk_set_group(struct netdev *netdev, struct eth_address group, bool member);

#endif /* DEMI_NETDEV_DPDK_H */
