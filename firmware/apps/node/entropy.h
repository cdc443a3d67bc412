/* Randomness of a board without a source of it: a generator seeded with the node's secret seed and the boot
 * number. */
#ifndef TINYFLEET_NODE_ENTROPY_H
#define TINYFLEET_NODE_ENTROPY_H

#include <stdint.h>

void entropy_start(const uint8_t seed[32], uint32_t boot);
uint32_t entropy_next(void);

#endif
