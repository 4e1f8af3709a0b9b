/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/config.h"
#include "base/config_key.h"
#include "base/log.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ERROR_SIZE 512

/* Temporary files, and loading by way of them. */

struct file {
	char path[PATH_MAX];
};

static void file_create(struct file *file, const char *text, size_t size)
{
	const char *folder = getenv("TMPDIR");
	int fd;

	snprintf(file->path, sizeof(file->path), "%s/demi-config-XXXXXX", folder ? folder : "/tmp");
	fd = mkstemp(file->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	close(fd);
}

static int load_bytes(struct config *config, const char *text, size_t size,
		      const char *const environment[], char error[ERROR_SIZE], struct file *file)
{
	int result;

	file_create(file, text, size);
	error[0] = '\0';
	result = config_load(config, file->path, (char *const *)environment, error, ERROR_SIZE);
	unlink(file->path);
	return result;
}

/* @error_out gets the message from behind the name of the file. */
static int load(struct config *config, const char *text, const char *const environment[],
		char error_out[ERROR_SIZE])
{
	struct file file;
	int result = load_bytes(config, text, strlen(text), environment, error_out, &file);
	size_t length = strlen(file.path);

	if (strncmp(error_out, file.path, length) == 0)
		memmove(error_out, error_out + length, strlen(error_out + length) + 1);
	return result;
}

static int load_environment(struct config *config, const char *const environment[],
			    char error[ERROR_SIZE])
{
	error[0] = '\0';
	return config_load(config, NULL, (char *const *)environment, error, ERROR_SIZE);
}

static int load_variable(struct config *config, const char *variable, char error[ERROR_SIZE])
{
	const char *const environment[] = {variable, NULL};

	return load_environment(config, environment, error);
}

/* A struct config that no load gives, to see whether it is changed. */
static void fill(struct config *config)
{
	memset(config, 0xa5, sizeof(*config));
}

static void assert_unchanged(const struct config *config)
{
	struct config filled;

	fill(&filled);
	assert_memory_equal(config, &filled, sizeof(filled));
}

/* Write "section.key" and a value as a file. */
static void yaml_make(char *text, size_t size, const char *name, const char *value)
{
	const char *dot = strchr(name, '.');

	if (dot)
		snprintf(text, size, "%.*s:\n  %s: %s\n", (int)(dot - name), name, dot + 1, value);
	else
		snprintf(text, size, "%s: %s\n", name, value);
}

/* Write "section.key" and a value as a variable. */
static void variable_make(char *text, size_t size, const char *name, const char *value)
{
	size_t length = 5 + strlen(name);

	snprintf(text, size, "DEMI_%s=%s", name, value);
	for (char *c = text + 5; c < text + length; c++)
		*c = *c == '.' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
}

/* Keys, defaults and limits. */

static const struct {
	const char *name, *value;
	uint64_t expected;
	size_t offset, size;
} values[] = {
#define VALUE(member, value, expected)                                     \
	{                                                                  \
#member, value, expected, offsetof(struct config, member), \
			sizeof(((struct config *)NULL)->member)            \
	}
	VALUE(runtime.idle, "spin", CONFIG_IDLE_SPIN),
	VALUE(runtime.idle, "sleep", CONFIG_IDLE_SLEEP),
	VALUE(runtime.idle_after_us, "0", 0),
	VALUE(runtime.idle_after_us, "10000000", 10000000),
	VALUE(runtime.give_way_after_us, "0", 0),
	VALUE(runtime.give_way_after_us, "10000000", 10000000),
	VALUE(runtime.give_way_us, "0", 0),
	VALUE(runtime.give_way_us, "10000000", 10000000),
	VALUE(blk.read_only, "on", CONFIG_ON),
	VALUE(blk.threads, "any", CONFIG_THREADS_ANY),
	VALUE(store.format, "never", CONFIG_FORMAT_NEVER),
	VALUE(store.format, "overwrite", CONFIG_FORMAT_OVERWRITE),
	VALUE(store.segment_bytes, "0", 0),
	VALUE(store.segment_bytes, "64K", 64 << 10),
	VALUE(store.segment_bytes, "64M", 64 << 20),
	VALUE(store.copy_max, "0", 0),
	VALUE(store.copy_max, "64K", 64 << 10),
	VALUE(store.trim, "off", CONFIG_OFF),
	VALUE(runtime.operations_max, "64", 64),
	VALUE(runtime.operations_max, "1000", 1000),
	VALUE(runtime.operations_max, "16777216", 16777216),
	VALUE(runtime.queues_max, "1", 1),
	VALUE(runtime.queues_max, "1048576", 1048576),
	VALUE(heap.max_bytes, "16777216", 16 << 20),
	VALUE(heap.max_bytes, "16384K", 16 << 20),
	VALUE(heap.max_bytes, "16M", 16 << 20),
	VALUE(heap.max_bytes, "1024G", UINT64_C(1) << 40),
	VALUE(heap.max_bytes, "1099511627776", UINT64_C(1) << 40),
	VALUE(queue.elements_max, "1", 1),
	VALUE(queue.elements_max, "16777216", 16777216),
	VALUE(queue.joined_elements_max, "1", 1),
	VALUE(queue.joined_elements_max, "1048576", 1048576),
	VALUE(catnap.engine, "auto", CONFIG_ENGINE_AUTO),
	VALUE(catnap.engine, "uring", CONFIG_ENGINE_URING),
	VALUE(catnap.engine, "epoll", CONFIG_ENGINE_EPOLL),
	VALUE(catnap.receive_bytes_max, "512", 512),
	VALUE(catnap.receive_bytes_max, "8K", 8192),
	VALUE(catnap.receive_bytes_max, "1M", 1048576),
	VALUE(catnap.uring_entries, "8", 8),
	VALUE(catnap.uring_entries, "32768", 32768),
	VALUE(net.vlan, "0", 0),
	VALUE(net.vlan, "4094", 4094),
	VALUE(net.autoconf, "off", CONFIG_OFF),
	VALUE(net.autoconf, "on", CONFIG_ON),
	VALUE(net.mtu, "0", 0),
	VALUE(net.mtu, "576", 576),
	VALUE(net.mtu, "65535", 65535),
	VALUE(net.runtimes_max, "1", 1),
	VALUE(net.runtimes_max, "64", 64),
	VALUE(net.frames, "256", 256),
	VALUE(net.frames, "262144", 262144),
	VALUE(net.copy_max, "0", 0),
	VALUE(net.copy_max, "16K", 16384),
	VALUE(net.neighbours_max, "16", 16),
	VALUE(net.neighbours_max, "65536", 65536),
	VALUE(net.neighbour_pending_max, "1", 1),
	VALUE(net.neighbour_pending_max, "256", 256),
	VALUE(net.reassembly_bytes_max, "128K", 131072),
	VALUE(net.reassembly_bytes_max, "1G", 1 << 30),
	VALUE(net.icmp_rate, "0", 0),
	VALUE(net.icmp_rate, "1000000", 1000000),
	VALUE(net.socket_bytes_max, "4K", 4096),
	VALUE(net.socket_bytes_max, "1G", 1 << 30),
	VALUE(tcp.connections_max, "16", 16),
	VALUE(tcp.connections_max, "4194304", 4194304),
	VALUE(tcp.syn_backlog_max, "0", 0),
	VALUE(tcp.syn_backlog_max, "1048576", 1048576),
	VALUE(tcp.time_wait_max, "1", 1),
	VALUE(tcp.time_wait_max, "4194304", 4194304),
	VALUE(tcp.time_wait_ms, "1", 1),
	VALUE(tcp.time_wait_ms, "240000", 240000),
	VALUE(tcp.buffer, "4K", 4096),
	VALUE(tcp.buffer, "1G", 1 << 30),
	VALUE(tcp.max_buffer, "4K", 4096),
	VALUE(tcp.max_buffer, "1G", 1 << 30),
	VALUE(tcp.send_pieces_max, "8", 8),
	VALUE(tcp.send_pieces_max, "1048576", 1048576),
	VALUE(tcp.out_of_order_max, "0", 0),
	VALUE(tcp.out_of_order_max, "65536", 65536),
	VALUE(tcp.rto_min_ms, "1", 1),
	VALUE(tcp.rto_min_ms, "10000", 10000),
	VALUE(tcp.rto_max_ms, "1000", 1000),
	VALUE(tcp.rto_max_ms, "600000", 600000),
	VALUE(tcp.delayed_ack_ms, "0", 0),
	VALUE(tcp.delayed_ack_ms, "499", 499),
	VALUE(tcp.connect_timeout_s, "1", 1),
	VALUE(tcp.connect_timeout_s, "3600", 3600),
	VALUE(tcp.retries_timeout_s, "1", 1),
	VALUE(tcp.retries_timeout_s, "86400", 86400),
	VALUE(tcp.orphan_timeout_s, "1", 1),
	VALUE(tcp.orphan_timeout_s, "3600", 3600),
	VALUE(tcp.timestamps, "off", CONFIG_OFF),
	VALUE(tcp.window_scaling, "off", CONFIG_OFF),
	VALUE(tcp.sack, "off", CONFIG_OFF),
	VALUE(tcp.ecn, "on", CONFIG_ON),
	VALUE(tcp.congestion, "cubic", CONFIG_CONGESTION_CUBIC),
	VALUE(tcp.congestion, "reno", CONFIG_CONGESTION_RENO),
	VALUE(tcp.congestion, "dctcp", CONFIG_CONGESTION_DCTCP),
	VALUE(afxdp.mode, "auto", CONFIG_AFXDP_AUTO),
	VALUE(afxdp.mode, "copy", CONFIG_AFXDP_COPY),
	VALUE(afxdp.mode, "zero-copy", CONFIG_AFXDP_ZERO_COPY),
	VALUE(afxdp.queue, "1023", 1023),
	VALUE(afxdp.busy_poll_us, "1000000", 1000000),
	VALUE(shim.trace, "1", 1),
	VALUE(log.level, "error", CONFIG_LOG_ERROR),
	VALUE(log.level, "warning", CONFIG_LOG_WARNING),
	VALUE(log.level, "info", CONFIG_LOG_INFO),
	VALUE(log.level, "debug", CONFIG_LOG_DEBUG),
};

/* The field that is named has the value, and all others their defaults. */
static void assert_only(const struct config *config, size_t i)
{
	const char *field = (const char *)config + values[i].offset;
	struct config expected;
	uint32_t narrow;
	uint64_t wide;

	memcpy(&narrow, field, sizeof(narrow));
	wide = narrow;
	if (values[i].size == sizeof(wide))
		memcpy(&wide, field, sizeof(wide));
	assert_int_equal(wide, values[i].expected);
	config_defaults(&expected);
	memcpy((char *)&expected + values[i].offset, field, values[i].size);
	assert_memory_equal(config, &expected, offsetof(struct config, origin));
}

static void config_defaults__are_those_of_the_header(void **state)
{
	struct config config;

	(void)state;
	config_defaults(&config);
	assert_string_equal(config.libos, "catnap");
	assert_int_equal(config.runtime.idle, CONFIG_IDLE_SPIN);
	assert_int_equal(config.runtime.idle_after_us, 50);
	assert_int_equal(config.runtime.give_way_after_us, 20);
	assert_int_equal(config.runtime.give_way_us, 500);
	assert_int_equal(config.runtime.operations_max, 65536);
	assert_int_equal(config.runtime.queues_max, 65536);
	assert_int_equal(config.heap.max_bytes, UINT64_C(4) << 30);
	assert_int_equal(config.queue.elements_max, 65536);
	assert_int_equal(config.queue.joined_elements_max, 1024);
	assert_int_equal(config.catnap.engine, CONFIG_ENGINE_AUTO);
	assert_int_equal(config.catnap.receive_bytes_max, 65536);
	assert_int_equal(config.catnap.uring_entries, 256);
	assert_string_equal(config.net.dev, "");
	assert_string_equal(config.net.ip, "");
	assert_int_equal(config.net.vlan, 0);
	assert_int_equal(config.net.autoconf, CONFIG_ON);
	assert_int_equal(config.net.mtu, 0);
	assert_int_equal(config.net.runtimes_max, 1);
	assert_int_equal(config.net.frames, 4096);
	assert_int_equal(config.net.copy_max, 1024);
	assert_int_equal(config.net.neighbours_max, 1024);
	assert_int_equal(config.net.neighbour_pending_max, 64);
	assert_int_equal(config.net.reassembly_bytes_max, 4 << 20);
	assert_int_equal(config.net.icmp_rate, 1000);
	assert_int_equal(config.net.socket_bytes_max, 1 << 20);
	assert_int_equal(config.tcp.connections_max, 131072);
	assert_int_equal(config.tcp.syn_backlog_max, 1024);
	assert_int_equal(config.tcp.time_wait_max, 65536);
	assert_int_equal(config.tcp.time_wait_ms, 60000);
	assert_int_equal(config.tcp.buffer, 65536);
	assert_int_equal(config.tcp.max_buffer, 4 << 20);
	assert_int_equal(config.tcp.send_pieces_max, 4096);
	assert_int_equal(config.tcp.out_of_order_max, 1024);
	assert_int_equal(config.tcp.rto_min_ms, 200);
	assert_int_equal(config.tcp.rto_max_ms, 120000);
	assert_int_equal(config.tcp.delayed_ack_ms, 40);
	assert_int_equal(config.tcp.connect_timeout_s, 180);
	assert_int_equal(config.tcp.retries_timeout_s, 900);
	assert_int_equal(config.tcp.orphan_timeout_s, 60);
	assert_int_equal(config.tcp.timestamps, CONFIG_ON);
	assert_int_equal(config.tcp.window_scaling, CONFIG_ON);
	assert_int_equal(config.tcp.sack, CONFIG_ON);
	assert_int_equal(config.tcp.ecn, CONFIG_OFF);
	assert_int_equal(config.tcp.congestion, CONFIG_CONGESTION_CUBIC);
	assert_string_equal(config.blk.dev, "");
	assert_int_equal(config.blk.read_only, CONFIG_OFF);
	assert_int_equal(config.blk.threads, CONFIG_THREADS_ONE);
	assert_int_equal(config.store.format, CONFIG_FORMAT_AUTO);
	assert_int_equal(config.store.segment_bytes, 0);
	assert_int_equal(config.store.copy_max, 1024);
	assert_int_equal(config.store.trim, CONFIG_ON);
	assert_int_equal(config.afxdp.mode, CONFIG_AFXDP_AUTO);
	assert_string_equal(config.shim.rules, "");
	assert_int_equal(config.shim.trace, 0);
	assert_int_equal(config.log.level, CONFIG_LOG_WARNING);
}

static void config_load__sets_each_key_by_file_and_by_environment(void **state)
{
	char text[128], error[ERROR_SIZE];
	struct config config;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		yaml_make(text, sizeof(text), values[i].name, values[i].value);
		fill(&config);
		assert_int_equal(load(&config, text, NULL, error), 0);
		assert_only(&config, i);
		variable_make(text, sizeof(text), values[i].name, values[i].value);
		fill(&config);
		assert_int_equal(load_variable(&config, text, error), 0);
		assert_only(&config, i);
	}
}

