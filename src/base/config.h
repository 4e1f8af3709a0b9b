/* SPDX-License-Identifier: MIT */
/*
 * The configuration of a runtime: defaults, then a YAML file, then the environment. Every key,
 * its type and its limits stand in one table in config.c, which also makes the manual's list.
 */
#ifndef DEMI_BASE_CONFIG_H
#define DEMI_BASE_CONFIG_H

#include <stddef.h>
#include <stdint.h>

enum config_idle { CONFIG_IDLE_SPIN, CONFIG_IDLE_SLEEP };
enum config_engine { CONFIG_ENGINE_AUTO, CONFIG_ENGINE_URING, CONFIG_ENGINE_EPOLL };
enum config_huge_pages {
	CONFIG_HUGE_PAGES_AUTO,
	CONFIG_HUGE_PAGES_RESERVED,
	CONFIG_HUGE_PAGES_OFF
};
enum config_foreign { CONFIG_FOREIGN_COPY, CONFIG_FOREIGN_REFUSE };
enum config_on_error { CONFIG_ON_ERROR_ABORT, CONFIG_ON_ERROR_LOG };
enum config_switch { CONFIG_OFF, CONFIG_ON };
enum config_afxdp_mode { CONFIG_AFXDP_AUTO, CONFIG_AFXDP_COPY, CONFIG_AFXDP_ZERO_COPY };
enum config_congestion { CONFIG_CONGESTION_CUBIC, CONFIG_CONGESTION_RENO, CONFIG_CONGESTION_DCTCP };
enum config_threads { CONFIG_THREADS_ONE, CONFIG_THREADS_ANY };
enum config_format { CONFIG_FORMAT_AUTO, CONFIG_FORMAT_NEVER, CONFIG_FORMAT_OVERWRITE };
enum config_log_level { CONFIG_LOG_ERROR, CONFIG_LOG_WARNING, CONFIG_LOG_INFO, CONFIG_LOG_DEBUG };

