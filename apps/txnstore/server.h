/* SPDX-License-Identifier: MIT */
/* demi-txnstore server: one replica of one shard, over the queues of the library. */
#ifndef TXNSTORE_SERVER_H
#define TXNSTORE_SERVER_H

/** server_command - @argv: from the word "server" on. Return: the program's exit status. */
int server_command(int argc, char **argv);

#endif /* TXNSTORE_SERVER_H */
