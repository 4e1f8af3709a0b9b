/* SPDX-License-Identifier: MIT */
/*
 * The numbers of descriptors. Programs index tables by them, some made for as many as they open
 * themselves (wrk's), so the low ones are the program's: what the library opens when it starts gets
 * numbers above.
 */
#ifndef SHIM_PLACES_H
#define SHIM_PLACES_H

/** places_take - before the library starts: let placeholders have the low numbers; errno stays */
void places_take(void);

/** places_give_back - after that */
void places_give_back(void);

/** places_move - another number, above, for a descriptor of our own; @fd itself when there is none */
int places_move(int fd);

#endif /* SHIM_PLACES_H */
