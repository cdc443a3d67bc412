/* What bootloader and firmware tell each other, in memory that no start clears. */
#include "board.h"

__attribute__((section(".handoff"))) static tf_handoff_t shared;

tf_handoff_t *handoff(void) {
    return &shared;
}
