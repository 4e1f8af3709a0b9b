/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../shim/rule.h"

#define TEXT_BYTES 512

__attribute__((format(printf, 2, 3))) static const char *say(char text[TEXT_BYTES],
							     const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, TEXT_BYTES, format, arguments);
	va_end(arguments);
	return text;
}

/* ---- Devices ---- */

static const char *const network_kinds[] = {
#ifdef DEMI_HAVE_XDP
	"afxdp",
#endif
#ifdef DEMI_HAVE_DPDK
	"dpdk",
#endif
	"tap",   "loop", "sim", "null", NULL,
};

static const char *const block_kinds[] = {
	"nvme",
	"sim",
#ifdef DEMI_HAVE_URING
	"uring",
#endif
	NULL,
};

/* @kinds: up to NULL */
static bool is_kind(const char *const *kinds, const char *word, size_t length)
{
	for (; *kinds; kinds++) {
		if (strlen(*kinds) == length && memcmp(*kinds, word, length) == 0)
			return true;
	}
	return false;
}

static const char *kind_names(const char *const *kinds)
{
	static char names[64];
	size_t length = 0;

	for (size_t i = 0; kinds[i]; i++) {
		length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
					   i ? ", " : "", kinds[i]);
	}
	return names;
}

/* Ethernet interfaces of this network namespace, "eth0, eth1"; the loopback one is none. */
static const char *interface_names(char names[], size_t size)
{
	struct if_nameindex *list = if_nameindex();
	size_t length = 0;

	names[0] = '\0';
	for (struct if_nameindex *entry = list; entry && entry->if_index; entry++) {
		if (strcmp(entry->if_name, "lo") == 0 || length + strlen(entry->if_name) + 3 > size)
			continue;
		length += (size_t)snprintf(names + length, size - length, "%s%s",
					   length ? ", " : "", entry->if_name);
	}
	if_freenameindex(list);
	return names[0] ? names : "none";
}

/* What AF_XDP asks of an interface and a look can tell. */
static const char *check_interface(char text[TEXT_BYTES], const char *name)
{
	struct ifreq request = {0};
	char others[200];
	const char *wrong = NULL;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(request.ifr_name, name, strlen(name));
	if (fd < 0)
		return NULL;
	if (ioctl(fd, SIOCGIFHWADDR, &request))
		wrong = say(text, "there is no interface '%s' here; there are: %s", name,
			    interface_names(others, sizeof(others)));
	else if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		wrong = say(text, "'%s' is no Ethernet interface; there are: %s", name,
			    interface_names(others, sizeof(others)));
	else if (ioctl(fd, SIOCGIFMTU, &request) == 0 && request.ifr_mtu > SETTINGS_AFXDP_MTU_MAX)
		wrong = say(text,
			    "the interface's MTU of %d is too large for AF_XDP; "
			    "ip link set dev %s mtu 1500",
			    request.ifr_mtu, name);
	else if (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_UP))
		wrong = say(text, "the interface is down; ip link set dev %s up", name);
	close(fd);
	return wrong;
}

static const char *check_afxdp(char text[TEXT_BYTES], const char *arguments)
{
	char name[IFNAMSIZ];
	size_t length = strcspn(arguments, ",");

	if (length == 0)
		return say(text, "name an interface, as in afxdp:eth1");
	if (length >= sizeof(name))
		return say(text, "names of interfaces have up to %d letters", IFNAMSIZ - 1);
	memcpy(name, arguments, length);
	name[length] = '\0';
	return check_interface(text, name);
}

const char *settings_check_device(const char *device)
{
	static char text[TEXT_BYTES];
	size_t length = strcspn(device, ":");
	const char *arguments = device + length + (device[length] == ':');

	if (!is_kind(network_kinds, device, length))
		return say(text,
			   "no such kind of device in this build; give one of %s, as in "
			   "afxdp:eth1 or tap:demi0",
			   kind_names(network_kinds));
	if (strncmp(device, "afxdp", length) == 0)
		return check_afxdp(text, arguments);
	if (strncmp(device, "dpdk", length) == 0 && !arguments[0])
		return say(text, "name a device of DPDK, as in dpdk:0000:03:00.0 or "
				 "dpdk:net_memif0,role=client,id=0,socket=NAME");
	if (strncmp(device, "tap", length) == 0 &&
	    (!arguments[0] || strlen(arguments) >= IFNAMSIZ || strpbrk(arguments, ",%/ ")))
		return say(text, "name an interface, of up to %d letters, as in tap:demi0",
			   IFNAMSIZ - 1);
	return NULL;
}

const char *settings_check_block_device(const char *device)
{
	static char text[TEXT_BYTES];
	size_t length = strcspn(device, ":");

	if (!is_kind(block_kinds, device, length))
		return say(text,
			   "no such kind of block device in this build; give one of %s, as in "
			   "uring:/var/lib/demi.img or nvme:0000:00:05.0",
			   kind_names(block_kinds));
	if (device[length] != ':' || !device[length + 1])
		return say(text, "name it, as in uring:/var/lib/demi.img or nvme:0000:00:05.0");
	return NULL;
}

/* ---- Addresses ---- */

