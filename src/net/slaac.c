/* SPDX-License-Identifier: MIT */
/* Addresses from prefixes: RFC 4862, 5.5.3 and 5.5.4. */
#include "net/autoconf_state.h"

#define IDENTIFIER_BITS 64 /* RFC 2464, section 4 */
/* Nobody shortens what is left to less, as he is not authenticated (5.5.3, e). */
#define VALID_SECONDS_MIN 7200u

static struct slaac_address *find(struct autoconf *autoconf, const struct ip_address *ip)
{
	for (uint32_t i = 0; i < AUTOCONF_ADDRESSES_MAX; i++) {
		struct slaac_address *address = &autoconf->addresses[i];

		if (address->valid_until_ns && ip_address_equal(&address->ip, ip))
			return address;
	}
	return NULL;
}

/* Tell the stack's own list of it. */
static void apply(struct autoconf *autoconf, const struct slaac_address *address, uint64_t now_ns)
{
	struct net *net = autoconf->net;
	bool is_deprecated = address->preferred_until_ns <= now_ns;

	for (uint32_t i = 0; i < net->address_count; i++) {
		struct net_address *ours = &net->addresses[i];

		if (ours->is_static || !ip_address_equal(&ours->ip, &address->ip))
			continue;
		ours->valid_until_ns = address->valid_until_ns;
		ours->preferred_until_ns = address->preferred_until_ns;
		if (ours->is_deprecated != is_deprecated)
			net->generation++;
		ours->is_deprecated = is_deprecated;
	}
}

static void update(struct autoconf *autoconf, struct slaac_address *address,
		   const struct ndp_prefix *prefix)
{
	uint64_t now_ns = autoconf->net->now_ns;
	uint64_t until_ns = autoconf_until(now_ns, prefix->valid_s);
	uint64_t least_ns = autoconf_until(now_ns, VALID_SECONDS_MIN);

	if (prefix->valid_s > VALID_SECONDS_MIN || until_ns > address->valid_until_ns)
		address->valid_until_ns = until_ns;
	else if (address->valid_until_ns > least_ns)
		address->valid_until_ns = least_ns;
	address->preferred_until_ns = autoconf_earlier(autoconf_until(now_ns, prefix->preferred_s),
						       address->valid_until_ns);
	apply(autoconf, address, now_ns);
}

static void add(struct autoconf *autoconf, const struct ip_address *ip,
		const struct ndp_prefix *prefix)
{
	uint64_t now_ns = autoconf->net->now_ns;
	struct net_address address = {
		.ip = *ip,
		/* Whether the prefix is on the link the advertisement says by another flag. */
		.prefix_bits = 128,
		.is_deprecated = prefix->preferred_s == 0,
		.valid_until_ns = autoconf_until(now_ns, prefix->valid_s),
		.preferred_until_ns = autoconf_until(now_ns, prefix->preferred_s),
	};

	for (uint32_t i = 0; i < AUTOCONF_ADDRESSES_MAX; i++) {
		struct slaac_address *place = &autoconf->addresses[i];

		if (place->valid_until_ns)
			continue;
		/* One that is there already is of the configuration. */
		if (net_add_address(autoconf->net, &address) == 0)
			*place = (struct slaac_address){
				.ip = *ip,
				.valid_until_ns = address.valid_until_ns,
				.preferred_until_ns = address.preferred_until_ns,
			};
		return;
	}
}

void slaac_prefix(struct autoconf *autoconf, const struct ndp_prefix *prefix)
{
	struct slaac_address *address;
	struct ip_address ip;

	if (prefix->preferred_s > prefix->valid_s || prefix->length_bits != IDENTIFIER_BITS)
		return;
	ip = autoconf_address(autoconf->net, load_be64(prefix->prefix.bytes));
	address = find(autoconf, &ip);
	if (address)
		update(autoconf, address, prefix);
	else if (prefix->valid_s)
		add(autoconf, &ip, prefix);
}

void slaac_lost(struct autoconf *autoconf, const struct ip_address *ip)
{
	struct slaac_address *address = find(autoconf, ip);

	if (address)
		address->is_duplicate = true;
}

uint64_t slaac_expire(struct autoconf *autoconf, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	for (uint32_t i = 0; i < AUTOCONF_ADDRESSES_MAX; i++) {
		struct slaac_address *address = &autoconf->addresses[i];

		if (!address->valid_until_ns)
			continue;
		if (address->valid_until_ns <= now_ns) {
			if (!address->is_duplicate)
				net_remove_address(autoconf->net, &address->ip);
			address->valid_until_ns = 0;
			continue;
		}
		apply(autoconf, address, now_ns);
		next_ns = autoconf_earlier(next_ns, address->valid_until_ns);
		if (address->preferred_until_ns > now_ns)
			next_ns = autoconf_earlier(next_ns, address->preferred_until_ns);
	}
	return next_ns;
}
