/* SPDX-License-Identifier: MIT */
/*
 * Fragments of packets to us, put together. What a peer can make us keep is bounded in packets, in
 * fragments of one packet, and in bytes, those that describe a packet included.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "net/icmp.h"
#include "net/ip.h"
#include "wire/ipv4.h"

#define BUCKETS 256u
#define SOURCES 256u
#define SOURCE_SHARE 4u /* of the memory, that one source may fill */
#define TIMEOUT_V4_NS (UINT64_C(30) * 1000000000)
#define TIMEOUT_V6_NS (UINT64_C(60) * 1000000000)
#define PAYLOAD_MAX IPV4_PACKET_BYTES_MAX
#define ROOM_MIN 4096u /* for payload, until it needs more */
#define ECN_CONGESTED 3u

struct key {
	struct ip_address source, destination;
	uint32_t identification;
	uint16_t protocol; /* IPv4 alone: RFC 791, 3.2; RFC 8200, 4.5 */
	uint16_t is_v6;
};

_Static_assert(sizeof(struct key) == 40, "no padding: it is hashed and compared as bytes");

/* A fragment that is there: bytes of the payload from start up to end. */
struct range {
	uint16_t start, end;
};

struct entry {
	struct timer timer;
	struct net *net;
	struct entry *hash_next;
	struct entry *older, *newer;
	struct key key;
	uint32_t bucket;
	uint32_t source;   /* index of bytes_of_source */
	uint32_t bytes;    /* of memory */
	struct buf *buf;   /* payload at data; NULL: discarded */
	uint32_t room;     /* for payload, in buf */
	uint32_t total;    /* payload of the whole; 0: the last fragment is not there */
	uint32_t received; /* payload */
	uint16_t reason;   /* why it was discarded; 0: it was not */
	bool has_first;
	bool is_congested; /* a router has said so in one of them: RFC 3168, 5.3 */
	/* Of the first: */
	struct ip_packet packet;
	uint16_t skip_bytes;
	uint32_t header_bytes; /* before its payload, kept in front of data; 0: too many */
	uint32_t range_count;
	struct range ranges[REASSEMBLY_FRAGMENTS_MAX]; /* by start, none overlap */
};

struct reassembly {
	struct entry *buckets[BUCKETS];
	struct entry *oldest, *newest;
	struct entry *free; /* through newer */
	uint32_t bytes;     /* of all entries */
	/* Two sources that share a place share its bound; nobody can tell which do. */
	uint32_t bytes_of_source[SOURCES];
	struct entry entries[REASSEMBLY_PACKETS_MAX];
};

static enum net_layer layer_of(const struct entry *entry)
{
	return entry->key.is_v6 ? NET_LAYER_IPV6 : NET_LAYER_IPV4;
}

/* ---- Memory ---- */

static void charge(struct entry *entry, uint32_t bytes)
{
	struct reassembly *all = entry->net->reassembly;

	entry->bytes += bytes;
	all->bytes += bytes;
	all->bytes_of_source[entry->source] += bytes;
}

static void discharge(struct entry *entry, uint32_t bytes)
{
	struct reassembly *all = entry->net->reassembly;

	entry->bytes -= bytes;
	all->bytes -= bytes;
	all->bytes_of_source[entry->source] -= bytes;
}

static void free_payload(struct entry *entry)
{
	struct net *net = entry->net;

	if (!entry->buf)
		return;
	discharge(entry, (uint32_t)heap_usable_size(net->heap, entry->buf));
	netdev_release(net->device, entry->buf);
	entry->buf = NULL;
}

/* Forget the packet, and what is left of its memory. */
static void remove_entry(struct entry *entry)
{
	struct net *net = entry->net;
	struct reassembly *all = net->reassembly;
	struct entry **link = &all->buckets[entry->bucket];

	timer_cancel(&net->sched->timers, &entry->timer);
	free_payload(entry);
	discharge(entry, entry->bytes);
	while (*link != entry)
		link = &(*link)->hash_next;
	*link = entry->hash_next;
	*(entry->older ? &entry->older->newer : &all->oldest) = entry->newer;
	*(entry->newer ? &entry->newer->older : &all->newest) = entry->older;
	entry->newer = all->free;
	all->free = entry;
}

