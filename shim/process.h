/* SPDX-License-Identifier: MIT */
/* Forks, exits, and the loss of privileges. */
#ifndef SHIM_PROCESS_H
#define SHIM_PROCESS_H

/** process_watch_forks - from now on a child knows that the runtime is its parent's */
void process_watch_forks(void);

/** process_is_vfork_child - whether the memory is the parent's: the child of a vfork(2) */
_Bool process_is_vfork_child(void);

#endif /* SHIM_PROCESS_H */
