/* SPDX-License-Identifier: MIT */
/*
 * Life of a runtime, sockets, and the operations on queues.
 *
 * Every call returns 0 or a positive errno value and never sets errno. A call that stores a
 * queue token starts an operation; its own outcome is what a wait returns for the token.
 * Before demi_init(3) every call returns ENOSYS; what a queue cannot do returns EOPNOTSUPP.
 * A runtime belongs to the thread that made it: all calls concern the calling thread's.
 */
#ifndef DEMI_LIBOS_H
#define DEMI_LIBOS_H

#include <stddef.h>
#include <sys/socket.h>

#include <demi/cc.h>
#include <demi/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * demi_init - start this thread's runtime
 * @args: arguments for the libOS, or NULL; nothing of it is kept
 *
 * Reads the configuration (file named by CONFIG_PATH, DEMI_* variables, LIBOS).
 * Return: 0; EEXIST when this thread has a runtime; EINVAL for a bad configuration (the message
 * on standard error names file, line and key); ENOTSUP for a libOS that is unknown or was left
 * out of the build; ENOMEM (also: no reserved huge page with `heap.huge_pages: reserved`); or the
 * errno of the device.
 *
 * The child of a fork(2) has no runtime, may start one, and may use the heap objects of its parent.
 */
extern int demi_init(_In_opt_ const struct demi_args *args);

/**
 * demi_fini - end this thread's runtime
 *
 * Closes every descriptor and frees all arrays, those that the application still holds included.
 * Objects of demi_malloc(3) stay valid until some thread frees them. Waits for nothing: use
 * demi_aclose(3) first where the peer must have everything. Without a runtime it does nothing.
 */
extern void demi_fini(void);

/**
 * demi_socket - make a socket queue
 * @sockqd_out: its descriptor, 500 or more
 * @domain:     AF_INET, AF_INET6, or AF_UNIX (SOCK_STREAM only; Catnap)
 * @type:       SOCK_STREAM or SOCK_DGRAM
 * @protocol:   0, or the one that fits @type; with SOCK_DGRAM also IPPROTO_ICMP (AF_INET) or
 *   IPPROTO_ICMPV6 (AF_INET6): echo requests are pushed, replies popped, each from its header on
 *
 * Return: 0, ENOTSUP (domain, type or protocol), EACCES (echoes; Catnap), EMFILE, ENOMEM, EFAULT.
 */
ATTR_NONNULL(1)
extern int demi_socket(_Out_ int *sockqd_out, _In_ int domain, _In_ int type, _In_ int protocol);

/**
 * demi_bind - give a socket its local address
 *
 * Port 0 and wildcard addresses are served; see demi_getsockname(3) for what was chosen.
 * Return: 0, EBADF, EINVAL (bound already, or the length is wrong), EAFNOSUPPORT,
 * EADDRINUSE, EADDRNOTAVAIL, EACCES, EFAULT.
 */
ATTR_NONNULL(2)
extern int demi_bind(_In_ int sockqd, _In_reads_bytes_(size) const struct sockaddr *addr,
		     _In_ socklen_t size);

/**
 * demi_listen - let a bound stream socket accept connections
 * @backlog: connections that may wait for an accept; 0 and less mean the least the libOS has
 *
 * Return: 0, EBADF, EDESTADDRREQ (not bound), EADDRINUSE (listening already, or the port was
 * taken), EISCONN, EOPNOTSUPP (not a stream socket).
 */
extern int demi_listen(_In_ int sockqd, _In_ int backlog);

/**
 * demi_accept - start accepting one connection
 * @qt_out: token; its result carries the new descriptor in qr_value.ares.qd
 *
 * Return: 0, EBADF, EINVAL (not listening), EOPNOTSUPP, EAGAIN (operation table full), EFAULT.
 */
ATTR_NONNULL(1)
extern int demi_accept(_Out_ demi_qtoken_t *qt_out, _In_ int sockqd);

/**
 * demi_connect - start connecting a socket
 *
 * A datagram socket is given its peer; it may be connected again to change it.
 * Return: 0, EBADF, EINVAL, EAFNOSUPPORT, EISCONN, EINPROGRESS (connecting), EOPNOTSUPP
 * (listening), EAGAIN (operation table full), EFAULT. The operation itself may fail with ECONNREFUSED,
 * ETIMEDOUT, ENETUNREACH, EHOSTUNREACH and so on.
 */
ATTR_NONNULL(1, 3)
extern int demi_connect(_Out_ demi_qtoken_t *qt_out, _In_ int sockqd,
			_In_reads_bytes_(size) const struct sockaddr *addr, _In_ socklen_t size);

/**
 * demi_close - close a descriptor at once
 *
 * Its pending operations complete as failed with ECANCELED and can still be waited for. What
 * was pushed and completed goes on to the peer as SO_LINGER says.
 * Return: 0, EBADF.
 */
extern int demi_close(_In_ int qd);

/**
 * demi_aclose - close a descriptor; completes when the peer has all that was pushed
 *
 * Until then the descriptor takes no new operation. Pending pops, accepts and connects complete
 * with ECANCELED at once, pending pushes as they are sent (an in-memory queue has no peer and
 * cancels them). The result is DEMI_OPC_CLOSE, or
 * DEMI_OPC_FAILED with what kept the data from the peer; the descriptor is closed either way.
 * Return: 0, EBADF, EAGAIN (operation table full), EFAULT.
 */
