/* The node's port of a chip without a network of its own: what cortex_m.h names, as functions handed in.
 * Whoever links the node's library with it brings the sockets. */
#include <stddef.h>

#include "board.h"
#include "machine.h"

const tf_node_port_t *tf_node_port(void) {
    static const tf_node_port_t port = {
        .device_type = BOARD_DEVICE_TYPE,
        .hw_rev = "not run",
        .timing = TF_TIMING_WALL,
        .power_source = TF_POWER_SOURCE_MAINS,
        .emulated = false,
        .now_us = clock_us,
        .flash = flash_port,
        .handoff = handoff_of_bootloader,
        .boot_layout = boot_layout,
        .watchdog_feed = watchdog_feed,
        .reset = system_reset,
        .panic = panic,
        .take_crash = crash_take,
        .idle = idle,
        .net_init = NULL,
        .net_poll = NULL,
        .net_bytes = NULL,
    };
    return &port;
}

void tf_node_port_start(void) {
    clock_start();
    uart_start();
    watchdog_start(WATCHDOG_MS);
}
