/* SPDX-License-Identifier: MIT */
#ifndef TXNSTORE_SIM_COMMAND_H
#define TXNSTORE_SIM_COMMAND_H

/**
 * sim_command - demi-txnstore sim
 *
 * @argv: from the word "sim" on. Return: the program's exit status: 0, 1 when something was violated, 2
 * when the command line is wrong.
 */
int sim_command(int argc, char **argv);

#endif /* TXNSTORE_SIM_COMMAND_H */
