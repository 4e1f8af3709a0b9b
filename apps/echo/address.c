/* SPDX-License-Identifier: MIT */
#include "address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 256

static const char *parse_port(const char *text, uint16_t *port)
{
	size_t digits = strspn(text, "0123456789");
	long number = strtol(text, NULL, 10);

	if (digits == 0 || digits > 5 || text[digits] != '\0' || number > UINT16_MAX)
		return "PORT is a number from 0 to 65535";
	*port = (uint16_t)number;
	return NULL;
}

/* Splits "HOST:PORT" or "[HOST]:PORT"; @family is what the brackets say about the host. */
static const char *split(const char *text, char host[HOST_MAX], int *family, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	const char *host_end = colon;

	*family = AF_UNSPEC;
	if (!colon)
		return "no :PORT; write HOST:PORT or [IPv6]:PORT";
	if (text[0] == '[') {
		*family = AF_INET6;
		text++;
		if (colon[-1] != ']')
			return "no :PORT after the bracket; write [IPv6]:PORT";
		host_end--;
	} else if (memchr(text, ':', (size_t)(colon - text))) {
		return "an IPv6 address stands in brackets: [IPv6]:PORT";
	}
	if (host_end <= text)
		return "no HOST; write HOST:PORT, or 0.0.0.0:PORT for every address";
	if (host_end - text >= HOST_MAX)
		return "HOST is longer than 255 characters";
	memcpy(host, text, (size_t)(host_end - text));
	host[host_end - text] = '\0';
	return parse_port(colon + 1, port);
}

static void set_port(struct sockaddr_storage *storage, uint16_t port)
{
	if (storage->ss_family == AF_INET6)
		((struct sockaddr_in6 *)storage)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)storage)->sin_port = htons(port);
}

const char *address_parse(struct address *address, const char *text)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	char host[HOST_MAX];
	uint16_t port;

	const char *wrong = split(text, host, &hints.ai_family, &port);
	if (wrong)
		return wrong;
	int error = getaddrinfo(host, NULL, &hints, &found);
	if (error)
		return gai_strerror(error);
	bool known = found->ai_family == AF_INET || found->ai_family == AF_INET6;
	if (known) {
		memset(address, 0, sizeof(*address));
		memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
		address->length = found->ai_addrlen;
		set_port(&address->storage, port);
	}
	freeaddrinfo(found);
	return known ? NULL : "HOST has neither an IPv4 nor an IPv6 address";
}

uint16_t address_port(const struct address *address)
{
	if (address->storage.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&address->storage)->sin6_port);
	return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
}

void address_format(const struct sockaddr *address, char text[ADDRESS_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
		inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
		snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(six->sin6_port));
	} else if (address->sa_family == AF_INET) {
		const struct sockaddr_in *four = (const struct sockaddr_in *)address;
		inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
		snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(four->sin_port));
	} else {
		snprintf(text, ADDRESS_TEXT_MAX, "unknown address");
	}
}
