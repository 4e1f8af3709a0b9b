/* SPDX-License-Identifier: MIT */
#ifndef TXNSTORE_CHECK_COMMAND_H
#define TXNSTORE_CHECK_COMMAND_H

/** check_command - `demi-txnstore check`. Return: the exit status. */
int check_command(int argc, char **argv);

#endif /* TXNSTORE_CHECK_COMMAND_H */
