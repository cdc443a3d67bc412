/* A Cortex-M board as the conformance test sees it. It starts without a bootloader, so it reads the reason of
 * a start as that would. */
#include "tinyfleet/conformance_port.h"

#include "board.h"

__attribute__((section(".noinit"))) static uint32_t words[4];

static tf_reset_t reset_reason(void) {
    static bool read;
    static tf_reset_t reason;
    if (!read) reason = tf_handoff_is_whole(handoff()) ? (tf_reset_t)handoff()->ending : TF_RESET_POWER;
    read = true;
    /* Whoever says nothing before the next start has hung. */
    handoff()->ending = TF_RESET_WATCHDOG;
    tf_handoff_seal(handoff());
    return reason;
}

const tf_conformance_port_t *tf_conformance_port(void) {
    static tf_conformance_port_t port;
    (void)reset_reason();
    port = (tf_conformance_port_t){
        .node = tf_node_port(),
        .scratch_offset = MAP(MODEL_B_OFFSET),
        .noinit = words,
        .reset_reason = reset_reason,
        .watchdog_start = watchdog_start,
    };
    return &port;
}