/* Where a text stands in struct config, and how long it may be. */
static const struct {
	const char *name;
	size_t offset, size;
} text_fields[] = {
#define TEXT(member)                                                                              \
	{                                                                                         \
#member, offsetof(struct config, member), sizeof(((struct config *)NULL)->member) \
	}
	TEXT(net.dev),        TEXT(net.ip),   TEXT(net.gw),         TEXT(net.mac),
	TEXT(net.routes),     TEXT(net.pcap), TEXT(dpdk.args),      TEXT(shim.rules),
	TEXT(shim.log_files), TEXT(blk.dev),  TEXT(catmint.device),
};

static void config_load__sets_texts_of_up_to_their_size(void **state)
{
	char value[1100], text[1200], error[ERROR_SIZE];
	struct config config;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(text_fields); i++) {
		const char *field = (const char *)&config + text_fields[i].offset;

		memset(value, 'a', sizeof(value));
		value[text_fields[i].size - 1] = '\0';
		yaml_make(text, sizeof(text), text_fields[i].name, value);
		assert_int_equal(load(&config, text, NULL, error), 0);
		assert_string_equal(field, value);
		variable_make(text, sizeof(text), text_fields[i].name, value);
		assert_int_equal(load_variable(&config, text, error), 0);
		assert_string_equal(field, value);

		value[text_fields[i].size - 1] = 'a';
		value[text_fields[i].size] = '\0';
		variable_make(text, sizeof(text), text_fields[i].name, value);
		assert_int_equal(load_variable(&config, text, error), -EINVAL);
		snprintf(value, sizeof(value), "up to %zu bytes", text_fields[i].size - 1);
		assert_non_null(strstr(error, "is too long"));
		assert_non_null(strstr(error, value));
	}
}

