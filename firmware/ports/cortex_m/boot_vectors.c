/* Vectors of the bootloader, which runs with every interrupt off: what comes all the same ends it. */
#include "board.h"

typedef void (*vector_t)(void);

void reset_handler(void) __attribute__((noreturn));

void system_reset(void) {
    REG32(SCB_AIRCR) = RESET_REQUEST;
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const vector_t vectors[16] = {
    [0] = (vector_t)(void *)link_stack_top,
    [1] = reset_handler,
    [2 ... 15] = system_reset,
};
