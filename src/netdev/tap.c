/* SPDX-License-Identifier: MIT */
/*
 * TAP: "tap:demi0", an interface of the kernel whose other end is ours. It is made if it is not
 * there, and goes with the process unless it was made persistent ("ip tuntap add"). The kernel's
 * end has the interface's station address; ours is another one.
 *
 * For every machine and for trying things out: each frame is a system call, and so is finding that
 * none has come. Frames have complete checksums, since offloads are not asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "netdev/kinds.h"
#include "wire/eth.h"

#define SEGMENTS_MAX 16u
#define ROOM_OFFSET ((uint32_t)sizeof(struct buf))
#define DATA_OFFSET (ROOM_OFFSET + NETDEV_HEAD_ROOM)

struct tap {
	struct netdev device;
	int fd;
	uint32_t frame_bytes_max; /* of an Ethernet frame */
};

static struct tap *tap_of(struct netdev *device)
{
	return (struct tap *)(void *)((char *)device - offsetof(struct tap, device));
}

/* ---- Frames ---- */

/* A frame, or NULL: none is there, or it was none for us; *more_out: there may be another one. */
static struct buf *receive(struct tap *tap, bool *more_out)
{
	struct netdev *device = &tap->device;
	struct buf *frame = netdev_alloc(device);
	ssize_t length;

	*more_out = false;
	/* What is not read waits in the kernel, which drops when that is too much. */
	if (!frame)
		return NULL;
	/* One byte more than there may be tells a frame that was cut off. */
	length = read(tap->fd, frame->data, tap->frame_bytes_max + 1);
	if (length >= ETH_HEADER_BYTES && length <= tap->frame_bytes_max) {
		frame->length = (uint32_t)length;
		*more_out = true;
		return frame;
	}
	if (length >= 0) {
		device->counters.rx_errors++;
		*more_out = true;
	}
	frame_release(device->heap, frame);
	return NULL;
}

static unsigned int tap_rx_burst(struct netdev *device, struct buf **frames, unsigned int room,
				 uint64_t now_ns)
{
	struct tap *tap = tap_of(device);
	unsigned int received = 0;
	bool more = true;

	(void)now_ns;
	for (unsigned int i = 0; i < room && more; i++) {
		struct buf *frame = receive(tap, &more);

		if (frame) {
			device->counters.rx_bytes += frame->length;
			frames[received++] = frame;
		}
	}
	device->counters.rx_frames += received;
	return received;
}

/* Return: 0, -EMSGSIZE (never to be sent), or -errno of the system. */
static int send_frame(struct tap *tap, const struct buf *frame)
{
	struct iovec segments[SEGMENTS_MAX];
	uint32_t length = 0;
	int count = 0;

	for (; frame; frame = frame->next) {
		if (count == (int)SEGMENTS_MAX)
			return -EMSGSIZE;
		segments[count++] = (struct iovec){frame->data, frame->length};
		length += frame->length;
	}
	if (length > tap->frame_bytes_max)
		return -EMSGSIZE;
	if (writev(tap->fd, segments, count) < 0)
		return -errno;
	tap->device.counters.tx_frames++;
	tap->device.counters.tx_bytes += length;
	return 0;
}

static unsigned int tap_tx_burst(struct netdev *device, struct buf **frames, unsigned int count,
				 uint64_t now_ns)
{
	unsigned int taken = 0;

	(void)now_ns;
	for (; taken < count; taken++) {
		int error = send_frame(tap_of(device), frames[taken]);

		if (error == -EAGAIN || error == -EINTR) {
			device->counters.tx_full++;
			break;
		}
		if (error)
			device->counters.tx_errors++;
		netdev_release_chain(device, frames[taken]);
	}
	return taken;
}

/* ---- Birth and death ---- */

static int tap_idle_fd(struct netdev *device, bool *sleep_out)
{
	*sleep_out = true;
	return tap_of(device)->fd;
}

static void tap_forget(struct netdev *device)
{
	struct tap *tap = tap_of(device);

	if (tap->fd >= 0)
		close(tap->fd);
	tap->fd = -1;
}

static void tap_close(struct netdev *device)
{
	tap_forget(device);
	netdev_fini(device);
	free(tap_of(device));
}

static const struct netdev_ops tap_ops = {
	.kind = "tap",
	.rx_burst = tap_rx_burst,
	.tx_burst = tap_tx_burst,
	.idle_fd = tap_idle_fd,
	.forget = tap_forget,
	.close = tap_close,
};

