/* Time since the process was started, from a clock that nobody sets; and the time of day, which the system
 * keeps. */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

#include "posix.h"

static uint64_t read_us(clockid_t which) {
    struct timespec now;
    (void)clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t posix_now_us(void) {
    static uint64_t began_us;
    if (began_us == 0) began_us = read_us(CLOCK_MONOTONIC);
    return read_us(CLOCK_MONOTONIC) - began_us;
}

uint64_t posix_unix_ms(void) {
    return read_us(CLOCK_REALTIME) / 1000u;
}
