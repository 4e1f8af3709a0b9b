/* SPDX-License-Identifier: MIT */
/*
 * Socket options by table, for datagrams and streams: levels, lengths and limits are checked here.
 * Each kind of socket brings its table, and serves by itself the options whose value is no int.
 */
#ifndef DEMI_LIBOS_CATNIP_OPTION_H
#define DEMI_LIBOS_CATNIP_OPTION_H

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "queue/queue.h"

enum option_direction { OPTION_READ_ONLY, OPTION_WRITABLE };

struct option {
	int level;
	int name;
	enum option_direction direction;
	int minimum, maximum;
	/* The value, or -errno where it can fail. */
	int (*get)(struct queue *queue);
	/* @value is within the limits. NULL with OPTION_READ_ONLY. Return: 0 or -errno. */
	int (*set)(struct queue *queue, int value);
};

struct option_table {
	const struct option *options;
	size_t count;
};

#define OPTION_TABLE(options) \
	((struct option_table){options, sizeof(options) / sizeof((options)[0])})

/* Entries of a table; get_NAME and set_NAME are what the macros below define. */
#define OPTION_SET(level, name, minimum, maximum, value)                                 \
	{                                                                                \
		level, name, OPTION_WRITABLE, minimum, maximum, get_##value, set_##value \
	}
#define OPTION_READ(level, name, get)                          \
	{                                                      \
		level, name, OPTION_READ_ONLY, 0, 0, get, NULL \
	}

/* A place that has the value, written with what is named queue. */
#define OPTION_FIELD(name, type, place)                       \
	static int get_##name(struct queue *queue)            \
	{                                                     \
		return (int)(place);                          \
	}                                                     \
	static int set_##name(struct queue *queue, int value) \
	{                                                     \
		(place) = (type)value;                        \
		return 0;                                     \
	}
/* Likewise, but any value that is not 0 is as good as 1. */
#define OPTION_FLAG(name, place)                              \
	static int get_##name(struct queue *queue)            \
	{                                                     \
		return (place);                               \
	}                                                     \
	static int set_##name(struct queue *queue, int value) \
	{                                                     \
		(place) = value != 0;                         \
		return 0;                                     \
	}
/* A number of hops; the place has 0 for the default, and the program -1. */
#define OPTION_HOPS(name, place, initial)                     \
	static int get_##name(struct queue *queue)            \
	{                                                     \
		return (place) ? (place) : (initial);         \
	}                                                     \
	static int set_##name(struct queue *queue, int value) \
	{                                                     \
		if (value == 0)                               \
			return -EINVAL;                       \
		(place) = value < 0 ? 0 : (uint8_t)value;     \
		return 0;                                     \
	}

/**
 * catnip_option_set, catnip_option_get - setsockopt(2), getsockopt(2) of an option whose value is an int
 * @is_v6: whether the socket's domain is AF_INET6
 *
 * Return: 0; -ENOTSUP (level); -ENOPROTOOPT (option, or not for this direction or domain); -EINVAL
 * (value or length); what the option's function says.
 */
int catnip_option_set(struct option_table table, struct queue *queue, bool is_v6, int level,
		      int name, const void *value, socklen_t length);
int catnip_option_get(struct option_table table, struct queue *queue, bool is_v6, int level,
		      int name, void *value, socklen_t *length);

/** option_load - the value of an option that is a structure of @size bytes; 0 or -EINVAL */
int option_load(void *structure, size_t size, const void *value, socklen_t length);

/** option_store - likewise, to the caller; *@length in: room, out: @size */
int option_store(const void *structure, size_t size, void *value, socklen_t *length);

#endif /* DEMI_LIBOS_CATNIP_OPTION_H */