/* Make room at the cost of the oldest packet of @source (SOURCES: of any) but @keep. */
static bool evict(struct net *net, uint32_t source, const struct entry *keep)
{
	struct entry *entry = net->reassembly->oldest;

	while (entry && (entry == keep || (source != SOURCES && entry->source != source)))
		entry = entry->newer;
	if (!entry)
		return false;
	net_count_drop(net, layer_of(entry), NET_DROP_NO_MEMORY);
	remove_entry(entry);
	return true;
}

/* Whether @bytes more may be used for a packet of @source; older packets go for it. */
static bool make_room(struct net *net, uint32_t source, const struct entry *keep, uint32_t bytes)
{
	const struct reassembly *all = net->reassembly;
	uint32_t bytes_max = net->options.reassembly_bytes_max;

	if (bytes > bytes_max / SOURCE_SHARE)
		return false;
	while (all->bytes_of_source[source] > bytes_max / SOURCE_SHARE - bytes) {
		if (!evict(net, source, keep))
			return false;
	}
	while (all->bytes > bytes_max - bytes) {
		if (!evict(net, SOURCES, keep))
			return false;
	}
	return true;
}

/* ---- Packets ---- */

/* Neither payload nor first fragment any more; what comes until the timeout is dropped. */
static void kill_entry(struct entry *entry, unsigned int reason)
{
	free_payload(entry);
	entry->reason = (uint16_t)reason;
}

static void fire(struct timer *timer, uint64_t now_ns)
{
	struct entry *entry = container_of(timer, struct entry, timer);
	struct net *net = entry->net;
	struct ip_packet *packet = &entry->packet;

	(void)now_ns;
	if (!entry->reason) {
		net_count_drop(net, layer_of(entry), NET_DROP_TIMEOUT);
		if (entry->has_first && entry->header_bytes) {
			packet->header = entry->buf->data - entry->header_bytes;
			icmp_tx_error(net, packet, ICMP_PROBLEM_REASSEMBLY_TIMEOUT, 0, 0, false);
		}
	}
	remove_entry(entry);
}

static struct key key_of(const struct fragment *fragment)
{
	return (struct key){
		.source = fragment->source,
		.destination = fragment->destination,
		.identification = fragment->identification,
		.protocol = fragment->is_v6 ? 0 : fragment->protocol,
		.is_v6 = fragment->is_v6,
	};
}

static struct entry *find(const struct reassembly *all, uint32_t bucket, const struct key *key)
{
	struct entry *entry = all->buckets[bucket];

	while (entry && memcmp(&entry->key, key, sizeof(*key)) != 0)
		entry = entry->hash_next;
	return entry;
}

static struct entry *take_entry(struct net *net, uint32_t source)
{
	struct reassembly *all = net->reassembly;
	struct entry *entry;

	if (!make_room(net, source, NULL, sizeof(*entry)))
		return NULL;
	entry = all->free;
	if (!entry && evict(net, SOURCES, NULL))
		entry = all->free;
	if (!entry)
		return NULL;
	all->free = entry->newer;
	return entry;
}

/* An entry without payload, in the table; NULL when the memory is not enough for any. */
static struct entry *make_entry(struct net *net, uint32_t bucket, const struct key *key)
{
	struct reassembly *all = net->reassembly;
	uint64_t hash = net_hash(net, key->source.bytes, sizeof(key->source.bytes));
	struct entry *entry = take_entry(net, (uint32_t)(hash % SOURCES));

