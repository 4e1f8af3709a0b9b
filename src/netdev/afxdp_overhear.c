/* SPDX-License-Identifier: MIT */
#include "netdev/afxdp_overhear.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "wire/eth.h"

#define SLOT_BYTES ((size_t)2048)
#define SLOTS 64u
#define BLOCK_BYTES (SLOT_BYTES * 16)

/* What goes to everybody on the link, and our own frames must not. */
static const struct eth_address shared_stations[] = {
	{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
	{{0x33, 0x33, 0x00, 0x00, 0x00, 0x01}}, /* ff02::1 (RFC 4291, 2.7.1) */
	{{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}}, /* 224.0.0.1 (RFC 1112, section 4) */
};

bool overhear_is_shared(struct eth_address address)
{
	for (size_t i = 0; i < sizeof(shared_stations) / sizeof(shared_stations[0]); i++) {
		if (eth_address_equal(&address, &shared_stations[i]))
			return true;
	}
	return false;
}

/* Frames to shared_stations that the kernel did not send itself. */
static int attach_filter(int fd)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 9, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, 0, 2),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffff, 4, 5),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x33330000, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x01005e00, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

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

static int join_shared(struct overhear *overhear)
{
	int error = 0;

	/* Not the first, which needs no membership. */
	for (size_t i = 1; i < sizeof(shared_stations) / sizeof(shared_stations[0]) && !error; i++)
		error = overhear_set_station(overhear, shared_stations[i], true);
	errno = -error;
	return error;
}

int overhear_open(struct overhear *overhear, const char *name, unsigned int interface_index)
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
	if (overhear->fd >= 0 && attach_filter(overhear->fd) == 0 && map_ring(overhear) == 0 &&
	    join_shared(overhear) == 0 &&
	    bind(overhear->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return 0;
	error = -errno;
	log_error(
		"%s: cannot open a packet socket for broadcasts: %s; it needs root or CAP_NET_RAW, "
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
