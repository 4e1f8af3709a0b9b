/* SPDX-License-Identifier: MIT */
/*
 * What Catmint's peers say to each other, in network byte order; docs/rdma.md tells it to people.
 *
 * A *hello* goes each way in the private data of the connection's set-up. From then on each message is
 * one RDMA send into one receive buffer of the peer, and starts with a header. Behind the header of
 * MESSAGE_DATA stand the bytes; of MESSAGE_LARGE the places in the sender's memory where the receiver
 * reads them; of MESSAGE_END nothing.
 *
 * Two counters of the receiver's go back with every header, and by an RDMA write to where the hello
 * said: how many messages the peer may have sent in all (credits), and how many of its large messages
 * have been read. Both count from 0 and go round.
 *
 * A datagram has a header of its own, and is one send to a queue pair of the type UD, or several:
 * parts of what does not fit into one packet. Who looks for the queue pair that has an address and a
 * port asks the connection manager, and a shorter hello goes each way.
 */
#ifndef DEMI_LIBOS_CATMINT_MESSAGE_H
#define DEMI_LIBOS_CATMINT_MESSAGE_H

#include <stdbool.h>

#include "wire/address.h"
#include "wire/bytes.h"

#define MESSAGE_VERSION 1
#define MESSAGE_HEADER_BYTES 16u
#define MESSAGE_PLACE_BYTES 16u
#define MESSAGE_PLACES_MAX 16u
#define MESSAGE_HELLO_BYTES 32u
#define MESSAGE_MAGIC 0x64656d69u /* "demi" */

/*
 * Who has received all that the peer has sent, its end too, and ends the connection, says so: by a last
 * write of counters, in which the number of messages received and this stand in the place of granted. So
 * the peer knows that all went well when it learns first that the connection is no more.
 */
#define MESSAGE_FAREWELL 0x80000000u

enum message_kind {
	MESSAGE_DATA = 1,
	MESSAGE_LARGE = 2,
	MESSAGE_END = 3,
};

/** How many messages the peer may have sent, and how many of its large ones have been read. */
struct message_counters {
	uint32_t granted;
	uint32_t read;
};

struct message_header {
	enum message_kind kind;
	uint32_t length; /* bytes behind the header */
	struct message_counters counters;
};

static inline void message_header_store(unsigned char *to, const struct message_header *header)
{
	store_be32(to, (uint32_t)header->kind << 24);
	store_be32(to + 4, header->length);
	store_be32(to + 8, header->counters.granted);
	store_be32(to + 12, header->counters.read);
}

/** message_header_load - @bytes: of the whole message; false: it is not one */
static inline bool message_header_load(struct message_header *header, const unsigned char *from,
				       uint32_t bytes)
{
	uint32_t first;

	if (bytes < MESSAGE_HEADER_BYTES)
		return false;
	first = load_be32(from);
	header->kind = (enum message_kind)(first >> 24);
	header->length = load_be32(from + 4);
	header->counters = (struct message_counters){load_be32(from + 8), load_be32(from + 12)};
	return (first & 0xffffff) == 0 && header->kind >= MESSAGE_DATA &&
	       header->kind <= MESSAGE_END && header->length == bytes - MESSAGE_HEADER_BYTES;
}

/** message_is_data - whether it is one of MESSAGE_DATA with something in it; @bytes: of the whole */
static inline bool message_is_data(const unsigned char *from, uint32_t bytes)
{
	return bytes > MESSAGE_HEADER_BYTES &&
	       load_be64(from) == ((uint64_t)MESSAGE_DATA << 56 | (bytes - MESSAGE_HEADER_BYTES));
}

/** message_counters_raw - the counters of a header as message_counters_pack makes them */
static inline uint64_t message_counters_raw(const unsigned char *from)
{
	uint64_t word;

	memcpy(&word, from + 8, sizeof(word));
	return word;
}

/** message_counters_pack, message_counters_unpack - both as one word, in the order of its bytes */
static inline uint64_t message_counters_pack(struct message_counters counters)
{
	return htobe64((uint64_t)counters.granted << 32 | counters.read);
}

static inline struct message_counters message_counters_unpack(uint64_t word)
{
	word = be64toh(word);
	return (struct message_counters){(uint32_t)(word >> 32), (uint32_t)word};
}

/** A run of the sender's memory. */
struct message_place {
	uint64_t address;
	uint32_t rkey;
	uint32_t length;
};

static inline void message_place_store(unsigned char *to, const struct message_place *place)
{
	store_be64(to, place->address);
	store_be32(to + 8, place->rkey);
	store_be32(to + 12, place->length);
}

static inline void message_place_load(struct message_place *place, const unsigned char *from)
{
	place->address = load_be64(from);
	place->rkey = load_be32(from + 8);
	place->length = load_be32(from + 12);
}

/** What each side has to know of the other before the first message. */
struct message_hello {
	uint32_t receive_bytes; /* of its receive buffers */
	uint32_t granted;       /* messages that may be sent to it at first */
	uint64_t counters;      /* where its word of counters stands */
	uint32_t counters_rkey;
	uint32_t large_bytes; /* the longest large message that it takes */
};

