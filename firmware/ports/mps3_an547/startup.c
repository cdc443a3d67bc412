/* The way from reset to main. */
#include "board.h"

#define FPU_AND_MVE_ACCESS (0xFu << 20)

extern uint32_t link_vectors[], link_data_start[], link_data_end[], link_data_load[], link_bss_start[],
    link_bss_end[];

int main(void);
void reset_handler(void) __attribute__((noreturn));

/* Below the stack's end there is a fault, no silent damage (Armv8-M Architecture Reference Manual, MSPLIM).
 */
void reset_handler(void) {
    __asm volatile("msr msplim, %0" : : "r"(link_stack_bottom));
    REG32(FPU_CPACR) |= FPU_AND_MVE_ACCESS;
    REG32(SCB_VTOR) = (uint32_t)link_vectors;
    __asm volatile("dsb\n isb");
    const uint32_t *from = link_data_load;
    for (uint32_t *to = link_data_start; to < link_data_end;) *to++ = *from++;
    for (uint32_t *to = link_bss_start; to < link_bss_end;) *to++ = 0;
    (void)main();
    system_reset();
}