static int refuse(const struct tap *tap, const char *what, int error)
{
	const char *name = tap->device.name;

	switch (-error) {
	case EPERM:
	case EACCES:
		log_error(
			"%s: no permission to %s; it needs root or the capability CAP_NET_ADMIN, or "
			"root makes it: \"ip tuntap add dev %s mode tap user USER; ip link set dev "
			"%s up\"",
			name, what, name + strlen("tap:"), name + strlen("tap:"));
		break;
	case ENOENT:
	case ENXIO:
	case ENODEV:
		log_error("%s: cannot %s: there is no /dev/net/tun; \"modprobe tun\", and in a "
			  "container let it have that device",
			  name, what);
		break;
	case EBUSY:
		log_error("%s: another program has it open; end that, or give another name", name);
		break;
	case EINVAL:
		log_error(
			"%s: cannot %s: the interface is there and is no TAP device for one reader; "
			"give another name",
			name, what);
		break;
	default:
		log_error("%s: cannot %s: %s", name, what, strerror(-error));
	}
	return error;
}

static int attach(struct tap *tap, struct ifreq *request)
{
	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0)
		return refuse(tap, "open /dev/net/tun", -errno);
	request->ifr_flags = IFF_TAP | IFF_NO_PI;
	if (ioctl(tap->fd, TUNSETIFF, request))
		return refuse(tap, "make or join it", -errno);
	return 0;
}

static int set_up(const struct tap *tap, int socket, struct ifreq *request)
{
	if (ioctl(socket, SIOCGIFFLAGS, request))
		return refuse(tap, "ask for its state", -errno);
	if (request->ifr_flags & IFF_UP)
		return 0;
	request->ifr_flags |= IFF_UP;
	return ioctl(socket, SIOCSIFFLAGS, request) == 0 ? 0 : refuse(tap, "set it up", -errno);
}

static int configure(struct tap *tap, int socket, struct ifreq *request,
		     const struct netdev_options *options)
{
	struct netdev_caps *caps = &tap->device.caps;
	int error = set_up(tap, socket, request);

	if (error)
		return error;
	if (ioctl(socket, SIOCGIFHWADDR, request))
		return refuse(tap, "ask for its address", -errno);
	caps->mac = netdev_station(options, eth_address_load(request->ifr_hwaddr.sa_data));
	if (ioctl(socket, SIOCGIFMTU, request))
		return refuse(tap, "ask for its MTU", -errno);
	caps->mtu = (uint32_t)request->ifr_mtu;
	caps->interface_index = if_nametoindex(request->ifr_name);
	caps->segments_max = SEGMENTS_MAX;
	tap->frame_bytes_max = caps->mtu + ETH_HEADER_BYTES_MAX;
	if (DATA_OFFSET + tap->frame_bytes_max + 1 <= HEAP_FRAME_BYTES_MAX)
		return 0;
	log_error("%s: its MTU of %u is too large, %u is the most; \"ip link set dev %s mtu 9000\"",
		  tap->device.name, caps->mtu,
		  HEAP_FRAME_BYTES_MAX - DATA_OFFSET - ETH_HEADER_BYTES_MAX - 1, request->ifr_name);
	return -EMSGSIZE;
}

static int start(struct tap *tap, struct ifreq *request, const struct netdev_options *options)
{
	int error = attach(tap, request);
	int socket_fd;

	if (error)
		return error;
	socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (socket_fd < 0)
		return refuse(tap, "configure it", -errno);
	error = configure(tap, socket_fd, request, options);
	close(socket_fd);
	if (error)
		return error;
	return netdev_init(&tap->device, &tap_ops, options->heap,
			   DATA_OFFSET + tap->frame_bytes_max + 1, sizeof(struct buf),
			   options->config->net.frames, ROOM_OFFSET, DATA_OFFSET);
}

int tap_open(struct netdev **device_out, const char *arguments,
	     const struct netdev_options *options)
{
	struct ifreq request = {0};
	struct tap *tap;
	int error;

	if (*arguments == '\0' || strlen(arguments) >= sizeof(request.ifr_name) ||
	    strpbrk(arguments, ",%/ ")) {
		log_error(
			"net.dev: \"tap:%s\": give the name of an interface, of up to %zu letters, "
			"as in tap:demi0",
			arguments, sizeof(request.ifr_name) - 1);
		return -EINVAL;
	}
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return -ENOMEM;
	tap->fd = -1;
	tap->device.heap = options->heap;
	memcpy(request.ifr_name, arguments, strlen(arguments));
	snprintf(tap->device.name, sizeof(tap->device.name), "tap:%s", arguments);
	error = start(tap, &request, options);
	if (error) {
		tap_close(&tap->device);
		return error;
	}
	*device_out = &tap->device;
	return 0;
}
