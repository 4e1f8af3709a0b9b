/* SPDX-License-Identifier: MIT */
/*
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng), the form that Wireshark and tcpdump read:
 * one section header, an interface description for each interface, then packets. The caller writes
 * them behind one another. Integers are in the host's byte order, which the section header tells.
 */
#ifndef DEMI_WIRE_PCAPNG_H
#define DEMI_WIRE_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

#define PCAPNG_SECTION_BYTES 28
#define PCAPNG_TEXT_BYTES_MAX 255 /* of names and comments; the rest is left off */
/* What a packet's block has besides its data, comment included: a safe bound. */
#define PCAPNG_PACKET_OVERHEAD_BYTES 320

enum pcapng_direction {
	PCAPNG_UNKNOWN,
	PCAPNG_INBOUND,
	PCAPNG_OUTBOUND,
};

struct pcapng_packet {
	uint32_t interface;  /* its description's place in the section, from 0 */
	uint32_t wire_bytes; /* the whole frame's; not less than what is captured */
	uint64_t time_ns;    /* since 1970 */
	const void *data;    /* the frame, or its beginning */
	size_t captured_bytes;
	const char *comment; /* shown beside the packet: why it was dropped. NULL: none */
	enum pcapng_direction direction;
};

/** pcapng_section - begin a file; the block's length or -WIRE_NO_ROOM */
int pcapng_section(void *buffer, size_t room);

/**
 * pcapng_interface - describe the next interface, an Ethernet one whose times are in ns
 * @snap_bytes: how much of a frame is captured; 0: all
 *
 * Return: the block's length or -WIRE_NO_ROOM.
 */
int pcapng_interface(void *buffer, size_t room, const char *name, uint32_t snap_bytes);

/** pcapng_packet - an enhanced packet block; its length or -WIRE_NO_ROOM, from 1 GiB on always */
int pcapng_packet(void *buffer, size_t room, const struct pcapng_packet *packet);

#endif /* DEMI_WIRE_PCAPNG_H */
