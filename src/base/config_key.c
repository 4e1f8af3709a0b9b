/* SPDX-License-Identifier: MIT */
#include "base/config_key.h"

#include <errno.h>
#include <stdio.h>

/* The table of keys. */

/* clang-format off */
#define FIELD(member)                                                                           \
	.name = #member, .offset = offsetof(struct config, member),                             \
	.size = sizeof(((struct config *)NULL)->member)
#define NUMBER(member, kind_, words, initial_, min_, max_, help_)                               \
	{FIELD(member), .kind = kind_, .type = words ", " min_ ".." max_, .initial = initial_,  \
	 .min = min_, .max = max_, .help = help_}
#define INTEGER(member, ...) NUMBER(member, KIND_INTEGER, "integer", __VA_ARGS__)
#define OR_ZERO(member, initial_, min_, max_, help_)                                            \
	{FIELD(member), .kind = KIND_INTEGER, .type = "0, or integer, " min_ ".." max_,         \
	 .initial = initial_, .min = min_, .max = max_, .or_zero = true, .help = help_}
#define POWER(member, ...) NUMBER(member, KIND_POWER, "power of two", __VA_ARGS__)
#define SIZE(member, ...) NUMBER(member, KIND_SIZE, "bytes, suffix K, M or G", __VA_ARGS__)
#define SIZE_OR_ZERO(member, initial_, min_, max_, help_)                                       \
	{FIELD(member), .kind = KIND_SIZE, .initial = initial_, .min = min_, .max = max_,       \
	 .type = "0, or bytes, suffix K, M or G, " min_ ".." max_, .or_zero = true, .help = help_}
#define CHOICE(member, initial_, choices_, help_)                                               \
	{FIELD(member), .kind = KIND_CHOICE, .type = "one of " choices_, .initial = initial_,   \
	 .choices = choices_, .help = help_}
#define NAME(member, initial_, help_)                                                           \
	{FIELD(member), .kind = KIND_NAME, .initial = initial_, .help = help_,                  \
	 .type = "1 to 15 of a-z, 0-9, _, - and +, a letter first"}
#define TEXT(member, bytes, help_)                                                              \
	{FIELD(member), .kind = KIND_TEXT, .initial = "", .help = help_,                        \
	 .type = "text, up to " bytes " bytes"}
#define LIST(member, bytes, help_)                                                              \
	{FIELD(member), .kind = KIND_LIST, .initial = "", .help = help_,                        \
	 .type = "list, up to " bytes " bytes"}

