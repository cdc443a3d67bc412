/* Vectors and the way from reset to main. */
#include <stddef.h>

#include "board.h"

extern uint32_t link_stack_top[], link_data_start[], link_data_end[], link_data_load[], link_bss_start[],
    link_bss_end[], link_stack_bottom[];

int main(void);
void reset_handler(void) __attribute__((noreturn));
void fault_handler(void) __attribute__((noreturn));
void uart_handler(void);
void timer0_handler(void);

/* Paints the stack but for this function's own frame, so that its use can be seen afterwards. */
static void paint_stack(void) {
    uint32_t *const here = __builtin_frame_address(0);
    for (uint32_t *at = link_stack_bottom; at < here - 16; at++) *at = STACK_PAINT;
}

void reset_handler(void) {
    paint_stack();
    const uint32_t *from = link_data_load;
    for (uint32_t *to = link_data_start; to < link_data_end;) *to++ = *from++;
    for (uint32_t *to = link_bss_start; to < link_bss_end;) *to++ = 0;
    (void)main();
    system_reset();
}

void system_reset(void) {
    SCB_AIRCR = 0x05FA0004u;
    for (;;) __asm volatile("wfi");
}

/* Says so and starts over: a bench board that hangs tells nobody why. */
void fault_handler(void) {
    static const uint8_t text[] = "\nfault: starting over\n";
    uart_write(text, sizeof text - 1);
    system_reset();
}

typedef void (*vector_t)(void);

__attribute__((section(".vectors"), used)) static const vector_t vectors[16 + 32] = {
    [0] = (vector_t)(void *)link_stack_top,
    [1] = reset_handler,
    [2 ... 15 + IRQ_UART] = fault_handler,
    [16 + IRQ_UART] = uart_handler,
    [17 + IRQ_UART... 15 + IRQ_TIMER0] = fault_handler,
    [16 + IRQ_TIMER0] = timer0_handler,
    [17 + IRQ_TIMER0... 16 + 31] = fault_handler,
};
