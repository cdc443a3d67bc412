/* HSI16 for the core, TIM2 for microseconds in 32 bits, widened at each reading; the main loop reads it at
 * least every few seconds. */
#include "board.h"

enum { HSION = 1 << 8, HSIRDY = 1 << 10, SW_HSI16 = 1, SWS_HSI16 = 1 << 2, SWS = 3 << 2, TIM2EN = 1 };
enum { CEN = 1, UG = 1, CC1 = 1 << 1 };

static uint32_t last_us;
static uint64_t total_us;

void tim2_handler(void);

void clock_start(void) {
    RCC_CR |= HSION;
    while ((RCC_CR & HSIRDY) == 0) continue;
    RCC_CFGR = (RCC_CFGR & ~3u) | SW_HSI16;
    while ((RCC_CFGR & SWS) != SWS_HSI16) continue;
    RCC_APB1ENR1 |= TIM2EN;
    (void)RCC_APB1ENR1; /* two cycles before the timer answers (6.2.18) */
    TIM2_PSC = CPU_HZ / 1000000u - 1u;
    TIM2_ARR = 0xFFFFFFFFu;
    TIM2_EGR = UG;
    TIM2_SR = 0;
    TIM2_CR1 = CEN;
    REG32(NVIC_ISER) = 1u << IRQ_TIM2;
}

uint64_t clock_us(void) {
    uint32_t now_us = TIM2_CNT;
    total_us += (uint32_t)(now_us - last_us);
    last_us = now_us;
    return total_us;
}

void tim2_handler(void) {
    TIM2_DIER = 0;
    TIM2_SR = 0;
}

/* No tick: one comparison for the whole sleep. */
void idle(uint32_t ms) {
    if (ms == 0) return;
    if (ms > WATCHDOG_MS / 2) ms = WATCHDOG_MS / 2;
    const uint32_t until_us = TIM2_CNT + ms * 1000u;
    __asm volatile("cpsid i" ::: "memory");
    TIM2_CCR1 = until_us;
    TIM2_SR = 0;
    TIM2_DIER = CC1;
    /* Asked after the alarm is set: one that had passed before would never ring. */
    if ((int32_t)(until_us - TIM2_CNT) > 0) __asm volatile("dsb\n wfi" ::: "memory");
    __asm volatile("cpsie i\n isb" ::: "memory");
}
