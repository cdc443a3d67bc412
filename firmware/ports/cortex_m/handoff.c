/* What bootloader and firmware tell each other, in memory that no start clears. */
#include <stddef.h>

#include "board.h"

__attribute__((section(".handoff"))) static tf_handoff_t shared;

tf_handoff_t *handoff(void) {
    return &shared;
}

const tf_handoff_t *handoff_of_bootloader(void) {
    return tf_handoff_is_whole(&shared) ? &shared : NULL;
}
