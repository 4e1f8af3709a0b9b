/* SPDX-License-Identifier: MIT */
/* What the interface is, and which of its queues are served. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "netdev/afxdp.h"
#include "wire/eth.h"

static int interface_check(struct afxdp *afxdp, int socket, struct ifreq *request)
{
	struct netdev_caps *caps = &afxdp->device.caps;

	if (ioctl(socket, SIOCGIFINDEX, request))
		return afxdp_refuse(afxdp, "no such interface; see \"ip link\"", -errno);
	caps->interface_index = (unsigned int)request->ifr_ifindex;
	if (ioctl(socket, SIOCGIFHWADDR, request) || request->ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return afxdp_refuse(afxdp, "not an Ethernet interface; give another one", -EINVAL);
	caps->mac = eth_address_load(request->ifr_hwaddr.sa_data);
	if (ioctl(socket, SIOCGIFMTU, request))
		return afxdp_refuse(afxdp, "the interface has no MTU", -errno);
	caps->mtu = (uint32_t)request->ifr_mtu;
	if (caps->mtu + ETH_HEADER_BYTES_MAX > AFXDP_FRAME_BYTES_MAX) {
		log_error("%s: its MTU of %u is too large for AF_XDP, whose frames have %u bytes; "
			  "\"ip link set dev %s mtu 1500\"",
			  afxdp->device.name, caps->mtu, AFXDP_FRAME_BYTES_MAX, afxdp->interface);
		return -EMSGSIZE;
	}
	return 0;
}

/* ---- Queues ---- */

/* Those that it receives from; 0: it does not tell. */
static uint32_t receive_queues(int socket, const struct afxdp *afxdp)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq request = {.ifr_data = (void *)&channels};

	memcpy(request.ifr_name, afxdp->interface, sizeof(request.ifr_name));
	if (ioctl(socket, SIOCETHTOOL, &request))
		return 0;
	return channels.combined_count + channels.rx_count;
}

void afxdp_queues_say(const struct afxdp_settings *settings, char text[AFXDP_QUEUES_TEXT_BYTES])
{
	uint32_t last = settings->queue + settings->queue_count - 1;

	if (last == settings->queue)
		snprintf(text, AFXDP_QUEUES_TEXT_BYTES, "queue %u", last);
	else
		snprintf(text, AFXDP_QUEUES_TEXT_BYTES, "queues %u to %u", settings->queue, last);
}

static void warn_of_others(const struct afxdp *afxdp, const struct afxdp_settings *settings,
			   uint32_t queues)
{
	char served[AFXDP_QUEUES_TEXT_BYTES];

	afxdp_queues_say(settings, served);
	log_warning("%s: of %u receive queues we serve only %s, and lose what comes by the others; "
		    "%slower their number by \"ethtool -L\", or steer our addresses to those "
		    "served by \"ethtool -N\"",
		    afxdp->device.name, queues, served,
		    queues <= AFXDP_QUEUES_MAX
			    ? "leave out queue= (or afxdp.queue) and queues= to serve all, "
			    : "");
}

/* The kernel spreads flows over all queues, so we serve all that we are not told to leave out. */
static int queues_choose(const struct afxdp *afxdp, struct afxdp_settings *settings,
			 uint32_t queues)
{
	uint32_t first = settings->queue;
	uint32_t count = settings->queue_count;

	if (count == 0)
		count = queues > first ? queues - first : 1;
	if (count > AFXDP_QUEUES_MAX)
		count = AFXDP_QUEUES_MAX;
	settings->queue_count = count;
	if (queues && (first >= queues || count > queues - first)) {
		log_error("%s: queue=%u,queues=%u: the interface has %u receive queues, from 0 on; "
			  "leave both out, or see \"ethtool -l %s\"",
			  afxdp->device.name, first, count, queues, afxdp->interface);
		return -EINVAL;
	}
	if (queues > count)
		warn_of_others(afxdp, settings, queues);
	return 0;
}

int afxdp_interface_open(struct afxdp *afxdp, struct afxdp_settings *settings)
{
	struct ifreq request = {0};
	int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error;

	if (socket_fd < 0)
		return afxdp_refuse(afxdp, strerror(errno), -errno);
	memcpy(request.ifr_name, afxdp->interface, sizeof(request.ifr_name));
	error = interface_check(afxdp, socket_fd, &request);
	if (!error)
		error = queues_choose(afxdp, settings, receive_queues(socket_fd, afxdp));
	close(socket_fd);
	return error;
}

/* ---- Later ---- */

/* IFF_*; -errno: there is none of this number, whatever its name is now. */
static int interface_flags(const struct afxdp *afxdp)
{
	struct ifreq request = {.ifr_ifindex = (int)afxdp->device.caps.interface_index};

	if (ioctl(afxdp->overhear.fd, SIOCGIFNAME, &request) ||
	    ioctl(afxdp->overhear.fd, SIOCGIFFLAGS, &request))
		return -errno;
	return (unsigned short)request.ifr_flags;
}

static void set_down(struct afxdp *afxdp, bool is_down)
{
	if (is_down && !afxdp->is_down)
		log_warning(
			"%s: the interface is down, nothing is sent or received until it is up: "
			"\"ip link set dev %s up\"",
			afxdp->device.name, afxdp->interface);
	else if (!is_down && afxdp->is_down)
		log_info("%s: the interface is up again", afxdp->device.name);
	afxdp->is_down = is_down;
}

static void fail(struct afxdp *afxdp)
{
	log_error("%s: the interface has been removed, all sockets fail with ENETDOWN; start the "
		  "program again when there is one",
		  afxdp->device.name);
	afxdp_let_go(afxdp);
	afxdp->device.failure = -ENETDOWN;
}

void afxdp_interface_watch(struct afxdp *afxdp)
{
	socklen_t bytes = sizeof(int);
	int error = 0;
	int flags;

	/* The packet socket's error says that something has happened, and wakes us until it is read. */
	getsockopt(afxdp->overhear.fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
	if (!error && !afxdp->is_down)
		return;
	flags = interface_flags(afxdp);
	if (flags == -ENODEV || flags == -ENXIO)
		fail(afxdp);
	else if (flags >= 0)
		set_down(afxdp, !(flags & IFF_UP));
}
