/* SPDX-License-Identifier: MIT */
/* Unreliable datagrams: address handles, and one message in one packet, which may not arrive. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "rdma/sim_queue.h"

#define QKEY_OWN \
	UINT32_C(0x80000000) /* IBTA volume 1, 10.2.5: then that of the queue pair is sent */
#define REORDER_NS_MIN 10000u
/* RoCEv2, IBTA annex A17: UDP, base and datagram transport header before the data, CRC behind. */
#define HEADER_BYTES (8u + 12u + 8u)
#define CRC_BYTES 4u
#define IMMEDIATE_BYTES 4u
#define IP_VERSION_SHIFT 28
#define TRAFFIC_CLASS_SHIFT 20
#define V4_HEADER_AT (SIM_GRH_BYTES - sizeof(struct iphdr))
#define V4_ADDRESS_AT 12

/* What goes along with the data. */
struct datagram {
	union ibv_gid source, destination;
	struct ibv_global_route route;
	uint32_t source_qpn, qpn, qkey;
	uint32_t bytes;
	bool has_immediate;
	bool solicited;
	__be32 immediate;
};

/* One under way. */
struct packet {
	struct sim_due due; /* first: what is in the clock when the network ends is freed */
	struct datagram datagram;
	unsigned char data[];
};

/* ---- Header ---- */

