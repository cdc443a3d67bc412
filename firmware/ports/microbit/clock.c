/* TIMER0 counts microseconds in 32 bits. */
#include "board.h"

enum { BITS_32 = 3, DIVIDE_BY_16 = 4, INT_COMPARE0 = 1 << 16 };

void timer0_handler(void);

void clock_start(void) {
    /* The crystal, which UART and time need to be exact; on its own the chip runs on an RC oscillator. */
    CLOCK_HFCLKSTARTED = 0;
    CLOCK_HFCLKSTART = 1;
    while (CLOCK_HFCLKSTARTED == 0) continue;
    TIMER0_BITMODE = BITS_32;
    TIMER0_PRESCALER = DIVIDE_BY_16;
    TIMER0_START = 1;
    NVIC_ISER = 1u << IRQ_TIMER0;
}

uint32_t clock_us(void) {
    TIMER0_CAPTURE1 = 1;
    return TIMER0_CC1;
}

void clock_wake_at(uint32_t at_us) {
    TIMER0_COMPARE0 = 0;
    TIMER0_CC0 = at_us;
    TIMER0_INTENSET = INT_COMPARE0;
}

void timer0_handler(void) {
    TIMER0_COMPARE0 = 0;
    TIMER0_INTENCLR = INT_COMPARE0;
}
