/* Vectors of the bootloader, which runs with every interrupt off: what comes all the same ends it. */
#include "board.h"

typedef void (*vector_t)(void);

void reset_handler(void) __attribute__((noreturn));

void system_reset(void) {
    REG32(SCB_AIRCR) = RESET_REQUEST;
    for (;;) {
    }
}

void boot_nmi(void);

/* A port whose flash may raise one has its own. */
__attribute__((weak)) void boot_nmi(void) {
    system_reset();
}

__attribute__((section(".vectors"), used)) static const vector_t vectors[16] = {
    [0] = (vector_t)(void *)link_stack_top,
    [1] = reset_handler,
    [2] = boot_nmi,
    [3 ... 15] = system_reset,
};
