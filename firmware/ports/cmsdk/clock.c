/* The board's counter is the clock; SysTick, which every core has, ends a sleep. */
#include "bench.h"

#define SYSTICK_CSR 0xE000E010u
#define SYSTICK_RVR 0xE000E014u
#define SYSTICK_CVR 0xE000E018u
#define SYSTICK_CORE_CLOCK_INT_ON 7u
#define SYSTICK_MAX 0xFFFFFFu
#define TICKS_A_US (CPU_HZ / 1000000u)
#define SLEEP_MAX_US (SYSTICK_MAX / TICKS_A_US)

void systick_handler(void);

void time_start(void) {
    REG32(FPGAIO + FPGAIO_PRESCALE) = FPGAIO_HZ / 1000000u - 1u;
    REG32(FPGAIO + FPGAIO_COUNTER) = 0;
}

uint32_t time_us(void) {
    return REG32(FPGAIO + FPGAIO_COUNTER);
}

void time_sleep(uint32_t until_us) {
    const int32_t left_us = (int32_t)(until_us - time_us());
    if (left_us <= 0) return;
    const uint32_t sleep_us = (uint32_t)left_us < SLEEP_MAX_US ? (uint32_t)left_us : SLEEP_MAX_US;
    REG32(SYSTICK_RVR) = sleep_us * TICKS_A_US;
    REG32(SYSTICK_CVR) = 0;
    REG32(SYSTICK_CSR) = SYSTICK_CORE_CLOCK_INT_ON;
    __asm volatile("dsb\n wfi" ::: "memory");
    REG32(SYSTICK_CSR) = 0;
}

/* It has woken the core, which is all it is for. */
void systick_handler(void) {
    REG32(SYSTICK_CSR) = 0;
}
