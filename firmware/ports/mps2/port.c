#include <stddef.h>

#include "board.h"
#include "tinyfleet/wire_keys.h"

const tf_node_port_t *tf_node_port(void) {
    static const tf_node_port_t port = {
        .device_type = BOARD_DEVICE_TYPE,
        .hw_rev = "qemu",
        .timing = TF_TIMING_INSTRUCTIONS,
        .power_source = TF_POWER_SOURCE_MAINS,
        .emulated = true,
        .now_us = clock_us,
        .flash = flash_port,
        .handoff = handoff_of_bootloader,
        .boot_layout = boot_layout,
        .watchdog_feed = watchdog_feed,
        .reset = system_reset,
        .panic = panic,
        .take_crash = crash_take,
        .line_read = sample_line_read,
        .idle = idle,
        .console_read = uart_read,
        .console_write = uart_put,
        .net_init = ethernet_init,
        .net_poll = ethernet_poll,
        .net_power = ethernet_power,
        .net_bytes = ethernet_bytes,
    };
    return &port;
}

/* Called by main before anything else of the port. */
void tf_node_port_start(void) {
    uart_start();
    sample_line_start();
    uart_listen();
    clock_start();
    watchdog_start(WATCHDOG_MS);
}
