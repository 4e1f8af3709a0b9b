/* SPDX-License-Identifier: MIT */
/*
 * Types of the public API. The layouts are packed and equal those of Microsoft Demikernel on
 * Linux, but for DEMI_SGARRAY_MAXSIZE: a program written for it is recompiled, not relinked.
 */
#ifndef DEMI_TYPES_H
#define DEMI_TYPES_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <demi/cc.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Largest number of segments in a scatter-gather array. */
#define DEMI_SGARRAY_MAXSIZE 8

/** Names one pending operation; a wait returns it exactly once, afterwards it is unknown. */
typedef uint64_t demi_qtoken_t;

/** One run of bytes. */
typedef struct __attribute__((packed)) demi_sgaseg {
	void *sgaseg_buf;    /**< first byte */
	uint32_t sgaseg_len; /**< bytes */
} demi_sgaseg_t;

/** A scatter-gather array: what is pushed and what is popped. */
typedef struct __attribute__((packed)) demi_sgarray {
	void *sga_buf;        /**< reserved for the library; NULL in an array you filled yourself */
	uint32_t sga_numsegs; /**< 1..DEMI_SGARRAY_MAXSIZE; 0 in the null array */
	demi_sgaseg_t sga_segs[DEMI_SGARRAY_MAXSIZE]; /**< in order, sga_numsegs of them */
	struct sockaddr_in sga_addr; /**< source of a datagram; see demi_sgaaddr(3) for IPv6 */
} demi_sgarray_t;

/** What an operation was, as a wait reports it. */
typedef enum demi_opcode {
	DEMI_OPC_INVALID = 0,
	DEMI_OPC_PUSH,
	DEMI_OPC_POP,
	DEMI_OPC_ACCEPT,
	DEMI_OPC_CONNECT,
	DEMI_OPC_CLOSE,
	DEMI_OPC_FAILED, /**< the operation failed; the positive errno is in qr_ret */
} demi_opcode_t;

/** The outcome of an accept. */
typedef struct __attribute__((packed)) demi_accept_result {
	int32_t qd;              /**< descriptor of the new connection */
	struct sockaddr_in addr; /**< its peer; for IPv6 see demi_getpeername(3) */
} demi_accept_result_t;

/** The outcome of an operation. */
typedef struct __attribute__((packed)) demi_qresult {
	enum demi_opcode qr_opcode; /**< the operation's own, or DEMI_OPC_FAILED */
	int32_t qr_qd;              /**< descriptor it was issued on */
	demi_qtoken_t qr_qt;        /**< its token, now used up */
	int64_t qr_ret;             /**< 0, or the positive errno of a failure */
	union {
		demi_sgarray_t sga;        /**< after a pop; after a failed one see demi_pop(3) */
		demi_accept_result_t ares; /**< after an accept */
	} qr_value;
} demi_qresult_t;

/** Reserved for profiling hooks: name, its length in bytes, value. */
typedef void (*demi_callback_t)(const char *, uint32_t, uint64_t);

/** Arguments of demi_init(3). */
struct __attribute__((packed)) demi_args {
	int argc;                 /**< may be 0 */
	char *const *argv;        /**< may be NULL */
	demi_callback_t callback; /**< may be NULL */
};

#ifdef __cplusplus
}
#endif

#endif /* DEMI_TYPES_H */
