/* SPDX-License-Identifier: MIT */
/*
 * Messages over streams of the library: those that come, on connections from others and on answers to
 * one's own; and those that go, on connections that are made when they are needed, and again after a
 * while when they end. Where there are datagrams, those that are small enough go by them. What cannot
 * be sent is dropped: the protocol sends it again.
 */
#ifndef TXNSTORE_LINKS_H
#define TXNSTORE_LINKS_H

#include <demi/demi.h>

#include "datagrams.h"
#include "echo/address.h"
#include "txnstore/core/message.h"

#define LINKS_MAX 4096u

struct link {
	uint32_t number; /* its place in the list */
	int qd;          /* -1: there is no connection */
	bool is_up;
	bool is_out;            /* made from here, to `address` */
	uint32_t generation;    /* counts connections in this place */
	struct address address; /* or from there */
	uint64_t retry_ns;      /* no other attempt before */
	uint32_t pushes;        /* that are not complete */
	uint32_t others;        /* pops and connects that are not */
	/* What has come of a message that is not whole. */
	uint8_t *inbox;
	size_t inbox_len, inbox_room;
};

struct links {
	struct link *list[LINKS_MAX];
	uint32_t count; /* places in use, or used before */
	int listener;   /* -1: none */
	struct links_qd {
		struct link *link; /* NULL: none of these connections */
		uint32_t stale;    /* results that are still to come of one that was closed */
	} * qds;                   /* by descriptor */
	uint32_t qd_room;
	uint64_t now_ns;
	/* @peer: for links_answer; @message's body: until it returns */
	void (*received)(void *context, uint64_t peer, const struct message *message);
	void *context;
	uint64_t dropped, malformed; /* counted */
	struct datagrams datagrams;
	/* The last that came and was none: from whom, and whether it is one of another version. */
	char bad_from[ADDRESS_TEXT_MAX];
	bool is_other_version;
};

void links_init(struct links *links,
		void (*received)(void *context, uint64_t peer, const struct message *message),
		void *context);
void links_destroy(struct links *links);

/** links_listen - Return: 0, an errno: nobody can connect. */
int links_listen(struct links *links, const struct address *address);
/** links_datagrams - also datagrams, as of datagrams_open. Return: 0, an errno. */
int links_datagrams(struct links *links, const struct address *at, int family, uint64_t id);
/** links_to - a place for connections to @address. Return: its number, -ENOMEM. */
int links_to(struct links *links, const struct address *address);

/** links_send - to a number of links_to. Return: false: it was dropped, and is known not to come. */
bool links_send(struct links *links, int number, const struct message *message);
/** links_answer - to whom a message came from, if the connection is still there */
void links_answer(struct links *links, uint64_t peer, const struct message *message);

/** links_name - whom a message came from */
void links_name(const struct links *links, uint64_t peer, char text[ADDRESS_TEXT_MAX]);

/** links_result - Return: whether @result was of one of these connections. */
bool links_result(struct links *links, const demi_qresult_t *result);

#endif /* TXNSTORE_LINKS_H */
