/* Vectors and the way from reset to main. */
#include "board.h"

#define FPU_AND_MVE_ACCESS (0xFu << 20)

extern uint32_t link_stack_top[], link_data_start[], link_data_end[], link_data_load[], link_bss_start[],
    link_bss_end[];

int main(void);
void reset_handler(void) __attribute__((noreturn));
void fault_handler(void);

typedef void (*vector_t)(void);

/* Nothing here asks for an interrupt. */
__attribute__((section(".vectors"), used)) static const vector_t vectors[16] = {
    [0] = (vector_t)(void *)link_stack_top,
    [1] = reset_handler,
    [2 ... 15] = fault_handler,
};

void reset_handler(void) {
    REG32(FPU_CPACR) |= FPU_AND_MVE_ACCESS;
    REG32(SCB_VTOR) = (uint32_t)vectors;
    __asm volatile("dsb\n isb");
    const uint32_t *from = link_data_load;
    for (uint32_t *to = link_data_start; to < link_data_end;) *to++ = *from++;
    for (uint32_t *to = link_bss_start; to < link_bss_end;) *to++ = 0;
    (void)main();
    system_reset();
}
