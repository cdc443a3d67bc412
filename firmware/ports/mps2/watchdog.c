/* First it raises NMI, which tells where the loop hung; should that hang too, it resets. */
#include "board.h"

#define WATCHDOG_UNLOCK 0x1ACCE551u
#define WATCHDOG_INTEN_RESEN 3u

void watchdog_start(uint32_t ms) {
    REG32(WATCHDOG + WATCHDOG_LOCK) = WATCHDOG_UNLOCK;
    REG32(WATCHDOG + WATCHDOG_LOAD) = ms * (CPU_HZ / 1000u);
    REG32(WATCHDOG + WATCHDOG_CTRL) = WATCHDOG_INTEN_RESEN;
    REG32(WATCHDOG + WATCHDOG_LOCK) = 0;
}

void watchdog_feed(void) {
    REG32(WATCHDOG + WATCHDOG_LOCK) = WATCHDOG_UNLOCK;
    REG32(WATCHDOG + WATCHDOG_INTCLEAR) = 1;
    REG32(WATCHDOG + WATCHDOG_LOCK) = 0;
}
