/* SPDX-License-Identifier: MIT */
#include "answers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <jansson.h>
#include <linux/ethtool.h>
#include <linux/io_uring.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"
#include "netlink.h"

static json_t *others; /* of another machine */

void answers_open(void)
{
	FILE *file = files_are_ours() ? NULL : files_open("/answers.json");

	if (!file)
		return;
	others = json_loadf(file, 0, NULL);
	fclose(file);
}

void answers_close(void)
{
	json_decref(others);
	others = NULL;
}

static json_t *about(const char *interface, const char *what)
{
	return json_object_get(json_object_get(json_object_get(others, "interfaces"), interface),
			       what);
}

int answers_af_xdp(void)
{
	if (!files_are_ours())
		return (int)json_integer_value(json_object_get(others, "af_xdp"));
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

int answers_io_uring(void)
{
	struct io_uring_params params = {0};

	if (!files_are_ours())
		return (int)json_integer_value(json_object_get(others, "io_uring"));
	long fd = syscall(__NR_io_uring_setup, 1, &params);
	if (fd < 0)
		return errno;
	close((int)fd);
	return 0;
}

static void ask_ethtool(char driver[32], const char *interface)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq request = {.ifr_data = (void *)&info};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0)
		snprintf(driver, 32, "%.31s", info.driver);
	if (fd >= 0)
		close(fd);
}

void answers_driver(char driver[32], const char *interface)
{
	const char *other = json_string_value(about(interface, "driver"));

	driver[0] = '\0';
	if (files_are_ours())
		ask_ethtool(driver, interface);
	else if (other)
		snprintf(driver, 32, "%s", other);
}

int64_t answers_xdp_features(const char *interface)
{
	json_t *other = about(interface, "xdp_features");

	if (files_are_ours())
		return netlink_xdp_features(if_nametoindex(interface));
	return other ? json_integer_value(other) : -1;
}

uint32_t answers_xdp_program(const char *interface)
{
	if (files_are_ours())
		return netlink_xdp_program(if_nametoindex(interface));
	return (uint32_t)json_integer_value(about(interface, "xdp_program"));
}

static bool is_address(const struct sockaddr *has, const struct in6_addr *wanted)
{
	if (!has)
		return false;
	if (has->sa_family == AF_INET6)
		return memcmp(&((const struct sockaddr_in6 *)(const void *)has)->sin6_addr, wanted,
			      sizeof(*wanted)) == 0;
	return has->sa_family == AF_INET && IN6_IS_ADDR_V4MAPPED(wanted) &&
	       memcmp(&((const struct sockaddr_in *)(const void *)has)->sin_addr,
		      &wanted->s6_addr[12], 4) == 0;
}

static const char *other_interface_of(const struct in6_addr *address)
{
	char text[INET6_ADDRSTRLEN];

	if (IN6_IS_ADDR_V4MAPPED(address))
		inet_ntop(AF_INET, &address->s6_addr[12], text, sizeof(text));
	else
		inet_ntop(AF_INET6, address, text, sizeof(text));
	return json_string_value(json_object_get(json_object_get(others, "addresses"), text));
}

void answers_interface_of(char interface[IF_NAMESIZE], const struct in6_addr *address)
{
	const char *name = files_are_ours() ? NULL : other_interface_of(address);
	struct ifaddrs *list = NULL;

	if (files_are_ours() && getifaddrs(&list))
		list = NULL;
	for (struct ifaddrs *entry = list; entry && !name; entry = entry->ifa_next) {
		if (is_address(entry->ifa_addr, address))
			name = entry->ifa_name;
	}
	snprintf(interface, IF_NAMESIZE, "%s", name ? name : "");
	if (list)
		freeifaddrs(list);
}
