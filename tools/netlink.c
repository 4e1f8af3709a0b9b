/* SPDX-License-Identifier: MIT */
#include "netlink.h"

#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_BYTES 32768

/* <linux/netdev.h>, which kernels have from 6.3 on. */
#define NETDEV_FAMILY "netdev"
#define NETDEV_CMD_DEV_GET 1
#define NETDEV_A_DEV_IFINDEX 1
#define NETDEV_A_DEV_XDP_FEATURES 3

/* A message: the family's header behind netlink's, and one attribute. */
struct question {
	struct nlmsghdr header;
	union {
		struct genlmsghdr generic;
		struct ifinfomsg link;
	};
	char attributes[64];
};

struct answer {
	struct nlmsghdr header;
	char bytes[ANSWER_BYTES];
};

/* Return: whether there is an answer of another kind than an error. */
static bool ask(int protocol, const struct question *question, struct answer *answer)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	ssize_t length = -1;

	if (fd < 0)
		return false;
	if (send(fd, question, question->header.nlmsg_len, 0) == question->header.nlmsg_len)
		length = recv(fd, answer, sizeof(*answer), 0);
	close(fd);
	return length >= (ssize_t)sizeof(answer->header) &&
	       answer->header.nlmsg_len <= (size_t)length &&
	       answer->header.nlmsg_type != NLMSG_ERROR;
}

/* The attribute of this type among those in @length bytes; NULL: not there. */
static const struct nlattr *attribute(const void *attributes, size_t length, uint16_t type)
{
	const char *at = attributes;

	while (length >= sizeof(struct nlattr)) {
		const struct nlattr *here = (const void *)at;
		size_t step = NLA_ALIGN(here->nla_len);

		if (here->nla_len < sizeof(*here) || here->nla_len > length)
			return NULL;
		if ((here->nla_type & NLA_TYPE_MASK) == type)
			return here;
		if (step > length)
			return NULL;
		at += step;
		length -= step;
	}
	return NULL;
}

/* Of an answer that has @header bytes of its family's header. */
static const struct nlattr *answered(const struct answer *answer, size_t header, uint16_t type)
{
	size_t length = answer->header.nlmsg_len - sizeof(answer->header);

	return length < header ? NULL : attribute(answer->bytes + header, length - header, type);
}

/* Its value, of exactly @size bytes. */
static bool value_of(const struct nlattr *attribute, void *value, size_t size)
{
	if (!attribute || attribute->nla_len != sizeof(*attribute) + size)
		return false;
	memcpy(value, attribute + 1, size);
	return true;
}

static void ask_generic(struct question *question, uint16_t family, uint8_t command, uint16_t type,
			const void *value, size_t size)
{
	struct nlattr attribute = {.nla_len = (uint16_t)(sizeof(attribute) + size),
				   .nla_type = type};

	memset(question, 0, sizeof(*question));
	question->header.nlmsg_type = family;
	question->header.nlmsg_flags = NLM_F_REQUEST;
	question->generic.cmd = command;
	question->generic.version = 1;
	char *at = (char *)question + sizeof(question->header) + sizeof(question->generic);
	memcpy(at, &attribute, sizeof(attribute));
	memcpy(at + sizeof(attribute), value, size);
	question->header.nlmsg_len = (uint32_t)(at + NLA_ALIGN(attribute.nla_len) -
						(char *)question);
}

int64_t netlink_xdp_features(unsigned int interface_index)
{
	static struct answer answer;
	struct question question;
	uint32_t index = interface_index;
	uint64_t features;
	uint16_t family;

	ask_generic(&question, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME,
		    NETDEV_FAMILY, sizeof(NETDEV_FAMILY));
	if (!ask(NETLINK_GENERIC, &question, &answer) ||
	    !value_of(answered(&answer, GENL_HDRLEN, CTRL_ATTR_FAMILY_ID), &family, sizeof(family)))
		return -1;
	ask_generic(&question, family, NETDEV_CMD_DEV_GET, NETDEV_A_DEV_IFINDEX, &index,
		    sizeof(index));
	if (!ask(NETLINK_GENERIC, &question, &answer) ||
	    !value_of(answered(&answer, GENL_HDRLEN, NETDEV_A_DEV_XDP_FEATURES), &features,
		      sizeof(features)))
		return -1;
	return (int64_t)features;
}

uint32_t netlink_xdp_program(unsigned int interface_index)
{
	static struct answer answer;
	struct question question = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
					       .nlmsg_type = RTM_GETLINK,
					       .nlmsg_flags = NLM_F_REQUEST}};
	uint32_t program;

	question.link.ifi_index = (int)interface_index;
	if (!ask(NETLINK_ROUTE, &question, &answer))
		return 0;
	const struct nlattr *xdp = answered(&answer, sizeof(struct ifinfomsg), IFLA_XDP);
	if (!xdp || !value_of(attribute(xdp + 1, xdp->nla_len - sizeof(*xdp), IFLA_XDP_PROG_ID),
			      &program, sizeof(program)))
		return 0;
	return program;
}
