/* Vectors, and what a fault does: say so and start over. A bench board that hangs tells nobody why. */
#include <stddef.h>

#include "bench.h"

#define AIRCR 0xE000ED0Cu
#define REQUEST_RESET 0x05FA0004u
#define IRQS 64u

void reset_handler(void) __attribute__((noreturn));
void fault_handler(void) __attribute__((noreturn));
void system_reset(void) __attribute__((noreturn));
void systick_handler(void);
void uart_handler(void);

typedef void (*vector_t)(void);

void system_reset(void) {
    REG32(AIRCR) = REQUEST_RESET;
    for (;;) __asm volatile("wfi");
}

static void say_fault(void) __attribute__((used, noreturn));

static void say_fault(void) {
    static const uint8_t text[] = "\nfault: starting over\n";
    line_write(text, sizeof text - 1);
    system_reset();
}

/* On a fresh stack: the old one may be what failed. */
__attribute__((naked)) void fault_handler(void) {
    __asm volatile("ldr r1, =link_stack_top\n mov sp, r1\n b say_fault");
}

/* No interrupt is enabled but the UART's. */
__attribute__((section(".vectors"), used)) static const vector_t vectors[16 + IRQS] = {
    [0] = (vector_t)(void *)link_stack_top,
    [1] = reset_handler,
    [2 ... 14] = fault_handler,
    [15] = systick_handler,
    [16 ... 15 + IRQS] = uart_handler,
};
