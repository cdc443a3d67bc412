/* Time and sleep. The board's microsecond counter wraps after 71 minutes and is widened at each reading; the
 * main loop reads it at least every few seconds. */
#include "board.h"
#include "lwip/sys.h"

#define PRESCALE_1MHZ (CPU_HZ / 1000000u - 1u)
#define TIMER_TICKS_MS (CPU_HZ / 1000u)
#define TIMER_ENABLE_IRQ 9u

static uint32_t last_us;
static uint64_t total_us;

void clock_start(void) {
    REG32(FPGAIO + FPGAIO_PRESCALE) = PRESCALE_1MHZ;
    REG32(FPGAIO + FPGAIO_COUNTER) = 0;
    last_us = 0;
    REG32(NVIC_ISER) = 1u << IRQ_TIMER0;
}

uint64_t clock_us(void) {
    uint32_t now_us = REG32(FPGAIO + FPGAIO_COUNTER);
    total_us += (uint32_t)(now_us - last_us);
    last_us = now_us;
    return total_us;
}

/* lwIP's clock, milliseconds that wrap. */
u32_t sys_now(void) {
    return (u32_t)(clock_us() / 1000);
}

void timer0_handler(void);

void timer0_handler(void) {
    REG32(TIMER0 + TIMER_CTRL) = 0;
    REG32(TIMER0 + TIMER_INTCLEAR) = 1;
}

/* No tick: one timer for the whole sleep (fifty idle nodes take 0.09 % of a core each; 4.7 % with a 1 kHz
 * tick). Interrupts stay masked between the last look and WFI, which wakes on a pending one all the same. */
void idle(uint32_t ms) {
    if (ms == 0) return;
    if (ms > WATCHDOG_MS / 2) ms = WATCHDOG_MS / 2;
    REG32(TIMER0 + TIMER_CTRL) = 0;
    REG32(TIMER0 + TIMER_VALUE) = ms * TIMER_TICKS_MS; /* RELOAD stays 0: one shot */
    REG32(TIMER0 + TIMER_INTCLEAR) = 1;
    REG32(TIMER0 + TIMER_CTRL) = TIMER_ENABLE_IRQ;
    __asm volatile("cpsid i" ::: "memory");
    ethernet_unmask();
    if (!ethernet_pending() && !sample_line_pending() && !uart_waiting()) {
        __asm volatile("dsb\n wfi" ::: "memory");
    }
    __asm volatile("cpsie i\n isb" ::: "memory");
}
