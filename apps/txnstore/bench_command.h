/* SPDX-License-Identifier: MIT */
#ifndef TXNSTORE_BENCH_COMMAND_H
#define TXNSTORE_BENCH_COMMAND_H

/** bench_command - @argv: from the word "bench" on. Return: the program's exit status. */
int bench_command(int argc, char **argv);

#endif /* TXNSTORE_BENCH_COMMAND_H */