const struct config_key config_keys[] = {
	NAME(libos, "catnap", "the libOS, or two: one for sockets + one for logs"),
	CHOICE(runtime.idle, "spin", "spin, sleep",
	       "what a wait does that finds nothing to do"),
	INTEGER(runtime.idle_after_us, "50", "0", "10000000",
		"microseconds without work before a wait sleeps"),
	INTEGER(runtime.give_way_after_us, "20", "0", "10000000",
		"microseconds before a wait that spins yields to the kernel's threads"),
	INTEGER(runtime.give_way_us, "500", "0", "10000000",
		"microseconds that it yields before it sleeps until they are done"),
	INTEGER(runtime.operations_max, "65536", "64", "16777216",
		"operations outstanding at a time"),
	INTEGER(runtime.queues_max, "65536", "1", "1048576",
		"queue descriptors open at a time"),
	SIZE(heap.max_bytes, "4G", "16M", "1024G", "memory of the heap"),
	CHOICE(heap.huge_pages, "auto", "auto, reserved, off", "which pages the heap is made of"),
	CHOICE(heap.lock, "on", "off, on", "lock the heap in memory, as far as the limits allow"),
	CHOICE(heap.foreign, "copy", "copy, refuse",
	       "what a push does with memory that is not of the heap"),
	CHOICE(heap.on_error, "abort", "abort, log", "what a wrong free does"),
	CHOICE(heap.protect, "off", "off, on",
	       "stop the program when it writes to what an operation holds"),
	INTEGER(queue.elements_max, "65536", "1", "16777216",
		"elements held by one in-memory queue"),
	INTEGER(queue.joined_elements_max, "1024", "1", "1048576",
		"elements held in each direction of a queue with a name"),
	CHOICE(catnap.engine, "auto", "auto, uring, epoll", "how the kernel is asked for I/O"),
	SIZE(catnap.receive_bytes_max, "64K", "512", "1M", "bytes that one pop of a stream returns"),
	POWER(catnap.uring_entries, "256", "8", "32768", "entries of the submission ring"),
	TEXT(net.dev, "255", "the device of Catnip, as KIND:ARGUMENTS"),
	LIST(net.ip, "1023", "addresses of this host, each with the length of its prefix"),
	LIST(net.gw, "127", "gateways, at most one of each version of IP"),
	TEXT(net.mac, "23", "Ethernet address, instead of the device's own"),
	LIST(net.routes, "1023", "further routes, each as PREFIX via GATEWAY"),
	TEXT(net.pcap, "255", "file that packets are captured to"),
	INTEGER(net.vlan, "0", "0", "4094", "number of the VLAN; 0: none"),
	CHOICE(net.autoconf, "on", "off, on", "take IPv6 addresses and routes from routers"),
	OR_ZERO(net.mtu, "0", "576", "65535", "bytes of an IP packet on the link; 0: the device's"),
	INTEGER(net.runtimes_max, "1", "1", "64", "runtimes of the process that may share the device"),
	INTEGER(net.frames, "4096", "256", "262144", "frames that the device has to receive and send"),
	SIZE(net.copy_max, "1K", "0", "16K", "payload that is copied into a frame, not referred to"),
	INTEGER(net.neighbours_max, "1024", "16", "65536", "neighbours known at a time"),
	INTEGER(net.neighbour_pending_max, "64", "1", "256",
		"packets that wait for the address of one neighbour"),
	SIZE(net.reassembly_bytes_max, "4M", "128K", "1G", "memory of fragments that wait for others"),
	INTEGER(net.icmp_rate, "1000", "0", "1000000",
		"messages a second that others' packets make us send"),
	SIZE(net.socket_bytes_max, "1M", "4K", "1G",
		"memory of what a socket has received and no pop has taken"),
	INTEGER(tcp.connections_max, "131072", "16", "4194304",
		"sockets and connections at a time, those in TIME_WAIT included"),
	INTEGER(tcp.syn_backlog_max, "1024", "0", "1048576",
		"half-open connections of one listener; beyond, SYN cookies"),
	INTEGER(tcp.time_wait_max, "65536", "1", "4194304",
		"connections in TIME_WAIT; beyond, the oldest ends early"),
	INTEGER(tcp.time_wait_ms, "60000", "1", "240000", "milliseconds in TIME_WAIT"),
	SIZE(tcp.buffer, "64K", "4K", "1G", "receive window of a connection at first"),
	SIZE(tcp.max_buffer, "4M", "4K", "1G", "receive window that a connection grows to, at most"),
	INTEGER(tcp.send_pieces_max, "4096", "8", "1048576",
		"segments of arrays that wait for acknowledgment on one connection"),
	INTEGER(tcp.out_of_order_max, "1024", "0", "65536",
		"packets of one connection that wait for one before them"),
	INTEGER(tcp.rto_min_ms, "200", "1", "10000", "shortest retransmission timeout, milliseconds"),
	INTEGER(tcp.rto_max_ms, "120000", "1000", "600000",
		"longest retransmission timeout, milliseconds"),
	INTEGER(tcp.delayed_ack_ms, "40", "0", "499",
		"milliseconds that an acknowledgment waits for something to go with; 0: none waits"),
	INTEGER(tcp.connect_timeout_s, "180", "1", "3600",
		"seconds after which a connect that has no answer fails"),
	INTEGER(tcp.retries_timeout_s, "900", "1", "86400",
		"seconds of retransmission after which a connection fails"),
	INTEGER(tcp.orphan_timeout_s, "60", "1", "3600",
		"seconds that a closed connection waits for its peer to close"),
	CHOICE(tcp.timestamps, "on", "off, on", "timestamps (RFC 7323)"),
	CHOICE(tcp.window_scaling, "on", "off, on", "receive windows beyond 64 KiB (RFC 7323)"),
	CHOICE(tcp.sack, "on", "off, on", "selective acknowledgments (RFC 2018)"),
	CHOICE(tcp.ecn, "off", "off, on",
	       "ask for explicit congestion notification; it is always granted"),
	CHOICE(tcp.congestion, "cubic", "cubic, reno, dctcp", "the congestion control"),
	TEXT(catmint.device, "127", "the RDMA device, as ibv_devices lists it; empty: the first"),
	INTEGER(catmint.port, "0", "0", "254", "port of the device; 0: the first that is up"),
	INTEGER(catmint.gid_index, "255", "0", "255",
		"index of the GID whose address sockets have that are not bound; 255: by the route"),
	SIZE(catmint.receive_bytes, "4K", "512", "15K",
	     "bytes of a message that fit into a receive buffer; the peer reads what is longer"),
	INTEGER(catmint.receive_buffers, "4096", "16", "1048576",
		"receive buffers that busy connections share"),
	INTEGER(catmint.credits_min, "6", "2", "1024",
		"receive buffers that each connection has, an idle one too"),
	INTEGER(catmint.credits_max, "64", "2", "4096", "receive buffers of a busy connection, at most"),
	CHOICE(catmint.shared_receive, "on", "off, on",
	       "one queue of receive buffers for all connections, where the device has it"),
	INTEGER(catmint.send_depth, "128", "8", "16384",
		"messages of one connection that the device has at a time"),
	INTEGER(catmint.completions, "32768", "64", "4194304",
		"entries of the completion queue, fewer where the device has no more"),
	INTEGER(catmint.inline_bytes, "256", "0", "1024",
		"bytes of a message that is copied into its request, if the device can"),
	SIZE(catmint.rendezvous_bytes, "1M", "64K", "64M", "bytes that the peer reads as one piece"),
	INTEGER(catmint.connections_max, "65536", "1", "1048576", "connections at a time"),
	INTEGER(catmint.connect_timeout_ms, "20000", "10", "3600000",
		"milliseconds after which a connect that has no answer fails"),
	INTEGER(catmint.close_timeout_ms, "60000", "10", "3600000",
		"milliseconds that a closed connection waits for its peer"),
	INTEGER(catmint.keepalive_ms, "10000", "0", "3600000",
		"milliseconds of silence after which a peer is probed; 0: it is not"),
	INTEGER(catmint.datagram_buffers, "128", "8", "16384",
		"receive buffers of a socket for datagrams"),
	TEXT(blk.dev, "255", "the block device of Cattree, as KIND:ARGUMENTS"),
	CHOICE(blk.read_only, "off", "off, on", "open it for reading only"),
	CHOICE(blk.threads, "one", "one, any", "which threads may use it, one after the other"),
	CHOICE(store.format, "auto", "auto, never, overwrite",
	       "when a store of logs is made on the device"),
	SIZE_OR_ZERO(store.segment_bytes, "0", "64K", "64M",
		     "segments of a store that is made, a power of two; 0: what suits the device"),
	SIZE(store.copy_max, "1K", "0", "64K", "payload that is copied into a batch, not referred to"),
	CHOICE(store.trim, "on", "off, on", "tell a device that can trim of what is free"),
	TEXT(dpdk.args, "511", "further arguments of DPDK's environment abstraction layer"),
	CHOICE(afxdp.mode, "auto", "auto, copy, zero-copy",
	       "whether the kernel copies what AF_XDP receives and sends"),
	INTEGER(afxdp.queue, "0", "0", "1023", "first queue of the interface that is served"),
	INTEGER(afxdp.busy_poll_us, "0", "0", "1000000",
		"microseconds that the kernel polls the interface for us; 0: it does not"),
	LIST(shim.rules, "1023", "which sockets of an unmodified program are ours"),
	LIST(shim.log_files, "1023", "which files of an unmodified program are logs"),
	INTEGER(shim.trace, "0", "0", "1", "1: the shim tells each decision"),
	CHOICE(log.level, "warning", "error, warning, info, debug",
	       "the least urgent message that is written"),
};
/* clang-format on */

