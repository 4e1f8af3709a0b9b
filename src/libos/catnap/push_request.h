/* SPDX-License-Identifier: MIT */
/* A push that is not done yet: its segments, held, and how far it has got. */
#ifndef DEMI_LIBOS_CATNAP_PUSH_REQUEST_H
#define DEMI_LIBOS_CATNAP_PUSH_REQUEST_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/uio.h>

#include <demi/types.h>

#include "heap/heap.h"

struct push_request {
	demi_sgarray_t sga;       /* number and segments, all in our heap and held */
	uint32_t segment;         /* goes on in this one */
	uint32_t offset;          /* and there, bytes */
	socklen_t address_length; /* of a datagram's destination; 0: none */
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} address;
};

/**
 * push_request_init - take over a checked array
 *
 * What lies in our heap is held. For the rest there is room, which push_request_copy fills.
 * Return: 0 or -ENOMEM.
 */
int push_request_init(struct push_request *request, struct heap *heap, const demi_sgarray_t *sga);

/**
 * push_request_copy - copy what does not lie in our heap and is not done yet
 * @sga: that of push_request_init
 *
 * Return: 0; -EFAULT when it cannot be read.
 */
int push_request_copy(struct push_request *request, const demi_sgarray_t *sga);

/** push_request_fini - drop the holds */
void push_request_fini(struct push_request *request, struct heap *heap);

/** push_request_gather - what is left, into @iov[@room]; returns entries used */
unsigned int push_request_gather(const struct push_request *request, struct iovec *iov,
				 unsigned int room);

/** push_request_advance - @bytes more are done; returns how many of them are not this push's */
size_t push_request_advance(struct push_request *request, size_t bytes);

static inline bool push_request_is_started(const struct push_request *request)
{
	return request->segment > 0 || request->offset > 0;
}

static inline bool push_request_is_done(const struct push_request *request)
{
	return request->segment == request->sga.sga_numsegs;
}

#endif /* DEMI_LIBOS_CATNAP_PUSH_REQUEST_H */
