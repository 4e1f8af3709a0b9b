/* SPDX-License-Identifier: MIT */
/*
 * Datagrams that have come in parts, put together. What peers can make us keep is bounded in
 * datagrams, in bytes and in time.
 *
 * The parts are copied into one buf: 65,507 bytes would need more segments than an array has, and a
 * part of a datagram that never gets whole would keep a receive buffer.
 */
#ifndef DEMI_LIBOS_CATMINT_DATAGRAM_PARTS_H
#define DEMI_LIBOS_CATMINT_DATAGRAM_PARTS_H

#include "heap/buf.h"
#include "libos/catmint/message.h"

#define PARTS_DATAGRAMS_MAX 64u
#define PARTS_BYTES_MAX (2u << 20)
/** So long after its first part a datagram that is not whole is dropped. */
#define PARTS_TIMEOUT_NS (UINT64_C(1000) * 1000 * 1000)

/** Whose datagram it is. */
struct parts_key {
	struct ip_address source;
	uint32_t qpn, own_qpn; /* queue pairs of the sender and of the receiver */
	uint32_t number;
	uint16_t port;
	uint16_t total;
};

struct parts;

/** parts_create - 0 or -ENOMEM */
int parts_create(struct parts **parts_out, struct heap *heap);

/** parts_destroy - NULL is allowed */
void parts_destroy(struct parts *parts);

/**
 * parts_add - @payload of @bytes belongs to the datagram at @offset
 *
 * Which message_datagram_load has checked: multiples of a unit, but for the end, and inside of total.
 * Return: the whole datagram when that was the last part missing: a buf of the caller's; else NULL.
 */
struct buf *parts_add(struct parts *parts, const struct parts_key *key, uint32_t offset,
		      const unsigned char *payload, uint32_t bytes, uint64_t now_ns);

/** parts_expire - drop those whose time is up; returns when the next one's is, UINT64_MAX: there is none */
uint64_t parts_expire(struct parts *parts, uint64_t now_ns);

/** parts_forget - drop those for the queue pair @own_qpn, which is gone */
void parts_forget(struct parts *parts, uint32_t own_qpn);

/** parts_take_dropped - datagrams that were dropped since it was asked last */
uint64_t parts_take_dropped(struct parts *parts);

#endif /* DEMI_LIBOS_CATMINT_DATAGRAM_PARTS_H */
