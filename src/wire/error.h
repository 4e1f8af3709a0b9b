/* SPDX-License-Identifier: MIT */
/*
 * Why a packet is dropped, or not made. Every parse function of this folder returns the length of
 * the header that it has read (0 where there is none), every emit function what it has written;
 * both return -(enum wire_error) otherwise. Neither looks beyond the length that it is given.
 */
#ifndef DEMI_WIRE_ERROR_H
#define DEMI_WIRE_ERROR_H

/* WIRE_name, and what wire_error_name says of it. */
#define WIRE_ERRORS(X)                                                                   \
	X(TRUNCATED, "truncated")                 /* ends before what it announces */    \
	X(BAD_VERSION, "bad version")             /* of IP */                            \
	X(BAD_HEADER_LENGTH, "bad header length") /* less than the fixed part */         \
	X(BAD_TOTAL_LENGTH, "bad total length")   /* less than its own header */         \
	X(BAD_CHECKSUM, "bad checksum")                                                  \
	X(NO_CHECKSUM, "no checksum")       /* UDP over IPv6 must have one */            \
	X(BAD_TYPE, "bad type")             /* of frame, address or message */           \
	X(BAD_CODE, "bad code")             /* of an ICMP message */                     \
	X(BAD_OPTION, "bad option")         /* malformed, or not to be ignored */        \
	X(SOURCE_ROUTE, "source route")     /* options or headers that ask so */         \
	X(BAD_SOURCE, "bad source address") /* nobody can have sent from there */        \
	X(BAD_DESTINATION, "bad destination address")                                    \
	X(BAD_TARGET, "bad target address")      /* the one that the message is about */ \
	X(BAD_PORT, "bad port")                  /* 0 */                                 \
	X(BAD_HOP_LIMIT, "bad hop limit")        /* it came through a router */          \
	X(BAD_FRAGMENT, "bad fragment")          /* sizes that no packet can have */     \
	X(BAD_EXTENSION, "bad extension header") /* where none must stand */             \
	X(TOO_MANY_HEADERS, "too many extension headers")                                \
	X(TOO_MANY_OPTIONS, "too many options")                                          \
	X(INCOMPLETE_CHAIN, "incomplete header chain") /* in a first fragment */         \
	X(NO_ROOM, "no room")                          /* emitting: the buffer is too small */

enum wire_error {
	WIRE_OK,
#define WIRE_ERROR_ENTRY(name, text) WIRE_##name,
	WIRE_ERRORS(WIRE_ERROR_ENTRY)
#undef WIRE_ERROR_ENTRY
		WIRE_ERRORS_END, /* how many there are, for an array of counters */
};

/**
 * wire_error_name - what to call it in a trace
 * @error: the enum's value or what a parser has returned, its negative
 *
 * Return: a constant string, "ok" for 0 and above the last "unknown".
 */
const char *wire_error_name(int error);

#endif /* DEMI_WIRE_ERROR_H */