static void config_load__takes_any_printable_text(void **state)
{
	char error[ERROR_SIZE];
	struct config config;

	(void)state;
	assert_int_equal(load(&config, "net:\n  dev: dpdk:net_memif0,role=client,socket=/run/m 1\n",
			      NULL, error),
			 0);
	assert_string_equal(config.net.dev, "dpdk:net_memif0,role=client,socket=/run/m 1");
	assert_int_equal(
		load(&config, "net: {mac: 02:00:00:00:00:01, ip: \"fd00::2/64\"}\n", NULL, error),
		0);
	assert_string_equal(config.net.mac, "02:00:00:00:00:01");
	assert_string_equal(config.net.ip, "fd00::2/64");
	assert_int_equal(load_variable(&config, "DEMI_NET_DEV=tap:\x1b[31m", error), -EINVAL);
	assert_string_equal(error, "DEMI_NET_DEV: \"tap:?[31m\" has control characters; "
				   "allowed: text, up to 255 bytes");
	assert_int_equal(load(&config, "net: {dev: \"tap\\0x\"}\n", NULL, error), -EINVAL);
	assert_non_null(strstr(error, "has control characters"));
}

static void config_load__takes_an_empty_text_for_none(void **state)
{
	const char *const environment[] = {"DEMI_NET_GW=", NULL};
	char error[ERROR_SIZE];
	struct config config;

	(void)state;
	assert_int_equal(load(&config, "net: {gw: 10.0.0.1}\n", environment, error), 0);
	assert_string_equal(config.net.gw, "");
}

static void config_load__joins_the_elements_of_a_list(void **state)
{
	char error[ERROR_SIZE];
	struct config config;

	(void)state;
	assert_int_equal(load(&config,
			      "net:\n  ip: [10.0.0.2/24, \"fd00::2/64\"]\n"
			      "  gw:\n    - 10.0.0.1\n    - fd00::1\n"
			      "  routes:\n    - 10.1.0.0/16 via 10.0.0.9\n",
			      NULL, error),
			 0);
	assert_string_equal(config.net.ip, "10.0.0.2/24,fd00::2/64");
	assert_string_equal(config.net.gw, "10.0.0.1,fd00::1");
	assert_string_equal(config.net.routes, "10.1.0.0/16 via 10.0.0.9");
	assert_int_equal(load(&config, "net: {ip: []}\n", NULL, error), 0);
	assert_string_equal(config.net.ip, "");
}

static void config_load__bounds_the_elements_of_a_list(void **state)
{
	char text[8192] = "net: {gw: [a", error[ERROR_SIZE];
	struct config config;
	size_t length;

	(void)state;
	/* With commas 127 bytes, and one more element; then more than any list holds. */
	for (length = strlen(text); length < 12 + 2 * 63; length += 2)
		memcpy(text + length, ",a", 3);
	memcpy(text + length, "]}", 3);
	assert_int_equal(load(&config, text, NULL, error), 0);
	assert_int_equal(strlen(config.net.gw), 127);
	memcpy(text + length, ",a]}", 5);
	assert_int_equal(load(&config, text, NULL, error), -EINVAL);
	assert_non_null(strstr(error, "is too long"));
	for (; length < 8000; length += 2)
		memcpy(text + length, ",a", 3);
	memcpy(text + length, "]}", 3);
	assert_int_equal(load(&config, text, NULL, error), -EINVAL);
	assert_non_null(strstr(error, ":1: net.gw: the list is too long; allowed: "));
}

static void config_load__takes_the_short_name_of_the_capture(void **state)
{
	const char *const environment[] = {"DEMI_PCAP=/tmp/a b", "DEMI_NET_PCAP=/tmp/c", NULL};
	char error[ERROR_SIZE];
	struct config config;

	(void)state;
	assert_int_equal(load_environment(&config, environment, error), 0);
	assert_string_equal(config.net.pcap, "/tmp/a b");
	assert_int_equal(load_environment(&config, environment + 1, error), 0);
	assert_string_equal(config.net.pcap, "/tmp/c");
	assert_int_equal(load_variable(&config, "DEMI_PCAP=a\tb", error), -EINVAL);
	assert_string_equal(error, "DEMI_PCAP: \"a?b\" has control characters; "
				   "allowed: text, up to 255 bytes");
}

static void config_load__sets_libos(void **state)
{
	char error[ERROR_SIZE];
	struct config config;

	(void)state;
	assert_int_equal(load(&config, "libos: a-longest_name1\n", NULL, error), 0);
	assert_string_equal(config.libos, "a-longest_name1");
	assert_int_equal(load_variable(&config, "DEMI_LIBOS=catnip", error), 0);
	assert_string_equal(config.libos, "catnip");
	assert_int_equal(load_variable(&config, "LIBOS=cattree", error), 0);
	assert_string_equal(config.libos, "cattree");
}