/* Bits of an address of its version; 0: it is no address. */
static unsigned int address_bits(const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, text, address) == 1)
		return 32;
	return inet_pton(AF_INET6, text, address) == 1 ? 128 : 0;
}

const char *settings_check_address(const char *text)
{
	static char wrong[TEXT_BYTES];
	char address[INET6_ADDRSTRLEN];
	size_t length = strcspn(text, "/");
	const char *digits = text + length + 1;

	if (length >= sizeof(address))
		return say(wrong, "not an address; write it as 10.0.0.2/24 or fd00::2/64");
	memcpy(address, text, length);
	address[length] = '\0';
	unsigned int bits = address_bits(address);
	if (!bits)
		return say(wrong, "not an address; write it as 10.0.0.2/24 or fd00::2/64");
	if (text[length] != '/')
		return say(wrong,
			   "the length of the prefix is missing; write %s/%u, if that is "
			   "how the network is cut",
			   text, bits == 32 ? 24 : 64);
	size_t count = strspn(digits, "0123456789");
	if (count == 0 || count > 3 || digits[count] || strtoul(digits, NULL, 10) > bits ||
	    strtoul(digits, NULL, 10) == 0)
		return say(wrong, "the length of the prefix is a number from 1 to %u", bits);
	return NULL;
}

const char *settings_check_gateway(const char *text)
{
	return address_bits(text) ? NULL : "not an address; write it as 10.0.0.1 or fe80::1";
}

/* The first @length letters. Return: bits of an address of its version, or 0. */
static unsigned int address_load(unsigned char address[sizeof(struct in6_addr)], const char *text,
				 size_t length)
{
	char copy[INET6_ADDRSTRLEN];

	if (length >= sizeof(copy))
		return 0;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (inet_pton(AF_INET, copy, address) == 1)
		return 32;
	return inet_pton(AF_INET6, copy, address) == 1 ? 128 : 0;
}

static bool same_prefix(const unsigned char *a, const unsigned char *b, unsigned int bits)
{
	unsigned int rest = bits % 8;

	return memcmp(a, b, bits / 8) == 0 &&
	       (rest == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0);
}

/* Whether one of @addresses has it on its link; and there may be none of its version. */
static bool is_on_link(const unsigned char *gateway, unsigned int bits, const char *addresses)
{
	unsigned char address[sizeof(struct in6_addr)];
	bool any = false;

	/* fe80::/10 */
	if (bits == 128 && gateway[0] == 0xfe && (gateway[1] & 0xc0) == 0x80)
		return true;
	while (*addresses) {
		size_t length = strcspn(addresses, "/");

		if (address_load(address, addresses, length) == bits) {
			unsigned int prefix = (unsigned int)strtoul(addresses + length + 1, NULL,
								    10);

			any = true;
			/* With a prefix of no other host every gateway is on the link. */
			if (prefix == bits || same_prefix(address, gateway, prefix))
				return true;
		}
		addresses += strcspn(addresses, ",");
		addresses += *addresses == ',';
	}
	return !any;
}

const char *settings_check_way(const char *gateway, const char *before, const char *addresses)
{
	unsigned char address[sizeof(struct in6_addr)], other[sizeof(struct in6_addr)];
	unsigned int bits = address_load(address, gateway, strlen(gateway));

	while (*before) {
		size_t length = strcspn(before, ",");

		if (address_load(other, before, length) == bits)
			return bits == 32 ? "a second one of IPv4; leave one out"
					  : "a second one of IPv6; leave one out";
		before += length + (before[length] == ',');
	}
	return is_on_link(address, bits, addresses)
		       ? NULL
		       : "it is in no network of --ip; give the router's address there";
}

const char *settings_check_rules(const char *text)
{
	static char wrong[TEXT_BYTES];
	const char *start = "shim.rules: ";
	struct rules rules;

	if (rules_parse(&rules, text, "", wrong, sizeof(wrong)) == 0)
		return NULL;
	return strncmp(wrong, start, strlen(start)) == 0 ? wrong + strlen(start) : wrong;
}

/* Six pairs of digits, with colons between them. */
static bool parse_mac(const char *text, unsigned char byte[6])
{
	for (unsigned int i = 0; i < 6; i++, text += 3) {
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
		    text[2] != (i < 5 ? ':' : '\0'))
			return false;
		byte[i] = (unsigned char)strtoul((char[]){text[0], text[1], '\0'}, NULL, 16);
	}
	return true;
}

const char *settings_check_mac(const char *text)
{
	unsigned char byte[6];

	if (!parse_mac(text, byte))
		return "not an Ethernet address; write it as 02:00:00:00:00:01";
	if (byte[0] & 1)
		return "the address of a group; the first byte of a station's is even, as in "
		       "02:00:00:00:00:01";
	if (!(byte[0] | byte[1] | byte[2] | byte[3] | byte[4] | byte[5]))
		return "no address of a station; write one such as 02:00:00:00:00:01";
	return NULL;
}

/* ---- Patterns ---- */

const char *settings_check_pattern(const char *text)
{
	return text[0] == '/' ? NULL
			      : "a pattern is an absolute path, as in "
				"/var/lib/redis/appendonlydir/*.incr.aof";
}
