/* SPDX-License-Identifier: MIT */
#ifndef DEMI_TESTS_FUZZ_BLOCKS_H
#define DEMI_TESTS_FUZZ_BLOCKS_H

/** blocks_used - how many large blocks are not freed; LeakSanitizer does not see them */
unsigned int blocks_used(void);

#endif /* DEMI_TESTS_FUZZ_BLOCKS_H */