struct config {
	char libos[16]; /* libos: "catnap"; or one for sockets and one for logs: "catnip+cattree" */
	struct {
		enum config_idle idle; /* runtime.idle: spin */
		uint32_t
			idle_after_us; /* runtime.idle_after_us: work-free time before sleeping; 50 */
		/* runtime.give_way_after_us: before a spinning wait yields to the kernel's; 20 */
		uint32_t give_way_after_us;
		/* runtime.give_way_us: yields of one wait before it sleeps instead; 500 */
		uint32_t give_way_us;
		uint32_t operations_max; /* runtime.operations_max: operations at a time; 65536 */
		uint32_t queues_max;     /* runtime.queues_max: descriptors at a time; 65536 */
	} runtime;
	struct {
		uint64_t max_bytes; /* heap.max_bytes: 4 GiB; accepts the suffixes K, M, G */
		enum config_huge_pages huge_pages; /* heap.huge_pages: auto */
		enum config_switch lock;           /* heap.lock: on */
		enum config_foreign foreign;       /* heap.foreign: copy */
		enum config_on_error on_error;     /* heap.on_error: abort */
		enum config_switch protect;        /* heap.protect: off */
	} heap;
	struct {
		uint32_t
			elements_max; /* queue.elements_max: elements of an in-memory queue; 65536 */
		/* queue.joined_elements_max: in each direction of one with a name; 1024 */
		uint32_t joined_elements_max;
	} queue;
	struct {
		enum config_engine engine; /* catnap.engine: auto */
		uint32_t
			receive_bytes_max; /* catnap.receive_bytes_max: one stream pop, bytes; 65536 */
		uint32_t
			uring_entries; /* catnap.uring_entries: submission ring, power of two; 256 */
	} catnap;
	/* Of Catnip. Lists have commas between their elements; in a file they may be YAML lists. */
	struct {
		char dev[256];     /* net.dev: "afxdp:veth0"; empty: none, an error for Catnip */
		char ip[1024];     /* net.ip: "10.0.0.2/24,fd00::2/64" */
		char gw[128];      /* net.gw: a gateway of each version */
		char mac[24];      /* net.mac: instead of the device's own */
		char routes[1024]; /* net.routes: "10.1.0.0/16 via 10.0.0.9" */
		char pcap[256];    /* net.pcap, DEMI_PCAP: file to capture to; empty: none */
		uint32_t vlan;     /* net.vlan: 0, untagged */
		enum config_switch autoconf; /* net.autoconf: on; IPv6 addresses from routers */
		uint32_t mtu;                /* net.mtu: 0, the device's */
		uint32_t frames;             /* net.frames: of the device; 4096 */
		uint32_t runtimes_max;       /* net.runtimes_max: that may share the device; 1 */
		uint64_t copy_max; /* net.copy_max: payload that is copied, not referred to; 1K */
		uint32_t neighbours_max;        /* net.neighbours_max: 1024 */
		uint32_t neighbour_pending_max; /* net.neighbour_pending_max: packets; 64 */
		uint64_t reassembly_bytes_max;  /* net.reassembly_bytes_max: 4M */
		uint32_t icmp_rate;             /* net.icmp_rate: a second; 1000 */
		uint64_t socket_bytes_max;      /* net.socket_bytes_max: 1M */
	} net;
	/* Of Catnip's TCP. */
	struct {
		uint32_t connections_max;   /* tcp.connections_max: 131072, in TIME_WAIT too */
		uint32_t syn_backlog_max;   /* tcp.syn_backlog_max: half open, a listener; 1024 */
		uint32_t time_wait_max;     /* tcp.time_wait_max: 65536 */
		uint32_t time_wait_ms;      /* tcp.time_wait_ms: 60000 */
		uint64_t buffer;            /* tcp.buffer: the receive window at first; 64K */
		uint64_t max_buffer;        /* tcp.max_buffer: that it grows to; 4M */
		uint32_t send_pieces_max;   /* tcp.send_pieces_max: segments pushed; 4096 */
		uint32_t out_of_order_max;  /* tcp.out_of_order_max: packets; 1024 */
		uint32_t rto_min_ms;        /* tcp.rto_min_ms: 200 */
		uint32_t rto_max_ms;        /* tcp.rto_max_ms: 120000 */
		uint32_t delayed_ack_ms;    /* tcp.delayed_ack_ms: 40 */
		uint32_t connect_timeout_s; /* tcp.connect_timeout_s: 180 */
		uint32_t retries_timeout_s; /* tcp.retries_timeout_s: 900 */
		uint32_t orphan_timeout_s;  /* tcp.orphan_timeout_s: 60 */
		enum config_switch timestamps;     /* tcp.timestamps: on */
		enum config_switch window_scaling; /* tcp.window_scaling: on */
		enum config_switch sack;           /* tcp.sack: on */
		enum config_switch ecn;            /* tcp.ecn: off, granted and not asked for */
		enum config_congestion congestion; /* tcp.congestion: cubic */
	} tcp;
	/* Of Catmint. */
	struct {
		char device[128];         /* catmint.device: "mlx5_0"; empty: the first */
		uint32_t port;            /* catmint.port: 0, the first that is up */
		uint32_t gid_index;       /* catmint.gid_index: 255, by the route */
		uint64_t receive_bytes;   /* catmint.receive_bytes: 4K */
		uint32_t receive_buffers; /* catmint.receive_buffers: that are shared; 4096 */
		uint32_t credits_min;     /* catmint.credits_min: 6 */
		uint32_t credits_max;     /* catmint.credits_max: 64 */
		enum config_switch shared_receive; /* catmint.shared_receive: on */
		uint32_t send_depth;               /* catmint.send_depth: 128 */
		uint32_t completions;              /* catmint.completions: 32768 */
		uint32_t inline_bytes;             /* catmint.inline_bytes: 256 */
		uint64_t rendezvous_bytes;         /* catmint.rendezvous_bytes: 1M */
		uint32_t connections_max;          /* catmint.connections_max: 65536 */
		uint32_t connect_timeout_ms;       /* catmint.connect_timeout_ms: 20000 */
		uint32_t close_timeout_ms;         /* catmint.close_timeout_ms: 60000 */
		uint32_t keepalive_ms;             /* catmint.keepalive_ms: 10000; 0: off */
		uint32_t datagram_buffers;         /* catmint.datagram_buffers: 128 */
	} catmint;
	/* Of Cattree. */
	struct {
		char dev[256]; /* blk.dev: "uring:/var/lib/demi.img"; empty: none, an error for Cattree */
		enum config_switch read_only; /* blk.read_only: off */
		enum config_threads threads;  /* blk.threads: one */
	} blk;
	struct {
		enum config_format format; /* store.format: auto */
		uint64_t segment_bytes;    /* store.segment_bytes: 0, what suits the device */
		uint64_t copy_max;         /* store.copy_max: payload that is copied; 1K */
		enum config_switch trim;   /* store.trim: on */
	} store;
	struct {
		char args[512]; /* dpdk.args: further words for the EAL */
	} dpdk;
	struct {
		enum config_afxdp_mode mode; /* afxdp.mode: auto */
		uint32_t queue;              /* afxdp.queue: of the interface; 0 */
		uint32_t busy_poll_us;       /* afxdp.busy_poll_us: 0, off */
	} afxdp;
	/* Of unmodified programs; the shim reads it, through demi_config. */
	struct {
		char rules[1024];     /* shim.rules: "kernel tcp *:22,demi *" */
		char log_files[1024]; /* shim.log_files: "/var/lib/app/,/tmp/x.log" */
		uint32_t trace;       /* shim.trace: 0 */
	} shim;
	struct {
		enum config_log_level level; /* log.level: warning */
	} log;
	/* Where two values come from that only others can judge, for their messages. */
	struct {
		char libos[160];  /* "demi.yaml:1: libos", "LIBOS", "libos" for the default */
		char engine[160]; /* likewise of catnap.engine */
	} origin;
};