static void config_load__refuses_values_that_are_not_allowed(void **state)
{
	static const struct {
		const char *name, *value, *wrong;
	} cases[] = {
		{"libos", "sixteen-letters1", "is too long"},
		{"libos", "Catnap", "is not a name"},
		{"libos", "4cats", "is not a name"},
		{"libos", "cat/nap", "is not a name"},
		{"runtime.idle", "sleeps", "is not a choice"},
		{"runtime.idle", "slee", "is not a choice"},
		{"runtime.idle", "1", "is not a choice"},
		{"runtime.idle_after_us", "10000001", "is out of its limits"},
		{"runtime.idle_after_us", "-1", "is out of its limits"},
		{"runtime.give_way_after_us", "10000001", "is out of its limits"},
		{"runtime.give_way_us", "10000001", "is out of its limits"},
		{"runtime.operations_max", "63", "is out of its limits"},
		{"runtime.operations_max", "16777217", "is out of its limits"},
		{"runtime.queues_max", "0", "is out of its limits"},
		{"runtime.queues_max", "1048577", "is out of its limits"},
		{"runtime.queues_max", "4294967297", "is out of its limits"},
		{"runtime.queues_max", "18446744073709551617", "is out of its limits"},
		{"runtime.queues_max", "-99999999999999999999", "is out of its limits"},
		{"runtime.queues_max", "12abc", "is not a whole number"},
		{"runtime.queues_max", "1K", "is not a whole number"},
		{"runtime.queues_max", "many", "is not a whole number"},
		{"runtime.queues_max", "+5", "is not a whole number"},
		{"runtime.queues_max", "010", "is not a whole number"},
		{"runtime.queues_max", "0x10", "is not a whole number"},
		{"runtime.queues_max", "1.5", "is not a whole number"},
		{"runtime.queues_max", "1e3", "is not a whole number"},
		{"runtime.queues_max", "1 2", "is not a whole number"},
		{"runtime.queues_max", "--5", "is not a whole number"},
		{"heap.max_bytes", "16777215", "is out of its limits"},
		{"heap.max_bytes", "16383K", "is out of its limits"},
		{"heap.max_bytes", "1025G", "is out of its limits"},
		{"heap.max_bytes", "1099511627777", "is out of its limits"},
		{"heap.max_bytes", "17179869184G", "is out of its limits"},
		{"heap.max_bytes", "17179869200G", "is out of its limits"},
		{"heap.max_bytes", "-16M", "is out of its limits"},
		{"heap.max_bytes", "4GiB", "is not a size"},
		{"heap.max_bytes", "4g", "is not a size"},
		{"heap.max_bytes", "4T", "is not a size"},
		{"heap.max_bytes", "G", "is not a size"},
		{"heap.max_bytes", "4 G", "is not a size"},
		{"queue.elements_max", "0", "is out of its limits"},
		{"queue.elements_max", "16777217", "is out of its limits"},
		{"queue.joined_elements_max", "0", "is out of its limits"},
		{"queue.joined_elements_max", "1048577", "is out of its limits"},
		{"net.vlan", "4095", "is out of its limits"},
		{"net.mtu", "1", "is out of its limits"},
		{"net.mtu", "575", "is out of its limits"},
		{"net.mtu", "65536", "is out of its limits"},
		{"net.runtimes_max", "0", "is out of its limits"},
		{"net.runtimes_max", "65", "is out of its limits"},
		{"net.frames", "255", "is out of its limits"},
		{"net.reassembly_bytes_max", "127K", "is out of its limits"},
		{"tcp.connections_max", "15", "is out of its limits"},
		{"tcp.time_wait_max", "0", "is out of its limits"},
		{"tcp.time_wait_ms", "0", "is out of its limits"},
		{"tcp.buffer", "4095", "is out of its limits"},
		{"tcp.max_buffer", "1025M", "is out of its limits"},
		{"tcp.send_pieces_max", "7", "is out of its limits"},
		{"tcp.rto_min_ms", "0", "is out of its limits"},
		{"tcp.rto_min_ms", "10001", "is out of its limits"},
		{"tcp.rto_max_ms", "999", "is out of its limits"},
		{"tcp.delayed_ack_ms", "500", "is out of its limits"},
		{"tcp.retries_timeout_s", "0", "is out of its limits"},
		{"tcp.sack", "yes", "is not a choice"},
		{"tcp.congestion", "vegas", "is not a choice"},
		{"afxdp.mode", "zero", "is not a choice"},
		{"catnap.engine", "auto, uring", "is not a choice"},
		{"catnap.receive_bytes_max", "511", "is out of its limits"},
		{"catnap.receive_bytes_max", "1048577", "is out of its limits"},
		{"catnap.uring_entries", "4", "is out of its limits"},
		{"catnap.uring_entries", "65536", "is out of its limits"},
		{"catnap.uring_entries", "100", "is not a power of two"},
		{"log.level", "loud", "is not a choice"},
	};
	char text[128], error[ERROR_SIZE], expected[ERROR_SIZE], variable[128];
	struct config config;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		yaml_make(text, sizeof(text), cases[i].name, cases[i].value);
		fill(&config);
		assert_int_equal(load(&config, text, NULL, error), -EINVAL);
		assert_unchanged(&config);
		snprintf(expected, sizeof(expected),
			 ":%d: %s: \"%s\" %s; allowed: ", strchr(cases[i].name, '.') ? 2 : 1,
			 cases[i].name, cases[i].value, cases[i].wrong);
		error[strlen(expected)] = '\0';
		assert_string_equal(error, expected);

		variable_make(variable, sizeof(variable), cases[i].name, cases[i].value);
		assert_int_equal(load_variable(&config, variable, error), -EINVAL);
		assert_unchanged(&config);
		snprintf(expected, sizeof(expected),
			 "%.*s: \"%s\" %s; allowed: ", (int)strcspn(variable, "="), variable,
			 cases[i].value, cases[i].wrong);
		error[strlen(expected)] = '\0';
		assert_string_equal(error, expected);
	}
}

static void config_load__refuses_an_empty_variable(void **state)
{
	char error[ERROR_SIZE];
	struct config config;

	(void)state;
	fill(&config);
	assert_int_equal(load_variable(&config, "DEMI_LOG_LEVEL=", error), -EINVAL);
	assert_string_equal(error, "DEMI_LOG_LEVEL: \"\" is no value; allowed: "
				   "one of error, warning, info, debug");
	assert_int_equal(load_variable(&config, "LIBOS=", error), -EINVAL);
	assert_string_equal(error, "LIBOS: \"\" is no value; allowed: "
				   "1 to 15 of a-z, 0-9, _, - and +, a letter first");
	assert_unchanged(&config);
}

/* Files as a whole. */

static void config_load__takes_nothing_for_the_defaults(void **state)
{
	static const char *const texts[] = {
		"",
		"# a comment\n",
		"---\n",
		"---\n...\n",
		"{}\n",
		"\n\n",
		"heap:\n",
		"heap: {}\n",
		"%YAML 1.1\n---\n",
		"\xef\xbb\xbf",
		"catnap:\n#  engine: epoll\nheap:\n",
	};
	char error[ERROR_SIZE];
	struct config config, defaults;

	(void)state;
	config_defaults(&defaults);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		fill(&config);
		assert_int_equal(load(&config, texts[i], NULL, error), 0);
		assert_memory_equal(&config, &defaults, offsetof(struct config, origin));
	}
	fill(&config);
	assert_int_equal(config_load(&config, NULL, NULL, error, sizeof(error)), 0);
	assert_memory_equal(&config, &defaults, offsetof(struct config, origin));
}

static void config_load__reads_every_style_of_yaml(void **state)
{
	static const char *const texts[] = {
		"catnap:\n  engine: epoll\n  uring_entries: 64\n",
		"\xef\xbb\xbf{catnap: {engine: epoll, uring_entries: 64}}",
		"catnap:\r\n  engine: epoll\r\n  uring_entries: 64\r\n",
		"{catnap: {engine: epoll, uring_entries: 64}}",
		"{\"catnap\": {\"engine\": \"epoll\", \"uring_entries\": 64}}",
		"--- # one\ncatnap:\n  uring_entries: '64'\n  engine: >-\n    epoll\n...\n",
		"? catnap\n: ? engine\n  : epoll\n  ? uring_entries\n  : 64\n",
	};
	char error[ERROR_SIZE];
	struct config config;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		assert_int_equal(load(&config, texts[i], NULL, error), 0);
		assert_int_equal(config.catnap.engine, CONFIG_ENGINE_EPOLL);
		assert_int_equal(config.catnap.uring_entries, 64);
	}
}

