/* The way from reset to main. */
#include <stddef.h>

#include "board.h"

#define FPU_FULL_ACCESS (0xFu << 20)
#define MPU_TYPE 0xE000ED90u
#define MPU_CTRL 0xE000ED94u
#define MPU_RNR 0xE000ED98u
#define MPU_RBAR 0xE000ED9Cu
#define MPU_RASR 0xE000EDA0u
#define MPU_ON_WITH_DEFAULT_MAP 5u
#define MPU_NO_EXECUTE (1u << 28)
#define MPU_SIZE_1K (9u << 1)
#define MPU_REGION_ON 1u

extern uint32_t link_data_start[], link_data_end[], link_data_load[], link_bss_start[], link_bss_end[];

int main(void);
void reset_handler(void) __attribute__((noreturn));

/* The lowest KiB of the stack is out of bounds: an overflow is a fault, not silent damage. QEMU ignores
 * accesses below RAM, so the memory protection unit does it. */
static void guard_stack(void) {
    if (REG32(MPU_TYPE) == 0) return; /* an M0 has none */
    REG32(MPU_RNR) = 0;
    REG32(MPU_RBAR) = (uint32_t)link_stack_bottom;
    REG32(MPU_RASR) = MPU_NO_EXECUTE | MPU_SIZE_1K | MPU_REGION_ON; /* access permission 0: none */
    REG32(MPU_CTRL) = MPU_ON_WITH_DEFAULT_MAP;
}

/* Also zeroes what a bootloader left behind: nothing here is trusted but noinit. */
void reset_handler(void) {
    const uint32_t *from = link_data_load;
    for (uint32_t *to = link_data_start; to < link_data_end;) *to++ = *from++;
    for (uint32_t *to = link_bss_start; to < link_bss_end;) *to++ = 0;
    REG32(FPU_CPACR) |= FPU_FULL_ACCESS;
    REG32(SCB_VTOR) = (uint32_t)link_vectors;
    guard_stack();
    __asm volatile("dsb\n isb");
    (void)main();
    system_reset();
}
