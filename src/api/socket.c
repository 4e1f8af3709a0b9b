/* SPDX-License-Identifier: MIT */
/* Calls on sockets that are not operations on data. */
#include <demi/libos.h>

#include "api/api.h"

int demi_socket(int *sockqd_out, int domain, int type, int protocol)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;
	struct queue *queue;
	int error;

	if (!runtime)
		return ENOSYS;
	if (!API_POINTER_OK(sockqd_out))
		return EFAULT;
	if (!runtime->libos->ops->socket)
		return EOPNOTSUPP;
	if (queue_table_is_full(&runtime->context.queues))
		return EMFILE;
	error = runtime->libos->ops->socket(runtime->libos, &queue, domain, type, protocol);
	if (error)
		return -error;
	return api_give_descriptor(runtime, queue, sockqd_out);
}

int demi_bind(int sockqd, const struct sockaddr *addr, socklen_t size)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct queue *queue;
	int error = api_find(sockqd, &runtime, &queue);

	if (error)
		return error;
	if (!addr)
		return EFAULT;
	return queue->ops->bind ? -queue->ops->bind(queue, addr, size) : EOPNOTSUPP;
}

int demi_listen(int sockqd, int backlog)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct queue *queue;
	int error = api_find(sockqd, &runtime, &queue);

	if (error)
		return error;
	return queue->ops->listen ? -queue->ops->listen(queue, backlog) : EOPNOTSUPP;
}

int demi_accept(demi_qtoken_t *qt_out, int sockqd)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct queue *queue;
	struct op *op;
	int error = api_find_for_op(qt_out, sockqd, &runtime, &queue);

	if (error)
		return error;
	if (!queue->ops->accept)
		return EOPNOTSUPP;
	op = op_alloc(&runtime->context.ops, DEMI_OPC_ACCEPT, queue, sockqd);
	if (!op)
		return EAGAIN;
	return api_started(runtime, op, queue->ops->accept(queue, op), qt_out);
}

int demi_connect(demi_qtoken_t *qt_out, int sockqd, const struct sockaddr *addr, socklen_t size)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct queue *queue;
	struct op *op;
	int error = api_find_for_op(qt_out, sockqd, &runtime, &queue);

	if (error)
		return error;
	if (!addr)
		return EFAULT;
	if (!queue->ops->connect)
		return EOPNOTSUPP;
	op = op_alloc(&runtime->context.ops, DEMI_OPC_CONNECT, queue, sockqd);
	if (!op)
		return EAGAIN;
	return api_started(runtime, op, queue->ops->connect(queue, op, addr, size), qt_out);
}

int demi_shutdown(int qd, int how)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct queue *queue;
	int error = api_find(qd, &runtime, &queue);

	if (error)
		return error;
	if (!queue->ops->shutdown)
		return EOPNOTSUPP;
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return EINVAL;
	return -queue->ops->shutdown(queue, how);
}

int demi_setsockopt(int qd, int level, int optname, const void *optval, socklen_t optlen)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct queue *queue;
	int error = api_find(qd, &runtime, &queue);

	if (error)
		return error;
	if (!optval)
		return EFAULT;
	if (!queue->ops->set_option)
		return EOPNOTSUPP;
	return -queue->ops->set_option(queue, level, optname, optval, optlen);
}

int demi_getsockopt(int qd, int level, int optname, void *optval, socklen_t *optlen)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct queue *queue;
	int error = api_find(qd, &runtime, &queue);

	if (error)
		return error;
	if (!optval || !API_POINTER_OK(optlen))
		return EFAULT;
	if (!queue->ops->get_option)
		return EOPNOTSUPP;
	return -queue->ops->get_option(queue, level, optname, optval, optlen);
}

/* The queue of a call that asks for an address, once its arguments are in order; 0 or errno. */
static int find_for_address(int qd, const struct sockaddr *addr, const socklen_t *addrlen,
			    struct queue **queue_out)
{
	struct runtime *runtime;
	int error = api_find(qd, &runtime, queue_out);

	if (error)
		return error;
	if (!addr || !API_POINTER_OK(addrlen))
		return EFAULT;
	/* An address cannot have negative room; the type has no sign, the mistake has. */
	return *addrlen <= INT32_MAX ? 0 : EINVAL;
}

int demi_getpeername(int qd, struct sockaddr *addr, socklen_t *addrlen)
{
	API_KEEP_ERRNO;
	struct queue *queue;
	int error = find_for_address(qd, addr, addrlen, &queue);

	if (error)
		return error;
	if (!queue->ops->get_peer_address)
		return EOPNOTSUPP;
	return -queue->ops->get_peer_address(queue, addr, addrlen);
}

int demi_getsockname(int qd, struct sockaddr *addr, socklen_t *addrlen)
{
	API_KEEP_ERRNO;
	struct queue *queue;
	int error = find_for_address(qd, addr, addrlen, &queue);

	if (error)
		return error;
	if (!queue->ops->get_local_address)
		return EOPNOTSUPP;
	return -queue->ops->get_local_address(queue, addr, addrlen);
}
