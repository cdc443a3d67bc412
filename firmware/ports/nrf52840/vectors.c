/* Vectors of a firmware; the linker puts them first. */
#include "board.h"

void reset_handler(void) __attribute__((noreturn));
void fault_handler(void);
void watchdog_handler(void);
void timer0_handler(void);

typedef void (*vector_t)(void);

__attribute__((section(".vectors"), used)) static const vector_t vectors[16 + IRQS] = {
    [0] = (vector_t)(void *)link_stack_top,
    [1] = reset_handler,
    [2 ... 15 + IRQ_TIMER0] = fault_handler,
    [16 + IRQ_TIMER0] = timer0_handler,
    [17 + IRQ_TIMER0... 15 + IRQ_WDT] = fault_handler,
    [16 + IRQ_WDT] = watchdog_handler,
    [17 + IRQ_WDT... 15 + IRQS] = fault_handler,
};