#define SECTIONS \
	"libos, runtime, heap, queue, catnap, net, tcp, catmint, blk, store, dpdk, afxdp, shim, log"
#define TCP_KEYS                                                                              \
	"connections_max, syn_backlog_max, time_wait_max, time_wait_ms, buffer, max_buffer, " \
	"send_pieces_max, out_of_order_max, rto_min_ms, rto_max_ms, delayed_ack_ms, "         \
	"connect_timeout_s, retries_timeout_s, orphan_timeout_s, timestamps, "                \
	"window_scaling, sack, ecn, congestion"
#define PLAIN "; allowed: plain keys and values"

static const struct {
	const char *text, *error;
} broken_files[] = {
	/* unknown names */
	{"catnap:\n  engin: epoll\n",
	 ":2: catnap.engin: unknown key (did you mean catnap.engine?); "
	 "allowed: engine, receive_bytes_max, uring_entries"},
	{"log:\n  level: info\n\nruntime:\n  idle: spin\n  engine: epoll\n",
	 ":6: runtime.engine: unknown key (did you mean catnap.engine?); "
	 "allowed: idle, idle_after_us, give_way_after_us, give_way_us, operations_max, queues_max"},
	{"heap:\n  colour: red\n",
	 ":2: heap.colour: unknown key; allowed: max_bytes, huge_pages, lock, foreign, on_error, protect"},
	{"heap:\n  \"max_bytes\\0\": 1G\n",
	 ":2: heap.max_bytes?: unknown key (did you mean heap.max_bytes?); allowed: max_bytes, huge_pages, lock, foreign, on_error, protect"},
	{"heap:\n  \"\\e[31m\\n\": 1G\n",
	 ":2: heap.?[31m?: unknown key; allowed: max_bytes, huge_pages, lock, foreign, on_error, protect"},
	{"heap:\n  ? a name that is far longer than any of the names that we have\n  : 1G\n",
	 ":2: heap.a name that is far longer than any of th...: unknown key; allowed: max_bytes, huge_pages, lock, foreign, on_error, protect"},
	{"heap:\n  '': 1G\n",
	 ":2: heap.: unknown key; allowed: max_bytes, huge_pages, lock, foreign, on_error, protect"},
	{"# mine\ncatnp:\n  engine: epoll\n",
	 ":2: catnp: unknown section or key (did you mean catnap?); allowed: " SECTIONS},
	{"Libos: catnap\n",
	 ":1: Libos: unknown section or key (did you mean libos?); allowed: " SECTIONS},
	{"engine: epoll\n",
	 ":1: engine: unknown section or key (did you mean catnap.engine?); allowed: " SECTIONS},
	/* the longest list of names */
	{"tcp:\n  colour: red\n", ":2: tcp.colour: unknown key; allowed: " TCP_KEYS},
	{"database:\n", ":1: database: unknown section or key; allowed: " SECTIONS},
	{"<<: {}\n", ":1: <<: unknown section or key; allowed: " SECTIONS},
	{"log.level: info\n",
	 ":1: log.level: a key outside of its section; allowed: level inside log"},

	/* given twice */
	{"libos: catnap\nlibos: catnap\n",
	 ":2: libos: given twice, first in line 1; allowed: once"},
	{"log: {level: info}\nheap:\nlog:\n",
	 ":3: log: given twice, first in line 1; allowed: once"},
	{"heap:\n  max_bytes: 1G\n  max_bytes: 1G\n",
	 ":3: heap.max_bytes: given twice, first in line 2; allowed: once"},

	/* wrong types */
	{"catnap:\n  engine: [epoll]\n", ":2: catnap.engine: a sequence instead of a value; "
					 "allowed: one of auto, uring, epoll"},
	{"heap:\n  max_bytes:\n    much: 1\n", ":3: heap.max_bytes: a mapping instead of a value; "
					       "allowed: bytes, suffix K, M or G, 16M..1024G"},
	{"queue:\n  elements_max:\n", ":2: queue.elements_max: \"\" is no value; "
				      "allowed: integer, 1..16777216"},
	{"queue:\n  elements_max: ~\n", ":2: queue.elements_max: \"~\" is not a whole number; "
					"allowed: integer, 1..16777216"},
	{"log:\n  level: \"info\\0\"\n", ":2: log.level: \"info?\" is not a choice; "
					 "allowed: one of error, warning, info, debug"},
	{"libos: \"cat\\0nap\"\n", ":1: libos: \"cat?nap\" is not a name; "
				   "allowed: 1 to 15 of a-z, 0-9, _, - and +, a letter first"},
	{"log: debug\n", ":1: log: a single value instead of a section; allowed: level"},
	{"log: ''\n", ":1: log: a single value instead of a section; allowed: level"},
	{"log: [level]\n", ":1: log: a sequence instead of a section; allowed: level"},
	{"log:\n  ? [level]\n  : info\n", ":2: log: a sequence as a key; allowed: a name"},
	{"{a: b}: c\n", ":1: a mapping as a key; allowed: a name"},
	{"- libos\n", ":1: a sequence; allowed: a mapping of sections"},
	{"\n\njust text\n", ":3: a single value; allowed: a mapping of sections"},

	{"net:\n  ip: [[10.0.0.2/24]]\n", ":2: net.ip: a sequence inside a list; "
					  "allowed: list, up to 1023 bytes"},
	{"net:\n  ip:\n    - 10.0.0.2/24\n    - ''\n",
	 ":4: net.ip: an empty element; allowed: list, up to 1023 bytes"},
	{"net:\n  ip: {a: b}\n",
	 ":2: net.ip: a mapping instead of a value; allowed: list, up to 1023 bytes"},
	{"net:\n  dev: [loop]\n",
	 ":2: net.dev: a sequence instead of a value; allowed: text, up to 255 bytes"},
	{"net:\n  ip: [&a 10.0.0.2/24]\n", ":2: net.ip: an anchor or alias" PLAIN},

	/* anchors, aliases, tags, documents */
	{"log: &log\n  level: info\n", ":1: log: an anchor or alias" PLAIN},
	{"heap:\n  max_bytes: &size 1G\n", ":2: heap.max_bytes: an anchor or alias" PLAIN},
	{"heap:\n  max_bytes: *size\n", ":2: heap.max_bytes: an anchor or alias" PLAIN},
	{"&top libos: catnap\n", ":1: an anchor or alias" PLAIN},
	{"heap:\n  max_bytes: !!int 1\n", ":2: heap.max_bytes: a tag" PLAIN},
	{"heap: &a [1]\n", ":1: heap: an anchor or alias" PLAIN},
	{"--- !mine\nlibos: catnap\n", ":1: a tag" PLAIN},
	{"libos: catnap\n---\nlibos: catnip\n", ":2: a second document; allowed: one"},
	{"libos: catnap\n...\n---\n", ":3: a second document; allowed: one"},

	/* not YAML */
	{"libos: catnap\nlog:\n\tlevel: info\n",
	 ":3: log: not YAML: found character that cannot start any token"},
	{"libos: catnap: catnip\n", ":1: not YAML: mapping values are not allowed in this context"},
	{"log:\n  level: 'info\n", ":3: log.level: not YAML: found unexpected end of stream"},
	{"{libos: catnap\n", ":2: not YAML: did not find expected ',' or '}'"},
	{"libos: @home\n", ":1: libos: not YAML: found character that cannot start any token"},
	{"%YAML 3.0\n---\n", ":1: not YAML: found incompatible YAML document"},

	/* not UTF-8 */
	{"libos: catnap\nlog:\n  level: \xff\n",
	 ":3: not text in UTF-8: invalid leading UTF-8 octet"},
	{"libos: caf\xe9 au lait\n", ":1: not text in UTF-8: invalid trailing UTF-8 octet"},
	{"# \xc0\xaf\n", ":1: not text in UTF-8: invalid length of a UTF-8 sequence"},
	{"\n# \xed\xa0\x80\n", ":2: not text in UTF-8: invalid Unicode character"},
	{"\n\n# \x1b[31m\n", ":3: not text in UTF-8: control characters are not allowed"},
	{"\n# \xe2\x82", ":2: not text in UTF-8: incomplete UTF-8 octet sequence"},
	{"\xff\xfel", ":1: not text in UTF-8: invalid leading UTF-8 octet"},
};

