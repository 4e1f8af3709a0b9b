/* SPDX-License-Identifier: MIT */
/*
 * Multicast groups: which we listen to, told to routers and switches by IGMPv3 (RFC 3376) and MLDv2
 * (RFC 3810), or in the words of an older router (RFC 2236, RFC 2710), and to the device.
 *
 * group.c decides what is to be told and when; igmp.c and mld.c say it.
 */
#ifndef DEMI_NET_GROUP_H
#define DEMI_NET_GROUP_H

#include "net/ip.h"
#include "wire/igmp.h"

/** Groups that we can be a member of at a time, of both versions together. */
#define GROUPS_MAX 64u

int group_create(struct net *net);   /* sets net->groups; 0 or -ENOMEM */
void group_destroy(struct net *net); /* tells that we leave them all */

/**
 * group_join, group_leave - counted: the last leave counts
 *
 * Return: 0; -EINVAL (not a group), -ENOSPC, the device's error; -ENOENT.
 */
int group_join(struct net *net, const struct ip_address *ip);
int group_leave(struct net *net, const struct ip_address *ip);

/** group_is_member - 224.0.0.1 and ff02::1 always */
bool group_is_member(const struct net *net, const struct ip_address *group);

/** group_has_link - whether any group of ours has this Ethernet address */
bool group_has_link(const struct net *net, const struct eth_address *link);

/** igmp_rx - an IGMP message; ownership of @buf passes */
void igmp_rx(struct net *net, const struct ip_packet *packet, struct buf *buf);

/** mld_rx - a listener query that icmp6_parse has taken; ownership of @buf stays */
void mld_rx(struct net *net, const struct ip_packet *packet, const struct buf *buf);

/* ---- What the three files share ---- */

/* The newest versions; a router that speaks an older one makes us speak that. */
#define GROUP_IGMP_VERSION 3
#define GROUP_MLD_VERSION 2

/** What a router wants to know. */
struct group_query {
	struct ip_address group;  /* unspecified: all */
	uint32_t response_max_ms; /* answer after a random time up to this */
	uint8_t version;          /* of IGMP or MLD */
	bool is_v6;
};

/** group_query - plan the answer: one for all groups, or one for each, never more than a few a second */
void group_query(struct net *net, const struct group_query *query);

/** group_tx - send a message of one frame to a group, source and all; ownership of @buf passes */
void group_tx(struct net *net, const struct ip_address *source,
	      const struct ip_address *destination, uint8_t protocol, struct buf *buf);

/** group_alloc - a frame for a message; NULL: none, which has been counted */
struct buf *group_alloc(struct net *net);

/**
 * igmp_report, mld_report - send the same record about @count groups
 * @version: below the newest each group has a message of its own, and the record says only
 *   whether we are a member
 */
void igmp_report(struct net *net, uint8_t version, enum group_record record,
		 const struct ip_address *groups, uint32_t count);
void mld_report(struct net *net, uint8_t version, enum group_record record,
		const struct ip_address *groups, uint32_t count);

#endif /* DEMI_NET_GROUP_H */