static uint16_t checksum_v4(const struct iphdr *header)
{
	uint16_t words[sizeof(*header) / 2];
	uint32_t sum = 0;

	memcpy(words, header, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void header_v4(unsigned char *bytes, const struct datagram *datagram, uint16_t length)
{
	struct iphdr header = {
		.version = 4,
		.ihl = sizeof(header) / 4,
		.tos = datagram->route.traffic_class,
		.tot_len = htons((uint16_t)(sizeof(header) + length)),
		.frag_off = htons(IP_DF),
		.ttl = datagram->route.hop_limit,
		.protocol = IPPROTO_UDP,
	};

	memcpy(&header.saddr, datagram->source.raw + V4_ADDRESS_AT, sizeof(header.saddr));
	memcpy(&header.daddr, datagram->destination.raw + V4_ADDRESS_AT, sizeof(header.daddr));
	header.check = checksum_v4(&header);
	memset(bytes, 0, V4_HEADER_AT);
	memcpy(bytes + V4_HEADER_AT, &header, sizeof(header));
}

static void header_v6(unsigned char *bytes, const struct datagram *datagram, uint16_t length)
{
	const struct ibv_grh header = {
		.version_tclass_flow = htonl(UINT32_C(6) << IP_VERSION_SHIFT |
					     (uint32_t)datagram->route.traffic_class
						     << TRAFFIC_CLASS_SHIFT |
					     datagram->route.flow_label),
		.paylen = htons(length),
		.next_hdr = IPPROTO_UDP,
		.hop_limit = datagram->route.hop_limit,
		.sgid = datagram->source,
		.dgid = datagram->destination,
	};

	memcpy(bytes, &header, sizeof(header));
}

static void header_fill(unsigned char *bytes, const struct datagram *datagram)
{
	uint32_t data = (datagram->bytes + 3) & ~UINT32_C(3);
	uint32_t length = HEADER_BYTES + (datagram->has_immediate ? IMMEDIATE_BYTES : 0) + data +
			  CRC_BYTES;

	if (rdma_sim_gid_is_v4(&datagram->source))
		header_v4(bytes, datagram, (uint16_t)length);
	else
		header_v6(bytes, datagram, (uint16_t)length);
}

/* ---- In ---- */

static void complete(struct sim_qp *qp, const struct sim_buffer *buffer,
		     const struct datagram *datagram)
{
	struct sim_completion *completion = rdma_sim_receive(qp, buffer, IBV_WC_SUCCESS);

	if (!completion)
		return;
	completion->wc.opcode = IBV_WC_RECV;
	completion->wc.byte_len = SIM_GRH_BYTES + datagram->bytes;
	completion->wc.src_qp = datagram->source_qpn;
	completion->wc.pkey_index = 0;
	completion->wc.slid = 0;
	completion->wc.sl = 0;
	completion->wc.dlid_path_bits = 0;
	completion->wc.wc_flags = IBV_WC_GRH;
	if (datagram->has_immediate) {
		completion->wc.wc_flags |= IBV_WC_WITH_IMM;
		completion->wc.imm_data = datagram->immediate;
	}
	rdma_sim_notify(sim_cq_of(qp->qp.recv_cq), datagram->solicited);
}

static void arrive(struct sim_device *device, const struct datagram *datagram,
		   const struct ibv_sge *segments, uint32_t count)
{
	struct sim_qp *qp = rdma_sim_qp_by_number(device, datagram->qpn);
	unsigned char header[SIM_GRH_BYTES];
	const struct ibv_sge header_segment = {(uintptr_t)header, sizeof(header), 0};
	struct sim_buffer buffer;

	if (!qp || !qp->is_datagram || qp->state != IBV_QPS_RTS ||
	    qp->attributes.qkey != datagram->qkey) {
		device->counters.bad_key++;
		return;
	}
	if (!rdma_sim_take(qp, &buffer)) {
		device->counters.no_buffer++;
		return;
	}
	if (!rdma_sim_may_use(device, buffer.pd, buffer.segments, buffer.receive->count,
			      IBV_ACCESS_LOCAL_WRITE)) {
		rdma_sim_receive_fails(qp, &buffer, IBV_WC_LOC_PROT_ERR);
		return;
	}
	if (SIM_GRH_BYTES + datagram->bytes >
	    rdma_sim_bytes(buffer.segments, buffer.receive->count)) {
		rdma_sim_receive_fails(qp, &buffer, IBV_WC_LOC_LEN_ERR);
		return;
	}
	header_fill(header, datagram);
	rdma_sim_copy(buffer.segments, 0, &header_segment, 1);
	rdma_sim_copy(buffer.segments, SIM_GRH_BYTES, segments, count);
	complete(qp, &buffer, datagram);
}

static void packet_arrives(struct sim_clock *clock, struct sim_due *due)
{
	struct packet *packet = container_of(due, struct packet, due);
	const struct sim_network *network = container_of(clock, struct sim_network, clock);
	struct sim_device *to = rdma_sim_device_with(network, &packet->datagram.destination);
	const struct ibv_sge segment = {(uintptr_t)packet->data, packet->datagram.bytes, 0};

	if (to && !rdma_sim_is_deaf(to))
		arrive(to, &packet->datagram, &segment, 1);
	free(packet);
}

/* ---- Out ---- */

static uint64_t arrival(struct sim_qp *qp)
{
	struct sim_device *device = sim_device_of_qp(qp);
	struct sim_network *network = device->network;
	const struct rdma_sim_options *options = &network->options;
	uint64_t when_ns;

	if (!rdma_sim_happens(network, options->reorder))
		return rdma_sim_arrival(network, &qp->request_ns);
	device->counters.reordered++;
	when_ns = rdma_sim_arrival(network, &(uint64_t){0});
	if (options->reorder_ns)
		return when_ns + options->reorder_ns;
	return when_ns + 3 * (options->delay_ns + options->jitter_ns) + REORDER_NS_MIN;
}

static void send_later(struct sim_qp *qp, const struct sim_send *send,
		       const struct datagram *datagram, uint64_t when_ns)
{
	struct sim_network *network = sim_device_of_qp(qp)->network;
	struct packet *packet = calloc(1, sizeof(*packet) + datagram->bytes);
	struct ibv_sge segment;

	if (!packet) {
		log_error("sim: no memory for a datagram, which is lost");
		return;
	}
	packet->datagram = *datagram;
	segment = (struct ibv_sge){(uintptr_t)packet->data, datagram->bytes, 0};
	rdma_sim_copy(&segment, 0, sim_send_segments(qp, send->number), send->count);
	if (!rdma_sim_clock_set(&network->clock, &packet->due, when_ns, packet_arrives))
		free(packet);
}

static void send_copy(struct sim_qp *qp, const struct sim_send *send,
		      const struct datagram *datagram)
{
	struct sim_device *device = sim_device_of_qp(qp);
	struct sim_network *network = device->network;
	struct sim_device *to = rdma_sim_device_with(network, &datagram->destination);
	uint64_t when_ns;

	if (rdma_sim_loses(device, to, RDMA_SIM_DATAGRAM, send->bytes))
		return;
	when_ns = arrival(qp);
	if (when_ns <= network->clock.now_ns)
		arrive(to, datagram, sim_send_segments(qp, send->number), send->count);
	else
		send_later(qp, send, datagram, when_ns);
}

void rdma_sim_send_datagram(struct sim_qp *qp, struct sim_send *send, const struct sim_ah *ah,
			    uint32_t remote_qpn, uint32_t remote_qkey)
{
	struct sim_device *device = sim_device_of_qp(qp);
	const struct ibv_global_route *route = &ah->attributes.grh;
	const struct datagram datagram = {
		.source = device->addresses[route->sgid_index].gid,
		.destination = route->dgid,
		.route = *route,
		.source_qpn = qp->qp.qp_num,
		.qpn = remote_qpn,
		.qkey = remote_qkey & QKEY_OWN ? qp->attributes.qkey : remote_qkey,
		.bytes = (uint32_t)send->bytes,
		.has_immediate = send->opcode == IBV_WR_SEND_WITH_IMM,
		.solicited = send->solicited,
		.immediate = send->immediate,
	};

	qp->sent++;
	if (ah->ah.pd != qp->qp.pd ||
	    (!send->is_inline &&
	     !rdma_sim_may_use(device, qp->qp.pd, sim_send_segments(qp, send->number), send->count,
			       0))) {
		rdma_sim_end_send(qp, IBV_WC_LOC_PROT_ERR);
		rdma_sim_qp_fail(qp);
		return;
	}
	device->counters.datagrams++;
	send_copy(qp, send, &datagram);
	if (rdma_sim_happens(device->network, device->network->options.duplicate)) {
		device->counters.duplicated++;
		send_copy(qp, send, &datagram);
	}
	/* One to itself may have been its end. */
	if (qp->state == IBV_QPS_RTS)
		rdma_sim_end_send(qp, IBV_WC_SUCCESS);
}

/* ---- Address handles ---- */

static int check(const struct sim_device *device, const struct ibv_ah_attr *attributes)
{
	uint8_t index = attributes->grh.sgid_index;

	if (device->removed)
		return EIO;
	if (attributes->port_num != 1 || !attributes->is_global || index >= device->address_count ||
	    rdma_sim_gid_is_v4(&device->addresses[index].gid) !=
		    rdma_sim_gid_is_v4(&attributes->grh.dgid))
		return EINVAL;
	return 0;
}

struct ibv_ah *rdma_sim_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attributes)
{
	struct sim_device *device = sim_device_of_context(pd->context);
	struct sim_ah *ah = calloc(1, sizeof(*ah));
	struct sim_network *network;
	int error;

	if (!ah)
		return NULL;
	ah->ah.context = pd->context;
	ah->ah.pd = pd;
	ah->attributes = *attributes;
	network = rdma_sim_enter(device);
	error = check(device, attributes);
	if (!error) {
		ah->ah.handle = ++device->counts[SIM_AH];
		container_of(pd, struct sim_pd, pd)->users++;
	}
	rdma_sim_leave(network);
	if (!error)
		return &ah->ah;
	free(ah);
	errno = error;
	return NULL;
}

/* The sender of a datagram by the header that came with it. */
static bool read_header(union ibv_gid *source, union ibv_gid *destination,
			const struct ibv_grh *grh)
{
	const unsigned char *bytes = (const unsigned char *)grh;
	struct iphdr header;

	if (ntohl(grh->version_tclass_flow) >> IP_VERSION_SHIFT == 6) {
		*source = grh->sgid;
		*destination = grh->dgid;
		return true;
	}
	memcpy(&header, bytes + V4_HEADER_AT, sizeof(header));
	rdma_sim_gid(source, (const struct sockaddr *)&(struct sockaddr_in){
				     .sin_family = AF_INET, .sin_addr.s_addr = header.saddr});
	rdma_sim_gid(destination, (const struct sockaddr *)&(struct sockaddr_in){
					  .sin_family = AF_INET, .sin_addr.s_addr = header.daddr});
	return header.version == 4 && checksum_v4(&header) == 0;
}

struct ibv_ah *rdma_sim_create_ah_from_wc(struct ibv_pd *pd, struct ibv_wc *wc, struct ibv_grh *grh,
					  uint8_t port)
{
	struct ibv_ah_attr attributes = {
		.is_global = 1, .port_num = port, .sl = wc->sl, .grh.hop_limit = 0xff};
	union ibv_gid destination;
	int index = -1;

	if (wc->wc_flags & IBV_WC_GRH && read_header(&attributes.grh.dgid, &destination, grh))
		index = rdma_sim_address(sim_device_of_context(pd->context), &destination);
	if (index < 0) {
		errno = EINVAL;
		return NULL;
	}
	attributes.grh.sgid_index = (uint8_t)index;
	return rdma_sim_create_ah(pd, &attributes);
}

int rdma_sim_destroy_ah(struct ibv_ah *ah)
{
	struct sim_device *device = sim_device_of_context(ah->context);
	struct sim_network *network = rdma_sim_enter(device);

	device->counts[SIM_AH]--;
	container_of(ah->pd, struct sim_pd, pd)->users--;
	rdma_sim_leave(network);
	free(container_of(ah, struct sim_ah, ah));
	return 0;
}