/** config_defaults - what a runtime gets without file and environment */
void config_defaults(struct config *config);

/**
 * config_load - defaults, then the file at @path, then DEMI_<SECTION>_<KEY> of @environment
 * @path:        YAML file, or NULL for none
 * @environment: NULL-terminated NAME=VALUE strings, or NULL; LIBOS=NAME sets libos too (it
 *               wins over DEMI_LIBOS and the file)
 * @error:       on failure one line without newline: "demi.yaml:3: catnap.engine: ..." or
 *               "DEMI_CATNAP_ENGINE: ...", what is wrong and what is allowed
 *
 * *@config is written on success only.
 *
 * Return: 0, -EINVAL (unknown section or key, key given twice, wrong type, value out of its
 * limits, not YAML), -EFBIG (over 64 KiB), -ENOMEM, or -errno of opening and reading @path.
 */
int config_load(struct config *config, const char *path, char *const environment[], char *error,
		size_t error_size);

/**
 * config_load_memory - defaults, then the @size bytes of YAML at @text; no file, no environment
 * @name: what stands for the file in error messages
 *
 * Return: as config_load, without the errors of opening and reading.
 */
int config_load_memory(struct config *config, const char *name, const char *text, size_t size,
		       char *error, size_t error_size);

/**
 * config_describe - the table of keys, for documentation and tests
 * @index: 0, 1, ... until NULL is returned
 *
 * Return: the key as "section.key" ("libos" stands alone). @type_out tells the type and the
 * limits in words, @default_out gets the default as a file would give it, @help_out what the key
 * is for. The strings are static.
 */
const char *config_describe(unsigned int index, const char **type_out, char *default_out,
			    size_t default_size, const char **help_out);

#endif /* DEMI_BASE_CONFIG_H */