	if (!entry)
		return NULL;
	memset(entry, 0, offsetof(struct entry, ranges));
	timer_init(&entry->timer, fire);
	entry->net = net;
	entry->key = *key;
	entry->bucket = bucket;
	entry->source = (uint32_t)(hash % SOURCES);
	entry->hash_next = all->buckets[bucket];
	all->buckets[bucket] = entry;
	entry->older = all->newest;
	*(all->newest ? &all->newest->newer : &all->oldest) = entry;
	all->newest = entry;
	charge(entry, sizeof(*entry));
	timer_arm(&net->sched->timers, &entry->timer,
		  net->now_ns + (key->is_v6 ? TIMEOUT_V6_NS : TIMEOUT_V4_NS));
	return entry;
}

/* ---- Payload ---- */

static uint32_t room_for(const struct entry *entry, uint32_t end)
{
	uint32_t room = ROOM_MIN;

	if (entry->total)
		return entry->total;
	while (room < end)
		room *= 2;
	return room < PAYLOAD_MAX ? room : PAYLOAD_MAX;
}

/* Room for payload up to @end; what is there moves. False: there is no memory. */
static bool ensure_room(struct entry *entry, uint32_t end)
{
	struct net *net = entry->net;
	uint32_t room = room_for(entry, end), bytes = REASSEMBLY_QUOTED_MAX + room;
	struct buf *buf;

	if (entry->buf && entry->room >= end)
		return true;
	/* A class is at most a quarter larger than what was asked for. */
	if (!make_room(net, entry->source, entry, bytes + bytes / 4 + (uint32_t)sizeof(*buf)))
		return false;
	buf = ip_alloc(net, bytes);
	if (!buf)
		return false;
	buf->data += REASSEMBLY_QUOTED_MAX;
	if (entry->buf)
		memcpy(buf->data - REASSEMBLY_QUOTED_MAX, entry->buf->data - REASSEMBLY_QUOTED_MAX,
		       REASSEMBLY_QUOTED_MAX + entry->room);
	charge(entry, (uint32_t)heap_usable_size(net->heap, buf));
	free_payload(entry);
	entry->buf = buf;
	entry->room = room;
	return true;
}

/* Whether the end that this fragment tells of contradicts what the others do. */
static bool contradicts(const struct entry *entry, const struct fragment *fragment, uint32_t end)
{
	uint32_t count = entry->range_count;

	if (fragment->more_fragments)
		return entry->total && end >= entry->total;
	return (entry->total && entry->total != end) ||
	       (count && entry->ranges[count - 1].end > end);
}

static bool is_duplicate(const struct entry *entry, const struct range *range, uint32_t start,
			 const struct buf *buf)
{
	return range->start == start && range->end == start + buf->length &&
	       memcmp(entry->buf->data + start, buf->data, buf->length) == 0;
}

/* Note the fragment; 0, or why it is dropped. @discard: the packet with it. */
static unsigned int note(struct entry *entry, const struct fragment *fragment,
			 const struct buf *buf, bool *discard)
{
	uint32_t start = fragment->offset_bytes, end = start + buf->length;
	uint32_t at = entry->range_count;
	struct range *range;

	*discard = true;
	if (contradicts(entry, fragment, end))
		return WIRE_BAD_FRAGMENT;
	/* Mostly they come in their order. */
	while (at > 0 && entry->ranges[at - 1].start >= start)
		at--;
	range = &entry->ranges[at];
	if (at < entry->range_count && range->start < end) {
		*discard = !is_duplicate(entry, range, start, buf);
		return NET_DROP_OVERLAP;
	}
	if (at > 0 && range[-1].end > start)
		return NET_DROP_OVERLAP;
	if (entry->range_count == REASSEMBLY_FRAGMENTS_MAX)
		return NET_DROP_TABLE_FULL;
	if (!fragment->more_fragments)
		entry->total = end;
	if (!ensure_room(entry, end))
		return NET_DROP_NO_MEMORY;
	memmove(range + 1, range, (entry->range_count - at) * sizeof(*range));
	*range = (struct range){(uint16_t)start, (uint16_t)end};
	entry->range_count++;
	return 0;
}

