/* SPDX-License-Identifier: MIT */
/* What Redis's networking.c asks of us where clients are read from and replied to. */
#ifndef DEMI_REDIS_CLIENT_IO_H
#define DEMI_REDIS_CLIENT_IO_H

#include <sys/types.h>

struct client;
struct redisObject;

/**
 * client_io_read - execute the whole commands that have arrived, parsed where they lie
 * @client: has nothing in its query buffer, and no command begun
 *
 * What is no whole command, or none of the usual form, stays for Redis's own reading and parsing, which
 * knows how to complain. Return: 1: all is done, also when the client is gone; 0: Redis goes on.
 */
int client_io_read(struct client *client);

/** client_io_input - bytes that a client has sent and that are not in its query buffer, its command's included */
size_t client_io_input(const struct client *client);

/**
 * client_io_reply_bulk - reply with a string by reference
 *
 * Return: 1: it is among the replies; 0: it is small, or the client's replies are not sent by us.
 */
int client_io_reply_bulk(struct client *client, struct redisObject *object);

/**
 * client_io_write - send replies
 * @written: bytes; or -1 and what connWrite leaves behind
 * @status: C_OK or C_ERR, as _writeToClient returns it
 *
 * Return: 0: not ours.
 */
int client_io_write(struct client *client, ssize_t *written, int *status);

/** client_io_start - mend and tell of settings that cannot be served */
void client_io_start(void);

/** client_io_release - a reply by reference is dropped, sent or not */
void client_io_release(void *block);

/** client_io_flush - another thread is about to be given a database to free */
void client_io_flush(void);

/** client_io_let_go - drop a reply's reference to a value; while that thread is at work it is kept */
void client_io_let_go(struct redisObject *object);

/** client_io_let_go_kept - what was kept is dropped, if that thread is done */
void client_io_let_go_kept(void);

#endif
