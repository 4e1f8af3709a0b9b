/* SPDX-License-Identifier: MIT */
/* A port of DPDK: what it can do, its set-up with one queue each way, and its filters. */
#include <errno.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_errno.h>
#include <string.h>

#include "base/log.h"
#include "netdev/dpdk.h"

#define RX_DESCRIPTORS 512u
#define TX_DESCRIPTORS 1024u

/* Segments that a chain may have on a port that says nothing or does not mind. */
#define SEGMENTS_MAX 8u

/* A client of memif starts when its server is there; both may be starting at this time. */
#define START_WAIT_MS 2000u
#define START_STEP_MS 20u

#define L4_TX_OFFLOADS (RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM)

/* ---- what it can do ---- */

/* The largest frame that DPDK lets a port be configured for, less what is around a packet. */
static uint32_t mtu_max_of(const struct rte_eth_dev_info *info)
{
	uint32_t around = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;
	uint32_t room_max = HEAP_FRAME_BYTES_MAX - DPDK_DATA_OFFSET - DPDK_LINK_BYTES_MAX;
	uint32_t mtu_max = info->max_mtu;

	if (info->max_mtu != UINT16_MAX && info->max_rx_pktlen > info->max_mtu)
		around = info->max_rx_pktlen - info->max_mtu;
	if (info->max_rx_pktlen > around && info->max_rx_pktlen - around < mtu_max)
		mtu_max = info->max_rx_pktlen - around;
	return RTE_MIN(mtu_max, room_max);
}

/* That it is less than what was asked for, the stack says. */
static uint32_t plan_mtu(const struct dpdk_device *device, const struct rte_eth_dev_info *info,
			 uint32_t asked)
{
	uint32_t mtu_max = mtu_max_of(info);
	uint16_t mtu = RTE_ETHER_MTU;

	if (asked == 0 && rte_eth_dev_get_mtu(device->port, &mtu) == 0)
		asked = mtu;
	return RTE_MIN(asked ? asked : RTE_ETHER_MTU, mtu_max);
}

static uint32_t segments_max_of(const struct rte_eth_dev_info *info)
{
	uint32_t segments = RTE_MIN(info->tx_desc_lim.nb_seg_max, info->tx_desc_lim.nb_mtu_seg_max);

	if (!(info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS))
		return 1;
	return segments == 0 ? SEGMENTS_MAX : RTE_MIN(segments, SEGMENTS_MAX);
}

/* Never MBUF_FAST_FREE, with which drivers skip what makes an mbuf a single segment again. */
static void plan_offloads(struct dpdk_plan *plan)
{
	uint64_t tx_capa = plan->info.tx_offload_capa;

	plan->conf.rxmode.offloads = plan->info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_CHECKSUM;
	plan->conf.txmode.offloads = tx_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if ((tx_capa & L4_TX_OFFLOADS) == L4_TX_OFFLOADS)
		plan->conf.txmode.offloads |= L4_TX_OFFLOADS;
}

static int plan_error(const struct dpdk_device *device, const char *what, int error)
{
	const char *said = dpdk_log_collected(strerror(-error));

	if (!dpdk_af_xdp_say_why_not(device, said))
		log_error("%s: DPDK cannot %s: %s", device->netdev.name, what, said);
	return error;
}

/* What DPDK does not tell of a driver. */
struct driver {
	const char *name;
	bool polls_memory;
	bool releases_at_once; /* what is sent, within the call: it copies, or its peer frees */
};

/* Virtual devices over the kernel's own look by system calls, all cards at memory. */
static struct driver find_driver(const struct dpdk_device *device, const char *name)
{
	static const struct driver drivers[] = {
		{"net_memif", true, true}, {"net_ring", true, true},
		{"net_null", true, true},  {"net_vhost", true, true},
		{"net_tap", false, true},  {"net_virtio_user", true, false},
		{"net_pcap", false, true}, {"net_af_packet", false, true},
	};

	for (size_t i = 0; i < RTE_DIM(drivers); i++) {
		if (strcmp(name, drivers[i].name) == 0)
			return drivers[i];
	}
	return (struct driver){name, !device->is_vdev, false};
}

