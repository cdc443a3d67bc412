/* Vectors of the measuring app: nothing there asks for an interrupt. */
#include "board.h"

void reset_handler(void) __attribute__((noreturn));
void fault_handler(void);

typedef void (*vector_t)(void);

__attribute__((section(".vectors"), used)) static const vector_t vectors[16] = {
    [0] = (vector_t)(void *)link_stack_top,
    [1] = reset_handler,
    [2 ... 15] = fault_handler,
};
