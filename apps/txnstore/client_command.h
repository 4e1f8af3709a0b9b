/* SPDX-License-Identifier: MIT */
#ifndef TXNSTORE_CLIENT_COMMAND_H
#define TXNSTORE_CLIENT_COMMAND_H

/** client_command - @argv: from the word "client" on. Return: the program's exit status. */
int client_command(int argc, char **argv);

#endif /* TXNSTORE_CLIENT_COMMAND_H */
