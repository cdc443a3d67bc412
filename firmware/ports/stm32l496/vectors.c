/* Vectors of a firmware; the linker puts them first. */
#include "board.h"

void reset_handler(void) __attribute__((noreturn));
void fault_handler(void);
void tim2_handler(void);
void nmi_handler(void);

typedef void (*vector_t)(void);

/* A read that ECC could not mend goes on with what it got; anything else that may not be masked is a fault.
 */
void nmi_handler(void) {
    if (!flash_forgive()) panic("NMI");
}

__attribute__((section(".vectors"), used)) static const vector_t vectors[16 + IRQS] = {
    [0] = (vector_t)(void *)link_stack_top,
    [1] = reset_handler,
    [2] = nmi_handler,
    [3 ... 15 + IRQ_TIM2] = fault_handler,
    [16 + IRQ_TIM2] = tim2_handler,
    [17 + IRQ_TIM2... 15 + IRQS] = fault_handler,
};
