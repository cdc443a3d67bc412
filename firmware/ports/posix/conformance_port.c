/* A process as the conformance test sees it. */
#include "tinyfleet/conformance_port.h"

#include <stddef.h>

#include "machine.h"
#include "posix.h"

const tf_conformance_port_t *tf_conformance_port(void) {
    static tf_conformance_port_t port;
    port = (tf_conformance_port_t){
        .node = tf_node_port(),
        .scratch_offset = MAP(MODEL_B_OFFSET),
        .noinit = NULL,
        .reset_reason = posix_reset_reason,
        .watchdog_start = NULL, /* systemd's, and only where it runs this */
    };
    return &port;
}

void posix_run(void) {
    tf_conformance_run();
}
