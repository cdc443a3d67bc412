/* Repeatable numbers for tests (xorshift32; Marsaglia, 2003). */
#ifndef TINYFLEET_TESTS_RANDOM_H
#define TINYFLEET_TESTS_RANDOM_H

#include <stdint.h>

static inline uint32_t random_next(uint32_t *state) {
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

#endif
