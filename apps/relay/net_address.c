/* SPDX-License-Identifier: MIT */
#include "net_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

void net_address_from(struct net_address *address, const struct sockaddr *from)
{
	memset(address, 0, sizeof(*address));
	if (from->sa_family == AF_INET) {
		const struct sockaddr_in *four = (const struct sockaddr_in *)from;

		address->family = NET_V4;
		address->port = ntohs(four->sin_port);
		memcpy(address->ip, &four->sin_addr, 4);
	} else if (from->sa_family == AF_INET6) {
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;

		address->family = NET_V6;
		address->port = ntohs(six->sin6_port);
		memcpy(address->ip, &six->sin6_addr, NET_IP_BYTES);
	}
}

socklen_t net_address_to(const struct net_address *address, struct sockaddr_storage *to)
{
	if (address->family == NET_V4) {
		struct sockaddr_in *four = (struct sockaddr_in *)to;

		*four = (struct sockaddr_in){.sin_family = AF_INET,
					     .sin_port = htons(address->port)};
		memcpy(&four->sin_addr, address->ip, 4);
		return sizeof(*four);
	}
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)to;

	*six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
	memcpy(&six->sin6_addr, address->ip, NET_IP_BYTES);
	return sizeof(*six);
}

/* @length bytes of @text, which are an address without brackets. */
static bool parse_host(struct net_address *address, const char *text, size_t length)
{
	char host[INET6_ADDRSTRLEN];

	memset(address, 0, sizeof(*address));
	if (length >= sizeof(host))
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	if (inet_pton(AF_INET, host, address->ip) == 1)
		address->family = NET_V4;
	else if (inet_pton(AF_INET6, host, address->ip) == 1)
		address->family = NET_V6;
	return address->family != 0;
}

const char *net_address_parse_ip(struct net_address *address, const char *text)
{
	size_t length = strlen(text);

	if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	return parse_host(address, text, length) ? NULL : "it is not an IPv4 or IPv6 address";
}

const char *net_address_parse(struct net_address *address, const char *text)
{
	const char *colon = strrchr(text, ':');
	const char *host = text;
	size_t digits, length;
	long port;

	if (!colon)
		return "no :PORT; write IP:PORT or [IPv6]:PORT";
	length = (size_t)(colon - text);
	if (text[0] == '[') {
		if (length < 2 || colon[-1] != ']')
			return "no :PORT after the bracket; write [IPv6]:PORT";
		host++;
		length -= 2;
	} else if (memchr(text, ':', length)) {
		return "an IPv6 address stands in brackets: [IPv6]:PORT";
	}
	digits = strspn(colon + 1, "0123456789");
	port = strtol(colon + 1, NULL, 10);
	if (digits == 0 || digits > 5 || colon[1 + digits] != '\0' || port > UINT16_MAX)
		return "PORT is a number from 0 to 65535";
	if (!parse_host(address, host, length))
		return "IP is not an IPv4 or IPv6 address";
	address->port = (uint16_t)port;
	return NULL;
}

const char *net_address_format_ip(const struct net_address *address,
				  char text[NET_ADDRESS_TEXT_MAX])
{
	int family = address->family == NET_V4 ? AF_INET : AF_INET6;

	if (!inet_ntop(family, address->ip, text, NET_ADDRESS_TEXT_MAX))
		text[0] = '\0';
	return text;
}

const char *net_address_format(const struct net_address *address, char text[NET_ADDRESS_TEXT_MAX])
{
	char host[NET_ADDRESS_TEXT_MAX];
	const char *form = address->family == NET_V6 ? "[%.45s]:%u" : "%.45s:%u";

	net_address_format_ip(address, host);
	snprintf(text, NET_ADDRESS_TEXT_MAX, form, host, address->port);
	return text;
}