static void config_load__tells_the_line_of_what_is_wrong(void **state)
{
	char error[ERROR_SIZE];
	struct config config;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(broken_files); i++) {
		fill(&config);
		assert_int_equal(load(&config, broken_files[i].text, NULL, error), -EINVAL);
		assert_unchanged(&config);
		assert_string_equal(error, broken_files[i].error);
	}
}

static void config_load__passes_on_what_the_kernel_says(void **state)
{
	char error[ERROR_SIZE];
	struct config config;
	struct file file;
	const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";

	(void)state;
	fill(&config);
	assert_int_equal(config_load(&config, "/nowhere/demi.yaml", NULL, error, sizeof(error)),
			 -ENOENT);
	assert_string_equal(error, "/nowhere/demi.yaml: cannot read: No such file or directory");
	assert_int_equal(config_load(&config, folder, NULL, error, sizeof(error)), -EISDIR);
	assert_non_null(strstr(error, ": cannot read: Is a directory"));
	assert_int_equal(config_load(&config, "no\nfile", NULL, error, sizeof(error)), -ENOENT);
	assert_string_equal(error, "no?file: cannot read: No such file or directory");
	file_create(&file, "", 0);
	chmod(file.path, 0);
	if (geteuid() != 0) { /* root reads it all the same */
		assert_int_equal(config_load(&config, file.path, NULL, error, sizeof(error)),
				 -EACCES);
		assert_non_null(strstr(error, ": cannot read: Permission denied"));
	}
	unlink(file.path);
	assert_unchanged(&config);
}

static void config_load__cuts_an_error_to_its_size(void **state)
{
	struct config config;
	char error[8];

	(void)state;
	for (size_t size = 0; size <= sizeof(error); size++) {
		memset(error, 'x', sizeof(error));
		assert_int_equal(config_load_memory(&config, "name", "a: b", 4, error, size),
				 -EINVAL);
		if (size)
			assert_int_equal(strnlen(error, sizeof(error)), size - 1);
		else
			assert_int_equal(error[0], 'x');
	}
	assert_int_equal(config_load_memory(&config, "name", "a: b", 4, NULL, 0), -EINVAL);
}

/* The environment. */

static void config_load__lets_the_environment_win(void **state)
{
	const char *both[] = {"DEMI_CATNAP_ENGINE=uring", "DEMI_LIBOS=catnip", "LIBOS=cattree",
			      NULL};
	const char *twice[] = {"LIBOS=catmem", "DEMI_LOG_LEVEL=debug", "DEMI_LOG_LEVEL=error",
			       "LIBOS=catnip", NULL};
	const char *text = "libos: catmint\ncatnap:\n  engine: epoll\n  uring_entries: 8\n";
	char error[ERROR_SIZE];
	struct config config;

	(void)state;
	assert_int_equal(load(&config, text, both, error), 0);
	assert_string_equal(config.libos, "cattree");
	assert_int_equal(config.catnap.engine, CONFIG_ENGINE_URING);
	assert_int_equal(config.catnap.uring_entries, 8);
	both[2] = NULL;
	assert_int_equal(load(&config, text, both, error), 0);
	assert_string_equal(config.libos, "catnip");
	assert_int_equal(load(&config, text, twice, error), 0);
	assert_string_equal(config.libos, "catmem");
	assert_int_equal(config.log.level, CONFIG_LOG_DEBUG);
}

static void config_load__does_not_hide_a_broken_file_behind_the_environment(void **state)
{
	const char *environment[] = {"DEMI_CATNAP_ENGINE=uring", NULL};
	char error[ERROR_SIZE];
	struct config config;

	(void)state;
	fill(&config);
	assert_int_equal(load(&config, "catnap: {engine: x}", environment, error), -EINVAL);
	environment[0] = "DEMI_CATNAP_ENGINE=x";
	assert_int_equal(load(&config, "log: {level: debug}", environment, error), -EINVAL);
	assert_unchanged(&config);
}

static void config_load__refuses_unknown_variables_of_our_sections(void **state)
{
	static const char *const cases[][2] = {
		{"DEMI_CATNAP_ENGIN=x", "DEMI_CATNAP_ENGIN: unknown variable "
					"(did you mean DEMI_CATNAP_ENGINE?); "
					"allowed: DEMI_<SECTION>_<KEY>"},
		{"DEMI_RUNTIME_IDLE_AFTER_MS=1", "DEMI_RUNTIME_IDLE_AFTER_MS: unknown variable "
						 "(did you mean DEMI_RUNTIME_IDLE_AFTER_US?); "
						 "allowed: DEMI_<SECTION>_<KEY>"},
		{"DEMI_HEAP_ENGINE=x", "DEMI_HEAP_ENGINE: unknown variable "
				       "(did you mean DEMI_CATNAP_ENGINE?); "
				       "allowed: DEMI_<SECTION>_<KEY>"},
		{"DEMI_LOG=debug", "DEMI_LOG: unknown variable; allowed: in section log, level"},
		{"DEMI_LOG_=debug", "DEMI_LOG_: unknown variable; allowed: in section log, level"},
		{"DEMI_QUEUE_COLOUR=red",
		 "DEMI_QUEUE_COLOUR: unknown variable; allowed: in section queue, elements_max, joined_elements_max"},
		{"DEMI_HEAP_WITH_A_NAME_THAT_IS_LONGER_THAN_ALL_OF_OURS=",
		 "DEMI_HEAP_WITH_A_NAME_THAT_IS_LONGER_THA...: unknown variable; "
		 "allowed: in section heap, max_bytes, huge_pages, lock, foreign, on_error, protect"},
	};
	char error[ERROR_SIZE];
	struct config config;

	(void)state;
	fill(&config);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(load_variable(&config, cases[i][0], error), -EINVAL);
		assert_string_equal(error, cases[i][1]);
	}
	assert_unchanged(&config);
}