static inline void message_hello_store(unsigned char *to, const struct message_hello *hello)
{
	store_be32(to, MESSAGE_MAGIC);
	store_be32(to + 4, MESSAGE_VERSION);
	store_be32(to + 8, hello->receive_bytes);
	store_be32(to + 12, hello->granted);
	store_be64(to + 16, hello->counters);
	store_be32(to + 24, hello->counters_rkey);
	store_be32(to + 28, hello->large_bytes);
}

enum message_hello_result { HELLO_GOOD, HELLO_STRANGE, HELLO_OTHER_VERSION };

/** message_hello_load - @bytes: of the private data, which may be longer than what was given */
static inline enum message_hello_result
message_hello_load(struct message_hello *hello, const unsigned char *from, uint32_t bytes)
{
	if (!from || bytes < MESSAGE_HELLO_BYTES || load_be32(from) != MESSAGE_MAGIC)
		return HELLO_STRANGE;
	if (load_be32(from + 4) != MESSAGE_VERSION)
		return HELLO_OTHER_VERSION;
	hello->receive_bytes = load_be32(from + 8);
	hello->granted = load_be32(from + 12);
	hello->counters = load_be64(from + 16);
	hello->counters_rkey = load_be32(from + 24);
	hello->large_bytes = load_be32(from + 28);
	return hello->receive_bytes > MESSAGE_HEADER_BYTES +
					       MESSAGE_PLACES_MAX * MESSAGE_PLACE_BYTES &&
			       hello->large_bytes >= hello->receive_bytes
		       ? HELLO_GOOD
		       : HELLO_STRANGE;
}

/* ---- Datagrams ---- */

#define MESSAGE_DATAGRAM_BYTES 32u
#define MESSAGE_DATAGRAM_MAGIC 0x6467u /* "dg" */
#define MESSAGE_SEEK_BYTES 12u
/** All parts of a datagram but the last are multiples of it, and begin at one. */
#define MESSAGE_UNIT_BYTES 32u
/** Every device takes as much, in one packet: the smallest MTU there is. */
#define MESSAGE_TAKES_MIN 256u

struct message_datagram {
	struct ip_address source;
	uint16_t port;   /* the source's */
	uint16_t takes;  /* bytes that the source takes in one packet, this header among them */
	uint32_t number; /* of the datagram that it is a part of, by its source */
	uint16_t offset; /* where the part belongs */
	uint16_t total;  /* payload of the whole */
};

static inline void message_datagram_store(unsigned char *to, const struct message_datagram *header)
{
	store_be32(to, MESSAGE_DATAGRAM_MAGIC << 16 | MESSAGE_VERSION << 8);
	store_be16(to + 4, header->port);
	store_be16(to + 6, header->takes);
	memcpy(to + 8, header->source.bytes, IP_ADDRESS_BYTES);
	store_be32(to + 24, header->number);
	store_be16(to + 28, header->offset);
	store_be16(to + 30, header->total);
}

/** message_datagram_load - @bytes: of the packet; false: it is not one */
static inline bool message_datagram_load(struct message_datagram *header, const unsigned char *from,
					 uint32_t bytes)
{
	uint32_t payload = bytes - MESSAGE_DATAGRAM_BYTES;

	if (bytes < MESSAGE_DATAGRAM_BYTES ||
	    load_be32(from) != (MESSAGE_DATAGRAM_MAGIC << 16 | MESSAGE_VERSION << 8))
		return false;
	header->port = load_be16(from + 4);
	header->takes = load_be16(from + 6);
	header->source = ip_address_v6(from + 8);
	header->number = load_be32(from + 24);
	header->offset = load_be16(from + 28);
	header->total = load_be16(from + 30);
	if (header->port == 0 || header->takes < MESSAGE_TAKES_MIN)
		return false;
	if (payload == header->total)
		return header->offset == 0;
	return payload > 0 && header->offset % MESSAGE_UNIT_BYTES == 0 &&
	       header->offset + payload <= header->total &&
	       (header->offset + payload == header->total || payload % MESSAGE_UNIT_BYTES == 0);
}

/** What goes with a question for a queue pair, and with the answer: what its sender takes. */
static inline void message_seek_store(unsigned char *to, uint32_t takes)
{
	store_be32(to, MESSAGE_MAGIC);
	store_be32(to + 4, MESSAGE_VERSION);
	store_be32(to + 8, takes);
}

static inline enum message_hello_result message_seek_load(uint32_t *takes,
							  const unsigned char *from, uint32_t bytes)
{
	if (!from || bytes < MESSAGE_SEEK_BYTES || load_be32(from) != MESSAGE_MAGIC)
		return HELLO_STRANGE;
	if (load_be32(from + 4) != MESSAGE_VERSION)
		return HELLO_OTHER_VERSION;
	*takes = load_be32(from + 8);
	return *takes >= MESSAGE_TAKES_MIN ? HELLO_GOOD : HELLO_STRANGE;
}

#endif /* DEMI_LIBOS_CATMINT_MESSAGE_H */
