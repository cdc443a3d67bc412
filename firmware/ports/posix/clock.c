/* Time since the process was started, from a clock that nobody sets. */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "posix.h"

static uint64_t monotonic_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t posix_now_us(void) {
    static uint64_t began_us;
    if (began_us == 0) began_us = monotonic_us();
    return monotonic_us() - began_us;
}
