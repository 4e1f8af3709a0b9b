/* SPDX-License-Identifier: MIT */
/*
 * The thread that looks after the stack while the program's do something else: a peer must get its
 * acknowledgments while a server computes, as from a kernel.
 */
#ifndef SHIM_KEEPER_H
#define SHIM_KEEPER_H

/** keeper_start - start it, with the runtime; without it the stack works in the program's calls only */
void keeper_start(void);

/** keeper_needed - a thread of the program uses the stack, or has stopped sleeping on the device */
void keeper_needed(void);

/** keeper_forget - in the child of a fork: it has none */
void keeper_forget(void);

#endif /* SHIM_KEEPER_H */