/* DEMI_SHIM says where the shim is; the section's keys are keys all the same. */
static void config_load__does_not_take_the_shim_for_a_key(void **state)
{
	static const char *const environment[] = {"DEMI_SHIM=/usr/lib/demi/libdemi-shim.so",
						  "DEMI_SHIM_TRACE=1", "DEMI_SHIM_RULES=demi *",
						  NULL};
	char error[ERROR_SIZE];
	struct config config;

	(void)state;
	assert_int_equal(load_environment(&config, environment, error), 0);
	assert_int_equal(config.shim.trace, 1);
	assert_string_equal(config.shim.rules, "demi *");
	assert_int_equal(load_variable(&config, "DEMI_SHIM=", error), 0);
	assert_int_equal(config.shim.trace, 0);
	fill(&config);
	assert_int_equal(load_variable(&config, "DEMI_SHIM_=x", error), -EINVAL);
	assert_string_equal(error, "DEMI_SHIM_: unknown variable; allowed: in section shim, rules, "
				   "log_files, trace");
	assert_int_equal(load_variable(&config, "DEMI_SHIM_TRACES=1", error), -EINVAL);
	assert_string_equal(error, "DEMI_SHIM_TRACES: unknown variable (did you mean "
				   "DEMI_SHIM_TRACE?); allowed: DEMI_<SECTION>_<KEY>");
	assert_unchanged(&config);
}

static void config_load__leaves_other_variables_alone(void **state)
{
	const char *environment[] = {"DEMI_PCAPS=/tmp/x",
				     "DEMI_TEST_SEED=1",
				     "DEMI_NETS_DEV=tap0",
				     "DEMI_",
				     "DEMI_=",
				     "DEMI__X=",
				     "DEMI_LOGS_X=1",
				     "DEMI_LOG_LEVEL",
				     "XDEMI_LOG_LEVEL=x",
				     "LIBOSX=x",
				     "=LIBOS=x",
				     "DEMI_LIBOS_X=x",
				     "HOME=/",
				     NULL};
	struct config config, defaults;
	char error[ERROR_SIZE];

	(void)state;
	config_defaults(&defaults);
	fill(&config);
	assert_int_equal(load_environment(&config, environment, error), 0);
	assert_memory_equal(&config, &defaults, offsetof(struct config, origin));
}

/* Hostile files: each must end in an error, and soon. */

static void assert_refused_soon(const char *text, size_t size, int expected)
{
	struct timespec start, end;
	struct config config;
	char error[ERROR_SIZE];
	struct file file;

	fill(&config);
	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(load_bytes(&config, text, size, NULL, error, &file), expected);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true(end.tv_sec - start.tv_sec <= 2);
	assert_unchanged(&config);
	assert_true(error[0] && !strchr(error, '\n'));
}

/* @head, then @unit over and over up to @size bytes. */
static void assert_repetition_refused(const char *head, const char *unit, size_t size, int expected)
{
	size_t length = strlen(head), step = strlen(unit);
	char *text = malloc(size);

	assert_non_null(text);
	memcpy(text, head, length);
	for (size_t i = length; i < size; i++)
		text[i] = unit[(i - length) % step];
	assert_refused_soon(text, size, expected);
	free(text);
}

static void config_load__survives_hostile_files(void **state)
{
	static const char *const heads_and_units[][2] = {
		{"", "["},
		{"", "{"},
		{"", "- "},
		{"", "? "},
		{"", "&a "},
		{"", "{a: "},
		{"", "---\n"},
		{"", "a: b\n"},
		{"", "\""},
		{"catnap: ", "["},
		{"catnap: ", "{"},
		{"catnap: {engine: ", "["},
		{"catnap:\n  engine: ", "x"},
		{"catnap:\n  ? ", "x"},
		{"libos: >\n", " x\n"},
		{"%TAG ! tag:", "%TAG ! x\n"},
		{"", "!"},
		{"", "\xef\xbb\xbf"},
		{"libos: \"", "\\x00"},
		{"libos: \"", "\\\n"},
		{"libos: ", "*a"},
	};
	static const char bomb[] = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n";
	static const char zeroes[64] = "libos: cat\0nap\n";
	static const char utf16[] = "\xff\xfel\0i\0b\0o\0s\0:\0 \0c\0";

	(void)state;
	for (size_t i = 0; i < COUNT_OF(heads_and_units); i++) {
		const char *const *pair = heads_and_units[i];

		assert_repetition_refused(pair[0], pair[1], 64 * 1024, -EINVAL);
		assert_repetition_refused(pair[0], pair[1], 64 * 1024 + 1, -EFBIG);
	}
	assert_repetition_refused("libos: ", "x", 10 << 20, -EFBIG);
	assert_refused_soon(bomb, strlen(bomb), -EINVAL);
	assert_refused_soon(zeroes, sizeof(zeroes), -EINVAL);
	assert_refused_soon(utf16, sizeof(utf16) - 1, -EINVAL);
}

static void config_load__reads_a_file_of_the_greatest_size(void **state)
{
	size_t size = 64 * 1024;
	char *text = malloc(size), error[ERROR_SIZE];
	struct config config;
	struct file file;

	(void)state;
	assert_non_null(text);
	memset(text, '#', size);
	memcpy(text, "libos: catnip\n", 14);
	assert_int_equal(load_bytes(&config, text, size, NULL, error, &file), 0);
	assert_string_equal(config.libos, "catnip");
	free(text);
	assert_int_equal(config_load(&config, "/dev/zero", NULL, error, sizeof(error)), -EFBIG);
	assert_string_equal(error, "/dev/zero: too large; allowed: 65536 bytes");
}

/* The table and the manual. */

static void config_describe__tells_what_config_defaults_sets(void **state)
{
	const char *name, *type, *help;
	char initial[64], text[128], error[ERROR_SIZE];
	struct config config, defaults;
	unsigned int count = 0;

	(void)state;
	config_defaults(&defaults);
	for (; (name = config_describe(count, &type, initial, sizeof(initial), &help)); count++) {
		assert_true(type[0] && help[0]);
		yaml_make(text, sizeof(text), name, initial);
		fill(&config);
		assert_int_equal(load(&config, text, NULL, error), 0);
		assert_memory_equal(&config, &defaults, offsetof(struct config, origin));
	}
	assert_int_equal(count, 86);
	assert_null(config_describe(UINT_MAX, &type, initial, sizeof(initial), &help));
}

static const struct config_key *key_of(const char *name)
{
	const char *dot = strchr(name, '.');
	struct span section = {name, dot ? (size_t)(dot - name) : 0};
	const struct config_key *key = config_key_find(section, span_of(dot ? dot + 1 : name));

	assert_non_null(key);
	return key;
}

static void assert_gets(const struct config *config, const char *name, const char *expected)
{
	char text[1024];

	memset(text, 'x', sizeof(text));
	assert_int_equal(config_key_get(config, key_of(name), text, sizeof(text)),
			 strlen(expected));
	assert_string_equal(text, expected);
}

static void config_key_get__tells_what_was_set(void **state)
{
	struct config config, again;
	char text[1024], value[1024];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		const struct config_key *key = key_of(values[i].name);
		size_t length;

		config_defaults(&config);
		assert_null(config_key_set(&config, key, span_of(values[i].value)));
		length = config_key_get(&config, key, text, sizeof(text));
		assert_int_equal(length, strlen(text));
		/* Numbers come without their suffix, all else as it was. */
		snprintf(value, sizeof(value), "%llu", (unsigned long long)values[i].expected);
		assert_string_equal(text, key->kind == KIND_CHOICE ? values[i].value : value);
		config_defaults(&again);
		assert_null(config_key_set(&again, key, span_of(text)));
		assert_memory_equal(&again, &config, offsetof(struct config, origin));
	}
}

static void config_key_get__tells_texts(void **state)
{
	struct config config;
	char longest[1024];

	(void)state;
	config_defaults(&config);
	assert_gets(&config, "libos", "catnap");
	assert_gets(&config, "net.ip", "");
	assert_gets(&config, "shim.rules", "");
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_null(config_key_set(&config, key_of("net.ip"), span_of(longest)));
	assert_gets(&config, "net.ip", longest);
	assert_null(config_key_set(&config, key_of("shim.rules"), span_of("kernel *:22, demi *")));
	assert_gets(&config, "shim.rules", "kernel *:22, demi *");
}