ATTR_NONNULL(1)
extern int demi_aclose(_Out_ demi_qtoken_t *qt_out, _In_ int qd);

/**
 * demi_shutdown - end one or both directions of a connected stream
 * @how: SHUT_RD, SHUT_WR or SHUT_RDWR
 *
 * SHUT_WR takes effect after the pushes that are pending. Return: 0, EBADF, ENOTCONN, EINVAL,
 * EOPNOTSUPP.
 */
extern int demi_shutdown(_In_ int qd, _In_ int how);

/**
 * demi_push - start writing a scatter-gather array to a queue
 * @sga: 1..DEMI_SGARRAY_MAXSIZE segments, none empty, but one alone of an empty datagram; the array
 *       itself is copied
 *
 * Segments in this runtime's heap belong to the library until the operation completes: do not write
 * to them; they may be freed. Other memory may be reused when the call returns: what cannot be sent
 * at once is copied. On a stream it completes when the device needs the memory no more.
 * Return: 0, EBADF, EINVAL (no segment, too many, an empty one, one that reaches out of its
 * buffer or object), EFAULT (no segment pointer, foreign sga_buf, foreign memory with
 * `heap.foreign: refuse` or that a file cannot read), ENOTCONN, EDESTADDRREQ (a datagram without an
 * address), EPIPE (shut down), EMSGSIZE, EAGAIN (operation table full), ENOMEM.
 */
ATTR_NONNULL(1, 3)
extern int demi_push(_Out_ demi_qtoken_t *qt_out, _In_ int qd, _In_ const demi_sgarray_t *sga);

/**
 * demi_pushto - start sending one datagram to an address
 *
 * As demi_push(3); on a stream socket EOPNOTSUPP. Return: also EAFNOSUPPORT.
 */
ATTR_NONNULL(1, 3, 4)
extern int demi_pushto(_Out_ demi_qtoken_t *qt_out, _In_ int sockqd, _In_ const demi_sgarray_t *sga,
		       _In_reads_bytes_(size) const struct sockaddr *dest_addr,
		       _In_ socklen_t size);

/**
 * demi_pop - start reading what comes next from a queue
 *
 * The result's array belongs to the application, which frees it with demi_sgafree(3): a whole
 * datagram, the next bytes of a stream, one element of an in-memory queue. The end of a stream
 * is one segment of length 0. Pops complete in the order in which they were issued.
 * Return: 0, EBADF, ENOTCONN, EOPNOTSUPP, EAGAIN (operation table full), EFAULT.
 */
ATTR_NONNULL(1)
extern int demi_pop(_Out_ demi_qtoken_t *qt_out, _In_ int qd);

/**
 * demi_cancel - stop a pending operation
 *
 * It completes as failed with ECANCELED, which a wait returns as usual; data that had arrived
 * for it goes to the next pop. Return: 0, EINVAL (unknown token), EALREADY (it has completed:
 * wait for it), EBUSY (a push of which a part was sent: the stream cannot take it back).
 */
extern int demi_cancel(_In_ demi_qtoken_t qt);

/**
 * demi_setsockopt, demi_getsockopt - socket options
 *
 * SOL_SOCKET: SO_LINGER, SO_KEEPALIVE, SO_REUSEADDR, SO_REUSEPORT, SO_RCVBUF, SO_SNDBUF,
 * SO_BROADCAST, and to read SO_ERROR, SO_TYPE, SO_DOMAIN, SO_ACCEPTCONN; IPPROTO_TCP: TCP_NODELAY,
 * TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT, TCP_MAXSEG, and to read TCP_INFO;
 * IPPROTO_IPV6: IPV6_V6ONLY; of datagrams IP_MTU_DISCOVER and IPV6_MTU_DISCOVER. Return: 0, EBADF,
 * ENOTSUP (level), ENOPROTOOPT, EINVAL (value or length), EFAULT.
 */
ATTR_NONNULL(4)
extern int demi_setsockopt(_In_ int qd, _In_ int level, _In_ int optname,
			   _In_reads_bytes_(optlen) const void *optval, _In_ socklen_t optlen);
ATTR_NONNULL(4, 5)
extern int demi_getsockopt(_In_ int qd, _In_ int level, _In_ int optname,
			   _Out_writes_to_(optlen, *optlen) void *optval,
			   _Inout_ socklen_t *optlen);

/**
 * demi_getpeername, demi_getsockname - the address of the peer, and our own
 * @addrlen: in: room at @addr, bytes; out: the address's true length, even if it was cut
 *
 * Return: 0, EBADF, ENOTCONN (no peer), EINVAL (negative room), EFAULT.
 */
ATTR_NONNULL(2, 3)
extern int demi_getpeername(_In_ int qd, _Out_writes_to_(addrlen, *addrlen) struct sockaddr *addr,
			    _Inout_ socklen_t *addrlen);
ATTR_NONNULL(2, 3)
extern int demi_getsockname(_In_ int qd, _Out_writes_to_(addrlen, *addrlen) struct sockaddr *addr,
			    _Inout_ socklen_t *addrlen);

#ifdef __cplusplus
}
#endif

#endif /* DEMI_LIBOS_H */
