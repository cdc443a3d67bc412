/* The watchdog (6.36). Its interrupt comes two cycles of 32,768 Hz before the reset: time for the crash
 * record, not for its line on the console. */
#include "board.h"

enum { RC_OSCILLATOR = 0, RUN_IN_SLEEP_NOT_IN_DEBUG = 1, INT_TIMEOUT = 1 };
#define RELOAD 0x6E524635u
#define HZ 32768u

void watchdog_feed(void) {
    WDT_RR0 = RELOAD;
}

void watchdog_start(uint32_t ms) {
    if ((WDT_RUNSTATUS & 1u) != 0) {
        watchdog_feed();
        return;
    }
    CLOCK_LFCLKSRC = RC_OSCILLATOR;
    CLOCK_LFCLKSTARTED = 0;
    CLOCK_LFCLKSTART = 1;
    while (CLOCK_LFCLKSTARTED == 0) continue;
    WDT_CONFIG = RUN_IN_SLEEP_NOT_IN_DEBUG;
    WDT_CRV = ms * HZ / 1000u - 1u;
    WDT_INTENSET = INT_TIMEOUT;
    REG32(NVIC_ISER) = 1u << IRQ_WDT;
    WDT_START = 1;
}
