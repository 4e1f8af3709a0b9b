/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for reassembly, against a model that keeps every fragment as it is. The input
 * is records of four bytes: which packet and which flags, offset and length in units of eight
 * bytes, and time. Offsets are spread over the packet, so that they meet.
 */
#include "net_fuzz.h"

#define PACKETS 4u
#define RECORDS_MAX 400u
#define PAYLOAD_MAX 65535u
#define HEADER_BYTES 40u
#define FRAGMENT_BYTES_MAX 1400u
#define SKIP_BYTES 8u
#define CONGESTED 3u

enum flag { /* above the packet's two bits */
	    FLAG_LAST = 4,
	    FLAG_OTHER_BYTES = 8, /* not those that the packet has there */
	    FLAG_CONGESTED = 16,
	    FLAG_ODD = 32, /* a length that is no multiple of eight */
	    FLAG_FAR = 64, /* offsets up to the end of the longest packet */
	    FLAG_SKIP = 128,
};

struct piece {
	uint32_t start, end;
	bool other;
};

static struct model {
	bool exists, is_dead, is_congested;
	uint64_t until_ns;
	uint32_t total, received; /* total 0: not known */
	uint16_t skip_bytes;
	uint32_t count;
	struct piece pieces[REASSEMBLY_FRAGMENTS_MAX];
} models[PACKETS];

struct input {
	unsigned int packet;
	uint32_t start, end;
	bool is_last, other, congested;
	uint16_t skip_bytes;
};

static bool is_v6(unsigned int packet)
{
	return packet >= PACKETS / 2;
}

/* The byte of a packet at an offset, or another one. */
NO_COVERAGE static uint8_t byte_at(unsigned int packet, uint32_t offset, bool other)
{
	return (uint8_t)((offset * 31 + (offset >> 8) + packet) ^ (other ? 0x55 : 0));
}

/* ---- The model ---- */

static void model_expire(uint64_t now_ns)
{
	for (unsigned int i = 0; i < PACKETS; i++) {
		if (models[i].exists && models[i].until_ns <= now_ns)
			models[i] = (struct model){0};
	}
}

static bool model_contradicts(const struct model *model, const struct input *input)
{
	if (!input->is_last)
		return model->total && input->end >= model->total;
	if (model->total && model->total != input->end)
		return true;
	for (uint32_t i = 0; i < model->count; i++) {
		if (model->pieces[i].end > input->end)
			return true;
	}
	return false;
}

/* 1: there is none; 0: it is the very same; -1: it is not. */
static int model_overlap(const struct model *model, const struct input *input)
{
	for (uint32_t i = 0; i < model->count; i++) {
		const struct piece *piece = &model->pieces[i];

		if (piece->start >= input->end || piece->end <= input->start)
			continue;
		if (piece->start == input->start && piece->end == input->end &&
		    piece->other == input->other)
			return 0;
		return -1;
	}
	return 1;
}

/* Return: whether the packet is whole now. */
static bool model_add(const struct input *input, uint64_t now_ns)
{
	struct model *model = &models[input->packet];
	int overlap;

	if (input->start == input->end || input->end > PAYLOAD_MAX)
		return false;
	if (!model->exists) {
		model->exists = true;
		model->until_ns = now_ns + (is_v6(input->packet) ? 60 : 30) * SECOND_NS;
	}
	if (model->is_dead)
		return false;
	overlap = model_overlap(model, input);
	if (model_contradicts(model, input) || overlap < 0 ||
	    (overlap > 0 && model->count == REASSEMBLY_FRAGMENTS_MAX)) {
		model->is_dead = true;
		return false;
	}
	if (overlap == 0)
		return false;
	model->pieces[model->count++] = (struct piece){input->start, input->end, input->other};
	model->received += input->end - input->start;
	model->is_congested |= input->congested;
	if (input->is_last)
		model->total = input->end;
	if (input->start == 0)
		model->skip_bytes = input->skip_bytes;
	return model->received == model->total;
}