/* The first one says what the packet is, and is what an error would quote. */
static void keep_first(struct entry *entry, const struct fragment *fragment,
		       const struct ip_packet *packet, const struct buf *buf)
{
	uint32_t header_bytes = packet->total_bytes - buf->length;

	entry->has_first = true;
	entry->packet = *packet;
	entry->packet.protocol = fragment->protocol;
	entry->packet.was_fragmented = true;
	entry->packet.is_frame = false;
	entry->packet.header = NULL;
	entry->skip_bytes = fragment->skip_bytes;
	if (!packet->header || header_bytes > REASSEMBLY_QUOTED_MAX)
		return;
	entry->header_bytes = header_bytes;
	memcpy(entry->buf->data - header_bytes, packet->header, header_bytes);
}

static struct buf *finish(struct entry *entry, struct ip_packet *whole_out)
{
	struct buf *buf = entry->buf;

	*whole_out = entry->packet;
	if (entry->header_bytes)
		whole_out->header = buf->data - entry->header_bytes;
	if (entry->is_congested)
		whole_out->traffic_class |= ECN_CONGESTED;
	buf->length = entry->total;
	buf_pull(buf, entry->skip_bytes);
	discharge(entry, (uint32_t)heap_usable_size(entry->net->heap, buf));
	entry->buf = NULL;
	remove_entry(entry);
	return buf;
}

/* ---- What the others see ---- */

int reassembly_create(struct net *net)
{
	struct reassembly *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	for (uint32_t i = REASSEMBLY_PACKETS_MAX; i-- > 0;) {
		all->entries[i].newer = all->free;
		all->free = &all->entries[i];
	}
	net->reassembly = all;
	return 0;
}

void reassembly_destroy(struct net *net)
{
	while (net->reassembly->oldest)
		remove_entry(net->reassembly->oldest);
	free(net->reassembly);
	net->reassembly = NULL;
}

/* The packet that a fragment belongs to, made if it is the first to arrive. */
static struct entry *entry_of(struct net *net, const struct fragment *fragment)
{
	struct key key = key_of(fragment);
	uint32_t bucket = (uint32_t)(net_hash(net, &key, sizeof(key)) % BUCKETS);
	struct entry *entry = find(net->reassembly, bucket, &key);

	return entry ? entry : make_entry(net, bucket, &key);
}

/* 0, or why the fragment is dropped. */
static unsigned int add(struct entry *entry, const struct fragment *fragment,
			const struct ip_packet *packet, const struct buf *buf)
{
	bool discard;
	unsigned int reason;

	if (!entry)
		return NET_DROP_NO_MEMORY;
	if (entry->reason)
		return entry->reason;
	reason = note(entry, fragment, buf, &discard);
	if (reason) {
		/* What was never there is not worth a tombstone. */
		if (discard && entry->received)
			kill_entry(entry, reason);
		else if (discard)
			remove_entry(entry);
		return reason;
	}
	memcpy(entry->buf->data + fragment->offset_bytes, buf->data, buf->length);
	net_count_copy(entry->net, buf->length);
	entry->received += buf->length;
	entry->is_congested |= (packet->traffic_class & ECN_CONGESTED) == ECN_CONGESTED;
	if (fragment->offset_bytes == 0)
		keep_first(entry, fragment, packet, buf);
	return 0;
}

struct buf *reassembly_add(struct net *net, const struct fragment *fragment,
			   const struct ip_packet *packet, struct buf *buf,
			   struct ip_packet *whole_out)
{
	enum net_layer layer = fragment->is_v6 ? NET_LAYER_IPV6 : NET_LAYER_IPV4;
	unsigned int reason = WIRE_BAD_FRAGMENT;
	struct entry *entry = NULL;

	/* The parsers have refused what is too long; an empty last one says nothing that is true. */
	if (buf->length > 0 && fragment->offset_bytes + buf->length <= PAYLOAD_MAX) {
		entry = entry_of(net, fragment);
		reason = add(entry, fragment, packet, buf);
	}
	if (reason) {
		net_drop(net, buf, layer, reason);
		return NULL;
	}
	netdev_release(net->device, buf);
	return entry->received == entry->total ? finish(entry, whole_out) : NULL;
}
