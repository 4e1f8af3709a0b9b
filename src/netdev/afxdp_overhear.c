/* SPDX-License-Identifier: MIT */
#include "netdev/afxdp_overhear.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "wire/eth.h"

#define SLOT_BYTES ((size_t)2048)
#define SLOTS 256u
#define BLOCK_BYTES (SLOT_BYTES * 16)

static int map_ring(struct overhear *overhear)
{
	struct tpacket_req request = {
		.tp_block_size = (unsigned int)BLOCK_BYTES,
		.tp_block_nr = (unsigned int)(SLOTS * SLOT_BYTES / BLOCK_BYTES),
		.tp_frame_size = (unsigned int)SLOT_BYTES,
		.tp_frame_nr = SLOTS,
	};
	int version = TPACKET_V2;
	void *ring;

	if (setsockopt(overhear->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(overhear->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)))
		return -1;
	ring = mmap(NULL, SLOTS * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, overhear->fd, 0);
	if (ring == MAP_FAILED)
		return -1;
	overhear->ring = ring;
	return 0;
}

int overhear_open(struct overhear *overhear, const char *name, unsigned int interface_index,
		  int filter)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htobe16(ETH_P_ALL),
		.sll_ifindex = (int)interface_index,
	};
	int error;

	overhear->interface_index = interface_index;
	overhear->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Bound last, so that nothing comes that the filter has not seen. */
	if (overhear->fd >= 0 &&
	    setsockopt(overhear->fd, SOL_SOCKET, SO_ATTACH_BPF, &filter, sizeof(filter)) == 0 &&
	    map_ring(overhear) == 0 &&
	    bind(overhear->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return 0;
	error = -errno;
	log_error(
		"%s: cannot open a packet socket for broadcasts and groups: %s; it needs root or CAP_NET_RAW, "
		"and a kernel with CONFIG_PACKET",
		name, strerror(-error));
	return error;
}

void overhear_close(struct overhear *overhear)
{
	if (overhear->ring)
		munmap(overhear->ring, SLOTS * SLOT_BYTES);
	if (overhear->fd >= 0)
		close(overhear->fd);
	overhear->ring = NULL;
	overhear->fd = -1;
}

int overhear_set_station(struct overhear *overhear, struct eth_address station, bool member)
{
	struct packet_mreq request = {
		.mr_ifindex = (int)overhear->interface_index,
		.mr_type = eth_address_is_multicast(&station) ? PACKET_MR_MULTICAST
							      : PACKET_MR_UNICAST,
		.mr_alen = ETH_ADDRESS_BYTES,
	};

	memcpy(request.mr_address, station.bytes, ETH_ADDRESS_BYTES);
	return setsockopt(overhear->fd, SOL_PACKET,
			  member ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP, &request,
			  sizeof(request)) == 0
		       ? 0
		       : -errno;
}

static struct tpacket2_hdr *slot_at(const struct overhear *overhear, unsigned int index)
{
	return (struct tpacket2_hdr *)(void *)(overhear->ring + index * SLOT_BYTES);
}

bool overhear_has(const struct overhear *overhear)
{
	const struct tpacket2_hdr *slot = slot_at(overhear, overhear->next);

	return __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER;
}

/* The kernel has taken the tag out of the frame; it goes where it was. */
static uint32_t slot_copy(unsigned char *frame, const struct tpacket2_hdr *slot)
{
	const unsigned char *data = (const unsigned char *)slot + slot->tp_mac;
	const uint32_t stations_bytes = 2 * ETH_ADDRESS_BYTES;
	unsigned char *end = frame + stations_bytes;

	memcpy(frame, data, stations_bytes);
	if (slot->tp_status & TP_STATUS_VLAN_VALID) {
		store_be16(end, slot->tp_status & TP_STATUS_VLAN_TPID_VALID ? slot->tp_vlan_tpid
									    : ETH_TYPE_TAG);
		store_be16(end + 2, slot->tp_vlan_tci);
		end += ETH_TAG_BYTES;
	}
	memcpy(end, data + stations_bytes, slot->tp_snaplen - stations_bytes);
	return (uint32_t)(end - frame) + slot->tp_snaplen - stations_bytes;
}

static struct buf *slot_receive(const struct tpacket2_hdr *slot, struct netdev *device)
{
	uint32_t room = heap_frames_bytes(device->frames) - device->data_offset;
	struct buf *frame;

	if (slot->tp_snaplen < slot->tp_len || slot->tp_snaplen < ETH_HEADER_BYTES ||
	    slot->tp_snaplen > room - ETH_TAG_BYTES) {
		device->counters.rx_errors++;
		return NULL;
	}
	frame = netdev_alloc(device);
	if (!frame) {
		device->counters.rx_no_frame++;
		return NULL;
	}
	frame->length = slot_copy(frame->data, slot);
	/* What a process of this machine sent may have no checksum yet, and was never in danger. */
	if (slot->tp_status & (TP_STATUS_CSUM_VALID | TP_STATUS_CSUMNOTREADY))
		frame->flags = BUF_CHECKED;
	return frame;
}

struct buf *overhear_next(struct overhear *overhear, struct netdev *device)
{
	struct tpacket2_hdr *slot = slot_at(overhear, overhear->next);
	struct buf *frame = slot_receive(slot, device);

	__atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	overhear->next = (overhear->next + 1) % SLOTS;
	return frame;
}