const size_t config_key_count = sizeof(config_keys) / sizeof(config_keys[0]);

_Static_assert(sizeof(config_keys) / sizeof(config_keys[0]) <= CONFIG_KEYS_MAX,
	       "CONFIG_KEYS_MAX is large enough");
_Static_assert(sizeof(enum config_idle) == sizeof(uint32_t) &&
		       sizeof(enum config_huge_pages) == sizeof(uint32_t) &&
		       sizeof(enum config_foreign) == sizeof(uint32_t) &&
		       sizeof(enum config_on_error) == sizeof(uint32_t) &&
		       sizeof(enum config_switch) == sizeof(uint32_t) &&
		       sizeof(enum config_engine) == sizeof(uint32_t) &&
		       sizeof(enum config_afxdp_mode) == sizeof(uint32_t) &&
		       sizeof(enum config_congestion) == sizeof(uint32_t) &&
		       sizeof(enum config_format) == sizeof(uint32_t) &&
		       sizeof(enum config_threads) == sizeof(uint32_t) &&
		       sizeof(enum config_log_level) == sizeof(uint32_t),
	       "choices are stored as uint32_t");

struct span config_key_section(const struct config_key *key)
{
	const char *dot = strchr(key->name, '.');

	return (struct span){key->name, dot ? (size_t)(dot - key->name) : 0};
}