NO_COVERAGE static void check_whole(const struct model *model, unsigned int packet,
				    const struct ip_packet *whole, const struct buf *buf)
{
	must(whole->is_v6 == is_v6(packet) && whole->was_fragmented);
	must(whole->protocol == 17 + packet);
	must(whole->traffic_class == (model->is_congested ? CONGESTED : 0));
	must(whole->header != NULL && whole->header[0] == packet);
	must(buf->length == model->total - model->skip_bytes && !buf->next);
	for (uint32_t i = 0; i < model->count; i++) {
		const struct piece *piece = &model->pieces[i];

		for (uint32_t at = piece->start; at < piece->end; at++) {
			if (at >= model->skip_bytes)
				must(buf->data[at - model->skip_bytes] ==
				     byte_at(packet, at, piece->other));
		}
	}
}

/* ---- The stack's ---- */

NO_COVERAGE static struct buf *frame_of(const struct input *input)
{
	struct buf *buf = netdev_alloc(&rig.device);

	must(buf != NULL);
	memset(buf->data, (int)input->packet, HEADER_BYTES);
	buf->length = HEADER_BYTES + input->end - input->start;
	for (uint32_t at = input->start; at < input->end; at++)
		buf->data[HEADER_BYTES + at - input->start] = byte_at(input->packet, at,
								      input->other);
	return buf;
}

static void add(const struct input *input)
{
	bool v6 = is_v6(input->packet), whole_expected = model_add(input, rig.now_ns);
	struct buf *buf = frame_of(input), *got;
	struct ip_packet whole, packet = {
					.source = v6 ? V6(1) : V4(10, 0, 0, 1),
					.destination = v6 ? V6(2) : V4(10, 0, 0, 2),
					.protocol = (uint8_t)(17 + input->packet),
					.traffic_class = input->congested ? CONGESTED : 0,
					.is_v6 = v6,
					.is_frame = true,
					.header = buf->data,
					.header_bytes = HEADER_BYTES,
					.total_bytes = buf->length,
				};
	const struct fragment fragment = {
		.source = packet.source,
		.destination = packet.destination,
		.identification = input->packet,
		.protocol = packet.protocol,
		.is_v6 = v6,
		.more_fragments = !input->is_last,
		.offset_bytes = (uint16_t)input->start,
		.skip_bytes = input->skip_bytes,
	};

	buf_pull(buf, HEADER_BYTES);
	got = reassembly_add(rig.net, &fragment, &packet, buf, &whole);
	must((got != NULL) == whole_expected);
	if (!got)
		return;
	check_whole(&models[input->packet], input->packet, &whole, got);
	netdev_release(&rig.device, got);
	models[input->packet] = (struct model){0};
}

static struct input input_of(const uint8_t record[4])
{
	unsigned int flags = record[0];
	/* To the end of the longest packet in steps of 256, or in the first 2 KiB in steps of 8. */
	uint32_t start = record[1] * (flags & FLAG_FAR ? 256u : 8u);
	uint32_t length = record[2] * 8u;

	if (length > FRAGMENT_BYTES_MAX)
		length = FRAGMENT_BYTES_MAX;
	if (flags & FLAG_ODD && flags & FLAG_LAST && length)
		length--;
	return (struct input){
		.packet = flags % PACKETS,
		.start = start,
		.end = start + length,
		.is_last = flags & FLAG_LAST,
		.other = flags & FLAG_OTHER_BYTES,
		.congested = flags & FLAG_CONGESTED,
		.skip_bytes = flags & FLAG_SKIP && is_v6(flags % PACKETS) && !start &&
					      length >= SKIP_BYTES
				      ? SKIP_BYTES
				      : 0,
	};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(models, 0, sizeof(models));
	/* As much as no packet has to go for. */
	rig_begin(&(struct rig_options){.reassembly_bytes_max = 4u << 20});
	rig_create_net();
	for (unsigned int i = 0; i < RECORDS_MAX && size >= 4; i++, data += 4, size -= 4) {
		struct input input = input_of(data);

		/* Whole seconds, and half a one for the timers, so that none is at its edge. */
		if (data[3] & 0x80) {
			rig_run(rig.now_ns + data[3] % 64 * SECOND_NS + SECOND_NS / 2, 10000);
			model_expire(rig.now_ns);
			rig.now_ns += SECOND_NS / 2;
			rig.net->now_ns = rig.now_ns;
		}
		add(&input);
		rig_check();
	}
	rig_end();
	return 0;
}
