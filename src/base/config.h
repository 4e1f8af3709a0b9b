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
enum config_log_level { CONFIG_LOG_ERROR, CONFIG_LOG_WARNING, CONFIG_LOG_INFO, CONFIG_LOG_DEBUG };

struct config {
	char libos[16]; /* libos: which libOS serves sockets; "catnap" */
	struct {
		enum config_idle idle; /* runtime.idle: spin */
		uint32_t
			idle_after_us; /* runtime.idle_after_us: work-free time before sleeping; 50 */
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
	} queue;
	struct {
		enum config_engine engine; /* catnap.engine: auto */
		uint32_t
			receive_bytes_max; /* catnap.receive_bytes_max: one stream pop, bytes; 65536 */
		uint32_t
			uring_entries; /* catnap.uring_entries: submission ring, power of two; 256 */
	} catnap;
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