struct span config_key_last(const struct config_key *key)
{
	const char *dot = strchr(key->name, '.');

	return span_of(dot ? dot + 1 : key->name);
}

const struct config_key *config_key_find(struct span section, struct span last)
{
	for (size_t i = 0; i < config_key_count; i++)
		if (span_equal(config_key_section(&config_keys[i]), section) &&
		    span_equal(config_key_last(&config_keys[i]), last))
			return &config_keys[i];
	return NULL;
}

const struct config_key *config_section_find(struct span name)
{
	for (size_t i = 0; name.length && i < config_key_count; i++)
		if (span_equal(config_key_section(&config_keys[i]), name))
			return &config_keys[i];
	return NULL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Values: from text into the field of a key. */

/* Return: 0; -EINVAL for what is not a number; -ERANGE if negative or over 64 bits. */
static int number_parse(struct span text, bool suffix_allowed, uint64_t *value)
{
	bool negative = text.length && text.text[0] == '-';
	size_t first = negative, at = first;
	bool overflow = false;
	unsigned int shift = 0;

	for (*value = 0; at < text.length && is_digit(text.text[at]); at++)
		overflow |= __builtin_mul_overflow(*value, 10, value) ||
			    __builtin_add_overflow(*value, text.text[at] - '0', value);
	if (at == first || (at > first + 1 && text.text[first] == '0'))
		return -EINVAL; /* 010 is octal to some readers of YAML and decimal to others */
	if (at + 1 == text.length && suffix_allowed) {
		char suffix = text.text[at++];

		shift = suffix == 'K' ? 10 : suffix == 'M' ? 20 : suffix == 'G' ? 30 : 0;
		if (!shift)
			return -EINVAL;
	}
	if (at < text.length)
		return -EINVAL;
	if (overflow || negative || *value > UINT64_MAX >> shift)
		return -ERANGE;
	*value <<= shift;
	return 0;
}

/* Return: NULL, or what is wrong with @text as a number. */
static const char *number_check(const struct config_key *key, struct span text, uint64_t *value)
{
	uint64_t min, max;
	int result = number_parse(text, key->kind == KIND_SIZE, value);

	if (result == -EINVAL)
		return key->kind == KIND_SIZE ? "is not a size" : "is not a whole number";
	number_parse(span_of(key->min), true, &min);
	number_parse(span_of(key->max), true, &max);
	if (key->or_zero && !result && *value == 0)
		return NULL;
	if (result || *value < min || *value > max)
		return "is out of its limits";
	if (key->kind == KIND_POWER && (*value & (*value - 1)))
		return "is not a power of two";
	return NULL;
}

static const char *choice_check(const struct config_key *key, struct span text, uint64_t *value)
{
	const char *choice = key->choices;

	for (*value = 0;; (*value)++) {
		struct span name = {choice, strcspn(choice, ",")};

		if (span_equal(name, text))
			return NULL;
		if (choice[name.length] == '\0')
			return "is not a choice";
		choice += name.length + strlen(", ");
	}
}

static const char *name_check(const struct config_key *key, struct span text)
{
	if (text.length >= key->size)
		return "is too long";
	for (size_t i = 0; i < text.length; i++) {
		char c = text.text[i];
		bool letter = c >= 'a' && c <= 'z';

		if (!letter && (i == 0 || !(is_digit(c) || c == '_' || c == '-' || c == '+')))
			return "is not a name";
	}
	return NULL;
}

static const char *text_check(const struct config_key *key, struct span text)
{
	if (text.length >= key->size)
		return "is too long";
	for (size_t i = 0; i < text.length; i++)
		if ((unsigned char)text.text[i] < ' ' || text.text[i] == '\x7f')
			return "has control characters";
	return NULL;
}

static const char *text_set(char *field, const struct config_key *key, struct span text)
{
	const char *wrong = key->kind == KIND_NAME ? name_check(key, text) : text_check(key, text);

	if (wrong)
		return wrong;
	memset(field, 0, key->size);
	if (text.length)
		memcpy(field, text.text, text.length);
	return NULL;
}

static bool may_be_empty(const struct config_key *key)
{
	return key->kind == KIND_TEXT || key->kind == KIND_LIST;
}

const char *config_key_set(struct config *config, const struct config_key *key, struct span text)
{
	char *field = (char *)config + key->offset;
	const char *wrong;
	uint64_t value = 0;
	uint32_t narrow;

	if (text.length == 0 && !may_be_empty(key))
		return "is no value";
	if (key->kind == KIND_NAME || may_be_empty(key))
		return text_set(field, key, text);
	wrong = key->kind == KIND_CHOICE ? choice_check(key, text, &value)
					 : number_check(key, text, &value);
	if (wrong)
		return wrong;
	narrow = (uint32_t)value; /* the limits of a 32-bit field are within 32 bits */
	if (key->size == sizeof(value))
		memcpy(field, &value, sizeof(value));
	else
		memcpy(field, &narrow, sizeof(narrow));
	return NULL;
}

static struct span choice_name(const struct config_key *key, uint32_t value)
{
	const char *choice = key->choices;

	for (; value; value--)
		choice += strcspn(choice, ",") + strlen(", ");
	return (struct span){choice, strcspn(choice, ",")};
}

size_t config_key_get(const struct config *config, const struct config_key *key, char *text,
		      size_t size)
{
	const char *field = (const char *)config + key->offset;
	struct span name;
	uint64_t value = 0;
	uint32_t narrow;

	if (key->kind == KIND_NAME || may_be_empty(key))
		return (size_t)snprintf(text, size, "%s", field);
	memcpy(&narrow, field, sizeof(narrow));
	value = narrow;
	if (key->size == sizeof(value))
		memcpy(&value, field, sizeof(value));
	if (key->kind != KIND_CHOICE)
		return (size_t)snprintf(text, size, "%llu", (unsigned long long)value);
	name = choice_name(key, narrow);
	return (size_t)snprintf(text, size, "%.*s", (int)name.length, name.text);
}