/* As snprintf: the whole length, and an end in what is cut. */
static void config_key_get__cuts_to_the_size(void **state)
{
	static const struct {
		const char *name, *whole;
	} cases[] = {
		{"libos", "catnap"},
		{"runtime.idle", "spin"},
		{"heap.max_bytes", "4294967296"},
		{"runtime.operations_max", "65536"},
	};
	struct config config;
	char text[32];

	(void)state;
	config_defaults(&config);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t length = strlen(cases[i].whole);

		for (size_t size = 0; size <= length + 1; size++) {
			memset(text, 'x', sizeof(text));
			assert_int_equal(config_key_get(&config, key_of(cases[i].name), text, size),
					 length);
			if (size)
				assert_int_equal(strlen(text), size - 1);
			assert_memory_equal(text, cases[i].whole, size ? size - 1 : 0);
			assert_int_equal(text[size], 'x');
		}
	}
}

/* Read the manual's page, which lies in the same tree as this file; NULL if it is not there. */
static char *manual_read(void)
{
	const char here[] = "src/base/config_test.c";
	size_t root = strlen(__FILE__) - strlen(here), length;
	char path[PATH_MAX], *text = calloc(1, 65536);
	FILE *file;

	assert_non_null(text);
	snprintf(path, sizeof(path), "%.*sman/demi.conf.5.scd", (int)root, __FILE__);
	file = fopen(path, "r");
	if (!file) {
		free(text);
		return NULL;
	}
	length = fread(text, 1, 65535, file);
	assert_true(length > 0);
	fclose(file);
	return text;
}

/* Make one blank of each run of blanks, and drop the backslashes of the markup. */
static void squeeze(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		char c = *from == '\n' || *from == '\t' ? ' ' : *from;

		if (c != '\\' && !(c == ' ' && to > text && to[-1] == ' '))
			*to++ = c;
	}
	*to = '\0';
}

static void manual__describes_each_key(void **state)
{
	const char *name, *type, *help;
	char initial[64], heading[64], line[128], *text = manual_read();

	(void)state;
	if (!text)
		skip();
	squeeze(text);
	for (unsigned int i = 0;
	     (name = config_describe(i, &type, initial, sizeof(initial), &help)); i++) {
		char *entry, *end;

		snprintf(heading, sizeof(heading), " *%s* ", name);
		snprintf(line, sizeof(line), "Default: %s. ", initial[0] ? initial : "none");
		entry = strstr(strstr(text, "# KEYS"), heading);
		assert_non_null(entry);
		end = strstr(entry, line);
		assert_non_null(end);
		assert_ptr_equal(strstr(entry, "Default: "), end);
		*end = '\0';
		assert_non_null(strstr(entry, type));
		*end = 'D';
	}
	free(text);
}

static void manual__has_an_example_that_parses(void **state)
{
	char error[ERROR_SIZE], *text = manual_read(), *example, *end;
	struct config config;

	(void)state;
	if (!text)
		skip();
	example = strstr(text, "\n```\n");
	assert_non_null(example);
	example += strlen("\n```\n");
	end = strstr(example, "```\n");
	assert_non_null(end);
	assert_int_equal(config_load_memory(&config, "example", example, (size_t)(end - example),
					    error, sizeof(error)),
			 0);
	assert_int_equal(config.catnap.engine, CONFIG_ENGINE_EPOLL);
	free(text);
}

/* Messages: what log_write writes to standard error. */

static size_t log_capture(enum config_log_level level, const char *message, char *out, size_t size)
{
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t length;

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	log_write(level, "%s", message);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	length = read(ends[0], out, size - 1);
	close(ends[0]);
	assert_true(length >= 0);
	out[length] = '\0';
	return (size_t)length;
}

static void log_write__writes_one_line(void **state)
{
	char out[4096], message[3000];

	(void)state;
	log_capture(CONFIG_LOG_WARNING, "no huge pages", out, sizeof(out));
	assert_string_equal(out, "demi: warning: no huge pages\n");
	log_capture(CONFIG_LOG_ERROR, "one\ntwo", out, sizeof(out));
	assert_string_equal(out, "demi: error: one two\n");
	memset(message, 'x', sizeof(message));
	message[sizeof(message) - 1] = '\0';
	assert_int_equal(log_capture(CONFIG_LOG_ERROR, message, out, sizeof(out)), 1024);
	assert_string_equal(out + 1024 - 6, "xx...\n");
}

static void log_write__keeps_to_the_level(void **state)
{
	char out[64];

	(void)state;
	assert_int_equal(log_capture(CONFIG_LOG_INFO, "hidden", out, sizeof(out)), 0);
	log_set_level(CONFIG_LOG_DEBUG);
	log_capture(CONFIG_LOG_DEBUG, "shown", out, sizeof(out));
	assert_string_equal(out, "demi: debug: shown\n");
	log_set_level(CONFIG_LOG_ERROR);
	assert_int_equal(log_capture(CONFIG_LOG_WARNING, "hidden", out, sizeof(out)), 0);
	log_set_level(CONFIG_LOG_WARNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_defaults__are_those_of_the_header),
		cmocka_unit_test(config_load__sets_each_key_by_file_and_by_environment),
		cmocka_unit_test(config_load__sets_libos),
		cmocka_unit_test(config_load__sets_texts_of_up_to_their_size),
		cmocka_unit_test(config_load__takes_any_printable_text),
		cmocka_unit_test(config_load__takes_an_empty_text_for_none),
		cmocka_unit_test(config_load__joins_the_elements_of_a_list),
		cmocka_unit_test(config_load__bounds_the_elements_of_a_list),
		cmocka_unit_test(config_load__takes_the_short_name_of_the_capture),
		cmocka_unit_test(config_load__refuses_values_that_are_not_allowed),
		cmocka_unit_test(config_load__refuses_an_empty_variable),
		cmocka_unit_test(config_load__takes_nothing_for_the_defaults),
		cmocka_unit_test(config_load__reads_every_style_of_yaml),
		cmocka_unit_test(config_load__tells_the_line_of_what_is_wrong),
		cmocka_unit_test(config_load__passes_on_what_the_kernel_says),
		cmocka_unit_test(config_load__cuts_an_error_to_its_size),
		cmocka_unit_test(config_load__lets_the_environment_win),
		cmocka_unit_test(config_load__does_not_hide_a_broken_file_behind_the_environment),
		cmocka_unit_test(config_load__refuses_unknown_variables_of_our_sections),
		cmocka_unit_test(config_load__does_not_take_the_shim_for_a_key),
		cmocka_unit_test(config_load__leaves_other_variables_alone),
		cmocka_unit_test(config_load__survives_hostile_files),
		cmocka_unit_test(config_load__reads_a_file_of_the_greatest_size),
		cmocka_unit_test(config_describe__tells_what_config_defaults_sets),
		cmocka_unit_test(config_key_get__tells_what_was_set),
		cmocka_unit_test(config_key_get__tells_texts),
		cmocka_unit_test(config_key_get__cuts_to_the_size),
		cmocka_unit_test(manual__describes_each_key),
		cmocka_unit_test(manual__has_an_example_that_parses),
		cmocka_unit_test(log_write__writes_one_line),
		cmocka_unit_test(log_write__keeps_to_the_level),
	};

	return cmocka_run_group_tests_name("base/config", tests, NULL, NULL);
}
