/* SPDX-License-Identifier: MIT */
/* Which step an event of the connection manager is. */
#include <errno.h>

#include "libos/catmint/address.h"
#include "libos/catmint/setup.h"

/* Of the address's and the route's resolution. */
static int errno_of_status(int status)
{
	int error = address_errno(status);

	return address_is_unreachable(error) ? error : ETIMEDOUT;
}

static void not_connected(struct connection *connection, int error)
{
	if (connection->state == CONNECTION_CONNECTING)
		connect_give_up(connection, error);
	else
		end_bury(connection);
}

static void handle_opening(struct connection *connection, const struct rdma_cm_event *event)
{
	switch (event->event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		connect_address_resolved(connection);
		break;
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		connect_route_resolved(connection);
		break;
	case RDMA_CM_EVENT_ESTABLISHED:
		if (connection->state == CONNECTION_ACCEPTING)
			accept_established(connection);
		else
			connect_established(connection, event);
		break;
	case RDMA_CM_EVENT_ADDR_ERROR:
	case RDMA_CM_EVENT_ROUTE_ERROR:
		not_connected(connection, errno_of_status(event->status));
		break;
	case RDMA_CM_EVENT_REJECTED:
		if (connection->state == CONNECTION_CONNECTING)
			connect_rejected(connection, event);
		else
			end_bury(connection);
		break;
	case RDMA_CM_EVENT_UNREACHABLE:
		not_connected(connection, ETIMEDOUT);
		break;
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		not_connected(connection, ENODEV);
		break;
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_DISCONNECTED:
		not_connected(connection, ECONNRESET);
		break;
	default:
		break;
	}
}

void setup_handle(struct cm_target *target, const struct rdma_cm_event *event)
{
	struct connection *connection = container_of(target, struct connection, target);

	if (event->event == RDMA_CM_EVENT_CONNECT_REQUEST) {
		accept_requested(connection, event);
	} else if (connection->state == CONNECTION_CONNECTING ||
		   connection->state == CONNECTION_ACCEPTING) {
		handle_opening(connection, event);
	} else if (event->event == RDMA_CM_EVENT_DISCONNECTED) {
		if (connection->qp)
			end_disconnected(connection);
	} else if (event->event == RDMA_CM_EVENT_DEVICE_REMOVAL) {
		if (connection->state != CONNECTION_DYING)
			connection_fail(connection, ENODEV);
	}
}
