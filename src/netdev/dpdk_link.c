/* SPDX-License-Identifier: MIT */
/* The device over DPDK: whether anybody is at the other end. */
#include <errno.h>
#include <net/if.h>
#include <semaphore.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_cycles.h>

#include "base/log.h"
#include "netdev/dpdk.h"

#define LINK_WAIT_MS 3000u
#define LINK_STEP_MS 5u
/* After so long, and twice as long each time, a client of memif tries again. */
#define AGAIN_MS 100u

/* A virtual device over an interface of the kernel's, which only the operator sets up. */
static void warn_of_interface(const struct dpdk_device *device)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};

	if (fd >= 0 && if_indextoname(device->netdev.caps.interface_index, request.ifr_name) &&
	    ioctl(fd, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_UP))
		log_warning("%s: the interface %s is down; nothing is sent or received until it is "
			    "up: \"ip link set dev %s up\"",
			    device->netdev.name, request.ifr_name, request.ifr_name);
	if (fd >= 0)
		close(fd);
}

/*
 * Its other side was there when it started, and is about to answer. A server may wait for long, and is
 * there for whoever comes.
 */
static bool is_memif_client(const struct dpdk_device *device, const char *arguments)
{
	return device->answers_in_interrupts && !strstr(arguments, "role=server") &&
	       !strstr(arguments, "role=master");
}

/*
 * A server of memif listens before it knows the interface that is asked for, and refuses it then; a client
 * that was refused does not come again by itself.
 */
struct again {
	uint16_t port;
	bool is_stopped;
	sem_t done;
};

static void disconnect(void *argument)
{
	struct again *again = argument;
	struct rte_eth_link link = {0};

	if (!again->is_stopped && rte_eth_link_get_nowait(again->port, &link) == 0 &&
	    !link.link_status)
		again->is_stopped = rte_eth_dev_stop(again->port) == 0;
	sem_post(&again->done);
}

static void connect_again(void *argument)
{
	struct again *again = argument;

	again->is_stopped = rte_eth_dev_start(again->port) != 0;
	sem_post(&again->done);
}

/* In the EAL's thread for interrupts, where the driver answers its other side, and takes no lock. */
static void call_there(struct again *again, rte_eal_alarm_callback call)
{
	if (rte_eal_alarm_set(1, call, again) != 0)
		return;
	while (sem_wait(&again->done) < 0)
		;
}

static void try_again(struct again *again)
{
	call_there(again, disconnect);
	if (!again->is_stopped)
		return;
	dpdk_gate_settle();
	call_there(again, connect_again);
}

int dpdk_port_await_link(const struct dpdk_device *device, const char *arguments)
{
	bool tries = is_memif_client(device, arguments);
	struct again again = {.port = device->port};
	unsigned int waited_ms = 0, again_ms = AGAIN_MS;
	struct rte_eth_link link = {0};

	if (device->is_vdev && !tries) {
		if (device->netdev.caps.interface_index)
			warn_of_interface(device);
		return 0;
	}
	sem_init(&again.done, 0, 0);
	for (; waited_ms < LINK_WAIT_MS; waited_ms += LINK_STEP_MS) {
		if (rte_eth_link_get_nowait(device->port, &link) < 0 || link.link_status)
			break;
		rte_delay_us_sleep(LINK_STEP_MS * 1000);
		if (tries && waited_ms >= again_ms) {
			try_again(&again);
			again_ms *= 2;
		}
	}
	sem_destroy(&again.done);
	if (waited_ms >= LINK_WAIT_MS)
		log_warning(
			"%s: the link is down; nothing is sent or received until it is up: look at "
			"the cable and at the other side",
			device->netdev.name);
	return again.is_stopped ? -ENOTCONN : 0;
}
