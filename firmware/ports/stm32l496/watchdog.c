/* The independent watchdog, on the 32 kHz of LSI: it cannot be stopped, but takes another period while it
 * runs. It resets without an interrupt before: what hung is not known, only that it did. */
#include "board.h"

enum { DIVIDE_BY_64 = 4, TICKS_MOST = 4095, UPDATING = 7 };
#define UNLOCK 0x5555u
#define START 0xCCCCu
#define RELOAD 0xAAAAu
#define TICK_MS 2u /* 64 of 32 kHz */

void watchdog_feed(void) {
    IWDG_KR = RELOAD;
}

void watchdog_start(uint32_t ms) {
    uint32_t ticks = ms / TICK_MS;
    IWDG_KR = START;
    IWDG_KR = UNLOCK;
    IWDG_PR = DIVIDE_BY_64;
    IWDG_RLR = ticks > TICKS_MOST ? TICKS_MOST : ticks;
    while ((IWDG_SR & UPDATING) != 0) continue;
    watchdog_feed();
}
