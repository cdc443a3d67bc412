/* TIMER0 counts microseconds in 32 bits (6.30), widened at each reading; the main loop reads it at least
 * every few seconds. */
#include "board.h"

enum { BITS_32 = 3, DIVIDE_BY_16 = 4, INT_COMPARE0 = 1 << 16 };

static uint32_t last_us;
static uint64_t total_us;

void timer0_handler(void);

void clock_start(void) {
    /* The crystal, which UART and time need to be exact (5.4.1). */
    CLOCK_HFCLKSTARTED = 0;
    CLOCK_HFCLKSTART = 1;
    while (CLOCK_HFCLKSTARTED == 0) continue;
    TIMER0_BITMODE = BITS_32;
    TIMER0_PRESCALER = DIVIDE_BY_16;
    TIMER0_START = 1;
    REG32(NVIC_ISER) = 1u << IRQ_TIMER0;
}

static uint32_t counter(void) {
    TIMER0_CAPTURE1 = 1;
    return TIMER0_CC1;
}

uint64_t clock_us(void) {
    uint32_t now_us = counter();
    total_us += (uint32_t)(now_us - last_us);
    last_us = now_us;
    return total_us;
}

void timer0_handler(void) {
    TIMER0_COMPARE0 = 0;
    TIMER0_INTENCLR = INT_COMPARE0;
}

/* No tick: one comparison for the whole sleep. */
void idle(uint32_t ms) {
    if (ms == 0) return;
    if (ms > WATCHDOG_MS / 2) ms = WATCHDOG_MS / 2;
    const uint32_t until_us = counter() + ms * 1000u;
    __asm volatile("cpsid i" ::: "memory");
    TIMER0_COMPARE0 = 0;
    TIMER0_CC0 = until_us;
    TIMER0_INTENSET = INT_COMPARE0;
    /* Asked after the alarm is set: one that had passed before would never ring. */
    if ((int32_t)(until_us - counter()) > 0) __asm volatile("dsb\n wfi" ::: "memory");
    __asm volatile("cpsie i\n isb" ::: "memory");
}