int dpdk_port_plan(struct dpdk_device *device, struct dpdk_plan *plan,
		   const struct netdev_options *options)
{
	struct netdev_caps *caps = &device->netdev.caps;
	uint32_t frames = options->config->net.frames;
	uint32_t needed;
	int error;

	*plan = (struct dpdk_plan){0};
	dpdk_log_collect();
	error = rte_eth_dev_info_get(device->port, &plan->info);
	if (error)
		return plan_error(device, "tell what the port can do", error);
	dpdk_log_collected("");
	plan_offloads(plan);
	caps->mtu = plan_mtu(device, &plan->info, options->config->net.mtu);
	caps->interface_index = plan->info.if_index;
	caps->segments_max = segments_max_of(&plan->info);
	caps->polls_memory = find_driver(device, plan->info.driver_name).polls_memory;
	device->answers_in_interrupts = strcmp(plan->info.driver_name, "net_memif") == 0;
	if (device->answers_in_interrupts)
		dpdk_gate_open(&device->gate);
	caps->checksum_v4 = (plan->conf.txmode.offloads & L4_TX_OFFLOADS) != 0;
	caps->checksum_v6 = caps->checksum_v4;
	device->checks_frames = caps->checksum_v4;
	device->frame_bytes_max = caps->mtu + DPDK_LINK_BYTES_MAX - RTE_ETHER_CRC_LEN;
	plan->conf.rxmode.mtu = caps->mtu;
	needed = RTE_MAX(caps->mtu + DPDK_LINK_BYTES_MAX, DPDK_DATA_BYTES_MIN);
	plan->frame_bytes = DPDK_DATA_OFFSET + needed;
	/* The rings must leave most of the frames to the stack. */
	plan->rx_descriptors = (uint16_t)RTE_MIN(RX_DESCRIPTORS, RTE_MAX(frames / 4, 1u));
	plan->tx_descriptors = (uint16_t)RTE_MIN(TX_DESCRIPTORS, RTE_MAX(frames / 4, 1u));
	return 0;
}

/* ---- addresses ---- */

/* Without filters: a device that has none gives us all frames anyway. */
static void take_all_frames(const struct dpdk_device *device)
{
	int error = rte_eth_promiscuous_enable(device->port);

	if (error && error != -ENOTSUP)
		log_warning("%s: the port does not take frames to all addresses: %s",
			    device->netdev.name, strerror(-error));
}

/*
 * net_tap gives the kernel's end the port's address, and sets it there too. With the same one at both
 * ends neither would hear the other; the driver passes on whatever comes, so ours can be any. Not so
 * with a remote interface, whose address is meant to be the port's.
 */
static bool is_end_of_kernels(const struct dpdk_device *device, const struct dpdk_plan *plan)
{
	const struct rte_devargs *devargs = rte_dev_devargs(device->rte_device);
	bool has_remote = devargs && devargs->args && strstr(devargs->args, "remote=");

	return strcmp(plan->info.driver_name, "net_tap") == 0 && !has_remote;
}

static int plan_address(struct dpdk_device *device, const struct dpdk_plan *plan,
			const struct netdev_options *options)
{
	static const struct eth_address none;
	const struct eth_address *wanted = &options->mac;
	struct rte_ether_addr address;
	int error = 0;

	if (is_end_of_kernels(device, plan)) {
		error = rte_eth_macaddr_get(device->port, &address);
		device->netdev.caps.mac = netdev_station(options,
							 eth_address_load(address.addr_bytes));
		return error ? plan_error(device, "tell the port's address", error) : 0;
	}
	if (memcmp(wanted, &none, sizeof(none)) != 0) {
		memcpy(&address, wanted, sizeof(address));
		error = rte_eth_dev_default_mac_addr_set(device->port, &address);
		if (error == -ENOTSUP)
			take_all_frames(device);
		else if (error)
			return plan_error(device, "set this address (net.mac)", error);
		device->netdev.caps.mac = *wanted;
		return 0;
	}
	error = rte_eth_macaddr_get(device->port, &address);
	if (error)
		return plan_error(device, "tell the port's address", error);
	memcpy(&device->netdev.caps.mac, &address, sizeof(address));
	return 0;
}

static int find_group(const struct dpdk_device *device, const struct rte_ether_addr *address)
{
	for (uint32_t i = 0; i < device->group_count; i++) {
		if (rte_is_same_ether_addr(&device->groups[i], address))
			return (int)i;
	}
	return -1;
}

/* Returns whether the list has changed; -ENOSPC. */
static int change_groups(struct dpdk_device *device, const struct rte_ether_addr *address,
			 bool member)
{
	int at = find_group(device, address);

	if (member && at >= 0) {
		device->group_members[at]++;
		return 0;
	}
	if (member) {
		if (device->group_count == DPDK_GROUPS_MAX)
			return -ENOSPC;
		device->groups[device->group_count] = *address;
		device->group_members[device->group_count++] = 1;
		return 1;
	}
	if (at < 0 || --device->group_members[at] > 0)
		return 0;
	device->group_count--;
	device->groups[at] = device->groups[device->group_count];
	device->group_members[at] = device->group_members[device->group_count];
	return 1;
}

