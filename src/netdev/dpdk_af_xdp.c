/* SPDX-License-Identifier: MIT */
/*
 * Why DPDK's net_af_xdp does not start. The driver itself says which of its functions failed, and
 * the libraries below it say the rest, each in its words; what an operator can do something about
 * is looked up here.
 */
#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "netdev/dpdk.h"
#ifdef DEMI_HAVE_XDP
#include <bpf/libbpf.h>
#endif

/* Older headers lack it. */
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

static bool has_capability(const struct __user_cap_data_struct sets[2], unsigned int number)
{
	return sets[number / 32].effective >> (number % 32) & 1;
}

static bool has_permission(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2] = {{0}};

	if (syscall(SYS_capget, &header, sets))
		return true;
	return has_capability(sets, CAP_NET_RAW) && has_capability(sets, CAP_NET_ADMIN) &&
	       (has_capability(sets, CAP_BPF) || has_capability(sets, CAP_SYS_ADMIN));
}

static bool kernel_lacks_af_xdp(void)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	bool lacks = fd < 0 && errno == EAFNOSUPPORT;

	if (fd >= 0)
		close(fd);
	return lacks;
}

/* The number of the program on the interface, 0: none, or nobody can tell. */
static unsigned int program_of(unsigned int interface_index)
{
	unsigned int number = 0;

#ifdef DEMI_HAVE_XDP
	if (bpf_xdp_query_id((int)interface_index, 0, &number))
		return 0;
#else
	(void)interface_index;
#endif
	return number;
}

/* The value of "iface=" in "net_af_xdp0,iface=eth1,..."; false: there is none that can be. */
static bool interface_of(const char *arguments, char interface[IF_NAMESIZE])
{
	static const char key[] = ",iface=";
	const char *at = strstr(arguments, key);
	size_t length;

	if (!at)
		return false;
	at += sizeof(key) - 1;
	length = strcspn(at, ",");
	if (length == 0 || length >= IF_NAMESIZE)
		return false;
	memcpy(interface, at, length);
	interface[length] = '\0';
	return true;
}

bool dpdk_af_xdp_say_why_not(const struct dpdk_device *device, const char *said)
{
	const char *name = device->netdev.name;
	char interface[IF_NAMESIZE] = "";
	unsigned int index, program;

	if (!strstr(name, "net_af_xdp"))
		return false;
	if (!interface_of(name, interface)) {
		log_error("%s: give the interface, as in net_af_xdp0,iface=eth1", name);
		return true;
	}
	index = if_nametoindex(interface);
	program = index ? program_of(index) : 0;
	if (index == 0)
		log_error("%s: there is no interface %s; see \"ip link\"", name, interface);
	else if (kernel_lacks_af_xdp())
		log_error("%s: this kernel has no AF_XDP; use one with CONFIG_XDP_SOCKETS, or "
			  "net_af_packet",
			  name);
	else if (!has_permission())
		log_error("%s: no permission for AF_XDP; it needs root or the capabilities "
			  "CAP_NET_RAW, CAP_BPF and CAP_NET_ADMIN",
			  name);
	else if (program)
		log_error("%s: %s has an XDP program already, number %u; end who uses it, or "
			  "detach it with \"ip link set dev %s xdp off\"",
			  name, interface, program, interface);
	else
		log_error("%s: DPDK cannot set it up: %s; give what net_af_xdp knows, and an "
			  "interface whose driver has XDP and whose queues nobody uses, or "
			  "afxdp:%s, which does without such a driver",
			  name, said, interface);
	return true;
}
