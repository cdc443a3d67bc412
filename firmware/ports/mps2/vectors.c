/* Vectors of a node; the linker puts them first. */
#include "board.h"

void reset_handler(void) __attribute__((noreturn));
void fault_handler(void);
void watchdog_handler(void);
void sample_line_handler(void);
void timer0_handler(void);
void uart_handler(void);
void ethernet_handler(void);

typedef void (*vector_t)(void);

__attribute__((section(".vectors"), used)) static const vector_t vectors[16 + 32] = {
    [0] = (vector_t)(void *)link_stack_top,
    [1] = reset_handler,
    [2] = watchdog_handler, /* NMI */
    [3] = fault_handler,
    [4] = fault_handler,
    [5] = fault_handler,
    [6] = fault_handler,
    [7] = fault_handler,
    [8] = fault_handler,
    [9] = fault_handler,
    [10] = fault_handler,
    [11] = fault_handler,
    [12] = fault_handler,
    [13] = fault_handler,
    [14] = fault_handler,
    [15] = fault_handler,
    /* Interrupts; those nobody asked for are faults. */
    [16 + IRQ_UART0_RX] = uart_handler,
    [17 + IRQ_UART0_RX... 15 + IRQ_UART1_RX] = fault_handler,
    [16 + IRQ_UART1_RX] = sample_line_handler,
    [17 + IRQ_UART1_RX... 15 + IRQ_TIMER0] = fault_handler,
    [16 + IRQ_TIMER0] = timer0_handler,
    [17 + IRQ_TIMER0... 15 + IRQ_ETHERNET] = fault_handler,
    [16 + IRQ_ETHERNET] = ethernet_handler,
    [17 + IRQ_ETHERNET... 16 + 31] = fault_handler,
};