int dpdk_set_group(struct netdev *netdev, struct eth_address group, bool member)
{
	struct dpdk_device *device = dpdk_device_of(netdev);
	struct rte_ether_addr address;
	int result;

	memcpy(&address, &group, sizeof(address));
	if (device->takes_all_groups)
		return 0;
	result = change_groups(device, &address, member);
	if (result == 0)
		return 0;
	if (result > 0)
		result = rte_eth_dev_set_mc_addr_list(device->port, device->groups,
						      device->group_count);
	if (result == 0 || !member)
		return 0;
	device->takes_all_groups = true;
	if (rte_eth_allmulticast_enable(device->port) != 0)
		take_all_frames(device);
	return 0;
}

/* ---- starting it ---- */

static int queues_setup(struct dpdk_device *device, const struct dpdk_plan *plan)
{
	struct rte_eth_rxconf rx = plan->info.default_rxconf;
	struct rte_eth_txconf tx = plan->info.default_txconf;
	uint16_t rx_descriptors = plan->rx_descriptors;
	uint16_t tx_descriptors = plan->tx_descriptors;
	int socket = rte_eth_dev_socket_id(device->port);
	int error = rte_eth_dev_configure(device->port, 1, 1, &plan->conf);

	rx.offloads = plan->conf.rxmode.offloads;
	tx.offloads = plan->conf.txmode.offloads;
	/* With a threshold the last packets would be done when more have followed. */
	if (tx.tx_rs_thresh > 1)
		tx.tx_rs_thresh = 1;
	if (!error)
		error = rte_eth_dev_adjust_nb_rx_tx_desc(device->port, &rx_descriptors,
							 &tx_descriptors);
	if (!error)
		error = rte_eth_rx_queue_setup(device->port, 0, rx_descriptors,
					       (unsigned int)socket, &rx, device->frame_pool);
	if (!error)
		error = rte_eth_tx_queue_setup(device->port, 0, tx_descriptors,
					       (unsigned int)socket, &tx);
	return error;
}

static int start(const struct dpdk_device *device, const struct dpdk_plan *plan)
{
	bool retries = strcmp(plan->info.driver_name, "net_memif") == 0;
	unsigned int waited_ms = 0;
	int error;

	while ((error = rte_eth_dev_start(device->port)) != 0) {
		if (!retries || waited_ms >= START_WAIT_MS)
			return error;
		rte_delay_us_sleep(START_STEP_MS * 1000);
		waited_ms += START_STEP_MS;
		dpdk_log_collect(); /* of the last attempt alone */
	}
	return 0;
}

/*
 * Most drivers of cards free what was sent when they need its place in the ring again, and only
 * those with a function for it do before: not e1000's em, virtio and mlx5.
 */
static void learn_release(struct dpdk_device *device, const char *driver)
{
	device->cleans_up = rte_eth_tx_done_cleanup(device->port, 0, 0) >= 0;
	device->netdev.caps.late_release = !device->cleans_up &&
					   !find_driver(device, driver).releases_at_once;
}

static void say_what_it_does(const struct dpdk_device *device, const char *driver)
{
	const struct netdev_caps *caps = &device->netdev.caps;

	log_info("%s: driver %s, checksums are the %s's, frames of up to %u segments, payloads %s",
		 device->netdev.name, driver, caps->checksum_v4 ? "port" : "stack",
		 caps->segments_max,
		 caps->late_release ? "are copied: it keeps what was sent until it sends more"
				    : "go by reference");
}

int dpdk_port_start(struct dpdk_device *device, const struct dpdk_plan *plan,
		    const struct netdev_options *options)
{
	int error;

	dpdk_log_collect();
	error = queues_setup(device, plan);
	if (error)
		return plan_error(device, "set the port up (net.frames, net.mtu)",
				  error == -1 ? -EIO : error);
	error = start(device, plan);
	if (error)
		return plan_error(device, "start the port; is its other side there?",
				  error == -1 ? -ENOTCONN : error);
	device->started = true;
	error = plan_address(device, plan, options);
	if (error)
		return error;
	learn_release(device, plan->info.driver_name);
	dpdk_log_collected("");
	say_what_it_does(device, plan->info.driver_name);
	return 0;
}

void dpdk_port_count_errors(struct dpdk_device *device)
{
	struct rte_eth_stats stats;
	uint64_t errors;

	if (rte_eth_stats_get(device->port, &stats) != 0)
		return;
	errors = stats.imissed + stats.ierrors;
	device->netdev.counters.rx_errors += errors - device->errors_folded;
	device->errors_folded = errors;
}
